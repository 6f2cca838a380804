#pragma once
/* Sixteen bytes looked at at once, for scanners of long texts: comparisons (==, <, |) make a block in which
 * each byte is 0 or 0xFF. GCC's and clang's vector types: a few instructions where there is SSE2 or NEON,
 * right everywhere. */
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef uint8_t block __attribute__((vector_size(16)));
/* Compared as signed bytes, those that are not ASCII are less than all others. */
typedef int8_t signed_block __attribute__((vector_size(16)));

static inline block block_at(const char *p)
{
    block b;
    memcpy(&b, p, sizeof(b));
    return b;
}

/* The index of the first byte that is not 0, of what comparisons made; 16: none. */
static inline size_t block_first(block found)
{
#ifdef __SSE2__
    const unsigned mask = (unsigned)_mm_movemask_epi8((__m128i)found);
    return (size_t)__builtin_ctz(mask | 0x10000U);
#else
    uint64_t half[2];
    memcpy(half, &found, sizeof(half));
    if (half[0] != 0)
        return (size_t)__builtin_ctzll(le64toh(half[0])) / 8;
    return half[1] != 0 ? 8 + (size_t)__builtin_ctzll(le64toh(half[1])) / 8 : sizeof(found);
#endif
}

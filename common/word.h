#pragma once
/* Eight bytes looked at as one word: a test sets the top bit of each byte that it finds. Whether there is
 * any, and which is the first, is certain; bits above the first may be set by a borrow. */
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WORD_EACH(b) (UINT64_C(0x0101010101010101) * (b))
#define WORD_TOPS WORD_EACH(0x80)

/* Its first byte is the lowest, on every machine. */
static inline uint64_t word_at(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof(w));
    return le64toh(w);
}
static inline uint64_t word_find(uint64_t w, unsigned char byte)
{
    const uint64_t zero = w ^ WORD_EACH(byte);
    return (zero - WORD_EACH(1)) & ~zero & WORD_TOPS;
}
/* Bytes below `limit`, which is 0x80 at most. */
static inline uint64_t word_find_below(uint64_t w, unsigned char limit)
{
    return (w - WORD_EACH(limit)) & ~w & WORD_TOPS;
}
/* Bytes that are not ASCII. */
static inline uint64_t word_find_high(uint64_t w)
{
    return w & WORD_TOPS;
}
/* The index of the first byte found; `found` is not 0. */
static inline size_t word_first(uint64_t found)
{
    return (size_t)__builtin_ctzll(found) / 8;
}

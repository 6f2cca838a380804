#pragma once
/* What a worker gone wrong can do to the memory that all processes share: writes over every shared mapping of
 * this process that is no file's. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum scribble { SCRIBBLE_ZEROS, SCRIBBLE_ONES, SCRIBBLE_NOISE, SCRIBBLES };

static inline void scribble(unsigned char *at, size_t len, enum scribble how, uint64_t seed)
{
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    if (how != SCRIBBLE_NOISE) {
        memset(at, how == SCRIBBLE_ZEROS ? 0 : 0xff, len);
        return;
    }
    for (size_t i = 0; i + sizeof(x) <= len; i += sizeof(x)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(at + i, &x, sizeof(x));
    }
}

/* How many mappings it found. */
static inline unsigned scribble_all(enum scribble how, uint64_t seed)
{
    char line[512];
    unsigned n = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof(line), maps)) {
        char *at;
        const uintptr_t from = strtoul(line, &at, 16);
        const uintptr_t to = *at == '-' ? strtoul(at + 1, NULL, 16) : 0;
        if (strstr(line, " rw-s ") && strstr(line, "/dev/zero") && to > from) {
            scribble((unsigned char *)from, to - from, how, seed); /* NOLINT(performance-no-int-to-ptr) */
            n++;
        }
    }
    (void)fclose(maps);
    return n;
}

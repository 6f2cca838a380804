#include "gateway/server/rates.h"
#include "common/ids.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

/* A cell: 20 bits that tell the keys of one bucket apart, and 44 bits of the time at which it is at rest
 * again, in units of 1/16384 s (34 years). */
enum { BUCKETS = 8192, WAYS = 8, UNITS = 16384, TAG_BITS = 20 };

struct rates {
    uint64_t seed;
    _Atomic uint64_t *cells;
};

struct rates *rates_create(void)
{
    struct rates *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    void *map = mmap(NULL, sizeof(uint64_t) * BUCKETS * WAYS, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        free(r);
        return NULL;
    }
    r->cells = map;
    random_bytes(&r->seed, sizeof(r->seed));
    return r;
}

void rates_destroy(struct rates *r)
{
    if (!r)
        return;
    munmap((void *)r->cells, sizeof(uint64_t) * BUCKETS * WAYS);
    free(r);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t tag_of(uint64_t cell)
{
    return cell >> (64 - TAG_BITS);
}

static uint64_t rest_of(uint64_t cell)
{
    return cell & (UINT64_MAX >> TAG_BITS);
}

/* The key's cell; else one at rest; else the one that is nearest to it. */
static _Atomic uint64_t *find(_Atomic uint64_t *bucket, uint64_t tag, uint64_t now)
{
    _Atomic uint64_t *best = bucket;
    uint64_t best_rest = UINT64_MAX;
    for (unsigned i = 0; i < WAYS; i++) {
        const uint64_t cell = atomic_load(&bucket[i]);
        if (tag_of(cell) == tag)
            return &bucket[i];
        const uint64_t rest = rest_of(cell) > now ? rest_of(cell) : 0;
        if (rest < best_rest) {
            best = &bucket[i];
            best_rest = rest;
        }
    }
    return best;
}

bool rates_take(struct rates *r, uint64_t key, uint64_t now_ms, uint64_t per_second)
{
    enum { TRIES = 64 };
    const uint64_t hash = mix(mix(key ^ r->seed) + r->seed);
    const uint64_t tag = hash >> (64 - TAG_BITS);
    const uint64_t now = now_ms * UNITS / 1000;
    const uint64_t step = per_second >= UNITS ? 1 : (UNITS + per_second - 1) / per_second;
    const uint64_t window = step * per_second;
    _Atomic uint64_t *bucket = &r->cells[hash % BUCKETS * WAYS];
    for (unsigned tries = 0; tries < TRIES; tries++) {
        _Atomic uint64_t *at = find(bucket, tag, now);
        uint64_t cell = atomic_load(at);
        uint64_t rest = tag_of(cell) == tag ? rest_of(cell) : now;
        /* Later than any event could have put it: scribbled over, or of a configuration that allowed more. */
        if (rest < now || rest > now + window + step)
            rest = now;
        if (rest + step > now + window)
            return false;
        if (atomic_compare_exchange_strong(at, &cell, tag << (64 - TAG_BITS) | (rest + step)))
            return true;
    }
    return false; /* as busy as that: more than was asked for */
}

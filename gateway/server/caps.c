#include "gateway/server/caps.h"
#include "common/ids.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

/* One shared mapping: the keys of all entries, a bit for each entry that was ever used (so that a reclaim
 * touches only those pages), the totals, and the counts. Entries come in buckets, and an address lives in one
 * of two, found by its hash: in the emptier one, so that no bucket is full even when `room` addresses fill
 * half of all entries (with one bucket, or a run of neighbours, one address in a thousand finds no place). An
 * entry whose count has gone to nothing may be taken over by another address. Nothing is locked: a killed
 * worker can leave nothing locked.
 *
 * A worker gone wrong may write anything there at any time, so nothing read from it is an address, an index
 * or a size: these lie in memory of each process's own. Numbers that cannot be count for nothing, so that
 * what was scribbled over heals. */
enum { BUCKET = 16, PLACES = 2 * BUCKET, MIN_ENTRIES = 1024, MAX_ENTRIES = 1 << 24, TRIES = 16 };

#define KEY_FREE UINT64_C(0)
#define KEY_BUSY UINT64_MAX /* being taken over */

struct caps {
    void *map;
    size_t mapped;
    uint32_t n_entries; /* a power of two */
    unsigned slots;
    uint64_t room, seed;
    uint64_t max_total, max_per_address;
    _Atomic uint64_t *keys;
    _Atomic uint64_t *used;   /* a bit an entry */
    _Atomic uint32_t *totals; /* one a slot */
    _Atomic uint32_t *counts; /* `slots` an entry */
    uint32_t held[];          /* what this process wrote into `totals` */
};

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

struct caps *caps_create(unsigned slots, uint64_t room)
{
    uint32_t n = MIN_ENTRIES;
    /* Half empty, when each has two entries: an address and its network. */
    while (n < MAX_ENTRIES && n / 4 < room)
        n *= 2;
    size_t used_at = n * sizeof(uint64_t);
    size_t totals_at = used_at + n / 8;
    size_t counts_at = round_up(totals_at + slots * sizeof(uint32_t), 4096);
    size_t mapped = counts_at + (size_t)n * slots * sizeof(uint32_t);
    struct caps *c = calloc(1, sizeof(*c) + slots * sizeof(c->held[0]));
    if (!c)
        return NULL;
    c->map = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (c->map == MAP_FAILED) {
        free(c);
        return NULL;
    }
    char *base = c->map;
    c->mapped = mapped;
    c->n_entries = n;
    c->slots = slots;
    c->room = room;
    random_bytes(&c->seed, sizeof(c->seed));
    c->keys = c->map;
    c->used = (_Atomic uint64_t *)(void *)(base + used_at);
    c->totals = (_Atomic uint32_t *)(void *)(base + totals_at);
    c->counts = (_Atomic uint32_t *)(void *)(base + counts_at);
    caps_set_limits(c, room, room);
    return c;
}

void caps_destroy(struct caps *c)
{
    if (!c)
        return;
    munmap(c->map, c->mapped);
    free(c);
}

uint64_t caps_room(const struct caps *c)
{
    return c->room;
}

void caps_set_limits(struct caps *c, uint64_t max_total, uint64_t max_per_address)
{
    assert(max_total <= c->room);
    c->max_total = max_total;
    c->max_per_address = max_per_address;
}

/* Every address that counts for itself has a number of its own: an IPv6 prefix is the first half of its
 * address, and what is not lies where no peer's prefix can be (ff00::/8 is multicast). 0: counts in the total
 * only. */
uint64_t caps_key(struct bytes address)
{
    const size_t n = address.len == 4 ? 4 : 8;
    uint64_t key = 0;
    if (address.len != 4 && address.len != 16)
        return 0;
    for (size_t i = 0; i < n; i++)
        key = key << 8 | (uint8_t)address.data[i];
    if (address.len == 4)
        return UINT64_C(0xfffffffd00000000) | key;
    return key == KEY_FREE || key == KEY_BUSY ? UINT64_C(0xfffffffe00000000) : key;
}

/* The network of an IPv6 address, numbered where no prefix and no IPv4 address is; 0: not IPv6. */
uint64_t caps_network(struct bytes address)
{
    uint64_t key = UINT64_C(0xfffc);
    if (address.len != 16)
        return 0;
    for (size_t i = 0; i < 6; i++)
        key = key << 8 | (uint8_t)address.data[i];
    return key;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Where an address may live: the first entries of two buckets, which are never the same. */
struct places {
    uint32_t first[2];
};

static struct places places_of(const struct caps *c, uint64_t key)
{
    const uint64_t hash = mix(mix(key ^ c->seed) + c->seed);
    const uint32_t buckets = c->n_entries / BUCKET;
    const uint32_t one = (uint32_t)hash & (buckets - 1);
    const uint32_t other = (one + 1 + (uint32_t)(hash >> 32) % (buckets - 1)) & (buckets - 1);
    return (struct places){{one * BUCKET, other * BUCKET}};
}

static uint32_t place(struct places p, unsigned i)
{
    return p.first[i / BUCKET] + i % BUCKET;
}

static _Atomic uint32_t *count_at(const struct caps *c, uint32_t entry, unsigned slot)
{
    return &c->counts[(size_t)entry * c->slots + slot];
}

static uint64_t plausible(const struct caps *c, _Atomic uint32_t *count)
{
    const uint32_t n = atomic_load(count);
    return n <= c->room + 1 ? n : 0;
}

static uint64_t entry_sum(const struct caps *c, uint32_t entry)
{
    uint64_t sum = 0;
    for (unsigned slot = 0; slot < c->slots; slot++)
        sum += plausible(c, count_at(c, entry, slot));
    return sum;
}

static unsigned in_use(const struct caps *c, uint32_t first)
{
    unsigned n = 0;
    for (uint32_t i = first; i < first + BUCKET; i++)
        n += atomic_load(&c->keys[i]) != KEY_FREE && entry_sum(c, i) != 0;
    return n;
}

/* Takes the entry over if nobody counts in it. Whoever increments it at the same time looks at the key again
 * afterwards; either he sees KEY_BUSY and goes elsewhere, or we see his count and give the entry back. An
 * entry that was left busy is taken over like any other. */
static bool take_over(struct caps *c, uint32_t entry, uint64_t key)
{
    uint64_t old = atomic_load(&c->keys[entry]), busy = KEY_BUSY;
    if (entry_sum(c, entry) != 0 ||
        (old != KEY_BUSY && !atomic_compare_exchange_strong(&c->keys[entry], &old, KEY_BUSY)))
        return false;
    const bool free_now = entry_sum(c, entry) == 0;
    return atomic_compare_exchange_strong(&c->keys[entry], &busy, free_now ? key : old) && free_now;
}

/* The address's entry, made if need be; -1 when both its buckets are full of others. */
static int64_t find_or_make(struct caps *c, uint64_t key, struct places p)
{
    for (unsigned i = 0; i < PLACES; i++)
        if (atomic_load(&c->keys[place(p, i)]) == key)
            return place(p, i);
    if (in_use(c, p.first[1]) < in_use(c, p.first[0]))
        p = (struct places){{p.first[1], p.first[0]}};
    for (unsigned i = 0; i < PLACES; i++) {
        const uint32_t entry = place(p, i);
        if (take_over(c, entry, key)) {
            atomic_fetch_or(&c->used[entry / 64], UINT64_C(1) << (entry % 64));
            return entry;
        }
    }
    return -1;
}

/* Two workers may have made an entry each for one address: all of its places count. */
static uint64_t address_sum(const struct caps *c, uint64_t key, struct places p)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < PLACES; i++)
        if (atomic_load(&c->keys[place(p, i)]) == key)
            sum += entry_sum(c, place(p, i));
    return sum;
}

static enum caps_verdict acquire_key(struct caps *c, unsigned slot, uint64_t key, uint64_t most)
{
    const struct places p = places_of(c, key);
    for (unsigned tries = 0; tries < TRIES; tries++) {
        const int64_t entry = find_or_make(c, key, p);
        if (entry < 0)
            return CAPS_TOTAL;
        _Atomic uint32_t *count = count_at(c, (uint32_t)entry, slot);
        if (plausible(c, count) == 0)
            atomic_store(count, 0); /* nobody else writes in this column */
        atomic_fetch_add(count, 1);
        if (atomic_load(&c->keys[entry]) != key) {
            atomic_fetch_sub(count, 1);
            continue;
        }
        if (address_sum(c, key, p) <= most)
            return CAPS_OK;
        atomic_fetch_sub(count, 1);
        return CAPS_ADDRESS;
    }
    return CAPS_TOTAL;
}

static void release_key(struct caps *c, unsigned slot, uint64_t key)
{
    const struct places p = places_of(c, key);
    for (unsigned i = 0; i < PLACES; i++) {
        _Atomic uint32_t *count = count_at(c, place(p, i), slot);
        if (atomic_load(&c->keys[place(p, i)]) == key && atomic_load(count) > 0) {
            atomic_fetch_sub(count, 1);
            return;
        }
    }
}

static enum caps_verdict acquire_address(struct caps *c, unsigned slot, struct bytes address)
{
    const uint64_t key = caps_key(address), network = caps_network(address);
    if (key == 0)
        return CAPS_OK;
    enum caps_verdict verdict = acquire_key(c, slot, key, c->max_per_address);
    if (verdict != CAPS_OK || network == 0)
        return verdict;
    verdict = acquire_key(c, slot, network, c->max_per_address * CAPS_NETWORK_FACTOR);
    if (verdict != CAPS_OK)
        release_key(c, slot, key);
    return verdict;
}

/* Stored, not added: what another has written over it is put right by the next connection. */
static void count_total(struct caps *c, unsigned slot, uint32_t held)
{
    c->held[slot] = held;
    atomic_store(&c->totals[slot], held);
}

enum caps_verdict caps_acquire(struct caps *c, unsigned slot, struct bytes address)
{
    enum caps_verdict verdict = CAPS_OK;
    count_total(c, slot, c->held[slot] + 1);
    if (caps_total(c) > c->max_total)
        verdict = CAPS_TOTAL;
    else
        verdict = acquire_address(c, slot, address);
    if (verdict != CAPS_OK)
        count_total(c, slot, c->held[slot] - 1);
    return verdict;
}

void caps_release(struct caps *c, unsigned slot, struct bytes address)
{
    const uint64_t key = caps_key(address), network = caps_network(address);
    count_total(c, slot, c->held[slot] - 1);
    if (key != 0)
        release_key(c, slot, key);
    if (network != 0)
        release_key(c, slot, network);
}

void caps_reclaim(struct caps *c, unsigned slot)
{
    for (uint32_t i = 0; i < c->n_entries / 64; i++) {
        uint64_t bits = atomic_load(&c->used[i]);
        for (; bits != 0; bits &= bits - 1)
            atomic_store(count_at(c, i * 64 + (unsigned)__builtin_ctzll(bits), slot), 0);
    }
    atomic_store(&c->totals[slot], 0);
}

uint64_t caps_total(const struct caps *c)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < c->slots; i++)
        sum += plausible(c, &c->totals[i]);
    return sum;
}

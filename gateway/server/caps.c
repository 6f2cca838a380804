#include "gateway/server/caps.h"
#include "common/ids.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

/* One shared mapping: this head, a bit for each entry that was ever used (so that a reclaim touches only
 * those pages), and the entries. An address lives in one of WINDOW neighbouring entries, found by its hash;
 * an entry whose count has gone to nothing may be taken over by another address. Nothing is locked: a killed
 * worker can leave nothing locked. */
enum { WINDOW = 16, MIN_ENTRIES = 1024, MAX_ENTRIES = 1 << 20 };

#define KEY_FREE UINT64_C(0)
#define KEY_BUSY UINT64_MAX /* being taken over */

struct entry {
    _Atomic uint64_t key;
    _Atomic uint32_t count[]; /* one a slot */
};

struct caps {
    size_t mapped, entry_size;
    uint32_t n_entries; /* a power of two */
    unsigned slots;
    uint64_t seed;
    _Atomic uint64_t max_total, max_per_address;
    _Atomic uint64_t *used;   /* these pointers hold in every forked process */
    _Atomic uint32_t *totals; /* one a slot */
    char *entries;
};

static struct entry *entry_at(const struct caps *c, uint64_t i)
{
    return (struct entry *)(void *)(c->entries + (size_t)(i & (c->n_entries - 1)) * c->entry_size);
}

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static void lay_out(struct caps *c, size_t used_at, size_t totals_at, size_t entries_at)
{
    char *base = (char *)c;
    c->used = (_Atomic uint64_t *)(void *)(base + used_at);
    c->totals = (_Atomic uint32_t *)(void *)(base + totals_at);
    c->entries = base + entries_at;
}

struct caps *caps_create(unsigned slots, uint64_t max_total, uint64_t max_per_address)
{
    uint32_t n = MIN_ENTRIES;
    while (n < MAX_ENTRIES && n / 2 < max_total)
        n *= 2;
    size_t entry_size = round_up(sizeof(struct entry) + slots * sizeof(uint32_t), sizeof(uint64_t));
    size_t used_at = round_up(sizeof(struct caps), 64);
    size_t totals_at = used_at + n / 8;
    size_t entries_at = round_up(totals_at + slots * sizeof(uint32_t), 4096);
    size_t mapped = entries_at + (size_t)n * entry_size;
    struct caps *c =
        mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (c == MAP_FAILED)
        return NULL;
    c->mapped = mapped;
    c->entry_size = entry_size;
    c->n_entries = n;
    c->slots = slots;
    random_bytes(&c->seed, sizeof(c->seed));
    lay_out(c, used_at, totals_at, entries_at);
    caps_set_limits(c, max_total, max_per_address);
    return c;
}

void caps_destroy(struct caps *c)
{
    if (c)
        munmap(c, c->mapped);
}

void caps_set_limits(struct caps *c, uint64_t max_total, uint64_t max_per_address)
{
    atomic_store(&c->max_total, max_total);
    atomic_store(&c->max_per_address, max_per_address);
}

/* Every address that counts for itself has a number of its own: an IPv6 prefix is the first half of its
 * address, and what is not lies where no peer's prefix can be (ff00::/8 is multicast). 0: counts in the total
 * only. */
static uint64_t key_of(struct bytes address)
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

static uint64_t mix(uint64_t key, uint64_t seed)
{
    key = (key ^ seed) * UINT64_C(0x9e3779b97f4a7c15);
    key = (key ^ key >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return key ^ key >> 32;
}

static uint64_t entry_sum(const struct caps *c, struct entry *e)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < c->slots; i++)
        sum += atomic_load(&e->count[i]);
    return sum;
}

static void note_used(struct caps *c, uint64_t i)
{
    i &= c->n_entries - 1;
    atomic_fetch_or(&c->used[i / 64], UINT64_C(1) << (i % 64));
}

/* Takes the entry over if nobody counts in it. Whoever increments it at the same time looks at the key again
 * afterwards; either he sees KEY_BUSY and goes elsewhere, or we see his count and give the entry back. */
static bool take_over(struct caps *c, struct entry *e, uint64_t old, uint64_t key)
{
    if (entry_sum(c, e) != 0 || !atomic_compare_exchange_strong(&e->key, &old, KEY_BUSY))
        return false;
    bool free_now = entry_sum(c, e) == 0;
    atomic_store(&e->key, free_now ? key : old);
    return free_now;
}

/* The address's entry, made if need be; NULL when its window is full of others. */
static struct entry *find_or_make(struct caps *c, uint64_t key, uint64_t hash)
{
    for (unsigned i = 0; i < WINDOW; i++)
        if (atomic_load(&entry_at(c, hash + i)->key) == key)
            return entry_at(c, hash + i);
    for (unsigned i = 0; i < WINDOW; i++) {
        struct entry *e = entry_at(c, hash + i);
        uint64_t old = atomic_load(&e->key);
        if (old != KEY_BUSY && take_over(c, e, old, key)) {
            note_used(c, hash + i);
            return e;
        }
    }
    return NULL;
}

/* Two workers may have made an entry each for one address: all of the window count. */
static uint64_t address_sum(struct caps *c, uint64_t key, uint64_t hash)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < WINDOW; i++) {
        struct entry *e = entry_at(c, hash + i);
        if (atomic_load(&e->key) == key)
            sum += entry_sum(c, e);
    }
    return sum;
}

static enum caps_verdict acquire_address(struct caps *c, unsigned slot, uint64_t key)
{
    const uint64_t hash = mix(key, c->seed);
    for (;;) {
        struct entry *e = find_or_make(c, key, hash);
        if (!e)
            return CAPS_TOTAL;
        atomic_fetch_add(&e->count[slot], 1);
        if (atomic_load(&e->key) != key) {
            atomic_fetch_sub(&e->count[slot], 1);
            continue;
        }
        if (address_sum(c, key, hash) <= atomic_load(&c->max_per_address))
            return CAPS_OK;
        atomic_fetch_sub(&e->count[slot], 1);
        return CAPS_ADDRESS;
    }
}

enum caps_verdict caps_acquire(struct caps *c, unsigned slot, struct bytes address)
{
    const uint64_t key = key_of(address);
    enum caps_verdict verdict = CAPS_OK;
    atomic_fetch_add(&c->totals[slot], 1);
    if (caps_total(c) > atomic_load(&c->max_total))
        verdict = CAPS_TOTAL;
    else if (key != 0)
        verdict = acquire_address(c, slot, key);
    if (verdict != CAPS_OK)
        atomic_fetch_sub(&c->totals[slot], 1);
    return verdict;
}

void caps_release(struct caps *c, unsigned slot, struct bytes address)
{
    const uint64_t key = key_of(address);
    const uint64_t hash = mix(key, c->seed);
    atomic_fetch_sub(&c->totals[slot], 1);
    for (unsigned i = 0; key != 0 && i < WINDOW; i++) {
        struct entry *e = entry_at(c, hash + i);
        if (atomic_load(&e->key) == key && atomic_load(&e->count[slot]) > 0) {
            atomic_fetch_sub(&e->count[slot], 1);
            return;
        }
    }
}

void caps_reclaim(struct caps *c, unsigned slot)
{
    for (uint32_t i = 0; i < c->n_entries / 64; i++) {
        uint64_t bits = atomic_load(&c->used[i]);
        for (; bits != 0; bits &= bits - 1)
            atomic_store(&entry_at(c, (uint64_t)i * 64 + (unsigned)__builtin_ctzll(bits))->count[slot], 0);
    }
    atomic_store(&c->totals[slot], 0);
}

uint64_t caps_total(const struct caps *c)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < c->slots; i++)
        sum += atomic_load(&c->totals[i]);
    return sum;
}

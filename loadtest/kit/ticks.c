#include "loadtest/kit/ticks.h"
#include <string.h>

void ticks_init(struct ticks *w, uint64_t now_ms)
{
    w->now_ms = now_ms;
    memset(w->used_, 0, sizeof(w->used_));
    for (unsigned i = 0; i < TICKS_SLOTS; i++)
        list_init(&w->slots_[i]);
}

void tick_timer_init(struct tick_timer *t, void (*fire)(struct tick_timer *))
{
    list_init(&t->node_);
    t->due_ms = 0;
    t->fire = fire;
}

void ticks_arm(struct ticks *w, struct tick_timer *t, uint64_t due_ms)
{
    list_remove(&t->node_);
    if (due_ms <= w->now_ms)
        due_ms = w->now_ms + 1;
    t->due_ms = due_ms;
    unsigned slot = (unsigned)(due_ms % TICKS_SLOTS);
    list_append(&w->slots_[slot], &t->node_);
    w->used_[slot / 64] |= UINT64_C(1) << (slot % 64);
}

void ticks_cancel(struct tick_timer *t)
{
    list_remove(&t->node_);
}

static void fire_slot(struct ticks *w, unsigned slot, uint64_t now_ms)
{
    struct list due;
    list_init(&due);
    LIST_EACH(&w->slots_[slot], node)
    {
        struct tick_timer *t = CONTAINER_OF(node, struct tick_timer, node_);
        if (t->due_ms <= now_ms) {
            list_remove(node);
            list_append(&due, node);
        }
    }
    if (list_empty(&w->slots_[slot]))
        w->used_[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    while (!list_empty(&due)) {
        struct tick_timer *t = LIST_FIRST(&due, struct tick_timer, node_);
        list_remove(&t->node_);
        t->fire(t);
    }
}

void ticks_advance(struct ticks *w, uint64_t now_ms)
{
    if (now_ms <= w->now_ms)
        return;
    uint64_t from = w->now_ms + 1;
    if (now_ms - from >= TICKS_SLOTS)
        from = now_ms - TICKS_SLOTS + 1; /* one lap meets every slot */
    w->now_ms = now_ms;
    for (uint64_t at = from; at <= now_ms; at++) {
        unsigned slot = (unsigned)(at % TICKS_SLOTS);
        if (w->used_[slot / 64] & (UINT64_C(1) << (slot % 64)))
            fire_slot(w, slot, now_ms);
    }
}

uint64_t ticks_next_ms(struct ticks *w)
{
    uint64_t start = w->now_ms + 1;
    for (unsigned seen = 0; seen < TICKS_SLOTS;) {
        unsigned slot = (unsigned)((start + seen) % TICKS_SLOTS);
        uint64_t word = w->used_[slot / 64] >> (slot % 64);
        if (word)
            return start + seen + (unsigned)__builtin_ctzll(word);
        seen += 64 - slot % 64;
    }
    return UINT64_MAX;
}

#include "common/wheel.h"

enum { LEVEL_BITS = 6 };

static unsigned level_shift(unsigned level)
{
    return level * LEVEL_BITS;
}

static struct list *slot_of(struct wheel *w, unsigned level, uint64_t tick)
{
    return &w->slots_[level][(tick >> level_shift(level)) % WHEEL_SLOTS];
}

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    *w = (struct wheel){.tick_ = now_ms / WHEEL_TICK_MS};
    for (unsigned level = 0; level < WHEEL_LEVELS; level++)
        for (unsigned i = 0; i < WHEEL_SLOTS; i++)
            list_init(&w->slots_[level][i]);
}

void wheel_timer_init(struct wheel_timer *t, void (*fire)(struct wheel_timer *))
{
    list_init(&t->node_);
    t->due_tick_ = 0;
    t->fire = fire;
}

/* Level n holds what is due in 64^n to 64^(n+1)-1 ticks, in the slot that comes up, emptied into lower
 * levels, at or before it is due. What is farther than the wheel reaches is in the last level too, and goes
 * round more than once. */
static void place(struct wheel *w, struct wheel_timer *t)
{
    uint64_t delta = t->due_tick_ - w->tick_;
    unsigned level = 0;

    while (level + 1 < WHEEL_LEVELS && delta >> level_shift(level + 1) != 0)
        level++;
    list_append(slot_of(w, level, t->due_tick_), &t->node_);
    w->occupied_[level] |= UINT64_C(1) << ((t->due_tick_ >> level_shift(level)) % WHEEL_SLOTS);
}

void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t now_ms, uint64_t delay_ms)
{
    const uint64_t last = UINT64_MAX - WHEEL_TICK_MS;
    uint64_t due_ms = now_ms >= last || delay_ms > last - now_ms ? last : now_ms + delay_ms;
    uint64_t due = (due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;

    wheel_cancel(w, t);
    t->due_tick_ = MAX(due, w->tick_ + 1);
    place(w, t);
    w->count_++;
}

void wheel_cancel(struct wheel *w, struct wheel_timer *t)
{
    if (!wheel_armed(t))
        return;
    list_remove(&t->node_);
    w->count_--;
}

bool wheel_armed(const struct wheel_timer *t)
{
    return list_linked(&t->node_);
}

/* The next tick at which a slot of this level that holds something comes up. Bits of `occupied_` may be
 * stale: a cancel leaves them set. */
static uint64_t next_of_level(const struct wheel *w, unsigned level)
{
    uint64_t base = (w->tick_ >> level_shift(level)) + 1;
    unsigned turn = (unsigned)(base % WHEEL_SLOTS);
    uint64_t bits = w->occupied_[level];

    bits = turn == 0 ? bits : bits >> turn | bits << (WHEEL_SLOTS - turn);
    for (; bits != 0; bits &= bits - 1) {
        uint64_t at = base + (uint64_t)__builtin_ctzll(bits);
        if (!list_empty(&w->slots_[level][at % WHEEL_SLOTS]))
            return at << level_shift(level);
    }
    return UINT64_MAX;
}

static uint64_t next_tick(const struct wheel *w)
{
    uint64_t next = UINT64_MAX;

    if (w->count_ == 0)
        return next;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        uint64_t at = next_of_level(w, level);
        next = MIN(next, at);
    }
    return next;
}

/* Empties the slot that has come up into `ret`. */
static void take(struct wheel *w, unsigned level, struct list *ret)
{
    list_init(ret);
    list_splice(ret, slot_of(w, level, w->tick_));
    w->occupied_[level] &= ~(UINT64_C(1) << ((w->tick_ >> level_shift(level)) % WHEEL_SLOTS));
}

static void cascade(struct wheel *w)
{
    for (unsigned level = WHEEL_LEVELS - 1; level > 0; level--) {
        struct list timers;
        if (w->tick_ % (UINT64_C(1) << level_shift(level)) != 0)
            continue;
        take(w, level, &timers);
        LIST_EACH(&timers, node)
        {
            list_remove(node);
            place(w, CONTAINER_OF(node, struct wheel_timer, node_));
        }
    }
}

void wheel_advance(struct wheel *w, uint64_t now_ms)
{
    uint64_t target = now_ms / WHEEL_TICK_MS;

    while (w->tick_ < target) {
        struct list due;
        uint64_t next = next_tick(w);
        if (next > target) {
            w->tick_ = target;
            return;
        }
        w->tick_ = next;
        cascade(w);
        take(w, 0, &due);
        /* One at a time: a callback may cancel any of those that are left. */
        while (!list_empty(&due)) {
            struct wheel_timer *t = LIST_FIRST(&due, struct wheel_timer, node_);
            wheel_cancel(w, t);
            t->fire(t);
        }
    }
}

uint64_t wheel_next_ms(const struct wheel *w, uint64_t now_ms)
{
    uint64_t next = next_tick(w);

    if (next == UINT64_MAX)
        return UINT64_MAX;
    return next <= now_ms / WHEEL_TICK_MS ? 0 : next * WHEEL_TICK_MS - now_ms;
}

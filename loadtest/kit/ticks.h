#pragma once
/* Timers of one millisecond for hundreds of thousands of streams: a hashed wheel, arm and cancel in constant
 * time. The gateway's own wheel is coarser and serves deadlines; these pace tokens. A timer never fires
 * early. */
#include "common/list.h"
#include <stdint.h>
#include <time.h>

enum { TICKS_SLOTS = 4096, TICKS_WORDS = TICKS_SLOTS / 64 };

struct tick_timer {
    struct list node_;
    uint64_t due_ms;
    void (*fire)(
        struct tick_timer *t); /* idle when called; may arm or free itself, and arm or cancel any other */
};

struct ticks {
    uint64_t now_ms; /* all before it has fired */
    uint64_t used_[TICKS_WORDS];
    struct list slots_[TICKS_SLOTS];
};

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static inline uint64_t ns_to_ms_up(uint64_t ns)
{
    return (ns + 999999) / 1000000;
}

void ticks_init(struct ticks *w, uint64_t now_ms);
void tick_timer_init(struct tick_timer *t, void (*fire)(struct tick_timer *));
/* (Re)arms for an absolute millisecond; what lies in the past fires on the next advance. */
void ticks_arm(struct ticks *w, struct tick_timer *t, uint64_t due_ms);
void ticks_cancel(struct tick_timer *t);
/* Fires all that is due at `now_ms` (rounded down from the clock). */
void ticks_advance(struct ticks *w, uint64_t now_ms);
/* The millisecond of the next turn worth taking (may be early, never late); UINT64_MAX: nothing armed. */
uint64_t ticks_next_ms(struct ticks *w);

#pragma once
/* A hierarchical timer wheel: arm, re-arm and cancel in constant time, whatever the number of timers. It
 * reads no clock: its owner tells it the time. Resolution WHEEL_TICK_MS; a timer never fires early. */
#include "common/list.h"
#include <stdint.h>

enum { WHEEL_TICK_MS = 10, WHEEL_SLOTS = 64, WHEEL_LEVELS = 5 };

struct wheel_timer {
    struct list node_;
    uint64_t due_tick_;
    void (*fire)(struct wheel_timer
                     *t); /* the timer is idle when called; may arm or free itself and arm/cancel any other */
};

struct wheel {
    uint64_t tick_;
    unsigned count_;
    uint64_t occupied_[WHEEL_LEVELS]; /* slots that may hold a timer */
    struct list slots_[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_ms);
/* Sets the callback and makes the timer idle. Before first use. */
void wheel_timer_init(struct wheel_timer *t, void (*fire)(struct wheel_timer *));
/* (Re)arms for now_ms + delay_ms. */
void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t now_ms, uint64_t delay_ms);
/* Harmless when idle. */
void wheel_cancel(struct wheel *w, struct wheel_timer *t);
bool wheel_armed(const struct wheel_timer *t);
/* Fires all that is due. Not re-entrant. */
void wheel_advance(struct wheel *w, uint64_t now_ms);
/* Milliseconds until wheel_advance should next be called; UINT64_MAX with no timer armed. May be early (a
 * cascade), never late. */
uint64_t wheel_next_ms(const struct wheel *w, uint64_t now_ms);

#pragma once
/* The worker's event loop as all of its rooms see it: one time, one timer wheel, one phase, and one
 * place where a turn ends.
 *
 * A turn is what libuv does between two waits for sockets. It ends between the timers and the next wait, so
 * that what the last wait and the timers brought is dealt with there, once, by the worker's `end_turn`. */
#include "common/wheel.h"
#include "gateway/loop/phase.h"
#include <uv.h>

struct loop {
    uv_loop_t uv;
    struct wheel wheel;
    struct phase phase;
    void (*end_turn_)(void *ctx);
    void *ctx_;
    uv_prepare_t prepare_;
    uv_idle_t idle_;   /* runs while something is left for the next turn */
    uv_timer_t timer_; /* the wheel's next */
    uint64_t due_ms_;  /* when timer_ goes off; UINT64_MAX: not armed */
    bool again_;
};

/* False: no loop. The address must not change. */
bool loop_init(struct loop *l) MUST_USE;
/* `end_turn`: once a turn, from now on. */
void loop_on_turn(struct loop *l, void (*end_turn)(void *ctx), void *ctx);
/* Another turn follows this one at once, whatever the sockets do. */
void loop_again(struct loop *l);
void loop_run(struct loop *l);
/* After PHASE_CLOSED: runs until all handles are gone. False: somebody has left one open. */
bool loop_free(struct loop *l) MUST_USE;

/* Milliseconds; the same clock as clock_mono_ms, read once a turn. */
static inline uint64_t loop_now(const struct loop *l)
{
    return uv_now(&l->uv);
}
/* (Re)arms; harmless within a timer's own call. */
static inline void loop_arm(struct loop *l, struct wheel_timer *t, uint64_t delay_ms)
{
    wheel_arm(&l->wheel, t, loop_now(l), delay_ms);
}
static inline void loop_cancel(struct loop *l, struct wheel_timer *t)
{
    wheel_cancel(&l->wheel, t);
}

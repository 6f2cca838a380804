#pragma once
/* Where a worker stands between its start and its end: written by the worker, read by all. Only ever
 * forward. */
#include "common/fsm.h"

enum worker_phase {
    PHASE_SERVING,
    PHASE_DRAINING, /* nothing new is taken; what is in flight may finish */
    PHASE_CLOSING,  /* last words are sent */
    PHASE_CLOSED,   /* every room has closed what it had on the loop, which ends by itself */
};

struct phase {
    struct fsm fsm_;
};

void phase_init(struct phase *p);
/* Moves on to `to`. False: it was there already, or past it. */
bool phase_enter(struct phase *p, enum worker_phase to);

static inline enum worker_phase phase_of(const struct phase *p)
{
    return (enum worker_phase)p->fsm_.state;
}
static inline bool phase_serving(const struct phase *p)
{
    return phase_of(p) == PHASE_SERVING;
}

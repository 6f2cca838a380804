#include "gateway/loop/phase.h"

static const char *const names[] = {"serving", "draining", "closing", "closed"};
static const uint32_t allowed_moves[] = {
    [PHASE_SERVING] = FSM_TO(PHASE_DRAINING) | FSM_TO(PHASE_CLOSING) | FSM_TO(PHASE_CLOSED),
    [PHASE_DRAINING] = FSM_TO(PHASE_CLOSING) | FSM_TO(PHASE_CLOSED),
    [PHASE_CLOSING] = FSM_TO(PHASE_CLOSED),
    [PHASE_CLOSED] = 0,
};
static const struct fsm_def phase_fsm = {"worker", names, allowed_moves, ARRAY_LEN(names)};

void phase_init(struct phase *p)
{
    fsm_init(&p->fsm_, &phase_fsm, PHASE_SERVING);
}

bool phase_enter(struct phase *p, enum worker_phase to)
{
    if (phase_of(p) >= to)
        return false;
    fsm_move(&p->fsm_, to);
    return true;
}

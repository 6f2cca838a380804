#pragma once
/* A state machine as a table of allowed moves. One function moves; it logs at debug level and aborts on a
 * move that the table does not have. */
#include "common/log.h"

struct fsm_def {
    const char *name;
    const char *const *state_names;
    const uint32_t *allowed; /* allowed[from] is a bit set of the states it may move to */
    unsigned n_states;       /* <= 32 */
};

#define FSM_TO(state) (UINT32_C(1) << (state))

struct fsm {
    const struct fsm_def *def;
    const struct log_ids *ids; /* whose it is, for its lines; NULL: nobody's. Set after fsm_init */
    unsigned state;
};

void fsm_init(struct fsm *m, const struct fsm_def *def, unsigned state);
bool fsm_can(const struct fsm *m, unsigned to);
void fsm_move(struct fsm *m, unsigned to);

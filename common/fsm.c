#include "common/fsm.h"
#include <stdlib.h>

static const char *state_name(const struct fsm_def *def, unsigned state)
{
    return state < def->n_states ? def->state_names[state] : "?";
}

void fsm_init(struct fsm *m, const struct fsm_def *def, unsigned state)
{
    if (def->n_states > 32 || state >= def->n_states) {
        LOG_ERROR("impossible state fsm=%s state=%u", def->name, state);
        abort();
    }
    *m = (struct fsm){.def = def, .state = state};
}

bool fsm_can(const struct fsm *m, unsigned to)
{
    return to < m->def->n_states && (m->def->allowed[m->state] & FSM_TO(to)) != 0;
}

void fsm_move(struct fsm *m, unsigned to)
{
    if (!fsm_can(m, to)) {
        log_write(LOG_LEVEL_ERROR, m->ids, "illegal move fsm=%s from=%s to=%s", m->def->name,
                  state_name(m->def, m->state), state_name(m->def, to));
        abort();
    }
    LOG_DEBUG_OF(m->ids, "move fsm=%s from=%s to=%s", m->def->name, state_name(m->def, m->state),
                 state_name(m->def, to));
    m->state = to;
}

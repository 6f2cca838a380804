#include "gateway/session/turn.h"
#include "gateway/session/account.h"

static const char *const state_names[] = {"waiting", "running", "suspended", "answering", "refused", "over"};
static const uint32_t allowed_moves[] = {
    [TURN_WAITING] = FSM_TO(TURN_RUNNING) | FSM_TO(TURN_REFUSED) | FSM_TO(TURN_OVER),
    [TURN_RUNNING] = FSM_TO(TURN_SUSPENDED) | FSM_TO(TURN_ANSWERING) | FSM_TO(TURN_REFUSED),
    [TURN_SUSPENDED] = FSM_TO(TURN_RUNNING) | FSM_TO(TURN_OVER),
    [TURN_ANSWERING] = FSM_TO(TURN_OVER),
    [TURN_REFUSED] = FSM_TO(TURN_OVER),
    [TURN_OVER] = 0,
};
static const struct fsm_def turn_fsm = {"turn", state_names, allowed_moves, ARRAY_LEN(state_names)};

void turn_refuse(struct turn *t)
{
    fsm_move(&t->state, TURN_REFUSED);
    t->ops->refused(t);
}

static bool needs_request(const struct turn *t)
{
    return response_needs_request(t->cursor.response);
}

/* From here on the answer speaks for itself. */
static void attach(struct turn *t)
{
    struct call *c = t->call;
    if (cursor_attach(&t->cursor, c->response, t->dialect, 0, t->carrier->wake, t->conn) != ERR_OK) {
        api_error_no_memory(&c->error);
        turn_refuse(t);
        return;
    }
    response_unref(c->response);
    c->response = NULL;
    fsm_move(&t->state, TURN_ANSWERING);
    t->ops->answering(t);
    if (!needs_request(t))
        turn_let_go(t);
    t->carrier->wake(t->conn);
}

static void run(struct turn *t)
{
    fsm_move(&t->state, TURN_RUNNING);
    switch (pipeline_run(t->env->pipeline, t->call)) {
    case STAGE_DONE:
        attach(t);
        break;
    case STAGE_AGAIN:
        fsm_move(&t->state, TURN_SUSPENDED);
        break;
    default:
        turn_refuse(t);
        break;
    }
}

static void on_resumed(void *owner)
{
    run(owner);
}

static void on_request_done(void *owner)
{
    turn_let_go(owner);
}

static const struct call_owner_ops call_ops = {.resumed = on_resumed, .request_done = on_request_done};

void turn_init(struct turn *t, const struct turn_ops *ops, struct session_env *env,
               const struct carrier *carrier, void *conn, const struct dialect *d, struct call *c)
{
    *t = (struct turn){.ops = ops, .env = env, .carrier = carrier, .conn = conn, .dialect = d, .call = c};
    list_init(&t->node);
    fsm_init(&t->state, &turn_fsm, TURN_WAITING);
    struct asker asker = {.endpoint = NULL};
    if (carrier->describe)
        carrier->describe(conn, &asker);
    t->ids = asker.ids;
    t->ids.request = c->request_id;
    t->state.ids = &t->ids;
    c->owner_ops = &call_ops;
    c->owner = t;
}

void error_draining(struct api_error *ret)
{
    api_error_set(ret, 503, API_SERVER, "server_draining", NULL,
                  "This server is going away. Connect again and repeat the request.");
    ret->retry_after_s = 1;
}

void turn_begin(struct turn *t)
{
    if (phase_serving(t->env->phase)) {
        run(t);
        return;
    }
    error_draining(&t->call->error);
    turn_refuse(t);
}

void turn_cancel(struct turn *t)
{
    if (turn_answering(t))
        response_cancel(t->cursor.response);
    else if (t->state.state == TURN_SUSPENDED)
        pipeline_cancel(t->env->pipeline, t->call);
}

void turn_let_go(struct turn *t)
{
    if (call_is_light(t->call))
        return;
    if (t->ops->let_go)
        t->ops->let_go(t);
    call_lighten(t->call);
}

static void give_account(const struct turn *t)
{
    if (turn_answering(t))
        account_ended(t->env, t->carrier, t->conn, t->call, t->cursor.response,
                      t->whole || cursor_done(&t->cursor), t->status);
    else if (t->call->error.status != 0)
        account_refused(t->env, t->carrier, t->conn, t->call->principal, t->call, &t->call->error);
    else
        account_dropped(t->env, t->carrier, t->conn, t->call);
}

void turn_end(struct turn *t)
{
    give_account(t);
    if (turn_answering(t)) {
        response_forget_request(t->cursor.response);
        cursor_detach(&t->cursor);
    }
    list_remove(&t->node);
    fsm_move(&t->state, TURN_OVER); /* its line has an id of the call's */
    call_free(t->call);
    t->call = NULL;
}

#include "gateway/session/lane.h"
#include <stdlib.h>

struct lane *lane_find(struct session *s, struct bytes stream_id)
{
    LIST_EACH(&s->lanes, node)
    {
        struct lane *l = CONTAINER_OF(node, struct lane, node);
        if (bytes_eq(l->stream_id, stream_id))
            return l;
    }
    return NULL;
}

/* A lane that holds nothing makes room for a new one. */
static bool drop_empty_lane(struct session *s)
{
    LIST_EACH(&s->lanes, node)
    {
        struct lane *l = CONTAINER_OF(node, struct lane, node);
        if (l->stream_id.len > 0 && !l->current && !l->context && list_empty(&l->queue)) {
            lane_free(l);
            return true;
        }
    }
    return false;
}

struct lane *lane_get(struct session *s, struct bytes stream_id, struct api_error *ret_error)
{
    struct lane *l = lane_find(s, stream_id);
    if (l)
        return l;
    uint64_t max = s->env->cfg->limits.max_lanes_per_session;
    if (stream_id.len > 0 && s->n_named >= max && !drop_empty_lane(s)) {
        api_error_set(
            ret_error, 429, API_RATE, "websocket_stream_limit_reached", "stream_id",
            "This connection has its %llu named lanes already. Use one of them, or another connection.",
            (unsigned long long)max);
        return NULL;
    }
    l = calloc(1, sizeof(*l) + stream_id.len);
    if (!l) {
        api_error_no_memory(ret_error);
        return NULL;
    }
    l->session = s;
    list_init(&l->node);
    list_init(&l->queue);
    if (stream_id.len > 0) {
        memcpy(l + 1, stream_id.data, stream_id.len);
        l->stream_id = bytes_of(l + 1, stream_id.len);
        s->n_named++;
    }
    list_append(&s->lanes, &l->node);
    return l;
}

static void free_turn(struct lane_turn *f)
{
    struct session *s = f->lane->session;
    if (f->lane->current == f) {
        f->lane->current = NULL;
        s->n_active--;
        s->n_answering -= turn_answering(&f->turn);
    }
    turn_end(&f->turn);
    context_free(f->continued);
    context_free(f->context);
    free(f);
}

/* The turn that has waited longest in this lane, now the caller's; NULL: none waits. */
static struct lane_turn *take_queued(struct lane *l)
{
    struct list *node = list_take(&l->queue);
    if (!node)
        return NULL;
    struct lane_turn *f = CONTAINER_OF(node, struct lane_turn, turn.node);
    l->session->n_queued--;
    l->session->queued_bytes -= call_bytes(f->turn.call);
    return f;
}

void lane_free(struct lane *l)
{
    for (struct lane_turn *f; (f = take_queued(l));)
        free_turn(f);
    if (l->current)
        free_turn(l->current);
    context_free(l->context);
    if (l->stream_id.len > 0)
        l->session->n_named--;
    list_remove(&l->node);
    free(l);
}

static struct lane *lane_of_response(struct session *s, struct bytes response_id)
{
    LIST_EACH(&s->lanes, node)
    {
        struct lane *l = CONTAINER_OF(node, struct lane, node);
        if (l->context && bytes_is(response_id, l->context->response_id))
            return l;
    }
    return NULL;
}

/* Puts what the request continues before it; *ret: whose items it now borrows, or NULL. */
static enum err resume_context(struct session *s, struct call *c, struct context **ret,
                               struct api_error *ret_error)
{
    struct llm_request *r = &c->request;
    if (r->previous_response_id.len == 0) {
        *ret = NULL;
        return ERR_OK;
    }
    const struct lane *from = lane_of_response(s, r->previous_response_id);
    if (!from) {
        api_error_set(ret_error, 400, API_INVALID, "previous_response_not_found", "previous_response_id",
                      "The previous response '%.*s' is not the latest of any lane of this connection.",
                      (int)MIN(r->previous_response_id.len, 80), r->previous_response_id.data);
        return ERR_NOT_FOUND;
    }
    if (from->context->too_large) {
        api_error_set(ret_error, 400, API_INVALID, "context_too_large", "previous_response_id",
                      "The conversation up to that response is larger than the gateway keeps "
                      "(limits.max_context_bytes). "
                      "Send what matters of it as input.");
        return ERR_LIMIT;
    }
    enum err err = llm_request_prepend(r, from->context->items, from->context->n_items);
    if (err == ERR_OK)
        *ret = from->context;
    else
        api_error_no_memory(ret_error);
    return err;
}

/* A failed answer takes the context with it that it continued. */
static void evict(struct session *s, struct bytes response_id)
{
    struct lane *l = response_id.len > 0 ? lane_of_response(s, response_id) : NULL;
    if (!l)
        return;
    context_free(l->context);
    l->context = NULL;
}

static struct lane_turn *of_turn(struct turn *t)
{
    return CONTAINER_OF(t, struct lane_turn, turn);
}

static void on_answering(struct turn *t)
{
    struct lane_turn *f = of_turn(t);
    struct session *s = f->lane->session;
    t->cursor.encoder.stream_id = f->lane->stream_id;
    list_append(&s->answering, &t->node);
    s->n_answering++;
}

static void on_refused(struct turn *t)
{
    struct lane_turn *f = of_turn(t);
    struct lane *l = f->lane;
    session_error(l->session, l->stream_id, turn_error(t));
    if (turn_error(t)->status >= 400)
        evict(l->session, t->call->request.previous_response_id);
    free_turn(f);
}

/* What the lane will remember is copied now: it needs less than all that the message was decoded into. */
static void on_let_go(struct turn *t)
{
    struct lane_turn *f = of_turn(t);
    f->context = context_begin(&t->call->request, (size_t)t->env->cfg->limits.max_context_bytes);
    context_free(f->continued);
    f->continued = NULL;
}

static const struct turn_ops lane_ops = {
    .answering = on_answering, .refused = on_refused, .let_go = on_let_go};

static void start(struct lane_turn *f)
{
    struct lane *l = f->lane;
    struct session *s = l->session;
    struct call *c = f->turn.call;
    struct context *continued = NULL;
    l->current = f;
    s->n_active++;
    if (phase_serving(s->env->phase) && resume_context(s, c, &continued, &c->error) != ERR_OK) {
        turn_refuse(&f->turn);
        return;
    }
    f->continued = context_ref(continued);
    turn_begin(&f->turn);
}

static bool may_start(const struct lane *l)
{
    return !l->current && l->session->n_active < l->session->env->cfg->limits.max_in_flight_per_session;
}

static void enqueue(struct lane_turn *f)
{
    struct session *s = f->lane->session;
    struct api_error *e = &f->turn.call->error;
    const uint64_t max = s->env->cfg->limits.max_queued_per_session;
    const size_t bytes = call_bytes(f->turn.call);
    if (s->n_queued >= max) {
        api_error_set(e, 429, API_RATE, "websocket_queue_limit_reached", NULL,
                      "This connection has %llu requests waiting already. Wait for an answer, or cancel one.",
                      (unsigned long long)max);
    } else if (s->queued_bytes + bytes > s->env->cfg->limits.max_queued_bytes_per_session) {
        api_error_set(e, 429, API_RATE, "websocket_queue_limit_reached", NULL,
                      "The requests that wait on this connection are as large as they may be, together. "
                      "Wait for an answer, or cancel one.");
    } else {
        list_append(&f->lane->queue, &f->turn.node);
        s->n_queued++;
        s->queued_bytes += bytes;
        return;
    }
    session_error(s, f->lane->stream_id, e);
    free_turn(f);
}

void lane_submit(struct lane *l, struct call *c)
{
    struct session *s = l->session;
    struct lane_turn *f = calloc(1, sizeof(*f));
    if (!f) {
        api_error_no_memory(&c->error);
        session_refuse(s, l->stream_id, c, &c->error);
        call_free(c);
        return;
    }
    f->lane = l;
    turn_init(&f->turn, &lane_ops, s->env, s->carrier, s->conn, &dialect_responses, c);
    if (may_start(l) && list_empty(&l->queue))
        start(f);
    else
        enqueue(f);
}

void session_start_queued(struct session *s)
{
    if (s->n_queued == 0)
        return;
    LIST_EACH(&s->lanes, node)
    {
        struct lane *l = CONTAINER_OF(node, struct lane, node);
        if (list_empty(&l->queue) || !may_start(l))
            continue;
        /* To the end, so that the next to have room is a lane that waited longer. */
        list_remove(&l->node);
        list_append(&s->lanes, &l->node);
        while (!list_empty(&l->queue) && may_start(l))
            start(take_queued(l));
    }
}

static void keep_context(struct lane_turn *f)
{
    struct lane *l = f->lane;
    const struct response *r = f->turn.cursor.response;
    if (r->log.terminal == LLM_EV_FAILED) {
        evict(l->session, f->turn.call->request.previous_response_id);
        return;
    }
    turn_let_go(&f->turn);
    if (f->context)
        context_finish(f->context, r->head.id, &r->log);
    context_free(l->context);
    l->context = f->context;
    f->context = NULL;
}

void lane_finish(struct lane_turn *f)
{
    struct session *s = f->lane->session;
    keep_context(f);
    free_turn(f);
    session_start_queued(s);
}

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

static void free_in_flight(struct in_flight *f)
{
    f->lane->current = NULL;
    f->lane->session->n_active--;
    list_remove(&f->node);
    response_forget_request(f->cursor.response);
    cursor_detach(&f->cursor);
    call_free(f->call);
    context_free(f->continued);
    free(f);
}

/* The call that has waited longest in this lane, now the caller's; NULL: none waits. */
static struct call *take_queued(struct lane *l)
{
    struct list *node = list_take(&l->queue);
    if (!node)
        return NULL;
    struct queued *q = CONTAINER_OF(node, struct queued, node);
    struct call *c = q->call;
    l->session->n_queued--;
    l->session->queued_bytes -= call_bytes(c);
    free(q);
    return c;
}

void lane_free(struct lane *l)
{
    for (struct call *c; (c = take_queued(l));)
        call_free(c);
    if (l->current)
        free_in_flight(l->current);
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

static void refuse(struct lane *l, struct call *c, const struct api_error *e)
{
    session_error(l->session, l->stream_id, e);
    if (e->status >= 400)
        evict(l->session, c->request.previous_response_id);
    call_free(c);
}

static void start(struct lane *l, struct call *c)
{
    struct session *s = l->session;
    struct context *continued;
    if (!phase_serving(s->env->phase)) {
        error_draining(&c->error);
        refuse(l, c, &c->error);
        return;
    }
    if (resume_context(s, c, &continued, &c->error) != ERR_OK ||
        pipeline_run(s->env->pipeline, c) != STAGE_DONE) {
        refuse(l, c, &c->error);
        return;
    }
    struct in_flight *f = calloc(1, sizeof(*f));
    if (!f ||
        cursor_attach(&f->cursor, c->response, &dialect_responses, 0, s->carrier->wake, s->conn) != ERR_OK) {
        free(f);
        api_error_no_memory(&c->error);
        refuse(l, c, &c->error);
        return;
    }
    f->cursor.encoder.stream_id = l->stream_id;
    f->lane = l;
    f->call = c;
    f->continued = context_ref(continued);
    response_unref(c->response);
    c->response = NULL;
    l->current = f;
    s->n_active++;
    list_init(&f->node);
    list_append(&s->active, &f->node);
    s->carrier->wake(s->conn);
}

static bool may_start(const struct lane *l)
{
    return !l->current && l->session->n_active < l->session->env->cfg->limits.max_in_flight_per_session;
}

static void enqueue(struct lane *l, struct call *c)
{
    struct session *s = l->session;
    uint64_t max = s->env->cfg->limits.max_queued_per_session;
    const size_t bytes = call_bytes(c);
    const bool room =
        s->n_queued < max && s->queued_bytes + bytes <= s->env->cfg->limits.max_queued_bytes_per_session;
    struct queued *q = room ? calloc(1, sizeof(*q)) : NULL;
    if (!q) {
        if (room)
            api_error_no_memory(&c->error);
        else if (s->n_queued < max)
            api_error_set(&c->error, 429, API_RATE, "websocket_queue_limit_reached", NULL,
                          "The requests that wait on this connection are as large as they may be, together. "
                          "Wait for an answer, or cancel one.");
        else
            api_error_set(
                &c->error, 429, API_RATE, "websocket_queue_limit_reached", NULL,
                "This connection has %llu requests waiting already. Wait for an answer, or cancel one.",
                (unsigned long long)max);
        session_error(s, l->stream_id, &c->error);
        call_free(c);
        return;
    }
    q->call = c;
    list_init(&q->node);
    list_append(&l->queue, &q->node);
    s->n_queued++;
    s->queued_bytes += bytes;
}

void lane_submit(struct lane *l, struct call *c)
{
    if (may_start(l) && list_empty(&l->queue))
        start(l, c);
    else
        enqueue(l, c);
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
            start(l, take_queued(l));
    }
}

static void keep_context(struct in_flight *f)
{
    struct lane *l = f->lane;
    const struct llm_log *log = &f->cursor.response->log;
    if (log->terminal == LLM_EV_FAILED) {
        evict(l->session, f->call->request.previous_response_id);
        return;
    }
    struct context *c = context_new(&f->call->request, f->cursor.response->head.id, log,
                                    (size_t)l->session->env->cfg->limits.max_context_bytes);
    context_free(l->context);
    l->context = c;
}

void lane_finish(struct in_flight *f)
{
    struct session *s = f->lane->session;
    keep_context(f);
    free_in_flight(f);
    session_start_queued(s);
}

#include "gateway/response/response.h"
#include <stdlib.h>

static const char *const state_names[] = {"running", "unread", "ended", "retained", "gone"};
static const uint32_t allowed_moves[] = {
    [RESPONSE_RUNNING] = FSM_TO(RESPONSE_UNREAD) | FSM_TO(RESPONSE_ENDED),
    [RESPONSE_UNREAD] = FSM_TO(RESPONSE_RUNNING) | FSM_TO(RESPONSE_ENDED),
    [RESPONSE_ENDED] = FSM_TO(RESPONSE_RETAINED) | FSM_TO(RESPONSE_GONE),
    [RESPONSE_RETAINED] = FSM_TO(RESPONSE_ENDED) | FSM_TO(RESPONSE_GONE),
    [RESPONSE_GONE] = 0,
};
static const struct fsm_def response_fsm = {"response", state_names, allowed_moves, ARRAY_LEN(state_names)};

static void account(struct response *r)
{
    r->pool->bytes += r->log.bytes - r->accounted_;
    r->accounted_ = r->log.bytes;
}

/* The log has grown: says so to all who read it. */
static void tell_readers(struct response *r)
{
    account(r);
    LIST_EACH(&r->cursors, node)
    {
        struct cursor *c = CONTAINER_OF(node, struct cursor, node_);
        c->wake(c->ctx);
    }
}

static void go(struct response *r)
{
    pool_to_reap(r->pool, r);
    fsm_move(&r->state, RESPONSE_GONE);
}

/* May a reader come back to it, when none is there? */
static bool can_return(const struct response *r)
{
    return r->resumable && r->pool->resume_ttl > 0 && !r->pool->closing;
}

/* It is over, and nobody holds it. */
static void retain(struct response *r)
{
    if (!can_return(r)) {
        go(r);
        return;
    }
    pool_to_retained(r->pool, r);
    fsm_move(&r->state, RESPONSE_RETAINED);
}

/* The only place where an outcome becomes a terminal. */
static void end(struct response *r)
{
    llm_builder_commit(&r->builder);
    attempts_stop(r);
    if (r->state.state == RESPONSE_UNREAD)
        pool_to_live(r->pool, r);
    fsm_move(&r->state, RESPONSE_ENDED);
    tell_readers(r);
    if (r->refs == 0)
        retain(r);
}

static void on_progress(void *ctx)
{
    struct response *r = ctx;
    llm_log_prefetch(&r->log);
    /* A token's way. */
    if (!llm_builder_ended(&r->builder) && !response_needs_request(r)) {
        tell_readers(r);
        return;
    }
    if (attempts_progress(r, on_progress))
        return;
    if (llm_builder_ended(&r->builder))
        end(r);
    else
        tell_readers(r);
}

static struct bytes keep(char **at, struct bytes s)
{
    char *to = *at;
    if (s.len > 0)
        memcpy(to, s.data, s.len);
    *at += s.len;
    return bytes_of(to, s.len);
}

/* Counted with the log: a request's tools may be many times longer than its answer. */
static bool keep_head(struct response *r, const struct llm_head *head)
{
    const size_t len = head->model.len + head->previous_response_id.len + head->echo.len;
    char *at = r->head_text_ = malloc(len + 1);
    if (!at)
        return false;
    r->head = (struct llm_head){.id = bytes_cstr(r->id), .created_at = head->created_at};
    r->head.model = keep(&at, head->model);
    r->head.previous_response_id = keep(&at, head->previous_response_id);
    r->head.echo = keep(&at, head->echo);
    r->log.bytes += len;
    return true;
}

static bool make_log(struct response *r, const struct llm_head *head, size_t max_bytes)
{
    char seed[ID_MAX];
    id_make("", seed, sizeof(seed));
    if (llm_log_init(&r->log, bytes_cstr(seed), max_bytes) != ERR_OK)
        return false;
    if (keep_head(r, head))
        return true;
    llm_log_free(&r->log);
    return false;
}

void response_free(struct response *r)
{
    llm_log_free(&r->log);
    free(r->head_text_);
    free(r);
}

struct response *response_new(struct response_pool *p, const struct owner *owner, const struct llm_head *head)
{
    struct response *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    id_make("resp_", r->id, sizeof(r->id));
    if (!make_log(r, head, p->max_response_bytes)) {
        free(r);
        return NULL;
    }
    llm_builder_init(&r->builder, &r->log);
    r->builder.keeps_outcome = true;
    r->pool = p;
    r->owner = owner;
    r->refs = 1;
    list_init(&r->cursors);
    list_init(&r->node_);
    fsm_init(&r->state, &response_fsm, RESPONSE_RUNNING);
    r->ids = (struct log_ids){.request = r->attempts.request_id, .response = r->id};
    r->state.ids = &r->ids;
    if (!pool_add(p, r)) {
        response_free(r);
        return NULL;
    }
    account(r);
    return r;
}

void response_ref(struct response *r)
{
    r->refs++;
}

void response_unref(struct response *r)
{
    if (!r)
        return;
    assert(r->refs > 0);
    if (--r->refs > 0 || r->state.state == RESPONSE_UNREAD)
        return;
    if (r->state.state == RESPONSE_RUNNING)
        response_drop(r);
    else
        retain(r);
}

void response_drop(struct response *r)
{
    r->resumable = false;
    if (response_ended(r))
        go(r);
    else
        response_cancel(r);
}

void response_start(struct response *r, const struct attempt_plan *plan)
{
    llm_builder_start(&r->builder);
    attempts_start(r, plan, on_progress);
    if (llm_builder_ended(&r->builder))
        end(r);
    else
        tell_readers(r);
}

void response_forget_request(struct response *r)
{
    r->attempts.plan = NULL;
}

void response_complete_empty(struct response *r)
{
    llm_builder_finish(&r->builder, LLM_FINISH_STOP);
    end(r);
}

void response_cancel(struct response *r)
{
    if (r->log.ended)
        return;
    llm_builder_cancel(&r->builder);
    end(r);
}

/* The last reader has left an answer that is still being made. */
static void on_last_reader_gone(struct response *r)
{
    const enum on_disconnect policy = r->owner->on_disconnect;
    if (policy == ON_DISCONNECT_CANCEL || r->pool->closing ||
        (policy == ON_DISCONNECT_KEEP && !can_return(r))) {
        response_cancel(r);
        return;
    }
    pool_to_unread(r->pool, r, policy == ON_DISCONNECT_KEEP);
    fsm_move(&r->state, RESPONSE_UNREAD);
}

/* Somebody reads it, again. */
static void on_reader(struct response *r)
{
    if (r->state.state == RESPONSE_UNREAD) {
        pool_to_live(r->pool, r);
        fsm_move(&r->state, RESPONSE_RUNNING);
    } else if (r->state.state == RESPONSE_RETAINED) {
        pool_to_live(r->pool, r);
        fsm_move(&r->state, RESPONSE_ENDED);
    }
}

enum err cursor_attach(struct cursor *c, struct response *r, const struct dialect *d, uint32_t starting_at,
                       void (*wake)(void *ctx), void *ctx)
{
    struct llm_encoder encoder = {.head = &r->head};
    if (!llm_log_seek(&r->log, starting_at, &encoder.pos))
        return ERR_INVALID;
    c->response = r;
    c->encoder = encoder;
    c->dialect = d;
    c->wake = wake;
    c->ctx = ctx;
    upstream_hint(r->attempts.transfer, c, ctx);
    response_ref(r);
    on_reader(r);
    list_init(&c->node_);
    list_append(&r->cursors, &c->node_);
    return ERR_OK;
}

void cursor_detach(struct cursor *c)
{
    struct response *r = c->response;
    if (!r)
        return;
    list_remove(&c->node_);
    c->response = NULL;
    if (list_empty(&r->cursors) && !r->log.ended)
        on_last_reader_gone(r);
    response_unref(r);
}

bool cursor_encode(struct cursor *c, struct event_sink *s, size_t budget)
{
    return c->dialect->encode_events(&c->encoder, &c->response->log, s, budget);
}

bool cursor_at_end(const struct cursor *c)
{
    return c->encoder.pos.index >= c->response->log.count;
}

bool cursor_done(const struct cursor *c)
{
    return c->encoder.done;
}

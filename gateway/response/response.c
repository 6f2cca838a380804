#include "gateway/response/response.h"
#include <stdlib.h>

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

/* The only place where an attempt's outcome becomes a terminal. */
static void on_progress(void *ctx)
{
    struct response *r = ctx;
    llm_log_prefetch(&r->log);
    if (attempts_progress(r, on_progress))
        return;
    if (llm_builder_ended(&r->builder))
        llm_builder_commit(&r->builder);
    tell_readers(r);
}

void response_pool_init(struct response_pool *p, struct upstream *u, const struct config *cfg)
{
    *p = (struct response_pool){.upstream = u,
                                .max_bytes = cfg->limits.max_responses_bytes,
                                .max_response_bytes = cfg->limits.max_response_bytes};
    list_init(&p->live);
    list_init(&p->reap);
}

void response_pool_reap(struct response_pool *p)
{
    for (struct list *node; (node = list_take(&p->reap));) {
        struct response *r = CONTAINER_OF(node, struct response, node_);
        llm_log_free(&r->log);
        free(r);
    }
}

bool response_pool_full(const struct response_pool *p)
{
    return p->bytes >= p->max_bytes;
}

struct response *response_new(struct response_pool *p, const struct config_key *owner,
                              const struct llm_log_head *head)
{
    struct response *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    id_make("resp_", r->id, sizeof(r->id));
    struct llm_log_head own = *head;
    own.id = bytes_cstr(r->id);
    if (llm_log_init(&r->log, &own, p->max_response_bytes) != ERR_OK) {
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
    list_append(&p->live, &r->node_);
    p->n_live++;
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
    if (--r->refs > 0)
        return;
    attempts_stop(r);
    r->pool->bytes -= r->accounted_;
    r->pool->n_live--;
    list_remove(&r->node_);
    list_append(&r->pool->reap, &r->node_);
}

/* Ends without the provider having a say in it. */
static void end_now(struct response *r)
{
    llm_builder_commit(&r->builder);
    attempts_stop(r);
    tell_readers(r);
}

void response_start(struct response *r, const struct attempt_plan *plan)
{
    llm_builder_start(&r->builder);
    attempts_start(r, plan, on_progress);
    if (llm_builder_ended(&r->builder))
        end_now(r);
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
    end_now(r);
}

void response_cancel(struct response *r)
{
    if (r->log.ended)
        return;
    llm_builder_cancel(&r->builder);
    end_now(r);
}

enum err cursor_attach(struct cursor *c, struct response *r, const struct dialect *d, uint32_t starting_at,
                       void (*wake)(void *ctx), void *ctx)
{
    struct llm_encoder encoder = {0};
    if (!llm_log_seek(&r->log, starting_at, &encoder.pos))
        return ERR_INVALID;
    c->response = r;
    c->encoder = encoder;
    c->dialect = d;
    c->wake = wake;
    c->ctx = ctx;
    upstream_hint(r->attempts.transfer, c, ctx);
    response_ref(r);
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
    if (list_empty(&r->cursors))
        response_cancel(r);
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

/* The lives of transfers, and the tick: the one place where they are opened, told of and taken down. */
#include "gateway/upstream/internal.h"
#include <assert.h>
#include <stdlib.h>

#define CLOSES (FSM_TO(TRANSFER_CLOSING) | FSM_TO(TRANSFER_GONE))
#define HEARD (FSM_TO(TRANSFER_DRAINING) | CLOSES)
static const char *const state_names[] = {"waiting", "asked", "head",     "events",  "tokens",
                                          "json",    "error", "draining", "closing", "gone"};
static const uint32_t allowed_moves[] = {
    [TRANSFER_WAITING] = FSM_TO(TRANSFER_ASKED) | CLOSES,
    [TRANSFER_ASKED] = FSM_TO(TRANSFER_HEAD) | HEARD,
    [TRANSFER_HEAD] = FSM_TO(TRANSFER_EVENTS) | FSM_TO(TRANSFER_JSON) | FSM_TO(TRANSFER_ERROR) | CLOSES,
    [TRANSFER_EVENTS] = FSM_TO(TRANSFER_TOKENS) | HEARD,
    [TRANSFER_TOKENS] = HEARD,
    [TRANSFER_JSON] = HEARD,
    [TRANSFER_ERROR] = CLOSES,
    [TRANSFER_DRAINING] = CLOSES,
    [TRANSFER_CLOSING] = FSM_TO(TRANSFER_GONE),
    [TRANSFER_GONE] = 0,
};
static const struct fsm_def transfer_fsm = {"transfer", state_names, allowed_moves, ARRAY_LEN(state_names)};

static const char *const carriage_names[] = {"none", "under way", "over"};
static const uint32_t carriage_moves[] = {
    [CARRIAGE_NONE] = FSM_TO(CARRIAGE_UNDER_WAY),
    [CARRIAGE_UNDER_WAY] = FSM_TO(CARRIAGE_OVER) | FSM_TO(CARRIAGE_NONE),
    [CARRIAGE_OVER] = FSM_TO(CARRIAGE_NONE),
};
static const struct fsm_def carriage_fsm = {"carriage", carriage_names, carriage_moves,
                                            ARRAY_LEN(carriage_names)};

void transfer_mark(struct transfer *t)
{
    if (!list_linked(&t->work))
        list_append(&t->u->work, &t->work);
}

void transfer_schedule(struct transfer *t)
{
    transfer_mark(t);
    loop_again(t->u->loop);
}

void transfer_fail(struct transfer *t, const struct fault *f)
{
    llm_builder_fail(t->builder, f);
}

void transfer_over(struct transfer *t, CURLcode result)
{
    t->result = result;
    fsm_move(&t->carriage, CARRIAGE_OVER);
    transfer_mark(t);
}

void transfer_close(struct transfer *t)
{
    fsm_move(&t->state, TRANSFER_CLOSING);
    transfer_mark(t);
}

static const char id_header[] = "x-request-id: ";

/* What the call borrows is not ours any more. */
static void disown(struct transfer *t)
{
    t->ids = (struct log_ids){.request = t->id_line ? t->id_line + sizeof(id_header) - 1 : NULL};
}

static void destroy(struct transfer *t)
{
    struct upstream *u = t->u;
    if (t->carriage.state != CARRIAGE_NONE)
        origin_remove(t->origin, t);
    demo_free(&u->demo, t->demo);
    fsm_move(&t->state, TRANSFER_GONE);
    deadline_stop(t);
    list_remove(&t->work);
    list_remove(&t->node);
    u->n_live--;
    if (t->decoder)
        t->dialect->decoder_free(t->decoder);
    sse_free(&t->sse);
    buf_free(&t->collected);
    buf_free(&t->body);
    free(t->refusal);
    free(t->id_line);
    free(t->url);
    free(t);
}

static void open_transfer(struct transfer *t)
{
    if (t->refusal) {
        transfer_fail(t, t->refusal);
        return;
    }
    fsm_move(&t->state, TRANSFER_ASKED);
    if (t->demo) {
        demo_start(&t->u->demo, t->demo);
        return;
    }
    deadline_start(t);
    t->result = origin_add(t->origin, t);
    if (t->result != CURLE_OK)
        transfer_end(t);
}

static bool worth_draining(const struct transfer *t)
{
    return t->builder->outcome == LLM_FINISHED && t->carriage.state == CARRIAGE_UNDER_WAY;
}

/* After the outcome the owner hears nothing more. */
static void let_go(struct transfer *t)
{
    if (t->builder->outcome == LLM_FAILED)
        transfer_log_fault(t);
    if (worth_draining(t)) {
        fsm_move(&t->state, TRANSFER_DRAINING);
        deadline_drain(t);
    } else {
        fsm_move(&t->state, TRANSFER_CLOSING);
    }
    disown(t);
}

static void tell_owner(struct transfer *t)
{
    t->told = t->builder->log->count;
    if (!t->report->begun && llm_builder_begun(t->builder)) {
        t->report->begun = true;
        t->report->first_token_ms = (uint32_t)(loop_now(t->u->loop) - t->started_ms);
    }
    if (llm_builder_ended(t->builder))
        let_go(t);
    t->progress(t->ctx);
}

/* A long conversation need not be kept for the time of its answer. */
static void drop_request(struct transfer *t)
{
    if (t->carriage.state != CARRIAGE_NONE && t->origin->transport->sent(t))
        buf_free(&t->body);
}

static void settle(struct transfer *t)
{
    origin_limit(t->origin);
    if (t->state.state == TRANSFER_WAITING)
        open_transfer(t);
    if (t->carriage.state == CARRIAGE_OVER && transfer_owned(t))
        transfer_end(t);
    if (transfer_owned(t) && transfer_has_news(t))
        tell_owner(t);
    if (t->state.state == TRANSFER_TOKENS && t->body.data)
        drop_request(t);
    if (t->state.state == TRANSFER_CLOSING ||
        (t->state.state == TRANSFER_DRAINING && t->carriage.state == CARRIAGE_OVER))
        destroy(t);
}

void upstream_tick(struct upstream *u)
{
    struct list now;
    if (u->ticking || (list_empty(&u->work) && !u->curl_pending))
        return;
    u->ticking = true;
    list_init(&now);
    list_splice(&now, &u->work);
    while (!list_empty(&now)) {
        struct transfer *t = LIST_FIRST(&now, struct transfer, work);
        list_remove(&t->work);
        settle(t);
    }
    curl_loop_run_pending(u);
    u->ticking = false;
    /* What came up meanwhile waits for the next turn: an owner that starts and fails for ever must not hold
     * the loop. */
    if (!list_empty(&u->work))
        loop_again(u->loop);
}

static void demo_stepped(void *owner)
{
    transfer_mark(owner);
}

struct upstream *upstream_new(struct loop *loop, const struct config *cfg)
{
    struct upstream *u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    u->origins = calloc(cfg->n_providers ? cfg->n_providers : 1, sizeof(*u->origins));
    u->inbox = malloc(INBOX_SIZE);
    if (!u->origins || !u->inbox || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(u->inbox);
        free(u->origins);
        free(u);
        return NULL;
    }
    u->loop = loop;
    u->cfg = cfg;
    list_init(&u->live);
    list_init(&u->work);
    for (size_t i = 0; i < cfg->n_providers; i++)
        origin_init(&u->origins[i], u, &cfg->providers[i]);
    demo_init(&u->demo, &loop->uv);
    u->demo.stepped = demo_stepped;
    u->n_handles = 1;
    return u;
}

void upstream_handle_closed(uv_handle_t *h, struct upstream *u)
{
    (void)h;
    assert(u->n_handles > 0);
    u->n_handles--;
}

void upstream_after_each(struct upstream *u, void (*call)(void *ctx), void *ctx)
{
    u->after_each = call;
    u->after_each_ctx = ctx;
}

void upstream_event_over(struct upstream *u)
{
    upstream_tick(u);
    if (u->after_each)
        u->after_each(u->after_each_ctx);
}

static void on_own_handle_closed(uv_handle_t *h)
{
    upstream_handle_closed(h, h->data);
}

static void close_own_handle(struct upstream *u, uv_handle_t *h)
{
    h->data = u;
    uv_close(h, on_own_handle_closed);
}

void upstream_close(struct upstream *u)
{
    assert(!u->ticking);
    LIST_EACH(&u->live, node)
    {
        destroy(CONTAINER_OF(node, struct transfer, node));
    }
    for (size_t i = 0; i < u->cfg->n_providers; i++)
        origin_close(&u->origins[i]);
    close_own_handle(u, (uv_handle_t *)&u->demo.timer);
}

void upstream_free(struct upstream *u)
{
    if (!u)
        return;
    assert(u->n_handles == 0 && u->n_live == 0);
    curl_global_cleanup();
    free(u->inbox);
    free(u->origins);
    free(u);
}

/* Without memory for the refusal itself there is none for the transfer either. */
static bool refuse(struct transfer *t, const struct fault *f)
{
    t->refusal = malloc(sizeof(*t->refusal));
    if (t->refusal)
        *t->refusal = *f;
    return t->refusal != NULL;
}

static bool header_safe(struct bytes id)
{
    for (size_t i = 0; i < id.len; i++)
        if (id.data[i] <= ' ' || id.data[i] > '~')
            return false;
    return id.len > 0 && id.len <= UPSTREAM_REQUEST_ID_MAX;
}

/* About as long as the request will be, so that its body is not moved while it grows. */
static size_t likely_size(const struct llm_request *r)
{
    enum { MEMBERS = 512, MESSAGE = 64 };
    size_t size = MEMBERS + r->instructions.len;
    for (size_t i = 0; i < r->n_items; i++) {
        size += MESSAGE + r->items[i].text.len;
        for (size_t k = 0; k < r->items[i].n_contents; k++)
            size += r->items[i].contents[k].text.len;
    }
    for (size_t i = 0; i < r->n_tools; i++)
        size += r->tools[i].raw.len;
    return size;
}

static enum err make_url(struct transfer *t, const struct upstream_call *call)
{
    struct buf url;
    buf_init(&url, MAX_URL);
    enum err err = buf_append_bytes(&url, bytes_cstr(call->provider->base_url));
    if (err == ERR_OK)
        err = t->dialect->encode_path(call->model, &url);
    if (err == ERR_OK)
        err = buf_append_char(&url, '\0');
    if (err == ERR_OK)
        t->url = url.data;
    else
        buf_free(&url);
    return err;
}

static enum err encode(struct transfer *t, const struct upstream_call *call, struct api_error *ret_error)
{
    const struct config *cfg = t->u->cfg;
    /* Escapes and another dialect's words may make a text longer than the message that it came in. */
    buf_init(&t->body, REQUEST_SLACK + 4 * (cfg->limits.max_message_bytes + cfg->limits.max_context_bytes));
    enum err err = buf_reserve(&t->body, MIN(likely_size(call->request), t->body.max));
    if (err == ERR_OK && t->dialect->encode_path)
        err = make_url(t, call);
    if (err != ERR_OK)
        return err;
    const struct bytes id = bytes_cstr(call->request_id);
    if (header_safe(id)) {
        t->id_line = malloc(sizeof(id_header) + id.len);
        if (!t->id_line)
            return ERR_NOMEM;
        memcpy(t->id_line, id_header, sizeof(id_header) - 1);
        memcpy(t->id_line + sizeof(id_header) - 1, id.data, id.len + 1);
    }
    t->decoder = t->dialect->decoder_new(t->builder);
    if (!t->decoder)
        return ERR_NOMEM;
    return t->dialect->encode_request(call->request, call->model, &t->body, ret_error);
}

/* False: no memory. */
static bool prepare(struct transfer *t, const struct upstream_call *call)
{
    struct fault f = {.kind = FAULT_NONE};
    if (call->provider->demo) {
        t->demo = demo_new(call->request, call->builder, t);
        return t->demo != NULL;
    }
    bool allowed = t->origin->tls || call->provider->allow_plaintext;
    enum err err = allowed ? encode(t, call, &f.error) : ERR_IO;
    if (err == ERR_OK || err == ERR_NOMEM)
        return err == ERR_OK;
    fault_unsendable(t, err, &f);
    return refuse(t, &f);
}

uint64_t upstream_now(const struct upstream *u)
{
    return loop_now(u->loop);
}

struct transfer *upstream_start(struct upstream *u, const struct upstream_call *call)
{
    ptrdiff_t index = call->provider - u->cfg->providers;
    assert(index >= 0 && (size_t)index < u->cfg->n_providers);
    struct transfer *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->u = u;
    t->origin = &u->origins[index];
    t->dialect = call->provider->dialect;
    t->builder = call->builder;
    t->progress = call->progress;
    t->ctx = call->ctx;
    t->report = call->report;
    t->told = call->builder->log->count;
    t->started_ms = loop_now(u->loop);
    t->total_ms = (call->since_ms ? call->since_ms : t->started_ms) + u->cfg->timeouts.total;
    fsm_init(&t->state, &transfer_fsm, TRANSFER_WAITING);
    fsm_init(&t->carriage, &carriage_fsm, CARRIAGE_NONE);
    t->ids = (struct log_ids){.request = call->request_id, .response = call->response_id};
    t->state.ids = t->carriage.ids = &t->ids;
    list_init(&t->node);
    list_init(&t->work);
    list_init(&t->waiting);
    list_append(&u->live, &t->node);
    u->n_live++;
    wheel_timer_init(&t->timer, NULL);
    buf_init(&t->collected, u->cfg->limits.max_response_bytes);
    if (!prepare(t, call)) {
        destroy(t);
        return NULL;
    }
    transfer_schedule(t);
    return t;
}

void upstream_cancel(struct transfer *t)
{
    if (!t || !transfer_owned(t))
        return;
    fsm_move(&t->state, TRANSFER_CLOSING);
    disown(t);
    /* The builder may be gone before the next tick is here, and the demo's timer may be due before it. */
    demo_free(&t->u->demo, t->demo);
    t->demo = NULL;
    transfer_schedule(t);
}

void upstream_hint(struct transfer *t, const void *first, const void *second)
{
    if (!t)
        return;
    t->hints[0] = first;
    t->hints[1] = second;
}

size_t upstream_in_flight(const struct upstream *u)
{
    return u->n_live;
}

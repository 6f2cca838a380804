#pragma once
/* A worker's worth of surroundings for upstream tests: a loop, a configuration with one provider, and a
 * dialect of a few words, so that what is tested is the transfer and not a provider's language. */
#include "fake_provider.h"
#include "gateway/loop/loop.h"
#include "gateway/upstream/upstream.h"
#include "protocols/llm_event.h"
#include "tests/unit/common/run.h"
#include <signal.h>
#include <stdio.h>

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"

enum { RIG_MIB = 1 << 20 };

struct llm_decoder {
    struct llm_builder *builder;
    bool finished;
};

static enum err words_encode_request(const struct llm_request *r, struct bytes model, struct buf *out,
                                     struct api_error *ret_error)
{
    if (r->user.len > 0) {
        api_error_set(ret_error, 400, API_INVALID, "unsupported", "user", "cannot be said");
        return ERR_INVALID;
    }
    return buf_printf(out, "{\"model\":\"%.*s\"}", BYTES_FMT(model));
}

static struct llm_decoder *words_decoder_new(struct llm_builder *b)
{
    struct llm_decoder *d = calloc(1, sizeof(*d));
    if (d)
        d->builder = b;
    return d;
}

static void words_decoder_free(struct llm_decoder *d)
{
    free(d);
}

static void words_end(struct llm_decoder *d)
{
    struct fault f = {.kind = FAULT_TRUNCATED};
    api_error_set(&f.error, 502, API_UPSTREAM, "upstream_truncated", NULL, "no end");
    if (d->finished)
        llm_builder_finish(d->builder, LLM_FINISH_STOP);
    else
        llm_builder_fail(d->builder, &f);
}

/* "finish": the answer is whole, its end may follow; "end": the end; "bad": an error; anything else is text.
 */
static void words_decode_event(struct llm_decoder *d, struct bytes name, struct bytes data)
{
    struct fault f = {.kind = FAULT_INVALID_RESPONSE};
    (void)name;
    if (bytes_is(data, "finish")) {
        d->finished = true;
    } else if (bytes_is(data, "end")) {
        d->finished = true;
        words_end(d);
    } else if (bytes_is(data, "bad")) {
        api_error_set(&f.error, 502, API_UPSTREAM, "upstream_invalid_response", NULL, "bad");
        llm_builder_fail(d->builder, &f);
    } else if (data.len > 0) {
        llm_builder_delta(d->builder, LLM_PART_TEXT, data, BYTES(""));
    }
}

static void words_decode_answer(struct llm_decoder *d, struct bytes body)
{
    llm_builder_delta(d->builder, LLM_PART_TEXT, body, BYTES(""));
    llm_builder_finish(d->builder, LLM_FINISH_STOP);
}

static void words_decode_error(int status, struct bytes body, struct fault *ret)
{
    ret->kind = FAULT_OVERLOADED;
    api_error_set(&ret->error, status, API_UPSTREAM, "said_so", NULL, "%.*s",
                  (int)(body.len < 60 ? body.len : 60), body.data ? body.data : "");
}

static const struct dialect words = {
    .name = "words",
    .path = "/words",
    .authorization = "Authorization: Bearer ",
    .encode_request = words_encode_request,
    .decoder_new = words_decoder_new,
    .decoder_free = words_decoder_free,
    .decode_event = words_decode_event,
    .decode_end = words_end,
    .decode_answer = words_decode_answer,
    .decode_error = words_decode_error,
};

struct rig {
    struct loop loop;
    void (*turn_over)(struct rig *r); /* once, when the tick has been */
    uv_timer_t watchdog;
    struct fake fake;
    char base_url[64];
    struct config_provider provider;
    struct config cfg;
    struct upstream *up;
    struct arena arena;
    struct llm_request request;
};

/* One question, its log, and what its owner was told. */
struct ask {
    struct rig *rig;
    struct llm_log log;
    struct llm_builder builder;
    struct upstream_report report;
    struct transfer *transfer;
    unsigned told;
    uint32_t told_count; /* the log's count when last told */
    bool ended;          /* told of the terminal */
    void (*on_progress)(struct ask *a);
};

static void watchdog_barks(uv_timer_t *t)
{
    (void)t;
    ck_abort_msg("waited too long");
}

/* A URL with a password is left to curl: the same tests then hold for the other carrier. */
static bool rig_by_curl;

static inline void rig_choose_curl(void)
{
    rig_by_curl = true;
}
static inline void rig_choose_plain(void)
{
    rig_by_curl = false;
}

static inline void rig_open(struct rig *r, bool demo)
{
    memset(r, 0, sizeof(*r));
    signal(SIGPIPE, SIG_IGN);
    ck_assert(loop_init(&r->loop));
    uv_timer_init(&r->loop.uv, &r->watchdog);
    uv_timer_start(&r->watchdog, watchdog_barks, 20000, 0);
    fake_open(&r->fake, &r->loop.uv);
    snprintf(r->base_url, sizeof(r->base_url), "http://%s127.0.0.1:%d/v1", rig_by_curl ? "user:pass@" : "",
             r->fake.port);
    r->provider = (struct config_provider){.name = "fake",
                                           .dialect = demo ? NULL : &words,
                                           .demo = demo,
                                           .base_url = r->base_url,
                                           .allow_plaintext = true,
                                           .max_connections = 16384,
                                           .max_http2_connections = 32,
                                           .max_idle_connections = 1024};
    r->cfg.providers = &r->provider;
    r->cfg.n_providers = 1;
    r->cfg.timeouts.connect = r->cfg.timeouts.first_token = r->cfg.timeouts.between_tokens =
        r->cfg.timeouts.total = 15000;
    r->cfg.timeouts.upstream_idle = 118000;
    r->cfg.limits.max_response_bytes = RIG_MIB;
    r->cfg.limits.max_message_bytes = r->cfg.limits.max_context_bytes = RIG_MIB;
    arena_init(&r->arena, RIG_MIB);
    llm_request_init(&r->request, &r->arena, &words);
}

static inline void rig_end_turn(void *ctx)
{
    struct rig *r = ctx;
    void (*turn_over)(struct rig * r) = r->turn_over;
    const size_t before = upstream_in_flight(r->up);
    upstream_tick(r->up);
    if (upstream_in_flight(r->up) != before)
        loop_again(&r->loop); /* as in ask_progress */
    r->turn_over = NULL;
    if (turn_over)
        turn_over(r);
}

/* After the test has changed what it wants to change. */
static inline void rig_start(struct rig *r)
{
    r->up = upstream_new(&r->loop, &r->cfg);
    ck_assert_ptr_nonnull(r->up);
    loop_on_turn(&r->loop, rig_end_turn, r);
}

/* Whatever a test did, the loop is empty in the end. */
static inline void rig_close(struct rig *r)
{
    upstream_close(r->up);
    phase_enter(&r->loop.phase, PHASE_CLOSED);
    fake_close(&r->fake);
    uv_close((uv_handle_t *)&r->watchdog, NULL);
    loop_run(&r->loop);
    upstream_free(r->up);
    ck_assert(loop_free(&r->loop));
    arena_free(&r->arena);
    secret_free(&r->provider.api_key);
}

static void ask_progress(void *ctx)
{
    struct ask *a = ctx;
    ck_assert(!a->ended);
    ck_assert_ptr_nonnull(a->transfer); /* never from inside upstream_start */
    a->told++;
    loop_again(&a->rig->loop); /* the test looks on when a turn is over, and shall not wait for a socket */
    a->told_count = a->log.count;
    a->ended = llm_builder_ended(&a->builder);
    llm_builder_commit(&a->builder);
    if (a->ended)
        a->transfer = NULL;
    if (a->on_progress)
        a->on_progress(a);
}

static inline void ask_start_model(struct ask *a, struct rig *r, struct bytes model)
{
    memset(a, 0, sizeof(*a));
    a->rig = r;
    ck_assert_int_eq(llm_log_init(&a->log, BYTES("1"), r->cfg.limits.max_response_bytes), ERR_OK);
    llm_builder_init(&a->builder, &a->log);
    a->builder.keeps_outcome = true;
    llm_builder_start(&a->builder);
    struct upstream_call call = {.provider = &r->provider,
                                 .model = model,
                                 .request = &r->request,
                                 .request_id = "req_42",
                                 .response_id = "resp_1",
                                 .report = &a->report,
                                 .builder = &a->builder,
                                 .progress = ask_progress,
                                 .ctx = a};
    a->transfer = upstream_start(r->up, &call);
    ck_assert_ptr_nonnull(a->transfer);
}

static inline void ask_start(struct ask *a, struct rig *r)
{
    ask_start_model(a, r, BYTES("some-model"));
}

static inline void ask_free(struct ask *a)
{
    llm_log_free(&a->log);
}

/* Starts, and asks one question; the provider answers every one with `every`, or keeps silent. */
static inline void rig_ask(struct rig *r, struct ask *a, const struct fake_reply *every)
{
    rig_start(r);
    r->fake.every = every;
    ask_start(a, r);
}

static inline void rig_done(struct rig *r, struct ask *a)
{
    ask_free(a);
    rig_close(r);
}

#define RUN_UNTIL(rig, condition)                                                                            \
    do {                                                                                                     \
        while (!(condition))                                                                                 \
            uv_run(&(rig)->loop.uv, UV_RUN_ONCE);                                                            \
    } while (0)

static void ask_collect_(void *ctx, struct bytes text)
{
    buf_append_bytes(ctx, text);
}

static inline void ck_text(const struct ask *a, const char *expected)
{
    struct buf b;
    buf_init(&b, RIG_MIB);
    llm_log_each_delta(&a->log, NULL, 0, 0, LLM_PART_TEXT, ask_collect_, &b);
    ck_assert_msg(bytes_is(buf_bytes(&b), expected), "text is '%.*s'", (int)b.len, b.data ? b.data : "");
    buf_free(&b);
}

static inline void ck_failed(const struct ask *a, int status, const char *code)
{
    ck_assert(a->log.ended);
    ck_assert_int_eq(a->log.terminal, LLM_EV_FAILED);
    ck_assert_str_eq(a->log.end.error.code, code);
    ck_assert_int_eq(a->log.end.error.status, status);
}

/* Exactly one terminal, and it is the last event. */
static inline void ck_one_terminal(const struct ask *a)
{
    struct llm_pos pos = {0};
    struct llm_event e;
    unsigned terminals = 0;
    while (llm_log_next(&a->log, &pos, &e)) {
        ck_assert_uint_eq(terminals, 0);
        terminals += llm_event_is_terminal(e.type);
    }
    ck_assert_uint_eq(terminals, 1);
}

/* The main() of tests that hold whatever carries the transfer: `add` adds them to a case. */
static inline int rig_run_both(void (*add)(TCase *))
{
    static const struct {
        const char *name;
        void (*choose)(void);
    } carriers[] = {{"plain", rig_choose_plain}, {"by curl", rig_choose_curl}};
    Suite *s = suite_create("upstream");
    for (size_t i = 0; i < ARRAY_LEN(carriers); i++) {
        TCase *c = tcase_create(carriers[i].name);
        tcase_set_timeout(c, 60);
        tcase_add_unchecked_fixture(c, carriers[i].choose, NULL);
        add(c);
        suite_add_tcase(s, c);
    }
    return run_suite(s);
}

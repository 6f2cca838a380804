/* Requests that a stage keeps for a while, and what may happen to them meanwhile. */
#include "../scripted_upstream.h"
#include "gateway/pipeline/stages.h"
#include "gateway/session/exchange.h"
#include "tests/unit/common/run.h"

static struct config *cfg;
static struct response_pool pool;
static struct wheel wheel;
static struct pipeline pipeline;
static struct session_env env;
static struct phase phase;
static struct buf out;
static struct session *s;

/* What the waiting stage keeps, in order. */
static struct call *kept[8];
static unsigned n_kept, n_left;
static bool at_once;

static void on_left(void *ctx)
{
    ck_assert_ptr_eq(ctx, kept);
    n_left++;
}

static enum verdict wait(struct pipeline *p, struct call *c)
{
    const enum verdict v = call_suspend(c, on_left, kept);
    kept[n_kept++] = c;
    if (at_once)
        pipeline_resume(p, c, STAGE_OK);
    return v;
}

/* Two targets: the request is needed until the first event. */
static enum verdict two_targets(struct pipeline *p, struct call *c)
{
    const enum verdict v = stage_route(p, c);
    struct attempt_target *t = arena_array(&c->arena, 2, sizeof(*t));
    t[0] = t[1] = c->plan.targets[0];
    c->plan.targets = t;
    c->plan.n_targets = 2;
    return v;
}

static const struct stage waiting[] = {
    {"authorize", stage_authorize}, {"wait", wait}, {"route", stage_route}, {"dispatch", stage_dispatch}};
static const struct stage retrying[] = {{"route", two_targets}, {"dispatch", stage_dispatch}};

static void on_wake(void *conn UNUSED) {}
static void on_close(void *conn UNUSED, unsigned code UNUSED, const char *reason UNUSED) {}
static const struct carrier carrier = {.wake = on_wake, .close = on_close};

static const struct principal *who(void)
{
    return principals_at(&pipeline.principals, 0);
}

static void setup(void)
{
    /* Each move writes a line with the ids of what moved. */
    const struct log_opts all = {.level = LOG_LEVEL_DEBUG, .max_unwritten = 1 << 20};
    log_set(&all);
    cfg = test_config("limits: {max_in_flight_per_session: 2}\n");
    wheel_init(&wheel, 0);
    response_pool_init(&pool, NULL, cfg, &wheel);
    ck_assert_int_eq(pipeline_init(&pipeline, cfg, &pool), ERR_OK);
    pipeline.stages = waiting;
    pipeline.n_stages = ARRAY_LEN(waiting);
    phase_init(&phase);
    env = (struct session_env){.cfg = cfg, .pipeline = &pipeline, .phase = &phase};
    buf_init(&out, 1 << 22);
    s = session_open(&env, who(), &carrier, NULL);
}

static void teardown(void)
{
    session_free(s);
    response_pool_close(&pool);
    response_pool_reap(&pool, 0);
    response_pool_free(&pool);
    ck_assert(!pipeline_waiting(&pipeline));
    pipeline_free(&pipeline);
    ck_assert_uint_eq(pool.n_live, 0);
    buf_free(&out);
    config_free(cfg);
}

#define CREATE "{\"type\":\"response.create\",\"model\":\"solo\",\"input\":\"hi\""
#define CHAT "{\"model\":\"solo\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void send_text(const char *json)
{
    session_message(s, bytes_cstr(json), 1700000000);
}

static void resume(unsigned i, enum verdict v)
{
    pipeline_resume(&pipeline, kept[i], v);
    pipeline_tick(&pipeline);
}

static void reject(unsigned i)
{
    api_error_set(&kept[i]->error, 429, API_RATE, "test_limit", NULL, "Too much.");
    resume(i, STAGE_REJECT);
}

static void sink_begin(struct event_sink *sink UNUSED, const char *name UNUSED) {}

static void sink_end(struct event_sink *sink)
{
    buf_append_char(sink->out, '\n');
}

static const char *pull(void)
{
    struct event_sink sink = {.out = &out, .begin = sink_begin, .end = sink_end};
    buf_reset(&out);
    while (session_pull(s, &sink, SIZE_MAX)) {
    }
    ck_assert_int_eq(buf_append_char(&out, 0), ERR_OK);
    return out.data;
}

static bool has(const char *text, const char *what)
{
    return strstr(text, what) != NULL;
}

START_TEST(later_ones_of_its_lane_wait_behind_it)
{
    send_text(CREATE "}");
    send_text(CREATE "}");
    send_text(CREATE ",\"stream_id\":\"b\"}");
    ck_assert_uint_eq(n_kept, 2);
    ck_assert(session_busy(s));
    ck_assert_str_eq(pull(), "");
    resume(1, STAGE_OK);
    ck_assert(has(pull(), "\"stream_id\":\"b\""));
    resume(0, STAGE_OK);
    ck_assert_uint_eq(n_transfers, 2);
    ck_assert_uint_eq(n_kept, 2);
    finish(&transfers[1]);
    ck_assert(has(pull(), "response.completed"));
    ck_assert_uint_eq(n_kept, 3);
    resume(2, STAGE_OK);
    finish(&transfers[2]);
    finish(&transfers[0]);
    pull();
    ck_assert(!session_busy(s));
    ck_assert_uint_eq(n_left, 0);
}
END_TEST

START_TEST(a_stage_may_resume_before_it_returns)
{
    at_once = true;
    send_text(CREATE "}");
    ck_assert_uint_eq(n_transfers, 0);
    ck_assert(pipeline_waiting(&pipeline));
    pipeline_tick(&pipeline);
    ck_assert(!pipeline_waiting(&pipeline));
    ck_assert_uint_eq(n_transfers, 1);
    ck_assert(has(pull(), "response.created"));
}
END_TEST

/* Kept, and resumed but not yet heard of; another one waits behind. */
START_TEST(the_client_leaves)
{
    send_text(CREATE "}");
    send_text(CREATE "}");
    send_text(CREATE ",\"stream_id\":\"b\"}");
    pipeline_resume(&pipeline, kept[1], STAGE_OK);
    session_free(s);
    ck_assert_uint_eq(n_left, 1);
    ck_assert(!pipeline_waiting(&pipeline));
    ck_assert_uint_eq(n_transfers, 0);
    s = session_open(&env, who(), &carrier, NULL);
}
END_TEST

START_TEST(a_refusal_comes_late)
{
    send_text(CREATE "}");
    send_text(CREATE "}");
    reject(0);
    ck_assert(has(pull(), "test_limit"));
    ck_assert_uint_eq(n_kept, 2);
    reject(1);
    ck_assert(has(pull(), "test_limit"));
    ck_assert(!session_busy(s));
    ck_assert_uint_eq(n_transfers, 0);
}
END_TEST

/* What has begun goes on; what has not, does not begin. */
START_TEST(a_drain_meanwhile)
{
    send_text(CREATE "}");
    send_text(CREATE "}");
    phase_enter(&phase, PHASE_DRAINING);
    ck_assert(session_busy(s));
    resume(0, STAGE_OK);
    finish(last_transfer());
    const char *text = pull();
    ck_assert(has(text, "response.completed"));
    ck_assert(has(text, "server_draining"));
    ck_assert_uint_eq(n_kept, 1);
    ck_assert(!session_busy(s));
}
END_TEST

START_TEST(the_client_cancels)
{
    send_text(CREATE "}");
    send_text(CREATE "}");
    send_text("{\"type\":\"response.cancel\"}");
    send_text("{\"type\":\"response.cancel\"}");
    ck_assert_uint_eq(n_left, 1);
    pipeline_tick(&pipeline);
    const char *text = pull();
    ck_assert(has(text, "response.created"));
    ck_assert(has(text, "\"cancelled\""));
    ck_assert(!has(text, "\"type\":\"error\""));
    ck_assert_uint_eq(n_transfers, 0);
    ck_assert_uint_eq(n_kept, 2);
    /* Just when it was resumed. */
    pipeline_resume(&pipeline, kept[1], STAGE_OK);
    send_text("{\"type\":\"response.cancel\"}");
    pipeline_tick(&pipeline);
    ck_assert(has(pull(), "\"cancelled\""));
    ck_assert_uint_eq(n_left, 1);
    ck_assert_uint_eq(n_transfers, 0);
    ck_assert(!session_busy(s));
}
END_TEST

static struct exchange *exchange(const char *body)
{
    struct api_error e;
    struct exchange *x = exchange_start(&env, who(), &dialect_chat_completions, bytes_cstr(body), 1700000000,
                                        &carrier, NULL, &e);
    ck_assert_ptr_nonnull(x);
    return x;
}

START_TEST(an_exchange_waits)
{
    struct exchange *x = exchange(CHAT ",\"stream\":true}");
    ck_assert_int_eq(exchange_state(x), EXCHANGE_WAITING);
    ck_assert(!exchange_may_stream(x));
    resume(0, STAGE_OK);
    ck_assert(exchange_may_stream(x));
    say(last_transfer(), "hello");
    ck_assert_int_eq(exchange_state(x), EXCHANGE_STREAMING);
    exchange_free(x);
    ck_assert(last_transfer()->cancelled);
}
END_TEST

START_TEST(an_exchange_is_refused_late)
{
    int retry;
    struct exchange *x = exchange(CHAT ",\"stream\":true}");
    kept[0]->error.retry_after_s = 0;
    reject(0);
    ck_assert_int_eq(exchange_state(x), EXCHANGE_ANSWER);
    ck_assert_int_eq(exchange_answer(x, &out, &retry), 429);
    ck_assert_int_eq(buf_append_char(&out, 0), ERR_OK);
    ck_assert(has(out.data, "test_limit"));
    exchange_free(x);
}
END_TEST

START_TEST(an_exchange_is_left)
{
    struct exchange *x = exchange(CHAT "}");
    exchange_free(x);
    ck_assert_uint_eq(n_left, 1);
    x = exchange(CHAT "}");
    pipeline_resume(&pipeline, kept[1], STAGE_OK);
    exchange_free(x);
    ck_assert_uint_eq(n_left, 1);
    ck_assert(!pipeline_waiting(&pipeline));
}
END_TEST

/* With one target the request goes when it has been sent. */
START_TEST(its_memory_goes)
{
    send_text(CREATE ",\"instructions\":\"be brief\"}");
    ck_assert(!call_is_light(kept[0]));
    resume(0, STAGE_OK);
    ck_assert(call_is_light(kept[0]));
    ck_assert(bytes_is(kept[0]->request.model, "solo"));
    ck_assert_uint_eq(kept[0]->request.n_items, 0);
    ck_assert_uint_lt(call_bytes(kept[0]), sizeof(struct call) + 64);
    struct exchange *x = exchange(CHAT "}");
    resume(1, STAGE_OK);
    ck_assert(call_is_light(kept[1]));
    exchange_free(x);
}
END_TEST

/* While another attempt may read it, it stays. */
START_TEST(its_memory_stays_while_it_may_be_sent_again)
{
    char json[256];
    pipeline.stages = retrying;
    pipeline.n_stages = ARRAY_LEN(retrying);
    send_text(CREATE "}");
    fail_as(&transfers[0], FAULT_OVERLOADED);
    ck_assert_uint_eq(n_transfers, 2);
    ck_assert_str_eq(transfers[1].last_text, "hi");
    say(&transfers[1], "hello");
    finish(&transfers[1]);
    const char *text = pull(), *at = strstr(text, "\"resp_");
    ck_assert(has(text, "response.completed"));
    snprintf(json, sizeof(json), CREATE ",\"previous_response_id\":%.*s\"}", (int)strcspn(at + 1, "\"") + 1,
             at);
    send_text(json);
    ck_assert_uint_eq(last_transfer()->n_items, 3);
    /* Cancelled before anything of it has come: what it asked is remembered all the same. */
    send_text("{\"type\":\"response.cancel\"}");
    at = strstr(pull(), "\"resp_");
    snprintf(json, sizeof(json), CREATE ",\"previous_response_id\":%.*s\"}", (int)strcspn(at + 1, "\"") + 1,
             at);
    send_text(json);
    ck_assert_uint_eq(last_transfer()->n_items, 4);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("turn");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, later_ones_of_its_lane_wait_behind_it);
    tcase_add_test(tc, a_stage_may_resume_before_it_returns);
    tcase_add_test(tc, the_client_leaves);
    tcase_add_test(tc, a_refusal_comes_late);
    tcase_add_test(tc, a_drain_meanwhile);
    tcase_add_test(tc, the_client_cancels);
    tcase_add_test(tc, an_exchange_waits);
    tcase_add_test(tc, an_exchange_is_refused_late);
    tcase_add_test(tc, an_exchange_is_left);
    tcase_add_test(tc, its_memory_goes);
    tcase_add_test(tc, its_memory_stays_while_it_may_be_sent_again);
    return run_case(tc);
}

#include "../scripted_upstream.h"
#include "gateway/session/exchange.h"
#include "tests/unit/common/run.h"

static struct config *cfg;
static struct response_pool pool;
static struct wheel wheel;
static struct pipeline pipeline;
static struct session_env env;
static struct phase phase;
static unsigned wakes, close_code;
static struct buf out;

static void on_wake(void *conn UNUSED)
{
    wakes++;
}

static void on_close(void *conn UNUSED, unsigned code, const char *reason UNUSED)
{
    close_code = code;
}

static const struct carrier carrier = {.wake = on_wake, .close = on_close};

static void sink_begin(struct event_sink *s UNUSED, const char *name UNUSED) {}

static void sink_end(struct event_sink *s)
{
    buf_append_char(s->out, '\n');
}

static struct session *s;

static void setup(void)
{
    cfg = test_config("limits: {max_in_flight_per_session: 3, max_queued_per_session: 2, "
                      "max_queued_bytes_per_session: 64KiB, max_lanes_per_session: 4, "
                      "max_context_bytes: 16KiB}\n");
    wheel_init(&wheel, 0);
    response_pool_init(&pool, NULL, cfg, &wheel);
    ck_assert_int_eq(pipeline_init(&pipeline, cfg, &pool), ERR_OK);
    phase_init(&phase);
    env = (struct session_env){.cfg = cfg, .pipeline = &pipeline, .phase = &phase};
    n_transfers = wakes = close_code = 0;
    buf_init(&out, 1 << 22);
    s = session_open(&env, principals_at(&pipeline.principals, 0), &carrier, NULL);
}

static void teardown(void)
{
    session_free(s);
    response_pool_close(&pool);
    response_pool_reap(&pool, 0);
    response_pool_free(&pool);
    pipeline_free(&pipeline);
    ck_assert_uint_eq(pool.n_live, 0);
    buf_free(&out);
    config_free(cfg);
}

static void send_text(const char *json)
{
    session_message(s, bytes_cstr(json), 1700000000);
}

/* Everything that waits, one event a line, NUL-terminated. */
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

/* The id in the first response.created of `text`. */
static const char *id_in(const char *text)
{
    static char id[ID_MAX];
    const char *at = strstr(text, "\"resp_");
    ck_assert_ptr_nonnull(at);
    size_t n = strcspn(at + 1, "\"");
    ck_assert_uint_lt(n, sizeof(id));
    memcpy(id, at + 1, n);
    id[n] = 0;
    return id;
}

#define CREATE "{\"type\":\"response.create\",\"model\":\"solo\",\"input\":\"hi\""

START_TEST(test_one_answer)
{
    send_text(CREATE "}");
    const char *text = pull();
    ck_assert(has(text, "response.created"));
    ck_assert(has(text, "response.in_progress"));
    say(last_transfer(), "hello");
    text = pull();
    ck_assert(has(text, "\"delta\":\"hello\""));
    ck_assert(!has(text, "stream_id"));
    finish(last_transfer());
    text = pull();
    ck_assert(has(text, "response.completed"));
    ck_assert(!session_busy(s));
    ck_assert_str_eq(pull(), "");
}
END_TEST

START_TEST(test_lane_is_in_order)
{
    send_text(CREATE ",\"stream_id\":\"a\"}");
    send_text(CREATE ",\"stream_id\":\"a\"}");
    ck_assert_uint_eq(n_transfers, 1);
    finish(&transfers[0]);
    const char *text = pull();
    ck_assert(has(text, "response.completed"));
    ck_assert(has(text, "\"stream_id\":\"a\""));
    ck_assert_uint_eq(n_transfers, 2);
    finish(&transfers[1]);
    ck_assert(has(pull(), "response.completed"));
}
END_TEST

START_TEST(test_lanes_run_side_by_side_up_to_the_limit)
{
    send_text(CREATE ",\"stream_id\":\"a\"}");
    send_text(CREATE ",\"stream_id\":\"b\"}");
    send_text(CREATE ",\"stream_id\":\"c\"}");
    send_text(CREATE "}");
    ck_assert_uint_eq(n_transfers, 3);
    finish(&transfers[1]);
    pull();
    ck_assert_uint_eq(n_transfers, 4);
}
END_TEST

START_TEST(test_queue_limit_in_bytes)
{
    static char big[48 * 1024];
    int n = snprintf(big, sizeof(big), "{\"type\":\"response.create\",\"model\":\"solo\",\"input\":\"%0*d\"}",
                     40 * 1024, 0);
    ck_assert_int_lt(n, (int)sizeof(big));
    send_text(CREATE "}");
    send_text(big);
    ck_assert(!has(pull(), "websocket_queue_limit_reached"));
    send_text(big);
    ck_assert(has(pull(), "as large as they may be"));
    finish(&transfers[0]);
    pull();
    ck_assert_uint_ge(n_transfers, 2);
    for (unsigned i = 1; i < n_transfers; i++) {
        finish(&transfers[i]);
        pull();
    }
    ck_assert(!session_busy(s));
    send_text(CREATE "}");
    send_text(big); /* what was taken off the queue counts no more */
    ck_assert(!has(pull(), "websocket_queue_limit_reached"));
}
END_TEST

/* Lanes that always have more to ask must not keep the others waiting. */
START_TEST(test_lanes_wait_in_turn)
{
    send_text(CREATE ",\"stream_id\":\"a\"}");
    send_text(CREATE ",\"stream_id\":\"b\"}");
    send_text(CREATE ",\"stream_id\":\"c\"}");
    send_text(CREATE ",\"stream_id\":\"a\"}");
    send_text(CREATE ",\"stream_id\":\"d\"}");
    finish(&transfers[0]);
    pull();
    send_text(CREATE ",\"stream_id\":\"a\"}");
    finish(&transfers[3]);
    const char *text = pull();
    ck_assert(has(text, "\"stream_id\":\"d\""));
    ck_assert_uint_eq(n_transfers, 5);
}
END_TEST

START_TEST(test_queue_limit)
{
    for (int i = 0; i < 3; i++)
        send_text(CREATE "}");
    ck_assert(!has(pull(), "websocket_queue_limit_reached"));
    send_text(CREATE "}");
    const char *text = pull();
    ck_assert(has(text, "websocket_queue_limit_reached"));
    ck_assert(has(text, "\"status\":429"));
    ck_assert_uint_eq(n_transfers, 1);
}
END_TEST

START_TEST(test_lane_limit)
{
    const char *ids[] = {"a", "b", "c", "d"};
    char json[128];
    for (unsigned i = 0; i < 4; i++) {
        snprintf(json, sizeof(json), CREATE ",\"stream_id\":\"%s\"}", ids[i]);
        send_text(json);
    }
    ck_assert(!has(pull(), "websocket_stream_limit_reached"));
    send_text(CREATE ",\"stream_id\":\"e\"}");
    const char *text = pull();
    ck_assert(has(text, "websocket_stream_limit_reached"));
    ck_assert(has(text, "\"stream_id\":\"e\""));
    send_text(CREATE "}"); /* the default lane is not a named one */
    ck_assert(!has(pull(), "websocket_stream_limit_reached"));
}
END_TEST

START_TEST(test_continuation)
{
    char json[512];
    send_text(CREATE "}");
    say(last_transfer(), "first answer");
    finish(last_transfer());
    snprintf(json, sizeof(json), CREATE ",\"previous_response_id\":\"%s\"}", id_in(pull()));
    send_text(json);
    ck_assert_uint_eq(n_transfers, 2);
    ck_assert_uint_eq(transfers[1].n_items, 3); /* hi, first answer, hi */
    finish(&transfers[1]);
    pull();
    send_text(json); /* the older id has been replaced */
    const char *text = pull();
    ck_assert(has(text, "previous_response_not_found"));
    ck_assert(has(text, "\"param\":\"previous_response_id\""));
}
END_TEST

/* The answer in lane b borrows from what lane a forgets before it ends. */
START_TEST(test_continuation_outlives_the_lane_that_it_came_from)
{
    char json[512];
    send_text(CREATE ",\"stream_id\":\"a\"}");
    say(last_transfer(), "first answer");
    finish(last_transfer());
    snprintf(json, sizeof(json), CREATE ",\"stream_id\":\"b\",\"previous_response_id\":\"%s\"}",
             id_in(pull()));
    send_text(json);
    send_text(CREATE ",\"stream_id\":\"a\"}");
    finish(&transfers[2]);
    pull();
    finish(&transfers[1]);
    const char *text = pull();
    snprintf(json, sizeof(json), CREATE ",\"previous_response_id\":\"%s\"}", id_in(strstr(text, "\"resp_")));
    send_text(json);
    ck_assert_uint_eq(n_transfers, 4);
    ck_assert_uint_eq(transfers[3].n_items, 4); /* hi, first answer, hi, hi */
}
END_TEST

START_TEST(test_failure_evicts_what_it_continued)
{
    char json[512];
    send_text(CREATE "}");
    finish(last_transfer());
    snprintf(json, sizeof(json), CREATE ",\"previous_response_id\":\"%s\"}", id_in(pull()));
    send_text(json);
    fail_with(&transfers[1], 502);
    ck_assert(has(pull(), "response.failed"));
    send_text(json);
    ck_assert(has(pull(), "previous_response_not_found"));
}
END_TEST

START_TEST(test_context_ceiling_is_told)
{
    char json[512], big[9 * 1024];
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = 0;
    send_text(CREATE "}");
    say(last_transfer(), big);
    say(last_transfer(), big);
    finish(last_transfer());
    snprintf(json, sizeof(json), CREATE ",\"previous_response_id\":\"%s\"}", id_in(pull()));
    send_text(json);
    ck_assert(has(pull(), "context_too_large"));
}
END_TEST

START_TEST(test_cancel)
{
    char json[256];
    send_text(CREATE "}");
    say(last_transfer(), "partial");
    snprintf(json, sizeof(json), "{\"type\":\"response.cancel\",\"response_id\":\"%s\"}", id_in(pull()));
    send_text(json);
    ck_assert(transfers[0].cancelled);
    const char *text = pull();
    ck_assert(has(text, "\"cancelled\""));
    ck_assert(!session_busy(s));
    send_text(json);
    text = pull();
    ck_assert(has(text, "response_not_found"));
    ck_assert(has(text, "\"param\":\"response_id\""));
}
END_TEST

START_TEST(test_cancel_by_lane)
{
    send_text(CREATE ",\"stream_id\":\"a\"}");
    send_text(CREATE ",\"stream_id\":\"b\"}");
    send_text("{\"type\":\"response.cancel\",\"stream_id\":\"b\"}");
    ck_assert(!transfers[0].cancelled);
    ck_assert(transfers[1].cancelled);
    send_text("{\"type\":\"response.cancel\"}");
    ck_assert(has(pull(), "response_not_found"));
}
END_TEST

START_TEST(test_ping)
{
    send_text("{\"type\":\"session.ping\",\"nonce\":[1,{\"a\":1e400}]}");
    const char *text = pull();
    ck_assert(has(text, "session.pong"));
    ck_assert(has(text, "[1,{\"a\":1e400}]"));
}
END_TEST

static const struct {
    const char *json, *code, *param;
} rubbish[] = {
    {"nonsense", "invalid_json", NULL},
    {"[]", NULL, NULL},
    {"{}", NULL, "type"},
    {"{\"type\":\"no.such\"}", NULL, "type"},
    {"{\"type\":7}", NULL, "type"},
    {"{\"type\":\"response.create\"}", NULL, "model"},
    {"{\"type\":\"response.create\",\"model\":\"none\",\"input\":\"x\"}", "model_not_found", "model"},
    {CREATE ",\"stream_id\":\"\"}", "invalid_stream_id", "stream_id"},
    {CREATE ",\"stream_id\":\"a b\"}", "invalid_stream_id", "stream_id"},
    {CREATE ",\"temperature\":\"hot\"}", NULL, "temperature"},
    {CREATE ",\"previous_response_id\":\"resp_none\"}", "previous_response_not_found",
     "previous_response_id"},
};

START_TEST(test_rubbish_is_answered_and_survived)
{
    char param[64];
    send_text(rubbish[_i].json);
    const char *text = pull();
    ck_assert_msg(has(text, "\"type\":\"error\""), "%s", text);
    if (rubbish[_i].code)
        ck_assert_msg(has(text, rubbish[_i].code), "%s", text);
    if (rubbish[_i].param) {
        snprintf(param, sizeof(param), "\"param\":\"%s\"", rubbish[_i].param);
        ck_assert_msg(has(text, param), "%s", text);
    }
    send_text(CREATE "}");
    ck_assert(has(pull(), "response.created"));
    ck_assert_uint_eq(close_code, 0);
}
END_TEST

START_TEST(test_flood_of_rubbish_is_bounded)
{
    for (int i = 0; i < 10000 && !close_code; i++)
        send_text("rubbish");
    ck_assert_uint_eq(close_code, 1008);
}
END_TEST

START_TEST(test_leaving_cancels)
{
    send_text(CREATE ",\"stream_id\":\"a\"}");
    send_text(CREATE ",\"stream_id\":\"a\"}");
    session_free(s);
    ck_assert(transfers[0].cancelled);
    ck_assert_uint_eq(n_transfers, 1);
    s = session_open(&env, principals_at(&pipeline.principals, 0), &carrier, NULL);
}
END_TEST

START_TEST(test_draining)
{
    send_text(CREATE "}");
    session_going_away(s, 30000);
    phase_enter(&phase, PHASE_DRAINING);
    ck_assert(has(pull(), "session.going_away"));
    send_text(CREATE ",\"stream_id\":\"z\"}");
    ck_assert(has(pull(), "server_draining"));
    finish(&transfers[0]);
    ck_assert(has(pull(), "response.completed"));
    ck_assert(!session_busy(s));
}
END_TEST

/* Nothing is begun any more, and nothing is dropped in silence. */
START_TEST(test_draining_refuses_what_waits)
{
    send_text(CREATE ",\"stream_id\":\"a\"}");
    send_text(CREATE ",\"stream_id\":\"a\"}");
    send_text(CREATE ",\"stream_id\":\"a\"}");
    phase_enter(&phase, PHASE_DRAINING);
    ck_assert(!has(pull(), "server_draining"));
    finish(&transfers[0]);
    const char *text = pull();
    const char *end = strstr(text, "response.completed");
    ck_assert_ptr_nonnull(end);
    const char *first = strstr(end, "server_draining");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(strstr(first + 1, "server_draining"));
    ck_assert_uint_eq(n_transfers, 1);
    ck_assert(!session_busy(s));
}
END_TEST

static struct exchange *exchange(const char *body, struct api_error *e)
{
    return exchange_start(&env, principals_at(&pipeline.principals, 0), &dialect_chat_completions,
                          bytes_cstr(body), 1700000000, &carrier, NULL, e);
}

#define CHAT "{\"model\":\"solo\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

START_TEST(test_exchange_json)
{
    struct api_error e;
    int retry;
    struct exchange *x = exchange(CHAT "}", &e);
    ck_assert_ptr_nonnull(x);
    ck_assert_int_eq(exchange_state(x), EXCHANGE_WAITING);
    say(last_transfer(), "hello");
    ck_assert_int_eq(exchange_state(x), EXCHANGE_WAITING);
    finish(last_transfer());
    ck_assert_int_eq(exchange_state(x), EXCHANGE_ANSWER);
    ck_assert_int_eq(exchange_answer(x, &out, &retry), 200);
    ck_assert_int_eq(buf_append_char(&out, 0), ERR_OK);
    ck_assert(has(out.data, "\"content\":\"hello\""));
    exchange_free(x);
}
END_TEST

START_TEST(test_exchange_stream)
{
    struct api_error e;
    struct event_sink sink = {.out = &out, .begin = sink_begin, .end = sink_end};
    struct exchange *x = exchange(CHAT ",\"stream\":true}", &e);
    ck_assert_int_eq(exchange_state(x), EXCHANGE_WAITING);
    say(last_transfer(), "hello");
    ck_assert_int_eq(exchange_state(x), EXCHANGE_STREAMING);
    ck_assert(!exchange_pull(x, &sink, SIZE_MAX));
    ck_assert(!exchange_done(x));
    finish(last_transfer());
    exchange_pull(x, &sink, SIZE_MAX);
    ck_assert(exchange_done(x));
    ck_assert_int_eq(buf_append_char(&out, 0), ERR_OK);
    ck_assert(has(out.data, "hello"));
    ck_assert(has(out.data, "[DONE]"));
    exchange_free(x);
}
END_TEST

START_TEST(test_exchange_early_failure_has_its_status)
{
    struct api_error e;
    int retry;
    struct exchange *x = exchange(CHAT ",\"stream\":true}", &e);
    fail_with(last_transfer(), 429);
    ck_assert_int_eq(exchange_state(x), EXCHANGE_ANSWER);
    ck_assert_int_eq(exchange_answer(x, &out, &retry), 429);
    exchange_free(x);
    x = exchange(CHAT ",\"stream\":true}", &e);
    exchange_commit_stream(x);
    fail_with(last_transfer(), 429);
    ck_assert_int_eq(exchange_state(x), EXCHANGE_STREAMING);
    exchange_free(x);
}
END_TEST

START_TEST(test_exchange_refusals)
{
    struct api_error e;
    ck_assert_ptr_null(exchange("{\"model\":\"solo\"}", &e));
    ck_assert_int_eq(e.status, 400);
    ck_assert_str_eq(e.param, "messages");
    ck_assert_ptr_null(
        exchange("{\"model\":\"none\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", &e));
    ck_assert_int_eq(e.status, 404);
    phase_enter(&phase, PHASE_DRAINING);
    ck_assert_ptr_null(exchange(CHAT "}", &e));
    ck_assert_int_eq(e.status, 503);
}
END_TEST

START_TEST(test_exchange_leaving_cancels)
{
    struct api_error e;
    struct exchange *x = exchange(CHAT "}", &e);
    exchange_free(x);
    ck_assert(transfers[0].cancelled);
}
END_TEST

static void add_session_tests(TCase *tc)
{
    tcase_add_test(tc, test_one_answer);
    tcase_add_test(tc, test_lane_is_in_order);
    tcase_add_test(tc, test_lanes_run_side_by_side_up_to_the_limit);
    tcase_add_test(tc, test_lanes_wait_in_turn);
    tcase_add_test(tc, test_queue_limit);
    tcase_add_test(tc, test_queue_limit_in_bytes);
    tcase_add_test(tc, test_lane_limit);
    tcase_add_test(tc, test_continuation);
    tcase_add_test(tc, test_continuation_outlives_the_lane_that_it_came_from);
    tcase_add_test(tc, test_failure_evicts_what_it_continued);
    tcase_add_test(tc, test_context_ceiling_is_told);
    tcase_add_test(tc, test_cancel);
    tcase_add_test(tc, test_cancel_by_lane);
    tcase_add_test(tc, test_ping);
    tcase_add_loop_test(tc, test_rubbish_is_answered_and_survived, 0, (int)ARRAY_LEN(rubbish));
    tcase_add_test(tc, test_flood_of_rubbish_is_bounded);
    tcase_add_test(tc, test_leaving_cancels);
    tcase_add_test(tc, test_draining);
    tcase_add_test(tc, test_draining_refuses_what_waits);
}

int main(void)
{
    TCase *tc = tcase_create("session");
    tcase_add_checked_fixture(tc, setup, teardown);
    add_session_tests(tc);
    tcase_add_test(tc, test_exchange_json);
    tcase_add_test(tc, test_exchange_stream);
    tcase_add_test(tc, test_exchange_early_failure_has_its_status);
    tcase_add_test(tc, test_exchange_refusals);
    tcase_add_test(tc, test_exchange_leaving_cancels);
    return run_case(tc);
}

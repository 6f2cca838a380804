#include "../scripted_upstream.h"
#include "tests/unit/common/run.h"

static struct config *cfg;
static const struct owner owner = {.id = "one"};
static struct response_pool pool;
static struct wheel wheel;
static unsigned wakes;

static void setup(void)
{
    cfg = test_config("limits: {max_response_bytes: 64KiB, max_responses_bytes: 1MiB}\n");
    wheel_init(&wheel, 0);
    response_pool_init(&pool, NULL, cfg, &wheel);
    n_transfers = wakes = 0;
}

static void teardown(void)
{
    response_pool_close(&pool);
    response_pool_reap(&pool, 0);
    response_pool_free(&pool);
    ck_assert_uint_eq(pool.n_live, 0);
    ck_assert_uint_eq(pool.bytes, 0);
    config_free(cfg);
}

static void wake(void *ctx UNUSED)
{
    wakes++;
}

static void sink_begin(struct event_sink *s, const char *name)
{
    buf_append_bytes(s->out, bytes_cstr(name ? name : "-"));
    buf_append_char(s->out, ' ');
}

static void sink_end(struct event_sink *s)
{
    buf_append_char(s->out, '\n');
}

static struct response *started(void)
{
    struct llm_request request = {0};
    const struct attempt_target target = {.provider = &cfg->providers[0], .model = BYTES("m")};
    const struct attempt_plan plan = {.targets = &target, .n_targets = 1, .request = &request};
    const struct llm_head head = {.model = BYTES("m")};
    struct response *r = response_new(&pool, &owner, &head);
    ck_assert_ptr_nonnull(r);
    response_start(r, &plan);
    return r;
}

/* Counts the lines that a cursor writes now. */
static unsigned pull(struct cursor *c, size_t budget)
{
    struct buf out;
    struct event_sink sink = {.out = &out, .begin = sink_begin, .end = sink_end};
    unsigned lines = 0;
    buf_init(&out, 1 << 20);
    cursor_encode(c, &sink, budget);
    for (size_t i = 0; i < out.len; i++)
        lines += out.data[i] == '\n';
    buf_free(&out);
    return lines;
}

START_TEST(test_two_cursors_read_the_same_log)
{
    struct cursor a = {0}, b = {0};
    struct response *r = started();
    ck_assert_int_eq(cursor_attach(&a, r, &dialect_responses, 0, wake, NULL), ERR_OK);
    say(last_transfer(), "hello");
    ck_assert_int_eq(cursor_attach(&b, r, &dialect_responses, 0, wake, NULL), ERR_OK);
    unsigned first = pull(&a, SIZE_MAX);
    ck_assert_uint_eq(first, 5); /* created, in_progress, item, part, delta */
    ck_assert_uint_eq(pull(&b, SIZE_MAX), 5);
    ck_assert(cursor_at_end(&a));
    say(last_transfer(), " there");
    ck_assert_uint_eq(wakes, 3);
    finish(last_transfer());
    ck_assert_uint_eq(pull(&a, SIZE_MAX), 5); /* delta, text done, part done, item done, completed */
    ck_assert(cursor_done(&a));
    ck_assert(!cursor_done(&b));
    response_unref(r);
    cursor_detach(&a);
    ck_assert_uint_eq(pull(&b, SIZE_MAX), 5);
    cursor_detach(&b);
    ck_assert(!transfers[0].cancelled);
}
END_TEST

START_TEST(test_lagging_cursor_coalesces)
{
    struct cursor c = {0};
    struct response *r = started();
    ck_assert_int_eq(cursor_attach(&c, r, &dialect_responses, 0, wake, NULL), ERR_OK);
    response_unref(r);
    for (int i = 0; i < 100; i++)
        say(last_transfer(), "x");
    ck_assert_uint_eq(pull(&c, SIZE_MAX), 5);
    ck_assert_uint_eq(c.encoder.pos.index, 104);
    cursor_detach(&c);
}
END_TEST

START_TEST(test_attach_in_the_middle_and_past_the_end)
{
    struct cursor c = {0};
    struct response *r = started();
    say(last_transfer(), "a");
    ck_assert_int_eq(cursor_attach(&c, r, &dialect_responses, 6, wake, NULL), ERR_INVALID);
    ck_assert_int_eq(cursor_attach(&c, r, &dialect_responses, 4, wake, NULL), ERR_OK);
    ck_assert_uint_eq(pull(&c, SIZE_MAX), 1);
    cursor_detach(&c);
    response_unref(r);
}
END_TEST

START_TEST(test_last_cursor_leaving_cancels)
{
    struct cursor a = {0}, b = {0};
    struct response *r = started();
    ck_assert_int_eq(cursor_attach(&a, r, &dialect_responses, 0, wake, NULL), ERR_OK);
    ck_assert_int_eq(cursor_attach(&b, r, &dialect_responses, 0, wake, NULL), ERR_OK);
    cursor_detach(&a);
    cursor_detach(&a); /* harmless */
    ck_assert(!transfers[0].cancelled);
    cursor_detach(&b);
    ck_assert(transfers[0].cancelled);
    ck_assert(r->log.ended);
    ck_assert_int_eq(r->log.terminal, LLM_EV_CANCELLED);
    response_unref(r);
}
END_TEST

START_TEST(test_budget_bounds_one_turn)
{
    struct cursor c = {0};
    struct response *r = started();
    ck_assert_int_eq(cursor_attach(&c, r, &dialect_responses, 0, wake, NULL), ERR_OK);
    response_unref(r);
    say(last_transfer(), "hello");
    finish(last_transfer());
    unsigned total = 0, turns = 0;
    while (!cursor_done(&c)) {
        total += pull(&c, 1);
        turns++;
    }
    ck_assert_uint_eq(total, 9);
    ck_assert_uint_eq(turns, 9);
    cursor_detach(&c);
}
END_TEST

START_TEST(test_pool_counts_and_sheds)
{
    struct response *r[32];
    unsigned n = 0;
    char big[16 * 1024 + 1];
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = 0;
    while (!response_pool_full(&pool) && n < ARRAY_LEN(r)) {
        r[n++] = started();
        for (int i = 0; i < 3; i++)
            say(last_transfer(), big);
    }
    ck_assert(response_pool_full(&pool));
    ck_assert_uint_gt(n, 5);
    while (n > 0)
        response_unref(r[--n]);
    ck_assert(!response_pool_full(&pool));
}
END_TEST

START_TEST(test_too_large_fails_typed)
{
    char big[8 * 1024 + 1];
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = 0;
    struct response *r = started();
    for (int i = 0; i < 20 && !r->log.ended; i++)
        say(last_transfer(), big);
    ck_assert(r->log.ended);
    ck_assert_int_eq(r->log.terminal, LLM_EV_FAILED);
    ck_assert_str_eq(r->log.end.error.code, "response_too_large");
    response_unref(r);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("response");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_two_cursors_read_the_same_log);
    tcase_add_test(tc, test_lagging_cursor_coalesces);
    tcase_add_test(tc, test_attach_in_the_middle_and_past_the_end);
    tcase_add_test(tc, test_last_cursor_leaving_cancels);
    tcase_add_test(tc, test_budget_bounds_one_turn);
    tcase_add_test(tc, test_pool_counts_and_sheds);
    tcase_add_test(tc, test_too_large_fails_typed);
    return run_case(tc);
}

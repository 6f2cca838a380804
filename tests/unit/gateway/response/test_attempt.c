/* What follows an attempt's fault: another attempt, or the end. */
#include "../scripted_upstream.h"
#include "tests/unit/common/run.h"

static struct config *cfg;
static const struct owner owner = {.id = "one"};
static struct response_pool pool;
static struct wheel wheel;
static struct llm_request request;
static struct attempt_target targets[3];
static struct attempt_plan plan;
static unsigned wakes, released;

static void on_request_done(void *ctx)
{
    ck_assert_ptr_eq(ctx, &request);
    released++;
}

static void setup(void)
{
    cfg = test_config("");
    wheel_init(&wheel, 0);
    response_pool_init(&pool, NULL, cfg, &wheel);
    n_transfers = wakes = released = 0;
    no_transfers = false;
    targets[0] = (struct attempt_target){.provider = &cfg->providers[0], .model = BYTES("first")};
    targets[1] = (struct attempt_target){.provider = &cfg->providers[1], .model = BYTES("second")};
    targets[2] = (struct attempt_target){.provider = &cfg->providers[0], .model = BYTES("third")};
    plan = (struct attempt_plan){.targets = targets,
                                 .n_targets = 2,
                                 .request = &request,
                                 .request_id = BYTES("req_1"),
                                 .request_done = on_request_done,
                                 .ctx = &request};
}

static void teardown(void)
{
    response_pool_close(&pool);
    response_pool_reap(&pool, 0);
    response_pool_free(&pool);
    ck_assert_uint_eq(pool.n_live, 0);
    config_free(cfg);
}

static void wake(void *ctx UNUSED)
{
    wakes++;
}

static struct response *started(struct cursor *c)
{
    const struct llm_head head = {.model = BYTES("m")};
    struct response *r = response_new(&pool, &owner, &head);
    ck_assert_ptr_nonnull(r);
    response_start(r, &plan);
    *c = (struct cursor){0};
    ck_assert_int_eq(cursor_attach(c, r, &dialect_responses, 0, wake, NULL), ERR_OK);
    response_unref(r);
    return r;
}

/* Each event's type, in order: a letter each. */
static void ck_events(const struct response *r, const char *expected)
{
    static const char letters[] = "cpIADNTPiCXFL";
    char seen[64] = "";
    struct llm_pos pos = {0};
    struct llm_event e;
    for (size_t n = 0; n + 1 < sizeof(seen) && llm_log_next(&r->log, &pos, &e); n++)
        seen[n] = letters[e.type];
    ck_assert_str_eq(seen, expected);
}

static const enum fault_kind helped_elsewhere[] = {FAULT_CONNECT,          FAULT_TLS,
                                                   FAULT_TIMEOUT_CONNECT,  FAULT_TIMEOUT_FIRST_TOKEN,
                                                   FAULT_RATE_LIMITED,     FAULT_OVERLOADED,
                                                   FAULT_TIMEOUT_PROVIDER, FAULT_TIMEOUT_BETWEEN_TOKENS,
                                                   FAULT_CREDENTIALS,      FAULT_TRUNCATED,
                                                   FAULT_CONTEXT_TOO_LONG, FAULT_CONTENT_FILTER,
                                                   FAULT_UNSUPPORTED,      FAULT_MODEL_NOT_FOUND,
                                                   FAULT_INVALID_RESPONSE};
static const enum fault_kind final[] = {FAULT_TIMEOUT_TOTAL, FAULT_INVALID_REQUEST, FAULT_TOO_LARGE,
                                        FAULT_NO_MEMORY};

START_TEST(each_fault_that_may_is_followed_by_the_second_target)
{
    struct cursor c;
    struct response *r = started(&c);
    const enum fault_kind kind = helped_elsewhere[_i];
    ck_assert(response_needs_request(r));
    transfers[0].report->status = 503;
    fail_as(&transfers[0], kind);
    ck_assert_uint_eq(n_transfers, 2);
    ck_assert_str_eq(transfers[1].model, "second");
    ck_assert_ptr_eq(transfers[1].provider, &cfg->providers[1]);
    ck_assert_int_eq(r->attempts.report.status, 0); /* the second's own */
    ck_assert(!r->log.ended);
    ck_assert_uint_eq(released, 1); /* there is no third */
    ck_assert(!response_needs_request(r));
    say(&transfers[1], "hello");
    finish(&transfers[1]);
    ck_events(r, "cpIADTPiC");
    ck_assert_uint_eq(r->attempts.count, 2);
    ck_assert_str_eq(r->attempts.model, "second");
    ck_assert_str_eq(r->attempts.request_id, "req_1");
    cursor_detach(&c);
    ck_assert_uint_eq(released, 1);
}
END_TEST

START_TEST(no_fault_after_the_first_event_is_followed)
{
    struct cursor c;
    struct response *r = started(&c);
    say(&transfers[0], "h");
    ck_assert_uint_eq(released, 1);
    ck_assert(!response_needs_request(r));
    fail_as(&transfers[0], (enum fault_kind)_i);
    ck_assert_uint_eq(n_transfers, 1);
    ck_assert_int_eq(r->log.terminal, LLM_EV_FAILED);
    ck_assert_str_eq(r->log.end.error.message, fault_name((enum fault_kind)_i));
    cursor_detach(&c);
}
END_TEST

START_TEST(no_other_target_helps_some_faults)
{
    struct cursor c;
    struct response *r = started(&c);
    fail_as(&transfers[0], final[_i]);
    ck_assert_uint_eq(n_transfers, 1);
    ck_assert_uint_eq(released, 1);
    ck_assert_int_eq(r->log.terminal, LLM_EV_FAILED);
    ck_events(r, "cpF");
    cursor_detach(&c);
}
END_TEST

START_TEST(the_last_fault_is_what_the_client_hears)
{
    struct cursor c;
    struct response *r = started(&c);
    fail_as(&transfers[0], FAULT_CONNECT);
    fail_as(&transfers[1], FAULT_RATE_LIMITED);
    ck_assert_uint_eq(n_transfers, 2);
    ck_events(r, "cpF");
    ck_assert_str_eq(r->log.end.error.message, "rate_limited");
    ck_assert_ptr_null(r->attempts.transfer);
    cursor_detach(&c);
}
END_TEST

/* The same target twice in a plan is a second try there: not after what it would say again. */
START_TEST(the_same_target_is_passed_over_where_it_cannot_help)
{
    struct cursor c;
    targets[1] = targets[0];
    plan.n_targets = 3;
    struct response *r = started(&c);
    fail_as(&transfers[0], FAULT_CREDENTIALS);
    ck_assert_uint_eq(n_transfers, 2);
    ck_assert_str_eq(transfers[1].model, "third");
    cursor_detach(&c);

    n_transfers = 0;
    r = started(&c);
    fail_as(&transfers[0], FAULT_OVERLOADED);
    ck_assert_str_eq(transfers[1].model, "first");
    ck_assert(response_needs_request(r)); /* the third may still come */
    fail_as(&transfers[1], FAULT_OVERLOADED);
    ck_assert_str_eq(transfers[2].model, "third");
    finish(&transfers[2]);
    ck_events(r, "cpC");
    cursor_detach(&c);
}
END_TEST

START_TEST(one_target_needs_the_request_no_longer_than_the_start)
{
    struct cursor c;
    plan.n_targets = 1;
    struct response *r = started(&c);
    ck_assert(!response_needs_request(r));
    fail_as(&transfers[0], FAULT_CONNECT);
    ck_assert_int_eq(r->log.terminal, LLM_EV_FAILED);
    ck_assert_uint_eq(released, 0); /* the caller was told by the return */
    cursor_detach(&c);
}
END_TEST

START_TEST(a_request_that_is_gone_is_not_tried_again)
{
    struct cursor c;
    struct response *r = started(&c);
    response_forget_request(r);
    fail_as(&transfers[0], FAULT_CONNECT);
    ck_assert_uint_eq(n_transfers, 1);
    ck_assert_int_eq(r->log.terminal, LLM_EV_FAILED);
    ck_assert_uint_eq(released, 0);
    cursor_detach(&c);
}
END_TEST

START_TEST(leaving_between_attempts_cancels_the_one_that_runs)
{
    struct cursor c;
    struct response *r = started(&c);
    response_ref(r);
    fail_as(&transfers[0], FAULT_CONNECT);
    cursor_detach(&c);
    ck_assert(!transfers[0].cancelled);
    ck_assert(transfers[1].cancelled);
    ck_assert_int_eq(r->log.terminal, LLM_EV_CANCELLED);
    response_unref(r);
}
END_TEST

START_TEST(without_memory_for_an_attempt_it_fails)
{
    struct cursor c;
    no_transfers = true;
    struct response *r = started(&c);
    ck_events(r, "cpF");
    ck_assert_str_eq(r->log.end.error.code, "out_of_memory");
    cursor_detach(&c);

    no_transfers = false;
    r = started(&c);
    no_transfers = true;
    fail_as(&transfers[0], FAULT_CONNECT);
    ck_events(r, "cpF");
    ck_assert_str_eq(r->log.end.error.code, "out_of_memory");
    ck_assert_uint_eq(released, 1);
    cursor_detach(&c);
}
END_TEST

/* It is as if the cancel had come a moment later. */
START_TEST(an_outcome_that_was_not_told_yet_wins_over_a_cancel)
{
    struct cursor c;
    struct response *r = started(&c);
    llm_builder_finish(transfers[0].builder, LLM_FINISH_STOP);
    response_cancel(r);
    ck_assert_int_eq(r->log.terminal, LLM_EV_COMPLETED);
    cursor_detach(&c);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("attempt");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, each_fault_that_may_is_followed_by_the_second_target, 0,
                        ARRAY_LEN(helped_elsewhere));
    tcase_add_loop_test(tc, no_fault_after_the_first_event_is_followed, FAULT_CONNECT, N_FAULTS);
    tcase_add_loop_test(tc, no_other_target_helps_some_faults, 0, ARRAY_LEN(final));
    tcase_add_test(tc, the_last_fault_is_what_the_client_hears);
    tcase_add_test(tc, the_same_target_is_passed_over_where_it_cannot_help);
    tcase_add_test(tc, one_target_needs_the_request_no_longer_than_the_start);
    tcase_add_test(tc, a_request_that_is_gone_is_not_tried_again);
    tcase_add_test(tc, leaving_between_attempts_cancels_the_one_that_runs);
    tcase_add_test(tc, without_memory_for_an_attempt_it_fails);
    tcase_add_test(tc, an_outcome_that_was_not_told_yet_wins_over_a_cancel);
    return run_case(tc);
}

#include "gateway/ops/metrics_shared.h"
#include "tests/unit/common/run.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOTS = 3 };

static struct metrics *m;
static struct buf text;

static void setup(void)
{
    m = metrics_create(SLOTS);
    ck_assert_ptr_nonnull(m);
    buf_init(&text, (size_t)64 * 1024 * 1024);
    metrics_learn_endpoint(m, "/v1/responses");
    metrics_learn_principal(m, "ann");
    metrics_learn_route(m, "fast", "openai");
    metrics_learn_route(m, NULL, "openai");
}

static void teardown(void)
{
    metrics_destroy(m);
    buf_free(&text);
}

static const char *written(void)
{
    buf_reset(&text);
    metrics_write(m, &text);
    ck_assert_int_eq(buf_append_char(&text, '\0'), ERR_OK);
    return text.data;
}

/* A line of what is written: all of it. */
static void expect(const char *line)
{
    char whole[512];
    (void)snprintf(whole, sizeof(whole), "\n%s\n", line);
    ck_assert_msg(strstr(written(), whole) != NULL, "no line %s in:\n%s", line, text.data);
}

static void expect_none(const char *part)
{
    ck_assert_msg(strstr(written(), part) == NULL, "%s is in:\n%s", part, text.data);
}

static const struct request_record good = {.end = REQUEST_DONE,
                                           .endpoint = "/v1/responses",
                                           .websocket = true,
                                           .principal = "ann",
                                           .entry = "fast",
                                           .provider = "openai",
                                           .attempts = 1,
                                           .has_usage = true,
                                           .input_tokens = 100,
                                           .output_tokens = 20,
                                           .cached_tokens = 64,
                                           .begun = true,
                                           .first_token_ms = 250,
                                           .total_ms = 2500};

START_TEST(a_request_counts_everywhere)
{
    metrics_attach(m, 0, 1);
    metrics_begin(m, "/v1/responses", true);
    expect("sluice_requests_in_flight{endpoint=\"/v1/responses\",transport=\"websocket\"} 1");
    metrics_request(m, &good);
    expect("sluice_requests_in_flight{endpoint=\"/v1/responses\",transport=\"websocket\"} 0");
    expect("sluice_requests_total{endpoint=\"/v1/responses\",transport=\"websocket\",end=\"done\"} 1");
    expect("sluice_principal_requests_total{principal=\"ann\",end=\"done\"} 1");
    expect("sluice_principal_tokens_total{principal=\"ann\",gen_ai_token_type=\"input\"} 100");
    expect("sluice_principal_tokens_total{principal=\"ann\",gen_ai_token_type=\"output\"} 20");
    expect("sluice_principal_tokens_total{principal=\"ann\",gen_ai_token_type=\"cached\"} 64");
#define ROUTE "gen_ai_request_model=\"fast\",gen_ai_provider_name=\"openai\""
    expect("sluice_model_requests_total{" ROUTE ",end=\"done\"} 1");
    expect("sluice_cached_tokens_total{" ROUTE "} 64");
#define CHAT ROUTE ",gen_ai_operation_name=\"chat\""
    expect("gen_ai_server_time_to_first_token_seconds_bucket{" CHAT ",le=\"0.1\"} 0");
    expect("gen_ai_server_time_to_first_token_seconds_bucket{" CHAT ",le=\"0.25\"} 1");
    expect("gen_ai_server_time_to_first_token_seconds_bucket{" CHAT ",le=\"+Inf\"} 1");
    expect("gen_ai_server_time_to_first_token_seconds_sum{" CHAT "} 0.25");
    expect("gen_ai_server_request_duration_seconds_bucket{" CHAT ",le=\"1.28\"} 0");
    expect("gen_ai_server_request_duration_seconds_bucket{" CHAT ",le=\"2.56\"} 1");
    expect("gen_ai_server_request_duration_seconds_sum{" CHAT "} 2.5");
    expect("gen_ai_server_request_duration_seconds_count{" CHAT "} 1");
    expect("gen_ai_client_token_usage_bucket{" CHAT ",gen_ai_token_type=\"input\",le=\"64\"} 0");
    expect("gen_ai_client_token_usage_bucket{" CHAT ",gen_ai_token_type=\"input\",le=\"256\"} 1");
    expect("gen_ai_client_token_usage_sum{" CHAT ",gen_ai_token_type=\"output\"} 20");
}
END_TEST

START_TEST(what_is_past_every_bound_is_counted_too)
{
    struct request_record r = good;
    metrics_attach(m, 0, 1);
    r.total_ms = UINT64_C(100000);
    r.first_token_ms = 10001;
    r.input_tokens = UINT64_C(1) << 40;
    metrics_request(m, &r);
    expect("gen_ai_server_request_duration_seconds_bucket{" CHAT ",le=\"81.92\"} 0");
    expect("gen_ai_server_request_duration_seconds_bucket{" CHAT ",le=\"+Inf\"} 1");
    expect("gen_ai_server_request_duration_seconds_sum{" CHAT "} 100");
    expect("gen_ai_server_time_to_first_token_seconds_bucket{" CHAT ",le=\"10\"} 0");
    expect("gen_ai_server_time_to_first_token_seconds_sum{" CHAT "} 10.001");
    expect("gen_ai_client_token_usage_sum{" CHAT ",gen_ai_token_type=\"input\"} 1099511627776");
}
END_TEST

START_TEST(what_is_not_configured_is_other)
{
    const struct request_record r = {.end = REQUEST_REFUSED, .endpoint = "/what", .principal = NULL};
    metrics_attach(m, 0, 1);
    metrics_request(m, &r);
    expect("sluice_requests_total{endpoint=\"other\",transport=\"http\",end=\"refused\"} 1");
    expect("sluice_principal_requests_total{principal=\"other\",end=\"refused\"} 1");
    expect("sluice_model_requests_total{gen_ai_request_model=\"other\",gen_ai_provider_name=\"other\",end="
           "\"refused\"} 1");
    /* No provider was asked: no time of an answer. */
    expect_none("gen_ai_server_request_duration_seconds_count");
}
END_TEST

START_TEST(names_have_a_ceiling)
{
    char name[32];
    for (unsigned i = 0; i < METRICS_PRINCIPALS + 10; i++) {
        (void)snprintf(name, sizeof(name), "p%u", i);
        metrics_learn_principal(m, name);
    }
    metrics_attach(m, 0, 1);
    struct request_record r = good;
    r.principal = "p5";
    metrics_request(m, &r);
    r.principal = name; /* the last one */
    metrics_request(m, &r);
    expect("sluice_principal_requests_total{principal=\"p5\",end=\"done\"} 1");
    expect("sluice_principal_requests_total{principal=\"other\",end=\"done\"} 1");
}
END_TEST

START_TEST(names_are_escaped)
{
    metrics_learn_principal(m, "a\"b\\c\nd");
    struct request_record r = good;
    r.principal = "a\"b\\c\nd";
    metrics_attach(m, 0, 1);
    metrics_request(m, &r);
    expect("sluice_principal_requests_total{principal=\"a\\\"b\\\\c\\nd\",end=\"done\"} 1");
}
END_TEST

START_TEST(all_processes_are_added_up)
{
    for (unsigned slot = 0; slot < 2; slot++) {
        const pid_t pid = fork();
        if (pid == 0) {
            metrics_attach(m, slot, 7);
            metrics_begin(m, "/v1/responses", true);
            metrics_begin(m, "/v1/responses", true);
            metrics_request(m, &good);
            metrics_refusal(m, REFUSAL_KEY);
            metrics_state(m, &(struct metrics_state){.connections = 5, .sessions = 2, .serving = true});
            _exit(0);
        }
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    }
    metrics_attach(m, 2, 7);
    metrics_state(m, &(struct metrics_state){.serving = true});
    ck_assert_uint_eq(metrics_serving(m), 3);
    expect("sluice_requests_total{endpoint=\"/v1/responses\",transport=\"websocket\",end=\"done\"} 2");
    expect("sluice_requests_in_flight{endpoint=\"/v1/responses\",transport=\"websocket\"} 2");
    expect("sluice_refusals_total{reason=\"key\"} 2");
    expect("sluice_connections 10");
    expect("sluice_sessions 4");
    expect("sluice_workers_serving 3");
    /* A dead worker's counters stay, its present state does not; the next one goes on where it was. */
    metrics_slot_ended(m, 0);
    ck_assert_uint_eq(metrics_serving(m), 2);
    expect("sluice_connections 5");
    expect("sluice_requests_in_flight{endpoint=\"/v1/responses\",transport=\"websocket\"} 1");
    expect("sluice_requests_total{endpoint=\"/v1/responses\",transport=\"websocket\",end=\"done\"} 2");
    metrics_attach(m, 0, 8);
    metrics_request(m, &good);
    expect("sluice_requests_total{endpoint=\"/v1/responses\",transport=\"websocket\",end=\"done\"} 3");
}
END_TEST

/* A worker gone wrong may have written anything. */
START_TEST(what_was_scribbled_over_harms_nobody)
{
    metrics_attach(m, 0, 1);
    metrics_request(m, &good);
    memset(m->shared, 0xFF, m->mapped);
    const char *all = written();
    ck_assert(!text.failed);
    ck_assert_ptr_nonnull(strstr(all, "# TYPE sluice_requests_total counter\n"));
    ck_assert_uint_le(metrics_serving(m), SLOTS);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("metrics");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_request_counts_everywhere);
    tcase_add_test(tc, what_is_past_every_bound_is_counted_too);
    tcase_add_test(tc, what_is_not_configured_is_other);
    tcase_add_test(tc, names_have_a_ceiling);
    tcase_add_test(tc, names_are_escaped);
    tcase_add_test(tc, all_processes_are_added_up);
    tcase_add_test(tc, what_was_scribbled_over_harms_nobody);
    return run_case(tc);
}

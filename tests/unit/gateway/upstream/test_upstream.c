/* Answers that go well, connections, and leaving. */
#include "rig.h"

static struct rig rig;

static const struct fake_reply hello = {
    .bytes = HEAD "Content-Length: 38\r\n\r\ndata: Hello\n\ndata:  there\n\ndata: end\n\n"};
static const struct fake_reply begun = {.bytes = HEAD CHUNKED "d\r\ndata: Hello\n\n\r\n"};

START_TEST(an_answer_streams_into_the_log)
{
    struct ask a;
    rig_open(&rig, false);
    ck_assert_int_eq(secret_set(&rig.provider.api_key, BYTES("sk-secret")), ERR_OK);
    rig_ask(&rig, &a, &hello);
    ck_assert_uint_eq(a.told, 0);
    RUN_UNTIL(&rig, a.ended);
    ck_text(&a, "Hello there");
    ck_assert_int_eq(a.log.terminal, LLM_EV_COMPLETED);
    ck_one_terminal(&a);
    const char *r = rig.fake.last_request;
    ck_assert_ptr_eq(strstr(r, "POST /v1/words HTTP/1.1\r\n"), r);
    ck_assert_ptr_nonnull(strstr(r, "\r\nAuthorization: Bearer sk-secret\r\n"));
    ck_assert_ptr_nonnull(strstr(r, "\r\nAccept: text/event-stream\r\n"));
    ck_assert_ptr_nonnull(strstr(r, "\r\nContent-Type: application/json\r\n"));
    ck_assert_ptr_nonnull(strstr(r, "\r\nUser-Agent: sluice/"));
    ck_assert_ptr_nonnull(strstr(r, "\r\nx-request-id: req_42\r\n"));
    ck_assert_ptr_null(strstr(r, "Expect"));
    ck_assert_ptr_nonnull(strstr(r, "\r\n\r\n{\"model\":\"some-model\"}"));
    rig_done(&rig, &a);
}
END_TEST

static enum err path_by_model(struct bytes model, struct buf *out)
{
    return buf_printf(out, "/models/%.*s:stream?alt=sse", BYTES_FMT(model));
}

/* Where the request goes and how it shows its key is the dialect's to say. */
START_TEST(a_dialect_has_its_own_path_and_headers)
{
    static const char *const headers[] = {"words-version: 2", "words-beta: a,b", NULL};
    struct dialect d = words;
    struct ask a;
    d.path = NULL;
    d.encode_path = path_by_model;
    d.authorization = "x-words-key: ";
    d.headers = headers;
    rig_open(&rig, false);
    rig.provider.dialect = &d;
    ck_assert_int_eq(secret_set(&rig.provider.api_key, BYTES("k-secret")), ERR_OK);
    rig_ask(&rig, &a, &hello);
    RUN_UNTIL(&rig, a.ended);
    ck_text(&a, "Hello there");
    const char *r = rig.fake.last_request;
    ck_assert_ptr_eq(strstr(r, "POST /v1/models/some-model:stream?alt=sse HTTP/1.1\r\n"), r);
    ck_assert_ptr_nonnull(strstr(r, "\r\nx-words-key: k-secret\r\n"));
    ck_assert_ptr_nonnull(strstr(r, "\r\nwords-version: 2\r\n"));
    ck_assert_ptr_nonnull(strstr(r, "\r\nwords-beta: a,b\r\n"));
    ck_assert_ptr_null(strstr(r, "Bearer"));
    rig_done(&rig, &a);
}
END_TEST

START_TEST(a_path_that_is_too_long_is_not_sent)
{
    static char name[9000];
    struct dialect d = words;
    struct ask a;
    memset(name, 'x', sizeof(name));
    d.path = NULL;
    d.encode_path = path_by_model;
    rig_open(&rig, false);
    rig.provider.dialect = &d;
    rig_start(&rig);
    ask_start_model(&a, &rig, bytes_of(name, sizeof(name)));
    RUN_UNTIL(&rig, a.ended);
    ck_assert_int_eq(a.builder.fault, FAULT_TOO_LARGE);
    ck_assert_uint_eq(rig.fake.requests, 0);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(the_report_tells_of_the_answer)
{
    static const struct fake_reply reply = {.bytes = HEAD
                                            "X-Request-Id: their \"id\"\r\nContent-Length: 38\r\n\r\n"
                                            "data: Hello\n\ndata:  there\n\ndata: end\n\n"};
    static const struct fake_reply refusal = {
        .bytes = "HTTP/1.1 429 Slow\r\nrequest-id: req_theirs\r\nContent-Length: 0\r\n\r\n"};
    struct ask a, b;
    rig_open(&rig, false);
    rig_ask(&rig, &a, &reply);
    RUN_UNTIL(&rig, a.ended);
    ck_assert_int_eq(a.report.status, 200);
    ck_assert_str_eq(a.report.request_id, "their?\?id?");
    ck_assert(a.report.begun);
    ck_assert_uint_lt(a.report.first_token_ms, 20000);
    rig.fake.every = &refusal;
    ask_start(&b, &rig);
    RUN_UNTIL(&rig, b.ended);
    ck_assert_int_eq(b.report.status, 429);
    ck_assert_str_eq(b.report.request_id, "req_theirs");
    ck_assert(!b.report.begun);
    ck_assert_int_eq(b.builder.outcome, LLM_FAILED);
    ask_free(&b);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(what_comes_together_is_told_once)
{
    static char reply[4000];
    struct fake_reply r = {.bytes = reply};
    struct ask a;
    int at = snprintf(reply, sizeof(reply), HEAD "\r\n");
    for (int i = 0; i < 100; i++)
        at += snprintf(reply + at, sizeof(reply) - (size_t)at, "data: t%d\n\n", i);
    rig_open(&rig, false);
    rig_ask(&rig, &a, &r);
    RUN_UNTIL(&rig, a.told > 0);
    ck_assert_uint_eq(a.told, 1);
    ck_assert_uint_ge(a.log.count, 100);
    upstream_cancel(a.transfer);
    rig_done(&rig, &a);
}
END_TEST

static unsigned told_by_then;

static void note_what_was_told(void *ctx)
{
    told_by_then = ((const struct ask *)ctx)->told;
}

/* What an event brought is told before the clients' turn comes. */
START_TEST(each_event_ends_with_the_clients_turn)
{
    struct ask a;
    rig_open(&rig, false);
    rig_start(&rig);
    upstream_after_each(rig.up, note_what_was_told, &a);
    ask_start(&a, &rig);
    RUN_UNTIL(&rig, rig.fake.connections == 1 && rig.fake.conns);
    fake_push(&rig.fake, HEAD "\r\ndata: one\n\n");
    RUN_UNTIL(&rig, a.told == 1);
    ck_assert_uint_eq(told_by_then, 1);
    fake_push(&rig.fake, "data: two\n\n");
    RUN_UNTIL(&rig, a.told == 2);
    ck_assert_uint_eq(told_by_then, 2);
    upstream_cancel(a.transfer);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(bytes_one_at_a_time_make_the_same_answer)
{
    struct fake_reply r = hello;
    struct ask a;
    r.drip = 1;
    rig_open(&rig, false);
    rig_ask(&rig, &a, &r);
    RUN_UNTIL(&rig, a.ended);
    ck_text(&a, "Hello there");
    ck_assert_uint_gt(a.told, 1);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(a_json_answer_is_taken_whole)
{
    struct fake_reply r = {
        .bytes = "HTTP/1.1 200 OK\r\ncontent-type: Application/JSON\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
        .drip = 3};
    struct ask a;
    rig_open(&rig, false);
    rig_ask(&rig, &a, &r);
    RUN_UNTIL(&rig, a.ended);
    ck_text(&a, "{\"a\":1}");
    ck_assert_int_eq(a.log.terminal, LLM_EV_COMPLETED);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(interim_answers_are_skipped)
{
    struct fake_reply r = {
        .bytes = "HTTP/1.1 103 Early Hints\r\nContent-Type: text/html\r\nRetry-After: 9\r\n\r\n" HEAD
                 "Content-Length: 24\r\n\r\ndata: Hello\n\ndata: end\n\n"};
    struct ask a;
    rig_open(&rig, false);
    rig_ask(&rig, &a, &r);
    RUN_UNTIL(&rig, a.ended);
    ck_text(&a, "Hello");
    rig_done(&rig, &a);
}
END_TEST

START_TEST(requests_one_after_the_other_share_a_connection)
{
    rig_open(&rig, false);
    rig_start(&rig);
    rig.fake.every = &hello;
    for (unsigned i = 1; i <= 5; i++) {
        struct ask a;
        ask_start(&a, &rig);
        RUN_UNTIL(&rig, a.ended && upstream_in_flight(rig.up) == 0);
        ck_text(&a, "Hello there");
        ck_assert_uint_eq(rig.fake.requests, i);
        ask_free(&a);
    }
    ck_assert_uint_eq(rig.fake.connections, 1);
    rig_close(&rig);
}
END_TEST

START_TEST(an_idle_connection_that_the_provider_closed_is_not_used)
{
    struct ask a;
    rig_open(&rig, false);
    rig_start(&rig);
    rig.fake.every = &hello;
    for (int i = 0; i < 3; i++) {
        ask_start(&a, &rig);
        RUN_UNTIL(&rig, a.ended && upstream_in_flight(rig.up) == 0);
        ck_text(&a, "Hello there");
        ask_free(&a);
        fake_hang_up(&rig.fake);
        RUN_UNTIL(&rig, rig.fake.conns == NULL);
    }
    ck_assert_uint_eq(rig.fake.connections, 3);
    rig_close(&rig);
}
END_TEST

START_TEST(many_at_once)
{
    enum { N = 60 };
    static struct ask asks[N];
    struct fake_reply r = hello;
    r.drip = 5;
    rig_open(&rig, false);
    rig_start(&rig);
    rig.fake.every = &r;
    for (int i = 0; i < N; i++)
        ask_start(&asks[i], &rig);
    ck_assert_uint_eq(upstream_in_flight(rig.up), N);
    for (int i = 0; i < N; i++) {
        RUN_UNTIL(&rig, asks[i].ended);
        ck_text(&asks[i], "Hello there");
        ask_free(&asks[i]);
    }
    ck_assert_uint_eq(rig.fake.requests, N);
    rig_close(&rig);
}
END_TEST

START_TEST(a_finished_answer_gives_its_connection_back)
{
    static const struct fake_reply open_ended = {.bytes =
                                                     HEAD CHUNKED "18\r\ndata: Hello\n\ndata: end\n\n\r\n"};
    struct ask a, b;
    rig_open(&rig, false);
    rig_ask(&rig, &a, &open_ended);
    RUN_UNTIL(&rig, a.ended); /* at once, though the body has not ended */
    ck_text(&a, "Hello");
    ask_free(&a);
    ck_assert_uint_eq(upstream_in_flight(rig.up), 1);
    fake_push(&rig.fake, "0\r\n\r\n");
    RUN_UNTIL(&rig, upstream_in_flight(rig.up) == 0);
    ask_start(&b, &rig);
    RUN_UNTIL(&rig, b.ended);
    ask_free(&b);
    ck_assert_uint_eq(rig.fake.connections, 1);
    rig_close(&rig);
}
END_TEST

START_TEST(a_body_that_goes_on_after_its_end_is_given_up)
{
    static const struct fake_reply open_ended = {.bytes =
                                                     HEAD CHUNKED "18\r\ndata: Hello\n\ndata: end\n\n\r\n"};
    struct ask a;
    rig_open(&rig, false);
    rig_ask(&rig, &a, &open_ended);
    RUN_UNTIL(&rig, a.ended);
    fake_push(&rig.fake, "d\r\ndata: extra\n\n\r\n");
    RUN_UNTIL(&rig, rig.fake.peer_closed == 1);
    ck_text(&a, "Hello");
    ck_assert_uint_eq(a.told, 1);
    ck_assert_uint_eq(upstream_in_flight(rig.up), 0);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(cancelled_before_it_is_sent)
{
    struct ask a;
    rig_open(&rig, false);
    rig_ask(&rig, &a, &hello);
    upstream_cancel(a.transfer);
    ask_free(&a); /* the builder may go at once */
    RUN_UNTIL(&rig, upstream_in_flight(rig.up) == 0);
    ck_assert_uint_eq(a.told, 0);
    ck_assert_uint_eq(rig.fake.connections, 0);
    upstream_cancel(NULL);
    rig_close(&rig);
}
END_TEST

START_TEST(cancelled_while_the_provider_is_silent)
{
    struct ask a;
    rig_open(&rig, false);
    rig_ask(&rig, &a, NULL);
    RUN_UNTIL(&rig, rig.fake.requests == 1);
    upstream_cancel(a.transfer);
    upstream_cancel(a.transfer);
    ask_free(&a);
    RUN_UNTIL(&rig, rig.fake.peer_closed == 1);
    ck_assert_uint_eq(a.told, 0);
    ck_assert_uint_eq(upstream_in_flight(rig.up), 0);
    rig_close(&rig);
}
END_TEST

static struct ask *leaving;
static void cancel_and_free(struct rig *r)
{
    (void)r;
    upstream_cancel(leaving->transfer);
    ask_free(leaving);
    free(leaving);
}

/* Between the tick and the wait for sockets: the socket is read before anything has taken the transfer down.
 */
START_TEST(cancelled_when_more_is_there_to_read)
{
    struct ask *a = malloc(sizeof(*a));
    ck_assert_ptr_nonnull(a);
    rig_open(&rig, false);
    rig_ask(&rig, a, &begun);
    RUN_UNTIL(&rig, a->told == 1);
    fake_push(&rig.fake, "6\r\ndata: \r\n6\r\nmore\n\n\r\n");
    leaving = a;
    rig.turn_over = cancel_and_free;
    RUN_UNTIL(&rig, rig.fake.peer_closed == 1);
    ck_assert_uint_eq(upstream_in_flight(rig.up), 0);
    rig_close(&rig);
}
END_TEST

static void cancel_in_progress(struct ask *a)
{
    upstream_cancel(a->transfer);
    a->transfer = NULL;
}

START_TEST(cancelled_inside_progress)
{
    struct ask a;
    rig_open(&rig, false);
    rig_ask(&rig, &a, &begun);
    a.on_progress = cancel_in_progress;
    RUN_UNTIL(&rig, rig.fake.peer_closed == 1);
    ck_assert_uint_eq(a.told, 1);
    ck_text(&a, "Hello");
    rig_done(&rig, &a);
}
END_TEST

static struct ask *victim;
static void cancel_the_other(struct ask *a)
{
    (void)a;
    if (victim)
        upstream_cancel(victim->transfer);
    victim = NULL;
}

/* Whichever is told first takes the other one down, in the same tick or before it. */
START_TEST(cancelled_inside_the_progress_of_another)
{
    struct ask a, b;
    rig_open(&rig, false);
    rig_ask(&rig, &a, &begun);
    ask_start(&b, &rig);
    a.on_progress = cancel_the_other;
    victim = &b;
    RUN_UNTIL(&rig, rig.fake.peer_closed == 1);
    ck_assert_uint_eq(a.told, 1);
    ck_assert_uint_le(b.told, 1);
    upstream_cancel(a.transfer);
    RUN_UNTIL(&rig, rig.fake.peer_closed == 2);
    ask_free(&a);
    rig_done(&rig, &b);
}
END_TEST

static struct ask second;
static void ask_again(struct ask *a)
{
    if (a->ended)
        ask_start(&second, a->rig);
}

START_TEST(started_inside_progress)
{
    struct ask a;
    rig_open(&rig, false);
    rig_ask(&rig, &a, &hello);
    a.on_progress = ask_again;
    memset(&second, 0, sizeof(second));
    RUN_UNTIL(&rig, a.ended && second.ended);
    ck_text(&second, "Hello there");
    ask_free(&a);
    rig_done(&rig, &second);
}
END_TEST

static void cancel_after_the_end(struct ask *a)
{
    if (a->ended)
        upstream_cancel(victim->transfer);
}

START_TEST(cancel_inside_the_last_progress_changes_nothing)
{
    struct ask a, shadow;
    rig_open(&rig, false);
    rig_ask(&rig, &a, &hello);
    shadow.transfer = a.transfer;
    victim = &shadow;
    a.on_progress = cancel_after_the_end;
    RUN_UNTIL(&rig, upstream_in_flight(rig.up) == 0);
    ck_assert_int_eq(a.log.terminal, LLM_EV_COMPLETED);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(closing_takes_down_what_runs)
{
    struct ask waiting, silent, running;
    rig_open(&rig, false);
    rig_ask(&rig, &silent, NULL);
    RUN_UNTIL(&rig, rig.fake.requests == 1);
    rig.fake.every = &begun;
    ask_start(&running, &rig);
    RUN_UNTIL(&rig, running.told == 1);
    ask_start(&waiting, &rig);
    ck_assert_uint_eq(upstream_in_flight(rig.up), 3);
    rig_close(&rig);
    ck_assert_uint_eq(silent.told + waiting.told, 0);
    ask_free(&waiting);
    ask_free(&silent);
    ask_free(&running);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, an_answer_streams_into_the_log);
    tcase_add_test(c, a_dialect_has_its_own_path_and_headers);
    tcase_add_test(c, a_path_that_is_too_long_is_not_sent);
    tcase_add_test(c, the_report_tells_of_the_answer);
    tcase_add_test(c, what_comes_together_is_told_once);
    tcase_add_test(c, each_event_ends_with_the_clients_turn);
    tcase_add_test(c, bytes_one_at_a_time_make_the_same_answer);
    tcase_add_test(c, a_json_answer_is_taken_whole);
    tcase_add_test(c, interim_answers_are_skipped);
    tcase_add_test(c, requests_one_after_the_other_share_a_connection);
    tcase_add_test(c, an_idle_connection_that_the_provider_closed_is_not_used);
    tcase_add_test(c, many_at_once);
    tcase_add_test(c, a_finished_answer_gives_its_connection_back);
    tcase_add_test(c, a_body_that_goes_on_after_its_end_is_given_up);
    tcase_add_test(c, cancelled_before_it_is_sent);
    tcase_add_test(c, cancelled_while_the_provider_is_silent);
    tcase_add_test(c, cancelled_when_more_is_there_to_read);
    tcase_add_test(c, cancelled_inside_progress);
    tcase_add_test(c, cancelled_inside_the_progress_of_another);
    tcase_add_test(c, started_inside_progress);
    tcase_add_test(c, cancel_inside_the_last_progress_changes_nothing);
    tcase_add_test(c, closing_takes_down_what_runs);
}

int main(void)
{
    return rig_run_both(add);
}

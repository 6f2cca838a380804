/* Everything that a provider or the network can do wrong ends in exactly one typed terminal. */
#include "gateway/upstream/internal.h"
#include "rig.h"
#include <sys/socket.h>
#include <unistd.h>

static struct rig rig;

/* Asks once; the provider answers `bytes`, and then closes the connection if `close`. */
static void ask_once(struct ask *a, const char *bytes, bool close)
{
    struct fake_reply r = {.bytes = bytes, .close = close};
    rig_ask(&rig, a, &r);
    RUN_UNTIL(&rig, a->ended);
    ck_one_terminal(a);
    RUN_UNTIL(&rig, upstream_in_flight(rig.up) == 0);
    rig.fake.every = NULL;
}

START_TEST(statuses_are_the_dialects_to_read)
{
    static const struct {
        const char *bytes;
        int status, retry;
        const char *message;
    } cases[] = {
        {"HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\nContent-Length: 11\r\n\r\n<h1>no</h1>", 500, 0,
         "<h1>no</h1>"},
        {"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nwait", 429, 7, "wait"},
        {"HTTP/1.1 429 Slow\r\nretry-after-ms: 1500\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nwait", 429,
         2, "wait"},
        {"HTTP/1.1 429 Slow\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\nDate: Wed, 21 Oct 2026 07:26:30 "
         "GMT\r\nContent-Length: 4\r\n\r\nwait",
         429, 90, "wait"},
        {"HTTP/1.1 429 Slow\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\nContent-Length: 4\r\n\r\nwait",
         429, RETRY_AFTER_MAX_S, "wait"},
        {"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", 401, 0, ""},
        {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302, 0, ""},
        {"HTTP/1.1 404 No\r\n\r\nuntil the connection closes", 404, 0, "until the connection closes"},
        {"HTTP/1.1 503 Cut\r\nContent-Length: 99\r\n\r\nonly this", 503, 0, "only this"},
        {"HTTP/1.1 503 Cut\r\nContent-Length: 99\r\n\r\n", 503, 0, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ask a;
        rig_open(&rig, false);
        ask_once(&a, cases[i].bytes, true);
        ck_failed(&a, cases[i].status, "said_so");
        ck_assert_str_eq(a.log.end.error.message, cases[i].message);
        ck_assert_int_eq(a.log.end.error.retry_after_s, cases[i].retry);
        ck_assert_uint_eq(rig.fake.requests, 1);
        rig_done(&rig, &a);
    }
}
END_TEST

START_TEST(an_error_that_never_ends_is_cut)
{
    static char reply[256 * 1024] = "HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n30000\r\n";
    struct ask a;
    size_t head = strlen(reply);
    memset(reply + head, 'x', sizeof(reply) - head - 1);
    rig_open(&rig, false);
    ask_once(&a, reply, false);
    ck_failed(&a, 500, "said_so");
    RUN_UNTIL(&rig, rig.fake.peer_closed == 1);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(answers_that_are_no_answers)
{
    static const char bad_event[] = HEAD "Content-Length: 11\r\n\r\ndata: bad\n\n";
    static const char *const cases[] = {
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 11\r\n\r\n<h1>hi</h1>",
        "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\ndata: Hello\n\ndata: end\n\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n",
        "\r\n\r\n\r\n\r\n",
        bad_event,
        "HTTP/1.1 200 \x1b[31m\r\nContent-Type: text/\x1b[31m\r\nContent-Length: 2\r\n\r\nhi",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ask a;
        rig_open(&rig, false);
        ask_once(&a, cases[i], true);
        ck_failed(&a, 502, "upstream_invalid_response");
        ck_assert_ptr_null(strchr(a.log.end.error.message, '\x1b'));
        rig_done(&rig, &a);
    }
}
END_TEST

START_TEST(endless_headers_are_refused)
{
    static char reply[512 * 1024];
    size_t at = (size_t)snprintf(reply, sizeof(reply), "HTTP/1.1 200 OK\r\n");
    struct ask a;
    while (at + 128 < sizeof(reply))
        at += (size_t)snprintf(reply + at, sizeof(reply) - at, "x-%zu: %064d\r\n", at, 7);
    rig_open(&rig, false);
    ask_once(&a, reply, false);
    ck_failed(&a, 502, "upstream_invalid_response");
    rig_done(&rig, &a);
}
END_TEST

/* However much of an answer arrives before the connection ends: failed, typed, unless the whole of it was
 * there. */
static void cut_everywhere(const char *bytes, size_t whole, bool reset)
{
    size_t len = strlen(bytes);
    rig_open(&rig, false);
    rig_start(&rig);
    for (size_t n = 0; n <= len; n++) {
        struct fake_reply r = {.bytes = n ? bytes : NULL, .len = n, .close = true, .reset = reset};
        struct ask a;
        rig.fake.every = &r;
        ask_start(&a, &rig);
        RUN_UNTIL(&rig, a.ended && upstream_in_flight(rig.up) == 0 && rig.fake.conns == NULL);
        ck_one_terminal(&a);
        if (n >= whole) {
            ck_assert_int_eq(a.log.terminal, LLM_EV_COMPLETED);
            ck_text(&a, "Hello there");
        } else {
            ck_failed(&a, 502, "upstream_truncated");
        }
        ask_free(&a);
    }
    rig_close(&rig);
}

static const char length_answer[] =
    HEAD "Content-Length: 38\r\n\r\ndata: Hello\n\ndata:  there\n\ndata: end\n\n";
static const char chunked_answer[] =
    HEAD CHUNKED "d\r\ndata: Hello\n\n\r\ne\r\ndata:  there\n\n\r\nb\r\ndata: end\n\n\r\n0\r\n\r\n";
static const char finish_answer[] =
    HEAD CHUNKED "d\r\ndata: Hello\n\n\r\ne\r\ndata:  there\n\n\r\ne\r\ndata: finish\n\n\r\n0\r\n\r\n";
static const char close_answer[] = HEAD "\r\ndata: Hello\n\ndata:  there\n\ndata: end\n\n";

static size_t upto(const char *bytes, const char *end)
{
    return (size_t)(strstr(bytes, end) - bytes) + strlen(end);
}

START_TEST(cut_at_every_byte)
{
    bool reset = _i == 1;
    cut_everywhere(length_answer, upto(length_answer, "end\n\n"), reset);
    cut_everywhere(chunked_answer, upto(chunked_answer, "end\n\n"), reset);
    cut_everywhere(finish_answer, upto(finish_answer, "finish\n\n"), reset);
    cut_everywhere(close_answer, upto(close_answer, "end\n\n"), reset);
}
END_TEST

START_TEST(nobody_listens)
{
    struct ask a;
    rig_open(&rig, false);
    uv_os_sock_t fd = socket(AF_INET, SOCK_STREAM, 0); /* holds a port on which nobody listens */
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    snprintf(rig.base_url, sizeof(rig.base_url), "http://127.0.0.1:%d/v1", ntohs(addr.sin_port));
    ask_once(&a, "", false);
    ck_failed(&a, 502, "upstream_unreachable");
    ck_assert_ptr_nonnull(strstr(a.log.end.error.message, "'fake'"));
    ck_assert_ptr_null(strstr(a.log.end.error.message, "127.0.0.1"));
    close(fd);
    rig_done(&rig, &a);
}
END_TEST

/* Every failure is told to its client, but not every one to the log: the next line counts the others. */
START_TEST(a_dead_provider_does_not_fill_the_log)
{
    enum { N = 60 };
    static const struct fake_reply gone = {.close = true};
    static struct ask asks[N];
    static char text[64 * 1024];
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);
    rig_open(&rig, false);
    rig.fake.every = &gone;
    rig_start(&rig);
    ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
    for (int i = 0; i < N; i++)
        ask_start(&asks[i], &rig);
    for (int i = 0; i < N; i++)
        RUN_UNTIL(&rig, asks[i].ended);
    ck_assert_int_ge(dup2(kept, STDERR_FILENO), 0);
    (void)close(kept);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    (void)fclose(file);
    unsigned lines = 0, counted = 0;
    for (const char *at = text; (at = strstr(at, " suppressed=")); lines++) {
        at += strlen(" suppressed=");
        counted += (unsigned)strtoul(at, NULL, 10);
    }
    ck_assert_uint_ge(lines, LOG_GATE_LINES);
    ck_assert_uint_lt(lines, N);
    ck_assert_uint_eq(lines + counted + rig.up->origins[0].failures.suppressed, N);
    for (int i = 0; i < N; i++) {
        ck_failed(&asks[i], 502, "upstream_truncated");
        ask_free(&asks[i]);
    }
    rig_close(&rig);
}
END_TEST

START_TEST(a_name_that_nobody_knows)
{
    struct ask a;
    rig_open(&rig, false);
    snprintf(rig.base_url, sizeof(rig.base_url), "http://user:hunter2@no-such-host.invalid/v1");
    ask_once(&a, "", false);
    ck_failed(&a, 502, "upstream_unreachable");
    ck_assert_ptr_null(strstr(a.log.end.error.message, "hunter2"));
    rig_done(&rig, &a);
}
END_TEST

/* The look-up runs on a thread of curl's: leaving must not wait for it, nor leave anything behind. */
START_TEST(cancelled_while_the_name_is_looked_up)
{
    struct ask a;
    rig_open(&rig, false);
    snprintf(rig.base_url, sizeof(rig.base_url), "http://no-such-host.invalid/v1");
    rig_ask(&rig, &a, NULL);
    uv_run(&rig.loop.uv, UV_RUN_NOWAIT);
    unsigned told = a.told; /* 1 where the look-up was faster than this */
    upstream_cancel(a.transfer);
    RUN_UNTIL(&rig, upstream_in_flight(rig.up) == 0);
    ck_assert_uint_eq(a.told, told);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(tls_to_one_who_does_not_speak_it)
{
    struct ask a;
    rig_open(&rig, false);
    snprintf(rig.base_url, sizeof(rig.base_url), "https://127.0.0.1:%d/v1", rig.fake.port);
    rig_ask(&rig, &a, NULL);
    RUN_UNTIL(&rig, rig.fake.connections == 1);
    fake_push(&rig.fake, "HTTP/1.1 400 Bad Request\r\n\r\n");
    RUN_UNTIL(&rig, a.ended);
    ck_failed(&a, 502, "upstream_tls_failed");
    rig_done(&rig, &a);
}
END_TEST

START_TEST(plain_http_only_where_it_is_allowed)
{
    struct ask a;
    rig_open(&rig, false);
    rig.provider.allow_plaintext = false;
    ask_once(&a, "", false);
    ck_failed(&a, 502, "upstream_unreachable");
    ck_assert_uint_eq(rig.fake.connections, 0);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(a_request_that_cannot_be_said_fails_on_a_later_turn)
{
    struct ask a;
    rig_open(&rig, false);
    rig.request.user = BYTES("somebody");
    ask_once(&a, "", false);
    ck_failed(&a, 400, "unsupported");
    ck_assert_str_eq(a.log.end.error.param, "user");
    ck_assert_uint_eq(rig.fake.connections, 0);
    rig_done(&rig, &a);
}
END_TEST

/* A TLS handshake that never goes on counts as connecting. */
START_TEST(connect_timeout)
{
    struct ask a;
    rig_open(&rig, false);
    rig.cfg.timeouts.connect = 50;
    snprintf(rig.base_url, sizeof(rig.base_url), "https://127.0.0.1:%d/v1", rig.fake.port);
    ask_once(&a, "", false);
    ck_failed(&a, 504, "upstream_connect_timeout");
    rig_done(&rig, &a);
}
END_TEST

START_TEST(first_token_timeout_of_a_silent_provider)
{
    struct ask a;
    rig_open(&rig, false);
    rig.cfg.timeouts.first_token = 50;
    rig_ask(&rig, &a, NULL);
    RUN_UNTIL(&rig, a.ended);
    ck_failed(&a, 504, "upstream_first_token_timeout");
    RUN_UNTIL(&rig, rig.fake.peer_closed == 1);
    rig_done(&rig, &a);
}
END_TEST

/* Pushes one more of `text` every few milliseconds, until the provider's connection is gone. */
struct pulse {
    uv_timer_t timer;
    const char *text;
    unsigned sent;
};

static void on_pulse(uv_timer_t *t)
{
    struct pulse *p = t->data;
    if (!rig.fake.conns || rig.fake.conns->closing || rig.fake.requests == 0)
        return;
    p->sent++;
    fake_push(&rig.fake, p->text);
}

static void pulse_start(struct pulse *p, const char *text, uint64_t ms)
{
    *p = (struct pulse){.text = text};
    uv_timer_init(&rig.loop.uv, &p->timer);
    p->timer.data = p;
    uv_timer_start(&p->timer, on_pulse, ms, ms);
}

START_TEST(heartbeats_are_no_first_token)
{
    static const struct fake_reply head = {.bytes = HEAD CHUNKED};
    struct pulse p;
    struct ask a;
    rig_open(&rig, false);
    rig.cfg.timeouts.first_token = 100;
    rig_start(&rig);
    rig.fake.every = &head;
    pulse_start(&p, "8\r\n: here\n\n\r\n", 5);
    ask_start(&a, &rig);
    RUN_UNTIL(&rig, a.ended);
    ck_failed(&a, 504, "upstream_first_token_timeout");
    ck_assert_uint_gt(p.sent, 0);
    uv_close((uv_handle_t *)&p.timer, NULL);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(token_timeout)
{
    static const struct fake_reply begun = {.bytes = HEAD CHUNKED "d\r\ndata: Hello\n\n\r\n"};
    struct ask a;
    rig_open(&rig, false);
    rig.cfg.timeouts.between_tokens = 50;
    rig_ask(&rig, &a, &begun);
    RUN_UNTIL(&rig, a.ended);
    ck_failed(&a, 504, "upstream_token_timeout");
    ck_text(&a, "Hello");
    RUN_UNTIL(&rig, rig.fake.peer_closed == 1);
    rig_done(&rig, &a);
}
END_TEST

/* Comments keep an answer alive that has begun: it lasts until the other limit ends it. */
START_TEST(total_timeout)
{
    static const struct fake_reply begun = {.bytes = HEAD CHUNKED "d\r\ndata: Hello\n\n\r\n"};
    struct pulse p;
    struct ask a;
    rig_open(&rig, false);
    rig.cfg.timeouts.between_tokens = 1000;
    rig.cfg.timeouts.total = 1500;
    rig_start(&rig);
    rig.fake.every = &begun;
    pulse_start(&p, "8\r\n: here\n\n\r\n", 10);
    ask_start(&a, &rig);
    RUN_UNTIL(&rig, a.ended);
    ck_failed(&a, 504, "upstream_total_timeout");
    uv_close((uv_handle_t *)&p.timer, NULL);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(an_error_whose_body_hangs_is_told_as_the_error)
{
    static const struct fake_reply half = {
        .bytes = "HTTP/1.1 429 Slow\r\nContent-Length: 99\r\nRetry-After: 3\r\n\r\nwait"};
    struct ask a;
    rig_open(&rig, false);
    rig.cfg.timeouts.first_token = 500;
    rig_ask(&rig, &a, &half);
    RUN_UNTIL(&rig, a.ended);
    ck_failed(&a, 429, "said_so");
    ck_assert_int_eq(a.log.end.error.retry_after_s, 3);
    RUN_UNTIL(&rig, rig.fake.peer_closed == 1);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(answers_that_are_too_large)
{
    static char reply[3][200 * 1024] = {
        HEAD "\r\n",
        HEAD "\r\ndata: ",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
    };
    for (int i = 0; i < 3; i++) {
        struct ask a;
        size_t at = strlen(reply[i]);
        if (i == 0)
            while (at + 32 < sizeof(reply[i]))
                at += (size_t)snprintf(reply[i] + at, sizeof(reply[i]) - at, "data: token token\n\n");
        else
            memset(reply[i] + at, 'x', sizeof(reply[i]) - at - 1);
        rig_open(&rig, false);
        rig.cfg.limits.max_response_bytes = 32768;
        ask_once(&a, reply[i], false);
        ck_failed(&a, 502, "response_too_large");
        RUN_UNTIL(&rig, rig.fake.peer_closed == 1);
        rig_done(&rig, &a);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, statuses_are_the_dialects_to_read);
    tcase_add_test(c, an_error_that_never_ends_is_cut);
    tcase_add_test(c, answers_that_are_no_answers);
    tcase_add_test(c, endless_headers_are_refused);
    tcase_add_loop_test(c, cut_at_every_byte, 0, 2);
    tcase_add_test(c, nobody_listens);
    tcase_add_test(c, a_dead_provider_does_not_fill_the_log);
    tcase_add_test(c, a_name_that_nobody_knows);
    tcase_add_test(c, cancelled_while_the_name_is_looked_up);
    tcase_add_test(c, tls_to_one_who_does_not_speak_it);
    tcase_add_test(c, plain_http_only_where_it_is_allowed);
    tcase_add_test(c, a_request_that_cannot_be_said_fails_on_a_later_turn);
    tcase_add_test(c, connect_timeout);
    tcase_add_test(c, first_token_timeout_of_a_silent_provider);
    tcase_add_test(c, heartbeats_are_no_first_token);
    tcase_add_test(c, token_timeout);
    tcase_add_test(c, total_timeout);
    tcase_add_test(c, an_error_whose_body_hangs_is_told_as_the_error);
    tcase_add_test(c, answers_that_are_too_large);
}

int main(void)
{
    return rig_run_both(add);
}

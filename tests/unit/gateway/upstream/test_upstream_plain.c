/* Connections that are the gateway's own: when they are used again, when not, and what is sent on them. */
#include "gateway/upstream/internal.h"
#include "rig.h"

#define ANSWER "data: Hello\n\ndata: end\n\n"

static struct rig rig;

static const struct fake_reply hello = {.bytes = HEAD "Content-Length: 24\r\n\r\n" ANSWER};

static const struct plain_pool *pool(void)
{
    return &rig.up->origins[0].plain;
}

static void hear_hello(struct ask *a)
{
    RUN_UNTIL(&rig, a->ended);
    ck_assert_int_eq(a->log.terminal, LLM_EV_COMPLETED);
    ck_text(a, "Hello");
    ask_free(a);
}

START_TEST(the_request_line_and_host_are_the_base_urls)
{
    static const struct {
        const char *before, *after, *line;
    } cases[] = {
        {"http://127.0.0.1", "", "POST /words HTTP/1.1\r\nHost: 127.0.0.1:"},
        {"http://127.0.0.1", "/a/b?c=d&e=", "POST /a/b?c=d&e=/words HTTP/1.1\r\nHost: 127.0.0.1:"},
        {"HTTP://localhost", "/v1#fragment", "POST /v1 HTTP/1.1\r\nHost: localhost:"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ask a;
        rig_open(&rig, false);
        snprintf(rig.base_url, sizeof(rig.base_url), "%s:%d%s", cases[i].before, rig.fake.port,
                 cases[i].after);
        rig_ask(&rig, &a, &hello);
        RUN_UNTIL(&rig, a.ended);
        ck_assert_int_eq(a.log.terminal, LLM_EV_COMPLETED);
        ck_assert_msg(strncmp(rig.fake.last_request, cases[i].line, strlen(cases[i].line)) == 0, "%s",
                      rig.fake.last_request);
        rig_done(&rig, &a);
    }
}
END_TEST

static struct bytes long_word(void)
{
    static char word[8 << 20];
    for (size_t i = 0; i < sizeof(word); i++)
        word[i] = (char)('a' + i % 23);
    return bytes_of(word, sizeof(word));
}

/* More than the socket's buffers hold: the rest follows when the provider reads on. */
START_TEST(a_long_request_is_sent_in_pieces)
{
    static const char before[] = "{\"model\":\"", after[] = "\"}";
    struct bytes word = long_word();
    struct ask a;
    rig_open(&rig, false);
    rig.cfg.limits.max_message_bytes = word.len;
    rig_start(&rig);
    rig.fake.every = &hello;
    for (int i = 0; i < 2; i++) {
        ask_start_model(&a, &rig, word);
        hear_hello(&a);
        uint64_t hash = fake_hash(0, before, sizeof(before) - 1);
        hash = fake_hash(fake_hash(hash, word.data, word.len), after, sizeof(after) - 1);
        ck_assert_uint_eq(rig.fake.last_body_hash, hash);
        RUN_UNTIL(&rig, pool()->n_idle == 1);
    }
    ck_assert_uint_eq(rig.fake.connections, 1);
    rig_close(&rig);
}
END_TEST

/* A provider that answers before it has read the request, and goes: the answer counts. */
START_TEST(an_early_answer_counts)
{
    static const char refusal[] = "HTTP/1.1 413 Large\r\nContent-Length: 5\r\n\r\nlarge";
    struct bytes word = long_word();
    struct ask a;
    rig_open(&rig, false);
    rig.cfg.limits.max_message_bytes = word.len;
    rig_start(&rig);
    ask_start_model(&a, &rig, word);
    RUN_UNTIL(&rig, rig.fake.connections == 1);
    uv_read_stop((uv_stream_t *)&rig.fake.conns->tcp);
    fake_push(&rig.fake, refusal);
    RUN_UNTIL(&rig, a.ended && upstream_in_flight(rig.up) == 0);
    ck_failed(&a, 413, "said_so");
    ck_assert_str_eq(a.log.end.error.message, "large");
    ck_assert_uint_eq(pool()->n_connections, 0); /* half a request was sent on it */
    rig_done(&rig, &a);
}
END_TEST

START_TEST(connections_that_may_not_be_used_again)
{
    static const struct {
        struct fake_reply reply;
        bool again;
    } cases[] = {
        {{.bytes = HEAD "Content-Length: 24\r\n\r\n" ANSWER}, true},
        {{.bytes = HEAD "Content-Length: 24\r\nConnection: close\r\n\r\n" ANSWER}, false},
        {{.bytes = "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 24\r\n\r\n" ANSWER},
         false},
        {{.bytes = HEAD "Content-Length: 24\r\n\r\n" ANSWER "HTTP/1.1 200 OK\r\n"}, false},
        {{.bytes = "HTTP/1.1 429 Slow\r\nContent-Length: 4\r\n\r\nwait"}, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ask a;
        rig_open(&rig, false);
        rig_ask(&rig, &a, &cases[i].reply);
        RUN_UNTIL(&rig, a.ended && upstream_in_flight(rig.up) == 0);
        ck_assert_uint_eq(pool()->n_idle, cases[i].again);
        rig.fake.every = &hello;
        ask_free(&a);
        ask_start(&a, &rig);
        hear_hello(&a);
        ck_assert_uint_eq(rig.fake.connections, cases[i].again ? 1 : 2);
        rig_close(&rig);
    }
}
END_TEST

/* The answer's end was not seen as such by the first request: nobody may read it as the second one's. */
START_TEST(an_idle_connection_that_speaks_is_closed)
{
    struct ask a;
    rig_open(&rig, false);
    rig_ask(&rig, &a, &hello);
    hear_hello(&a);
    RUN_UNTIL(&rig, pool()->n_idle == 1);
    fake_push(&rig.fake, HEAD "Content-Length: 24\r\n\r\ndata: Wrong\n\ndata: end\n\n");
    RUN_UNTIL(&rig, pool()->n_idle == 0);
    ask_start(&a, &rig);
    hear_hello(&a);
    ck_assert_uint_eq(rig.fake.connections, 2);
    rig_close(&rig);
}
END_TEST

/* The second request of a connection meets its end; those on new connections do not. */
static const struct fake_reply *hang_up_on_the_second(struct fake *f, unsigned n)
{
    static const struct fake_reply gone = {.close = true}, reset = {.close = true, .reset = true};
    if (n % 2 == 1)
        return f->ctx ? &reset : &gone;
    return &hello;
}

START_TEST(a_request_that_meets_a_closing_connection_is_sent_again_once)
{
    struct ask a;
    rig_open(&rig, false);
    rig_start(&rig);
    rig.fake.reply = hang_up_on_the_second;
    rig.fake.ctx = _i ? &rig : NULL;
    ask_start(&a, &rig);
    hear_hello(&a);
    RUN_UNTIL(&rig, pool()->n_idle == 1);
    ask_start(&a, &rig);
    hear_hello(&a);
    ck_assert_uint_eq(rig.fake.requests, 3);
    ck_assert_uint_eq(rig.fake.connections, 2);
    rig_close(&rig);
}
END_TEST

static const struct fake_reply *only_the_first(struct fake *f, unsigned n)
{
    static const struct fake_reply gone = {.close = true}, begun = {.bytes = "H", .close = true};
    if (n == 0)
        return &hello;
    return f->ctx ? &begun : &gone;
}

START_TEST(a_new_connection_that_closes_is_not_tried_again)
{
    struct ask a;
    rig_open(&rig, false);
    rig_start(&rig);
    rig.fake.reply = only_the_first;
    rig.fake.ctx = _i ? &rig : NULL;
    ask_start(&a, &rig);
    hear_hello(&a);
    RUN_UNTIL(&rig, pool()->n_idle == 1);
    ask_start(&a, &rig);
    RUN_UNTIL(&rig, a.ended && upstream_in_flight(rig.up) == 0);
    ck_failed(&a, 502, "upstream_truncated");
    ck_one_terminal(&a);
    /* A single byte of an answer, and nothing is sent again. */
    ck_assert_uint_eq(rig.fake.requests, _i ? 2 : 3);
    rig_done(&rig, &a);
}
END_TEST

/* curl's first connection shows the way; what it cannot be reached at any more, curl looks for again. */
START_TEST(further_connections_need_no_curl)
{
    struct ask first, second, third;
    rig_open(&rig, false);
    rig_start(&rig);
    ask_start(&first, &rig);
    RUN_UNTIL(&rig, rig.fake.requests == 1);
    ck_assert_ptr_null(first.transfer->easy);
    ask_start(&second, &rig);
    /* Not once does curl have it. */
    while (rig.fake.requests < 2) {
        uv_run(&rig.loop.uv, UV_RUN_ONCE);
        ck_assert_ptr_null(second.transfer->easy);
    }
    struct plain_pool *p = &rig.up->origins[0].plain;
    ((struct sockaddr_in *)&p->peer)->sin_port = htons(1); /* where nobody listens */
    ask_start(&third, &rig);
    RUN_UNTIL(&rig, rig.fake.requests == 3);
    ck_assert_uint_eq(rig.fake.connections, 3);
    ck_assert_uint_eq(ntohs(((struct sockaddr_in *)&p->peer)->sin_port), (unsigned)rig.fake.port);
    for (struct fake_conn *c = rig.fake.conns; c; c = c->next)
        fake_send(c, hello.bytes, strlen(hello.bytes), false);
    hear_hello(&first);
    hear_hello(&second);
    hear_hello(&third);
    rig_close(&rig);
}
END_TEST

/* A listener whose queue is full lets nobody in: the SYN is not answered. */
static int full_listener(int fds[], int n, struct sockaddr_in *ret)
{
    socklen_t len = sizeof(*ret);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(bind(fd, (struct sockaddr *)ret, sizeof(*ret)), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)ret, &len), 0);
    for (int i = 0; i < n; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fds[i], (struct sockaddr *)ret, sizeof(*ret));
    }
    return fd;
}

START_TEST(a_peer_that_does_not_accept_is_given_up)
{
    enum { N = 4 };
    struct sockaddr_in full;
    struct ask first, second, third;
    int fds[N], listener = full_listener(fds, N, &full);
    rig_open(&rig, false);
    rig.cfg.timeouts.connect = 50;
    rig_ask(&rig, &first, NULL);
    RUN_UNTIL(&rig, rig.fake.requests == 1);
    struct plain_pool *p = &rig.up->origins[0].plain;
    memcpy(&p->peer, &full, sizeof(full));
    ask_start(&second, &rig);
    RUN_UNTIL(&rig, second.ended);
    ck_failed(&second, 504, "upstream_connect_timeout");
    ask_free(&second);
    /* One that is cancelled while it connects leaves nothing behind. */
    p->peer_until = UINT64_MAX;
    ask_start(&third, &rig);
    RUN_UNTIL(&rig, third.transfer->connection);
    upstream_cancel(third.transfer);
    RUN_UNTIL(&rig, upstream_in_flight(rig.up) == 1);
    ask_free(&third);
    /* The next one asks curl. */
    p->peer_until = 0;
    ask_start(&second, &rig);
    RUN_UNTIL(&rig, rig.fake.requests == 2);
    for (struct fake_conn *c = rig.fake.conns; c; c = c->next)
        fake_send(c, hello.bytes, strlen(hello.bytes), false);
    hear_hello(&first);
    hear_hello(&second);
    rig_close(&rig);
    for (int i = 0; i < N; i++)
        close(fds[i]);
    close(listener);
}
END_TEST

/* With no connection left, requests wait their turn. */
START_TEST(requests_wait_for_a_connection)
{
    enum { N = 12 };
    static struct ask asks[N];
    struct ask first;
    rig_open(&rig, false);
    rig.provider.max_connections = 2;
    rig_ask(&rig, &first, &hello);
    hear_hello(&first);
    for (int i = 0; i < N; i++)
        ask_start(&asks[i], &rig);
    RUN_UNTIL(&rig, !list_empty(&pool()->waiting));
    upstream_cancel(asks[N - 1].transfer);
    for (int i = 0; i < N - 1; i++)
        hear_hello(&asks[i]);
    RUN_UNTIL(&rig, upstream_in_flight(rig.up) == 0);
    ck_assert_uint_eq(asks[N - 1].told, 0);
    ck_assert_uint_le(rig.fake.connections, 2);
    ck_assert_uint_eq(rig.fake.requests, N);
    ask_free(&asks[N - 1]);
    rig_close(&rig);
}
END_TEST

START_TEST(idle_connections_have_a_ceiling)
{
    enum { N = 6 };
    static struct ask asks[N];
    rig_open(&rig, false);
    rig.provider.max_idle_connections = 2;
    rig_start(&rig);
    for (int i = 0; i < N; i++)
        ask_start(&asks[i], &rig);
    RUN_UNTIL(&rig, rig.fake.requests == N);
    for (struct fake_conn *c = rig.fake.conns; c; c = c->next)
        fake_send(c, hello.bytes, strlen(hello.bytes), false);
    for (int i = 0; i < N; i++)
        hear_hello(&asks[i]);
    RUN_UNTIL(&rig, rig.fake.peer_closed == N - 2);
    ck_assert_uint_eq(pool()->n_idle, 2);
    ck_assert_uint_eq(pool()->n_connections, 2);
    rig_close(&rig);
}
END_TEST

START_TEST(an_idle_connection_grows_old)
{
    struct ask a;
    rig_open(&rig, false);
    rig.cfg.timeouts.upstream_idle = 20;
    rig_ask(&rig, &a, NULL);
    RUN_UNTIL(&rig, rig.fake.requests == 1);
    fake_push(&rig.fake, hello.bytes);
    hear_hello(&a);
    RUN_UNTIL(&rig, rig.fake.peer_closed == 1);
    ck_assert_uint_eq(pool()->n_connections, 0);
    rig_close(&rig);
}
END_TEST

START_TEST(closing_takes_down_those_that_wait)
{
    struct ask a, b;
    rig_open(&rig, false);
    rig.provider.max_connections = 1;
    rig_ask(&rig, &a, NULL);
    RUN_UNTIL(&rig, rig.fake.requests == 1);
    ask_start(&b, &rig);
    RUN_UNTIL(&rig, !list_empty(&pool()->waiting));
    rig_close(&rig);
    ck_assert_uint_eq(rig.fake.requests, 1);
    ck_assert_uint_eq(a.told + b.told, 0);
    ask_free(&a);
    ask_free(&b);
}
END_TEST

START_TEST(broken_framing_is_no_answer)
{
    static const char *const cases[] = {
        HEAD "Transfer-Encoding: chunked\r\nContent-Length: 24\r\n\r\n" ANSWER,
        HEAD "Content-Length: 24\r\nContent-Length: 24\r\n\r\n" ANSWER,
        HEAD "Transfer-Encoding: chunked\r\n\r\nxyz\r\n" ANSWER,
        HEAD "Transfer-Encoding: chunked\r\n\r\nd\r\ndata: Hello\n\nb\r\ndata: end\n\n\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_reply r = {.bytes = cases[i]};
        struct ask a;
        rig_open(&rig, false);
        rig_ask(&rig, &a, &r);
        RUN_UNTIL(&rig, a.ended && upstream_in_flight(rig.up) == 0);
        ck_failed(&a, 502, "upstream_invalid_response");
        ck_one_terminal(&a);
        RUN_UNTIL(&rig, rig.fake.peer_closed == 1);
        rig_done(&rig, &a);
    }
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("connections");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, the_request_line_and_host_are_the_base_urls);
    tcase_add_test(c, a_long_request_is_sent_in_pieces);
    tcase_add_test(c, an_early_answer_counts);
    tcase_add_test(c, connections_that_may_not_be_used_again);
    tcase_add_test(c, an_idle_connection_that_speaks_is_closed);
    tcase_add_loop_test(c, a_request_that_meets_a_closing_connection_is_sent_again_once, 0, 2);
    tcase_add_loop_test(c, a_new_connection_that_closes_is_not_tried_again, 0, 2);
    tcase_add_test(c, further_connections_need_no_curl);
    tcase_add_test(c, a_peer_that_does_not_accept_is_given_up);
    tcase_add_test(c, requests_wait_for_a_connection);
    tcase_add_test(c, idle_connections_have_a_ceiling);
    tcase_add_test(c, an_idle_connection_grows_old);
    tcase_add_test(c, closing_takes_down_those_that_wait);
    tcase_add_test(c, broken_framing_is_no_answer);
    return run_case(c);
}

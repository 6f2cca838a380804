/* The server room over real sockets: WebSocket. Each test once without TLS and once with it. */
#include "gateway/server/ws.h"
#include "rig.h"
#include "tests/unit/common/run.h"

#define KEY "Authorization: Bearer sk-test-1\r\n"
#define FIN 0x80U

static struct rig rig;

static void start(void)
{
    rig_start(&rig, "limits: {max_message_bytes: 200KiB}\n");
}

static void start_quick(void)
{
    rig_start(&rig, "timeouts: {ping: 100ms, write: 300ms}\n");
}

static void start_idle(void)
{
    rig_start(&rig, "timeouts: {idle: 100ms}\n");
}

static void stop(void)
{
    rig_stop(&rig);
}

static void upgrade(struct client *c, const char *path, const char *headers)
{
    char request[1024];
    int n = snprintf(request, sizeof(request),
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: "
                     "websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                     path, headers);
    ck_assert(n > 0 && (size_t)n < sizeof(request));
    client_send(c, bytes_of(request, (size_t)n));
}

/* Drops the answer's head from what has come in. */
static void open_ws(struct client *c, int transport, int receive, const char *path, const char *headers)
{
    client_open(c, &rig, transport, receive);
    upgrade(c, path, headers);
    client_read_until(c, "\r\n\r\n");
    ck_assert_msg(bytes_starts(buf_bytes(&c->in), BYTES("HTTP/1.1 101 ")), "%.*s",
                  BYTES_FMT(buf_bytes(&c->in)));
    ck_assert(client_has(c, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    const char *end = memmem(c->in.data, c->in.len, "\r\n\r\n", 4);
    buf_consume(&c->in, (size_t)(end - c->in.data) + 4);
}

static bool send_frame(struct client *c, unsigned first, struct bytes payload)
{
    static const uint8_t mask[4] = {9, 8, 7, 6};
    uint8_t head[WS_MAX_HEADER];
    struct buf out;
    buf_init(&out, payload.len + 64);
    size_t n = ws_header(head, WS_OP_TEXT, payload.len);
    head[0] = (uint8_t)first;
    head[1] |= 0x80;
    buf_append(&out, head, n);
    buf_append(&out, mask, sizeof(mask));
    buf_append_bytes(&out, payload);
    ws_unmask(out.data + n + sizeof(mask), payload.len, mask, 0);
    bool ok = client_send(c, buf_bytes(&out));
    buf_free(&out);
    return ok;
}

/* The next frame; its payload stays in c->in until `done_frame`. */
struct frame {
    unsigned first;
    struct bytes payload;
    size_t size;
};

static bool whole(const struct client *c, struct frame *ret)
{
    const uint8_t *d = (const uint8_t *)c->in.data;
    if (c->in.len < 2)
        return false;
    ck_assert_msg((d[1] & 0x80) == 0, "a server does not mask");
    size_t n = d[1] == 126 ? 2 : d[1] == 127 ? 8 : 0, len = n == 0 ? d[1] : 0;
    if (c->in.len < 2 + n)
        return false;
    for (size_t i = 0; i < n; i++)
        len = len << 8 | d[2 + i];
    *ret = (struct frame){d[0], bytes_of(c->in.data + 2 + n, len), 2 + n + len};
    return c->in.len >= ret->size;
}

static bool next_frame(struct client *c, struct frame *ret)
{
    while (!whole(c, ret))
        if (!client_read(c))
            return false;
    return true;
}

static void expect_frame(struct client *c, unsigned first, struct bytes payload)
{
    struct frame f;
    ck_assert(next_frame(c, &f));
    ck_assert_msg(f.first == first && bytes_eq(f.payload, payload), "got %02x with %zu bytes: %.*s", f.first,
                  f.payload.len, (int)MIN(f.payload.len, 200), f.payload.data);
    buf_consume(&c->in, f.size);
}

static void expect_close(struct client *c, unsigned code)
{
    struct frame f;
    ck_assert(next_frame(c, &f));
    ck_assert_uint_eq(f.first, FIN | WS_OP_CLOSE);
    ck_assert_uint_ge(f.payload.len, 2);
    ck_assert_uint_eq((unsigned)(uint8_t)f.payload.data[0] << 8 | (uint8_t)f.payload.data[1], code);
    ck_assert(utf8_valid(bytes_skip(f.payload, 2)));
    buf_consume(&c->in, f.size);
}

static void expect_end(struct client *c)
{
    client_read_to_end(c);
    ck_assert_msg(c->in.len == 0, "%zu bytes before the end", c->in.len);
}

START_TEST(echoes_every_size)
{
    static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 204800};
    static char text[204800];
    struct client c;
    memset(text, 'x', sizeof(text));
    open_ws(&c, _i, 0, "/echo", "");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        send_frame(&c, FIN | WS_OP_TEXT, bytes_of(text, sizes[i]));
        expect_frame(&c, FIN | WS_OP_TEXT, bytes_of(text, sizes[i]));
        send_frame(&c, FIN | WS_OP_BINARY, bytes_of(text, sizes[i]));
        expect_frame(&c, FIN | WS_OP_BINARY, bytes_of(text, sizes[i]));
    }
    client_close(&c);
}
END_TEST

START_TEST(answers_pings_in_order_among_fragments)
{
    struct client c;
    open_ws(&c, _i, 0, "/echo", "");
    send_frame(&c, WS_OP_TEXT, BYTES("a\xc3"));
    send_frame(&c, FIN | WS_OP_PING, BYTES("1"));
    send_frame(&c, FIN | WS_OP_PING, BYTES("2"));
    send_frame(&c, WS_OP_CONTINUATION, BYTES("\xa9"));
    send_frame(&c, FIN | WS_OP_PING, BYTES(""));
    send_frame(&c, FIN | WS_OP_CONTINUATION, BYTES("b"));
    expect_frame(&c, FIN | WS_OP_PONG, BYTES("1"));
    expect_frame(&c, FIN | WS_OP_PONG, BYTES("2"));
    expect_frame(&c, FIN | WS_OP_PONG, BYTES(""));
    expect_frame(&c, FIN | WS_OP_TEXT,
                 BYTES("a\xc3\xa9"
                       "b"));
    client_close(&c);
}
END_TEST

START_TEST(closes_when_asked)
{
    static const struct {
        const char *payload;
        size_t len, answered;
    } cases[] = {{"", 0, 0}, {"\x03\xe8", 2, 2}, {"\x03\xe8 bye", 6, 2}, {"\x0f\xa0", 2, 2}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct client c;
        open_ws(&c, _i, 0, i % 2 ? "/echo" : "/v1/responses", KEY);
        send_frame(&c, FIN | WS_OP_CLOSE, bytes_of(cases[i].payload, cases[i].len));
        /* What comes behind a close frame does not matter any more. */
        send_frame(&c, FIN | WS_OP_TEXT, BYTES("late"));
        expect_frame(&c, FIN | WS_OP_CLOSE, bytes_of(cases[i].payload, cases[i].answered));
        expect_end(&c);
        client_close(&c);
    }
}
END_TEST

static void fails(int transport, struct bytes raw, unsigned code)
{
    struct client c;
    open_ws(&c, transport, 0, "/echo", "");
    client_send(&c, raw);
    /* A client in full flow must still get to read the close frame. */
    char noise[2000];
    memset(noise, 0x55, sizeof(noise));
    for (int i = 0; i < 20 && client_send(&c, bytes_of(noise, sizeof(noise))); i++)
        ;
    expect_close(&c, code);
    expect_end(&c);
    client_close(&c);
}

START_TEST(fails_with_the_right_code)
{
    fails(_i, BYTES("\x81\x01x"), WS_PROTOCOL_ERROR);
    fails(_i,
          BYTES("\x83\x80"
                "mask"),
          WS_PROTOCOL_ERROR);
    fails(_i,
          BYTES("\xc1\x80"
                "mask"),
          WS_PROTOCOL_ERROR);
    fails(_i,
          BYTES("\x80\x80"
                "mask"),
          WS_PROTOCOL_ERROR);
    fails(_i, BYTES("\x81\x81\x00\x00\x00\x00\xff"), WS_BAD_DATA);
    fails(_i,
          BYTES("\x82\xff\x00\x00\x00\x00\x00\x03\x20\x01"
                "mask"),
          WS_TOO_BIG);
    fails(_i,
          BYTES("\x82\xff\x00\x00\x01\x00\x00\x00\x00\x00"
                "mask"),
          WS_TOO_BIG);
}
END_TEST

static void refused(int transport, const char *path, const char *headers, int status, const char *has)
{
    char line[32];
    struct client c;
    client_open(&c, &rig, transport, 0);
    upgrade(&c, path, headers);
    client_read_until(&c, "}}");
    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    ck_assert_msg(bytes_starts(buf_bytes(&c.in), bytes_cstr(line)) && client_has(&c, has), "%.*s",
                  BYTES_FMT(buf_bytes(&c.in)));
    client_close(&c);
}

START_TEST(refuses_before_the_upgrade)
{
    refused(_i, "/v1/responses", "", 401, "missing_api_key");
    refused(_i, "/v1/responses", "Authorization: Bearer sk-no\r\n", 401, "invalid_api_key");
    refused(_i, "/v1/responses", "Sec-WebSocket-Protocol: responses, openai-insecure-api-key.sk-no\r\n", 401,
            "invalid_api_key");
    refused(_i, "/v1/responses?token=sk-test-1", KEY, 401, "token_in_url");
    refused(_i, "/v1/responses?a=b&access_token=sk-test-1", "", 401, "token_in_url");
    refused(_i, "/v1/responses", KEY "Origin: https://evil.example.com\r\n", 403, "origin_not_allowed");
    refused(_i, "/v1/chat/completions", KEY, 405, "method_not_allowed");
    refused(_i, "/nothing", KEY, 404, "unknown_url");
    refused(_i, "/v1/responses", KEY "Sec-WebSocket-Version: 8\r\n", 426, "Sec-WebSocket-Version: 13\r\n");
    refused(_i, "/v1/responses", KEY "Sec-WebSocket-Key: AAAA\r\n", 400, "Sec-WebSocket-Key");
    refused(_i, "/v1/responses", KEY "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400,
            "bad_request");
}
END_TEST

#define PROTOCOLS "Sec-WebSocket-Protocol: responses, openai-insecure-api-key.sk-test-1\r\n"

START_TEST(a_browser_gives_its_key_as_a_subprotocol)
{
    struct client c;
    client_open(&c, &rig, _i, 0);
    upgrade(&c, "/v1/responses",
            PROTOCOLS "Origin: https://chat.example.com\r\nOpenAI-Beta: responses_websockets=x\r\n");
    client_read_until(&c, "\r\n\r\n");
    ck_assert(bytes_starts(buf_bytes(&c.in), BYTES("HTTP/1.1 101 ")));
    ck_assert(client_has(&c, "\r\nSec-WebSocket-Protocol: responses\r\n"));
    ck_assert(!client_has(&c, "sk-test-1"));
    client_close(&c);
}
END_TEST

START_TEST(streams_an_answer_and_lives_on)
{
    struct client c;
    open_ws(&c, _i, 0, "/v1/responses", KEY);
    send_frame(&c, FIN | WS_OP_TEXT, BYTES("no json"));
    client_read_until(&c, "\"invalid_json\"");
    send_frame(&c, FIN | WS_OP_TEXT,
               BYTES("{\"type\":\"response.create\",\"model\":\"demo\",\"input\":\"count to 3\"}"));
    client_read_until(&c, "\"type\":\"response.completed\"");
    struct frame f;
    for (bool completed = false; !completed;) {
        ck_assert(next_frame(&c, &f));
        ck_assert_uint_eq(f.first, FIN | WS_OP_TEXT);
        completed =
            f.payload.len > 29 && memmem(f.payload.data, f.payload.len, "\"response.completed\"", 20) != NULL;
        buf_consume(&c.in, f.size);
    }
    send_frame(&c, FIN | WS_OP_BINARY, BYTES("{}"));
    expect_close(&c, WS_UNSUPPORTED);
    send_frame(&c, FIN | WS_OP_CLOSE, BYTES("\x03\xeb"));
    expect_end(&c);
    client_close(&c);
}
END_TEST

START_TEST(leaving_cancels)
{
    char request[4096];
    struct client c;
    open_ws(&c, _i, 0, "/v1/responses", KEY);
    send_frame(&c, FIN | WS_OP_TEXT,
               BYTES("{\"type\":\"response.create\",\"model\":\"mute\",\"input\":\"x\"}"));
    int upstream = accept(rig.provider, NULL, NULL);
    ck_assert_int_ge(upstream, 0);
    ck_assert_int_gt(recv(upstream, request, sizeof(request), 0), 0);
    client_close(&c);
    while (recv(upstream, request, sizeof(request), 0) > 0)
        ;
    close(upstream);
}
END_TEST

/* Pings come; one that answers them stays, one that does not is let go. */
START_TEST(pings)
{
    struct frame f;
    struct client c;
    open_ws(&c, _i, 0, "/echo", "");
    for (int i = 0; i < 6; i++) {
        expect_frame(&c, FIN | WS_OP_PING, BYTES(""));
        send_frame(&c, FIN | WS_OP_PONG, BYTES(""));
    }
    int unanswered = 0;
    while (next_frame(&c, &f)) {
        ck_assert_uint_eq(f.first, FIN | WS_OP_PING);
        buf_consume(&c.in, f.size);
        unanswered++;
    }
    ck_assert_int_gt(unanswered, 0);
    client_close(&c);
}
END_TEST

START_TEST(silence_ends)
{
    struct client c;
    open_ws(&c, _i, 0, "/v1/responses", KEY);
    client_read_until(&c, "\x03\xe8"
                          "idle");
    send_frame(&c, FIN | WS_OP_CLOSE, BYTES("\x03\xe8"));
    client_read_to_end(&c);
    client_close(&c);
}
END_TEST

START_TEST(a_close_that_is_not_answered_ends_all_the_same)
{
    struct client c;
    open_ws(&c, 0, 0, "/v1/responses", KEY);
    client_read_until(&c, "\x03\xe8"
                          "idle");
    client_read_to_end(&c);
    client_close(&c);
}
END_TEST

/* It reads nothing, but goes on sending pongs: it is let go when its socket has taken nothing for long. */
START_TEST(a_client_that_does_not_read_is_let_go)
{
    static char text[100000];
    struct client c;
    memset(text, 'x', sizeof(text));
    open_ws(&c, _i, 4096, "/echo", "");
    for (int i = 0; i < 8; i++)
        send_frame(&c, FIN | WS_OP_BINARY, bytes_of(text, sizeof(text)));
    struct pollfd p = {.fd = c.fd, .events = 0};
    while (poll(&p, 1, 10) == 0 && send_frame(&c, FIN | WS_OP_PONG, BYTES("")))
        ;
    client_close(&c);
    /* And nobody else has noticed. */
    open_ws(&c, _i, 0, "/echo", "");
    send_frame(&c, FIN | WS_OP_TEXT, BYTES("x"));
    expect_frame(&c, FIN | WS_OP_TEXT, BYTES("x"));
    client_close(&c);
}
END_TEST

/* One that pings and never reads gets fewer pongs, not more memory; one that reads late gets all that it is
 * owed in order. */
START_TEST(a_flood_of_pings_is_bounded)
{
    enum { N = 20000 };
    struct frame f;
    struct client c;
    char payload[16];
    unsigned last = 0, n = 0;
    open_ws(&c, _i, 4096, "/v1/responses", KEY);
    for (unsigned i = 1; i <= N; i++) {
        snprintf(payload, sizeof(payload), "%010u", i);
        if (!send_frame(&c, FIN | WS_OP_PING, bytes_of(payload, 10)))
            break;
    }
    ck_assert(!c.ended);
    while (last < N && next_frame(&c, &f)) {
        if (f.first != (FIN | WS_OP_PONG) || f.payload.len != 10)
            ck_abort_msg("a frame %02x of %zu bytes", f.first, f.payload.len);
        memcpy(payload, f.payload.data, 10);
        payload[10] = 0;
        unsigned i = (unsigned)strtoul(payload, NULL, 10);
        if (i <= last)
            ck_abort_msg("pong %u after %u", i, last);
        last = i;
        n++;
        buf_consume(&c.in, f.size);
    }
    ck_assert_uint_eq(last, N);
    ck_assert_uint_le(n, N);
    client_close(&c);
}
END_TEST

static void end_of_drain(void)
{
    rig_ends(&rig);
}

START_TEST(drains)
{
    struct client idle, busy, http;
    open_ws(&idle, _i, 0, "/v1/responses", KEY);
    open_ws(&busy, _i, 0, "/v1/responses", KEY);
    client_open(&http, &rig, _i, 0);
    client_send(&http, BYTES("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    client_read_until(&http, "}}");
    send_frame(&busy, FIN | WS_OP_TEXT,
               BYTES("{\"type\":\"response.create\",\"model\":\"demo\",\"input\":\"count to 9\"}"));
    client_read_until(&busy, "\"response.created\"");
    kill(rig.child, SIGUSR1);
    client_read_to_end(&http);
    client_read_until(&idle, "session.going_away");
    client_read_until(&idle, "\x03\xf4"
                             "going away");
    send_frame(&idle, FIN | WS_OP_CLOSE, BYTES("\x03\xf4"));
    client_read_to_end(&idle);
    client_read_until(&busy, "session.going_away");
    client_read_until(&busy, "\"type\":\"response.completed\"");
    client_read_until(&busy, "\x03\xf4"
                             "going away");
    send_frame(&busy, FIN | WS_OP_CLOSE, BYTES("\x03\xf4"));
    client_read_to_end(&busy);
    client_close(&idle);
    client_close(&busy);
    client_close(&http);
}
END_TEST

/* The end of all patience: whatever is in flight, everybody gets a close frame. */
START_TEST(stops)
{
    struct client a, b;
    open_ws(&a, _i, 0, "/v1/responses", KEY);
    open_ws(&b, _i, 0, "/echo", "");
    send_frame(&a, FIN | WS_OP_TEXT,
               BYTES("{\"type\":\"response.create\",\"model\":\"mute\",\"input\":\"x\"}"));
    client_read_until(&a, "\"response.created\"");
    kill(rig.child, SIGTERM);
    client_read_until(&a, "\x03\xf4"
                          "restart");
    client_read_until(&b, "\x03\xf4"
                          "restart");
    client_close(&a);
    client_close(&b);
}
END_TEST

int main(void)
{
    static void (*const ends[])(void) = {stop, stop, end_of_drain, stop};
    static void (*const starts[])(void) = {start, start_quick, start, start_idle};
    static const char *const names[] = {"ws", "ws_quick", "ws_end", "ws_idle"};
    Suite *suite = suite_create("server_ws");
    TCase *tc[ARRAY_LEN(names)];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        tc[i] = tcase_create(names[i]);
        tcase_set_timeout(tc[i], 120);
        tcase_add_checked_fixture(tc[i], starts[i], ends[i]);
        suite_add_tcase(suite, tc[i]);
    }
    tcase_add_loop_test(tc[0], echoes_every_size, 0, TRANSPORTS);
    tcase_add_loop_test(tc[0], answers_pings_in_order_among_fragments, 0, TRANSPORTS);
    tcase_add_loop_test(tc[0], closes_when_asked, 0, TRANSPORTS);
    tcase_add_loop_test(tc[0], fails_with_the_right_code, 0, TRANSPORTS);
    tcase_add_loop_test(tc[0], refuses_before_the_upgrade, 0, TRANSPORTS);
    tcase_add_loop_test(tc[0], a_browser_gives_its_key_as_a_subprotocol, 0, TRANSPORTS);
    tcase_add_loop_test(tc[0], streams_an_answer_and_lives_on, 0, TRANSPORTS);
    tcase_add_loop_test(tc[0], leaving_cancels, 0, TRANSPORTS);
    tcase_add_loop_test(tc[0], a_flood_of_pings_is_bounded, 0, TRANSPORTS);
    tcase_add_loop_test(tc[1], pings, 0, TRANSPORTS);
    tcase_add_loop_test(tc[1], a_client_that_does_not_read_is_let_go, 0, TRANSPORTS);
    tcase_add_loop_test(tc[2], drains, 0, TRANSPORTS);
    tcase_add_loop_test(tc[2], stops, 0, TRANSPORTS);
    tcase_add_loop_test(tc[3], silence_ends, 0, TRANSPORTS);
    tcase_add_test(tc[3], a_close_that_is_not_answered_ends_all_the_same);
    return run_suite(suite);
}

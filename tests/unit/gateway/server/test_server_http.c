/* The server room over real sockets: HTTP. Each test once without TLS and once with it. */
#include "rig.h"
#include "tests/unit/common/run.h"

#define HOST "Host: localhost\r\n"
#define KEY "Authorization: Bearer sk-test-1\r\n"
#define JSON "Content-Type: application/json\r\n"
#define CLOSE "Connection: close\r\n"
#define ORIGIN(o) "Origin: https://" o "\r\n"

static struct rig rig;

static void stop(void)
{
    rig_stop(&rig);
}

static void start_quick(void)
{
    rig_start(&rig,
              "timeouts: {handshake: 300ms, keep_alive: 200ms, heartbeat: 50ms, write: 300ms}\n"
              "limits: {max_message_bytes: 4KiB, max_header_bytes: 2KiB, max_sessions_per_address: 8}\n");
}

static void start(void)
{
    rig_start(&rig, "limits: {max_message_bytes: 4KiB, max_header_bytes: 2KiB}\n");
}

static void answers(int transport, struct bytes request, int status, const char *has)
{
    char line[32];
    struct client c;
    client_open(&c, &rig, transport, 0);
    client_send(&c, request);
    client_read_to_end(&c);
    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    ck_assert_msg(bytes_starts(buf_bytes(&c.in), bytes_cstr(line)) && client_has(&c, has) &&
                      client_has(&c, "x-request-id: "),
                  "expected %d with '%s', got %.*s", status, has, BYTES_FMT(buf_bytes(&c.in)));
    client_close(&c);
}

#define ANSWERS(request, status, has) answers(_i, BYTES(request), status, has)

START_TEST(serves_and_refuses)
{
    ANSWERS("GET / HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "Content-Security-Policy: ");
    ANSWERS("GET / HTTP/1.0\r\n\r\n", 200, "Connection: close\r\n");
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST KEY CLOSE "\r\n", 200, "\"object\":\"list\"");
    ANSWERS("GET http://localhost/v1/models HTTP/1.1\r\n" HOST KEY CLOSE "\r\n", 200, "\"object\":\"list\"");
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST "x-api-key: sk-test-1\r\n" CLOSE "\r\n", 200,
            "\"object\":\"list\"");
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST "x-api-key: sk-no\r\n" CLOSE "\r\n", 401, "invalid_api_key");
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST "x-api-key: sk-test-1\r\nx-api-key: sk-test-1\r\n" CLOSE
            "\r\n",
            401, "missing_api_key");
    ANSWERS("GET /v1/models/demo HTTP/1.1\r\n" HOST KEY CLOSE "\r\n", 200,
            "\r\n\r\n{\"id\":\"demo\",\"object\":\"model\"");
    ANSWERS("GET /v1/models/d%65m%6F HTTP/1.1\r\n" HOST KEY CLOSE "\r\n", 200, "{\"id\":\"demo\",");
    ANSWERS("GET /v1/models/demo%00 HTTP/1.1\r\n" HOST KEY CLOSE "\r\n", 404, "'demo%00'");
    ANSWERS("GET /v1/models/mute%2Fx HTTP/1.1\r\n" HOST KEY CLOSE "\r\n", 404, "'mute/x'");
    ANSWERS("GET /v1/models/%ff HTTP/1.1\r\n" HOST KEY CLOSE "\r\n", 400, "bad_request");
    ANSWERS("GET /v1/models/none HTTP/1.1\r\n" HOST KEY CLOSE "\r\n", 404, "model_not_found");
    ANSWERS("GET /v1/models/demo HTTP/1.1\r\n" HOST CLOSE "\r\n", 401, "missing_api_key");
    ANSWERS("GET /healthz HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "{\"status\":\"ok\"}");
    ANSWERS("GET /readyz HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "{\"status\":\"ready\"}");
    ANSWERS("HEAD /healthz HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "Content-Length: 15\r\n");
    ANSWERS("HEAD / HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "Content-Length: ");
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST KEY CLOSE "\r\n", 200, "openai-processing-ms: ");
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST CLOSE "\r\n", 401, "WWW-Authenticate: Bearer\r\n");
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST "Authorization: Bearer sk-no\r\n" CLOSE "\r\n", 401,
            "invalid_api_key");
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST KEY KEY CLOSE "\r\n", 401, "missing_api_key");
    ANSWERS("GET /v1/models?x=1&api_key=sk-test-1 HTTP/1.1\r\n" HOST KEY CLOSE "\r\n", 401, "token_in_url");
    ANSWERS("GET /v1/models?key=sk-test-1 HTTP/1.1\r\n" HOST KEY CLOSE "\r\n", 401, "token_in_url");
    ANSWERS("GET /v1/models?x&%61pi%5Fke%79=sk-test-1 HTTP/1.1\r\n" HOST KEY CLOSE "\r\n", 401,
            "token_in_url");
    ANSWERS("GET /v1/models?%74%6F%6b%65%6e= HTTP/1.1\r\n" HOST KEY CLOSE "\r\n", 401, "token_in_url");
    ANSWERS("GET /v1/models?keys=1&%6bey%=1&%6bey%0=1&%6&x=key=1&token HTTP/1.1\r\n" HOST KEY CLOSE "\r\n",
            200, "\"object\":\"list\"");
    ANSWERS("GET /v1/nothing HTTP/1.1\r\n" HOST CLOSE "\r\n", 404, "unknown_url");
    ANSWERS("GET /v1/models/ HTTP/1.1\r\n" HOST CLOSE "\r\n", 404, "Did you mean /v1/models?");
    ANSWERS("PUT /v1/models HTTP/1.1\r\n" HOST CLOSE "\r\n", 405, "Allow: GET, HEAD, OPTIONS\r\n");
    ANSWERS("GET /v1/chat/completions HTTP/1.1\r\n" HOST CLOSE "\r\n", 405, "Allow: POST, OPTIONS\r\n");
    ANSWERS("POST / HTTP/1.1\r\n" HOST CLOSE "Content-Length: 0\r\n\r\n", 405, "method_not_allowed");
    ANSWERS("GET /v1/responses HTTP/1.1\r\n" HOST CLOSE "\r\n", 426, "Connection: Upgrade, close\r\n");
    ANSWERS("POST /v1/responses HTTP/1.1\r\n" HOST KEY CLOSE "Content-Length: 2\r\n\r\n{}", 415,
            "unsupported_content_type");
    ANSWERS("POST /v1/responses HTTP/1.1\r\n" HOST KEY JSON CLOSE
            "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
            415, "without a 'Content-Encoding' header");
    ANSWERS("POST /v1/responses HTTP/1.1\r\n" HOST KEY JSON CLOSE
            "Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
            415, "Accept-Encoding: identity\r\n");
    ANSWERS("POST /v1/responses HTTP/1.1\r\n" HOST KEY JSON CLOSE
            "Content-Encoding: Identity\r\nContent-Length: 2\r\n\r\n{}",
            400, "invalid_request_error");
    ANSWERS("POST /v1/chat/completions/ HTTP/1.1\r\n" HOST KEY JSON CLOSE "Content-Length: 2\r\n\r\n{}", 404,
            "There is nothing at /v1/chat/completions/. Did you mean /v1/chat/completions?");
    ANSWERS("POST /v1/models HTTP/1.1\r\n" HOST CLOSE "Content-Length: 0\r\n\r\n", 405,
            "/v1/models is not for POST. What there is: GET, HEAD, OPTIONS.");
    ANSWERS("POST /v1/responses HTTP/1.1\r\n" HOST KEY JSON CLOSE "Content-Length: 2\r\n\r\n{}", 400,
            "invalid_request_error");
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST CLOSE "X-Request-Id: mine-1.2:3_4\r\n\r\n", 401,
            "x-request-id: mine-1.2:3_4\r\n");
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST CLOSE "X-Request-Id: <mine>\r\n\r\n", 401,
            "x-request-id: req_");
    /* What carries over to another protocol is not spoken here; the rest of the request is. */
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST KEY "Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n", 200,
            "\"object\":\"list\"");
    ANSWERS("OPTIONS * HTTP/1.1\r\n" HOST CLOSE "\r\n", 204, "Allow: ");
    ANSWERS("OPTIONS / HTTP/1.1\r\n" HOST CLOSE "\r\n", 204, "Allow: GET, HEAD, OPTIONS\r\n");
}
END_TEST

START_TEST(closes_after_what_it_cannot_read)
{
    ANSWERS("GET / HTTP/1.1\r\n\r\n", 400, "bad_request");
    ANSWERS("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400, "bad_request");
    ANSWERS("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400,
            "bad_request");
    ANSWERS("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nno\r\n", 400, "bad_request");
    ANSWERS("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501, "not_implemented");
    ANSWERS("POST / HTTP/1.1\r\n" HOST "Content-Length: 4097\r\n\r\n", 413, "request_too_large");
    ANSWERS("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1001\r\n", 413,
            "request_too_large");
    ANSWERS("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: magic\r\n\r\n", 417,
            "expectation_failed");
    ANSWERS("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http_version_not_supported");
    ANSWERS("\x16\x03\x01", 400, "bad_request");
    struct client c;
    char big[2100];
    memset(big, 'x', sizeof(big));
    client_open(&c, &rig, _i, 0);
    client_send(&c, BYTES("GET / HTTP/1.1\r\n" HOST "X: "));
    client_send(&c, bytes_of(big, sizeof(big)));
    client_read_to_end(&c);
    ck_assert(bytes_starts(buf_bytes(&c.in), BYTES("HTTP/1.1 431 ")) && client_has(&c, "headers_too_large"));
    client_close(&c);
}
END_TEST

#define AT(host) "Host: " host "\r\n"
#define MODELS "GET /v1/models HTTP/1.1\r\n"

/* A name that leads here by rebinding is not ours, whatever is asked for. */
START_TEST(goes_by_its_own_names)
{
    ANSWERS(MODELS AT("localhost:1") KEY CLOSE "\r\n", 200, "\"list\"");
    ANSWERS(MODELS AT("LocalHost") KEY CLOSE "\r\n", 200, "\"list\"");
    ANSWERS(MODELS AT("chat.localhost") KEY CLOSE "\r\n", 200, "\"list\"");
    ANSWERS(MODELS AT("127.0.0.1") KEY CLOSE "\r\n", 200, "\"list\"");
    ANSWERS(MODELS AT("[::1]:80") KEY CLOSE "\r\n", 200, "\"list\"");
    ANSWERS(MODELS AT("192.0.2.1") KEY CLOSE "\r\n", 200, "\"list\"");
    ANSWERS(MODELS AT("Gw.Example.com:8443") KEY CLOSE "\r\n", 200, "\"list\"");
    ANSWERS("GET /v1/models HTTP/1.0\r\n" KEY "\r\n", 200, "\"list\"");
    ANSWERS(MODELS AT("evil.example.com") KEY CLOSE "\r\n", 421,
            "does not go by the name 'evil.example.com'. If it should, list it under 'hosts'");
    ANSWERS(MODELS AT("localhost.evil.com") KEY CLOSE "\r\n", 421, "host_not_allowed");
    ANSWERS(MODELS AT("evillocalhost") KEY CLOSE "\r\n", 421, "host_not_allowed");
    ANSWERS(MODELS AT(".localhost") KEY CLOSE "\r\n", 421, "host_not_allowed");
    ANSWERS(MODELS AT("%6cocalhost") KEY CLOSE "\r\n", 421, "host_not_allowed");
    ANSWERS("GET / HTTP/1.1\r\n" AT("evil.example.com") CLOSE "\r\n", 421, "host_not_allowed");
    ANSWERS("GET http://evil.example.com/ HTTP/1.1\r\n" HOST CLOSE "\r\n", 421, "host_not_allowed");
    ANSWERS(MODELS AT("a:b") KEY CLOSE "\r\n", 400, "malformed Host");
    ANSWERS(MODELS AT("[::1") KEY CLOSE "\r\n", 400, "malformed Host");
}
END_TEST

/* The page that is served here may talk to us; the port of its scheme may stand in the Host, or not. */
START_TEST(knows_its_own_origin)
{
    const bool tls = _i == 1;
    static const struct {
        const char *host, *origin;
        bool plain, tls;
    } cases[] = {
        {"localhost:80", "http://localhost", true, false},
        {"localhost", "http://localhost", true, false},
        {"localhost:443", "https://localhost", false, true},
        {"localhost", "https://localhost", false, true},
        {"localhost:443", "http://localhost", false, false},
        {"localhost:8080", "http://localhost", false, false},
        {"LOCALHOST:8080", "http://localhost:8080", true, false},
        {"[::1]:8443", "https://[::1]:8443", false, true},
        {"localhost:8080", "http://localhost:8081", false, false},
        {"localhost", "http://localhost.evil.com", false, false},
        {"localhost", "http://localhost:x", false, false},
        {"localhost", "http://", false, false},
        {"localhost", "null", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[300];
        int n = snprintf(text, sizeof(text), MODELS "Host: %s\r\nOrigin: %s\r\n" KEY CLOSE "\r\n",
                         cases[i].host, cases[i].origin);
        bool own = tls ? cases[i].tls : cases[i].plain;
        answers(_i, bytes_of(text, (size_t)n), own ? 200 : 403,
                own ? "Access-Control-Allow-Origin: " : "origin_not_allowed");
    }
}
END_TEST

START_TEST(tells_origins_apart)
{
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST KEY CLOSE ORIGIN("chat.example.com") "\r\n", 200,
            "Access-Control-Allow-Origin: https://chat.example.com\r\n");
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST KEY CLOSE ORIGIN("chat.example.com.evil") "\r\n", 403,
            "Pages of the origin 'https://chat.example.com.evil' may not talk to this server. If they "
            "should, list it "
            "under 'origins'");
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST KEY CLOSE ORIGIN("a\xff") "\r\n", 403, "'(not one)'");
    ANSWERS("GET /v1/models HTTP/1.1\r\n" HOST KEY CLOSE ORIGIN("a") ORIGIN("chat.example.com") "\r\n", 403,
            "origin_not_allowed");
    ANSWERS("OPTIONS /v1/responses HTTP/1.1\r\n" HOST CLOSE ORIGIN(
                "chat.example.com") "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: "
                                    "authorization,x-a\r\n\r\n",
            204, "Access-Control-Allow-Headers: authorization,x-a\r\n");
    ANSWERS("OPTIONS /v1/responses HTTP/1.1\r\n" HOST CLOSE ORIGIN(
                "chat.example.com") "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: "
                                    "<b>\r\n\r\n",
            204, "Access-Control-Allow-Headers: authorization, content-type, x-api-key, anthropic-version, ");
    struct client c;
    client_open(&c, &rig, _i, 0);
    client_send(&c, BYTES("OPTIONS /v1/responses HTTP/1.1\r\n" HOST CLOSE ORIGIN(
                        "evil.example.com") "Access-Control-Request-Method: POST\r\n\r\n"));
    client_read_to_end(&c);
    ck_assert(bytes_starts(buf_bytes(&c.in), BYTES("HTTP/1.1 403 ")));
    ck_assert(!client_has(&c, "Access-Control"));
    client_close(&c);
}
END_TEST

#define CHAT "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"count to 3\"}]}"
#define STREAM "{\"model\":\"demo\",\"input\":\"count to 3\",\"stream\":true}"
#define LEN(s) (sizeof(s) - 1)

static void send_post(struct client *c, const char *path, const char *headers, const char *body)
{
    char request[2048];
    int n = snprintf(request, sizeof(request),
                     "POST %s HTTP/1.1\r\n" HOST KEY JSON "Content-Length: %zu\r\n%s\r\n%s", path,
                     strlen(body), headers, body);
    ck_assert(n > 0 && (size_t)n < sizeof(request));
    client_send(c, bytes_of(request, (size_t)n));
}

START_TEST(answers_whole_and_streaming_in_order)
{
    struct client c;
    client_open(&c, &rig, _i, 0);
    /* Three at once: they are answered one after the other, the stream in its own time. */
    send_post(&c, "/v1/chat/completions", "", CHAT);
    send_post(&c, "/v1/responses", "", STREAM);
    client_send(&c, BYTES("GET /nothing HTTP/1.1\r\n" HOST CLOSE "\r\n"));
    client_read_to_end(&c);
    ck_assert(client_has(&c, "\"chat.completion\""));
    ck_assert(client_has(&c, "Transfer-Encoding: chunked\r\n"));
    ck_assert(client_has(&c, "event: response.completed\ndata: {"));
    const char *first = memmem(c.in.data, c.in.len, "\"chat.completion\"", 17);
    const char *end = memmem(c.in.data, c.in.len, "\r\n0\r\n\r\nHTTP/1.1 404 ", 20);
    ck_assert(first && end && first < end);
    client_close(&c);
}
END_TEST

START_TEST(streams_to_http10_without_chunks)
{
    char request[512];
    struct client c;
    client_open(&c, &rig, _i, 0);
    snprintf(request, sizeof(request),
             "POST /v1/responses HTTP/1.0\r\n" KEY JSON "Content-Length: %zu\r\n\r\n" STREAM, LEN(STREAM));
    client_send(&c, bytes_cstr(request));
    client_read_to_end(&c);
    ck_assert(client_has(&c, "\r\n\r\nevent: response.created\ndata: {"));
    ck_assert(client_has(&c, "event: response.completed\n"));
    ck_assert(!client_has(&c, "chunked"));
    client_close(&c);
}
END_TEST

START_TEST(invites_a_body_or_refuses_it_at_once)
{
    struct client c;
    client_open(&c, &rig, _i, 0);
    client_send(&c,
                BYTES("POST /v1/chat/completions HTTP/1.1\r\n" HOST KEY JSON CLOSE "Expect: 100-continue\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n"));
    client_read_until(&c, "HTTP/1.1 100 Continue\r\n\r\n");
    client_send(&c, BYTES("2\r\n{\"\r\n"));
    char rest[256];
    snprintf(rest, sizeof(rest), "%zx\r\n%s\r\n0\r\n\r\n", LEN(CHAT) - 2, &CHAT[2]);
    client_send(&c, bytes_cstr(rest));
    client_read_to_end(&c);
    ck_assert(client_has(&c, "HTTP/1.1 200 OK\r\n"));
    client_close(&c);

    ANSWERS("POST /v1/responses HTTP/1.1\r\n" HOST JSON "Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
            401, "Connection: close\r\n");

    /* Without the question, the body of a refused request is read past, and the connection goes on. */
    client_open(&c, &rig, _i, 0);
    client_send(&c, BYTES("POST /v1/responses HTTP/1.1\r\n" HOST JSON "Content-Length: 9\r\n\r\n"));
    client_send(&c, BYTES("GET / GETGET /nothing HTTP/1.1\r\n" HOST CLOSE "\r\n"));
    client_read_to_end(&c);
    ck_assert(client_has(&c, "HTTP/1.1 401 ") && client_has(&c, "HTTP/1.1 404 "));
    client_close(&c);
}
END_TEST

START_TEST(files_are_cached_by_their_tag)
{
    char request[256];
    struct client c;
    client_open(&c, &rig, _i, 0);
    client_send(&c, BYTES("HEAD / HTTP/1.1\r\n" HOST CLOSE "\r\n"));
    client_read_to_end(&c);
    ck_assert(bytes_starts(buf_bytes(&c.in), BYTES("HTTP/1.1 200 ")));
    ck_assert(memcmp(c.in.data + c.in.len - 4, "\r\n\r\n", 4) == 0);
    const char *tag = memmem(c.in.data, c.in.len, "ETag: ", 6);
    ck_assert_ptr_nonnull(tag);
    snprintf(request, sizeof(request), "GET / HTTP/1.1\r\n" HOST CLOSE "If-None-Match: \"x\", %.*s\r\n\r\n",
             (int)(strchr(tag, '\r') - tag - 6), tag + 6);
    client_close(&c);
    client_open(&c, &rig, _i, 0);
    client_send(&c, bytes_cstr(request));
    client_read_to_end(&c);
    ck_assert(bytes_starts(buf_bytes(&c.in), BYTES("HTTP/1.1 304 ")));
    ck_assert(memcmp(c.in.data + c.in.len - 4, "\r\n\r\n", 4) == 0);
    client_close(&c);
}
END_TEST

/* More than any socket buffer holds, to a client that reads late: all of it arrives. */
START_TEST(many_answers_to_a_late_reader)
{
    enum { N = 400 };
    struct client c;
    size_t seen = 0;
    client_open(&c, &rig, _i, 4096);
    for (int i = 0; i < N; i++)
        client_send(&c, BYTES("GET / HTTP/1.1\r\n" HOST "\r\n"));
    client_send(&c, BYTES("GET /nothing HTTP/1.1\r\n" HOST CLOSE "\r\n"));
    client_read_to_end(&c);
    for (const char *at = c.in.data;
         (at = memmem(at, c.in.len - (size_t)(at - c.in.data), "HTTP/1.1 200 ", 13)) != NULL; at++)
        seen++;
    ck_assert_uint_eq(seen, N);
    ck_assert(client_has(&c, "HTTP/1.1 404 "));
    client_close(&c);
}
END_TEST

START_TEST(silence_and_dripping_end)
{
    struct client c;
    /* Nothing at all. */
    client_open(&c, &rig, _i, 0);
    client_read_to_end(&c);
    ck_assert_uint_eq(c.in.len, 0);
    client_close(&c);
    /* Half a head. */
    client_open(&c, &rig, _i, 0);
    client_send(&c, BYTES("GET / HTTP/1.1\r\nHo"));
    client_read_to_end(&c);
    ck_assert(bytes_starts(buf_bytes(&c.in), BYTES("HTTP/1.1 408 ")) && client_has(&c, "request_timeout"));
    client_close(&c);
    /* A body that never pauses for long. */
    client_open(&c, &rig, _i, 0);
    client_send(&c, BYTES("POST /v1/responses HTTP/1.1\r\n" HOST KEY JSON "Content-Length: 4000\r\n\r\n"));
    struct pollfd p = {.fd = c.fd, .events = POLLIN};
    for (int i = 0; i < 3990 && poll(&p, 1, 20) == 0; i++)
        client_send(&c, BYTES("x"));
    client_read_to_end(&c);
    ck_assert(client_has(&c, "HTTP/1.1 408 "));
    client_close(&c);
    /* Between requests. */
    client_open(&c, &rig, _i, 0);
    client_send(&c, BYTES("GET /nothing HTTP/1.1\r\n" HOST "\r\n"));
    client_read_to_end(&c);
    ck_assert(client_has(&c, "HTTP/1.1 404 ") && !client_has(&c, "Connection: close"));
    client_close(&c);
}
END_TEST

#define MUTE "{\"model\":\"mute\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]%s}"

/* The client leaves, and so does the request to the provider. */
static void leaves(int transport, const char *more)
{
    char body[256], request[4096];
    struct client c;
    snprintf(body, sizeof(body),
             "{\"model\":\"mute\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]%s}", more);
    client_open(&c, &rig, transport, 0);
    send_post(&c, "/v1/chat/completions", "", body);
    int upstream = accept(rig.provider, NULL, NULL);
    ck_assert_int_ge(upstream, 0);
    ck_assert_int_gt(recv(upstream, request, sizeof(request), 0), 0);
    if (more[0]) /* the provider is mute: only comments come */
        client_read_until(&c, ": keep-alive\n\n");
    client_close(&c);
    while (recv(upstream, request, sizeof(request), 0) > 0)
        ;
    close(upstream);
}

START_TEST(leaving_cancels)
{
    leaves(_i, "");
    leaves(_i, ",\"stream\":true");
}
END_TEST

START_TEST(too_much_behind_an_answer_is_cut)
{
    char body[256], rest[1024];
    struct client c;
    snprintf(body, sizeof(body), MUTE, "");
    memset(rest, 'x', sizeof(rest));
    client_open(&c, &rig, _i, 0);
    send_post(&c, "/v1/chat/completions", "", body);
    for (int i = 0; i < 200000 && client_send(&c, bytes_of(rest, sizeof(rest))); i++)
        ;
    ck_assert(c.ended);
    client_close(&c);
}
END_TEST

START_TEST(caps_are_told_and_given_back)
{
    enum { CAP = 8 };
    struct client c[CAP], more;
    bool served = false;
    for (int i = 0; i < CAP; i++) {
        client_open(&c[i], &rig, _i, 0);
        client_send(&c[i], BYTES("GET /ech"));
    }
    ANSWERS("GET /nothing HTTP/1.1\r\n" HOST "\r\n", 429, "Retry-After: ");
    for (int i = 0; i < CAP; i++)
        client_close(&c[i]);
    for (int i = 0; i < 10000 && !served; i++) {
        client_open(&more, &rig, _i, 0);
        client_send(&more, BYTES("GET /nothing HTTP/1.1\r\n" HOST CLOSE "\r\n"));
        client_read_to_end(&more);
        served = client_has(&more, "HTTP/1.1 404 ");
        client_close(&more);
    }
    ck_assert(served);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server_http");
    TCase *tc = tcase_create("http"), *quick = tcase_create("http_quick");
    tcase_set_timeout(tc, 120);
    tcase_set_timeout(quick, 120);
    tcase_add_checked_fixture(tc, start, stop);
    tcase_add_checked_fixture(quick, start_quick, stop);
    tcase_add_loop_test(tc, serves_and_refuses, 0, TRANSPORTS);
    tcase_add_loop_test(tc, closes_after_what_it_cannot_read, 0, TRANSPORTS);
    tcase_add_loop_test(tc, goes_by_its_own_names, 0, TRANSPORTS);
    tcase_add_loop_test(tc, knows_its_own_origin, 0, TRANSPORTS);
    tcase_add_loop_test(tc, tells_origins_apart, 0, TRANSPORTS);
    tcase_add_loop_test(tc, answers_whole_and_streaming_in_order, 0, TRANSPORTS);
    tcase_add_loop_test(tc, streams_to_http10_without_chunks, 0, TRANSPORTS);
    tcase_add_loop_test(tc, invites_a_body_or_refuses_it_at_once, 0, TRANSPORTS);
    tcase_add_loop_test(tc, files_are_cached_by_their_tag, 0, TRANSPORTS);
    tcase_add_loop_test(tc, many_answers_to_a_late_reader, 0, TRANSPORTS);
    tcase_add_loop_test(tc, too_much_behind_an_answer_is_cut, 0, TRANSPORTS);
    tcase_add_loop_test(quick, silence_and_dripping_end, 0, TRANSPORTS);
    tcase_add_loop_test(quick, leaving_cancels, 0, TRANSPORTS);
    tcase_add_loop_test(quick, caps_are_told_and_given_back, 0, TRANSPORTS);
    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, quick);
    return run_suite(suite);
}

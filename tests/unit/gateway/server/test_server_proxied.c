/* Behind a proxy: who asks is whom a trusted one names. */
#include "rig.h"
#include "tests/unit/common/run.h"

static struct rig rig;

static void start_trusting(void)
{
    rig_start(&rig, "trusted_proxies: [127.0.0.1, 10.0.0.0/8]\nlimits: {max_sessions_per_address: 3}\n");
}

/* The peer is not among the trusted: what it says of a client is its own invention. */
static void start_wary(void)
{
    rig_start(&rig, "trusted_proxies: [10.0.0.0/8]\n");
}

static void start_rfc(void)
{
    rig_start(&rig, "trusted_proxies: [127.0.0.1]\ntrusted_header: forwarded\n");
}

static void stop(void)
{
    rig_stop(&rig);
}

#define GET "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-test-1\r\n"
#define XFF(s) "X-Forwarded-For: " s "\r\n"

static void answers(int transport, const char *more, int status, const char *has)
{
    struct client c;
    char text[600], expected[32];
    int n = snprintf(text, sizeof(text), GET "Connection: close\r\n%s\r\n", more);
    client_open(&c, &rig, transport, 0);
    client_send(&c, bytes_of(text, (size_t)n));
    client_read_to_end(&c);
    snprintf(expected, sizeof(expected), "HTTP/1.1 %d ", status);
    ck_assert_msg(bytes_starts(buf_bytes(&c.in), bytes_cstr(expected)) && client_has(&c, has),
                  "%s: expected %d with '%s', got %.*s", more, status, has, BYTES_FMT(buf_bytes(&c.in)));
    client_close(&c);
}

/* Its key is a plaintext one: it counts for this machine's own only. */
START_TEST(the_client_decides_what_is_loopback)
{
    answers(_i, "", 200, "\"list\"");
    answers(_i, XFF("127.0.0.1"), 200, "\"list\"");
    answers(_i, XFF("::1"), 200, "\"list\"");
    answers(_i, XFF("203.0.113.9"), 401, "counts on loopback");
    answers(_i, XFF("127.0.0.1, 203.0.113.9"), 401, "counts on loopback");
    answers(_i, XFF("203.0.113.9, 10.1.2.3"), 401, "counts on loopback");
    answers(_i, XFF("unknown"), 401, "counts on loopback");
    answers(_i, "Forwarded: for=203.0.113.9\r\n", 200, "\"list\"");
}
END_TEST

START_TEST(the_clients_scheme_decides_what_is_own)
{
    const char *by_socket = _i == 1 ? "https" : "http", *other = _i == 1 ? "http" : "https";
    char text[300];
    snprintf(text, sizeof(text), XFF("::1") "X-Forwarded-Proto: %s\r\nOrigin: %s://localhost\r\n", other,
             other);
    answers(_i, text, 200, "Access-Control-Allow-Origin: ");
    snprintf(text, sizeof(text), XFF("::1") "X-Forwarded-Proto: %s\r\nOrigin: %s://localhost\r\n", other,
             by_socket);
    answers(_i, text, 403, "origin_not_allowed");
    snprintf(text, sizeof(text), XFF("::1") "Origin: %s://localhost\r\n", by_socket);
    answers(_i, text, 200, "Access-Control-Allow-Origin: ");
}
END_TEST

/* A request whose body is to come: "{}". */
static void hold(struct client *c, int transport)
{
    client_open(c, &rig, transport, 0);
    client_send(c,
                BYTES("POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nx-api-key: sk-test-1\r\n"
                      "Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n" XFF(
                          "::1") "\r\n"));
    client_read_until(c, "HTTP/1.1 100 Continue\r\n\r\n");
    buf_reset(&c->in);
}

/* There is room for another request of that client, sooner or later. */
static bool gets_in(int transport)
{
    bool in = false;
    for (int i = 0; i < 10000 && !in; i++) {
        struct client c;
        client_open(&c, &rig, transport, 0);
        client_send(&c, BYTES(GET XFF("::1") "Connection: close\r\n\r\n"));
        client_read_to_end(&c);
        in = client_has(&c, "HTTP/1.1 200 ");
        ck_assert(in || client_has(&c, "HTTP/1.1 429 "));
        client_close(&c);
    }
    return in;
}

/* The proxy's connections are nobody's at rest; under a request each is its client's. */
START_TEST(the_client_counts_at_the_door)
{
    enum { CAP = 3, IDLE = 5 };
    struct client c[CAP], idle[IDLE];
    for (int i = 0; i < IDLE; i++) {
        client_open(&idle[i], &rig, _i, 0);
        client_send(&idle[i], BYTES(GET XFF("::1") "\r\n"));
        client_read_until(&idle[i], "]}");
    }
    for (int i = 0; i < CAP; i++)
        hold(&c[i], _i);
    answers(_i, XFF("::1"), 429, "connection_limit_reached");
    answers(_i, XFF("203.0.113.10"), 401, "counts on loopback");
    /* One is answered; another's connection goes. */
    client_send(&c[0], BYTES("{}"));
    client_read_until(&c[0], "HTTP/1.1 400 ");
    ck_assert(gets_in(_i));
    client_close(&idle[0]);
    hold(&idle[0], _i);
    answers(_i, XFF("::1"), 429, "connection_limit_reached");
    client_close(&c[1]);
    ck_assert(gets_in(_i));
    client_close(&c[0]);
    client_close(&c[2]);
    for (int i = 0; i < IDLE; i++)
        client_close(&idle[i]);
}
END_TEST

START_TEST(a_stranger_is_not_believed)
{
    answers(_i, XFF("203.0.113.9"), 200, "\"list\"");
    answers(_i, XFF("::1") "X-Forwarded-Proto: https\r\nOrigin: https://localhost\r\n", _i == 1 ? 200 : 403,
            "");
}
END_TEST

START_TEST(the_other_header)
{
    answers(_i, "Forwarded: for=203.0.113.9;proto=https\r\n", 401, "counts on loopback");
    answers(_i, "Forwarded: for=\"[::1]:99\";proto=https\r\nOrigin: https://localhost\r\n", 200, "\"list\"");
    answers(_i, XFF("203.0.113.9"), 200, "\"list\"");
}
END_TEST

/* The rig's listeners, but for the head in front. */
static void start_preface(void)
{
    rig_proxy_protocol = true;
    rig_start(&rig, "trusted_proxies: [127.0.0.1]\nlimits: {max_sessions_per_address: 3}\ntimeouts: "
                    "{handshake: 300ms}\n");
    rig_proxy_protocol = false;
}

static void start_preface_wary(void)
{
    rig_proxy_protocol = true;
    rig_start(&rig, "trusted_proxies: [10.0.0.0/8]\n");
    rig_proxy_protocol = false;
}

#define HEAD(s) "\r\n\r\n\0\r\nQUIT\n" s
#define V4(a) HEAD("\x21\x11\x00\x0c") a "\x7f\0\0\1\x12\x34\x01\xbb"

static void told(int transport, struct bytes head, const char *more, int status, const char *has)
{
    struct client c;
    char text[600], expected[32];
    int n = snprintf(text, sizeof(text), GET "Connection: close\r\n%s\r\n", more);
    client_connect(&c, &rig, transport, 0, head);
    client_send(&c, bytes_of(text, (size_t)n));
    client_read_to_end(&c);
    snprintf(expected, sizeof(expected), "HTTP/1.1 %d ", status);
    ck_assert_msg(bytes_starts(buf_bytes(&c.in), bytes_cstr(expected)) && client_has(&c, has), "got %.*s",
                  BYTES_FMT(buf_bytes(&c.in)));
    client_close(&c);
}

START_TEST(the_head_decides)
{
    told(_i, BYTES(V4("\x7f\0\0\1")), "", 200, "\"list\"");
    told(_i, BYTES(V4("\xcb\0\x71\x09")), "", 401, "counts on loopback");
    /* Its client is no proxy that is trusted, whatever it says. */
    told(_i, BYTES(V4("\xcb\0\x71\x09")), XFF("127.0.0.1"), 401, "counts on loopback");
    /* Nobody is named; the proxy asks for itself. */
    told(_i, BYTES(HEAD("\x21\x00\0\0")), "", 401, "counts on loopback");
    told(_i, BYTES(HEAD("\x20\x00\0\0")), "", 200, "\"list\"");
    /* The client came over TLS. */
    told(_i, BYTES(HEAD("\x21\x11\x00\x14") "\x7f\0\0\1\x7f\0\0\1\x12\x34\x01\xbb\x20\0\x05\x01\0\0\0\0"),
         "Origin: https://localhost\r\n", 200, "Access-Control-Allow-Origin: https://localhost");
}
END_TEST

START_TEST(the_head_counts_at_the_door)
{
    enum { CAP = 3 };
    struct client c[CAP];
    for (int i = 0; i < CAP; i++)
        client_connect(&c[i], &rig, 0, 0, BYTES(V4("\xcb\0\x71\x09")));
    told(0, BYTES(V4("\xcb\0\x71\x09")), "", 429, "connection_limit_reached");
    told(0, BYTES(V4("\xcb\0\x71\x0a")), "", 401, "counts on loopback");
    for (int i = 0; i < CAP; i++)
        client_close(&c[i]);
}
END_TEST

static void is_cut(struct bytes said)
{
    struct client c;
    client_connect(&c, &rig, 0, 0, said);
    client_read_to_end(&c);
    ck_assert_uint_eq(c.in.len, 0);
    client_close(&c);
}

/* No head, half a head for as long as a handshake may take, a head that is none. */
START_TEST(without_a_head_there_is_nothing)
{
    is_cut(BYTES(GET "\r\n"));
    is_cut(BYTES("\r\n\r\n\0\r\nQU"));
    is_cut(BYTES(HEAD("\x21\x11\x00\x0c") "\xcb"));
    is_cut(BYTES(HEAD("\x21\x11\xff\xff") "\xcb"));
    is_cut(BYTES(""));
}
END_TEST

START_TEST(a_strangers_head_is_not_believed)
{
    is_cut(BYTES(V4("\x7f\0\0\1")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server_proxied");
    TCase *trusting = tcase_create("trusting"), *wary = tcase_create("wary"), *rfc = tcase_create("rfc");
    tcase_add_checked_fixture(trusting, start_trusting, stop);
    tcase_add_checked_fixture(wary, start_wary, stop);
    tcase_add_checked_fixture(rfc, start_rfc, stop);
    tcase_add_loop_test(trusting, the_client_decides_what_is_loopback, 0, TRANSPORTS);
    tcase_add_loop_test(trusting, the_clients_scheme_decides_what_is_own, 0, TRANSPORTS);
    tcase_add_loop_test(trusting, the_client_counts_at_the_door, 0, TRANSPORTS);
    tcase_add_loop_test(wary, a_stranger_is_not_believed, 0, TRANSPORTS);
    tcase_add_loop_test(rfc, the_other_header, 0, TRANSPORTS);
    TCase *preface = tcase_create("preface"), *doubted = tcase_create("preface_wary");
    tcase_add_checked_fixture(preface, start_preface, stop);
    tcase_add_checked_fixture(doubted, start_preface_wary, stop);
    tcase_add_loop_test(preface, the_head_decides, 0, TRANSPORTS);
    tcase_add_test(preface, the_head_counts_at_the_door);
    tcase_add_test(preface, without_a_head_there_is_nothing);
    tcase_add_test(doubted, a_strangers_head_is_not_believed);
    suite_add_tcase(suite, preface);
    suite_add_tcase(suite, doubted);
    suite_add_tcase(suite, trusting);
    suite_add_tcase(suite, wary);
    suite_add_tcase(suite, rfc);
    return run_suite(suite);
}

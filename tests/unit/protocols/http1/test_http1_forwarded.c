/* What proxies say of their client. 10.0.0.0/8 and ::1 are trusted. */
#include "protocols/http1/http1_forwarded.h"
#include "tests/unit/common/run.h"
#include <arpa/inet.h>
#include <stdio.h>

static struct network trusted[2];

static void setup(void)
{
    ck_assert_ptr_null(network_parse(BYTES("10.0.0.0/8"), &trusted[0]));
    ck_assert_ptr_null(network_parse(BYTES("::1"), &trusted[1]));
}

#define XFF(s) "X-Forwarded-For: " s "\r\n"
#define PROTO(s) "X-Forwarded-Proto: " s "\r\n"
#define FWD(s) "Forwarded: " s "\r\n"

static const struct {
    enum http1_forwarded_by by;
    const char *headers, *client; /* NULL: not said; "": none */
    int scheme;
} cases[] = {
    {HTTP1_X_FORWARDED, "", NULL, HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED, FWD("for=1.2.3.4;proto=https"), NULL, HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED, XFF("1.2.3.4"), "1.2.3.4", HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED, XFF("1.2.3.4") PROTO("https"), "1.2.3.4", HTTP1_SCHEME_HTTPS},
    {HTTP1_X_FORWARDED, XFF("1.2.3.4") PROTO("https, HTTP"), "1.2.3.4", HTTP1_SCHEME_HTTP},
    {HTTP1_X_FORWARDED, XFF("1.2.3.4") PROTO("wss"), "1.2.3.4", HTTP1_SCHEME_HTTPS},
    {HTTP1_X_FORWARDED, XFF("1.2.3.4") PROTO("gopher"), "1.2.3.4", HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED, PROTO("https"), NULL, HTTP1_SCHEME_HTTPS},
    /* The client's own words stand in front. */
    {HTTP1_X_FORWARDED, XFF("127.0.0.1, 6.6.6.6"), "6.6.6.6", HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED, XFF("127.0.0.1") XFF("6.6.6.6"), "6.6.6.6", HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED, XFF("127.0.0.1, 6.6.6.6, 10.1.1.1, ::1"), "6.6.6.6", HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED, XFF("10.0.0.1,10.0.0.2"), "10.0.0.1", HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED, XFF("127.0.0.1, unknown"), "", HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED, XFF("127.0.0.1, unknown, 10.0.0.1"), "", HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED, XFF("1.2.3.4:5678"), "1.2.3.4", HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED, XFF("2001:db8::1"), "2001:db8::1", HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED, XFF("[2001:db8::1]:80"), "2001:db8::1", HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED, XFF("::ffff:1.2.3.4"), "1.2.3.4", HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED,
     XFF("6.6.6.6, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, "
         "10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1"),
     "6.6.6.6", HTTP1_SCHEME_UNTOLD},
    {HTTP1_X_FORWARDED,
     XFF("6.6.6.6, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, "
         "10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1"),
     "", HTTP1_SCHEME_UNTOLD},
    {HTTP1_FORWARDED, XFF("1.2.3.4") PROTO("https"), NULL, HTTP1_SCHEME_UNTOLD},
    {HTTP1_FORWARDED, FWD("for=1.2.3.4;proto=https;by=10.0.0.1"), "1.2.3.4", HTTP1_SCHEME_HTTPS},
    {HTTP1_FORWARDED, FWD("Proto=http; For=\"[2001:db8::1]:4711\""), "2001:db8::1", HTTP1_SCHEME_HTTP},
    {HTTP1_FORWARDED, FWD("for=127.0.0.1;proto=https, for=6.6.6.6;proto=http"), "6.6.6.6", HTTP1_SCHEME_HTTP},
    {HTTP1_FORWARDED, FWD("for=6.6.6.6;proto=https, for=10.0.0.1;proto=http"), "6.6.6.6", HTTP1_SCHEME_HTTPS},
    {HTTP1_FORWARDED, FWD("for=\"127.0.0.1, for=6.6.6.6"), "6.6.6.6", HTTP1_SCHEME_UNTOLD},
    {HTTP1_FORWARDED, FWD("for=_hidden;proto=https"), "", HTTP1_SCHEME_HTTPS},
    {HTTP1_FORWARDED, FWD("for=unknown"), "", HTTP1_SCHEME_UNTOLD},
    {HTTP1_FORWARDED, FWD("proto=https"), "", HTTP1_SCHEME_HTTPS},
    {HTTP1_FORWARDED, FWD("for="), "", HTTP1_SCHEME_UNTOLD},
    {HTTP1_FORWARDED, FWD(";;=;for"), "", HTTP1_SCHEME_UNTOLD},
};

START_TEST(tells_the_client)
{
    static struct http1_request r;
    struct http1 p;
    struct http1_forwarded f;
    char text[1024], address[INET6_ADDRSTRLEN] = "";
    int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", cases[_i].headers);
    struct bytes in = bytes_of(text, (size_t)n);
    http1_init(&p, 4096, 0);
    ck_assert_int_eq(http1_feed(&p, &in, &r), HTTP1_HEAD);
    http1_forwarded(&r, cases[_i].by, trusted, ARRAY_LEN(trusted), &f);
    ck_assert_int_eq(f.said, cases[_i].client != NULL);
    if (f.client.len > 0)
        ck_assert_ptr_nonnull(
            inet_ntop(f.client.len == 4 ? AF_INET : AF_INET6, f.client.bytes, address, sizeof(address)));
    ck_assert_str_eq(address, cases[_i].client ? cases[_i].client : "");
    ck_assert_int_eq((int)f.scheme, cases[_i].scheme);
    http1_free(&p);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("forwarded");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, tells_the_client, 0, (int)ARRAY_LEN(cases));
    return run_case(tc);
}

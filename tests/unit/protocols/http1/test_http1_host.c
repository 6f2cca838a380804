/* HOST[:PORT]. */
#include "protocols/http1/http1_host.h"
#include "tests/unit/common/run.h"

static const struct {
    const char *text, *name;
    unsigned port;
    bool numeric;
} good[] = {
    {"", "", 0, false},
    {"a", "a", 0, false},
    {"localhost:8080", "localhost", 8080, false},
    {"a.example.com:", "a.example.com", 0, false},
    {"a:65535", "a", 65535, false},
    {"a%7Eb", "a%7Eb", 0, false},
    {"a_b-c.d~!$&'()*+;=", "a_b-c.d~!$&'()*+;=", 0, false},
    {"127.0.0.1", "127.0.0.1", 0, true},
    {"127.0.0.1:80", "127.0.0.1", 80, true},
    {"127.1", "127.1", 0, false},
    {"256.0.0.1", "256.0.0.1", 0, false},
    {"[::1]", "::1", 0, true},
    {"[::1]:443", "::1", 443, true},
    {"[2001:DB8::a]", "2001:DB8::a", 0, true},
    {"[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1, true},
};

static const char *const bad[] = {
    "a:b",   "a:99999", "a:65536",   "a:0",    "a:-1",
    "a:1:2", "::1",     "[::1",      "[::1]x", "[::1]80",
    "[]",    "[a]",     "[1.2.3.4]", "[v1.a]", "[fe80::1%25eth0]",
    "a%zz",  "a%2",     "a%",        ":80",    ":",
    "a[b]",  "a]",      "user@h",    "a/b",    "a b",
    "a?b",   "a#b",     "\xc3\xa9",  "a\\b",
};

START_TEST(reads)
{
    struct http1_host h;
    ck_assert(http1_host_parse(bytes_cstr(good[_i].text), &h));
    ck_assert_msg(bytes_is(h.name, good[_i].name), "%.*s", BYTES_FMT(h.name));
    ck_assert_uint_eq(h.port, good[_i].port);
    ck_assert_int_eq(h.numeric, good[_i].numeric);
}
END_TEST

START_TEST(refuses)
{
    struct http1_host h = {.port = 7};
    ck_assert_msg(!http1_host_parse(bytes_cstr(bad[_i]), &h), "%s", bad[_i]);
    ck_assert_uint_eq(h.port, 7);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("host");
    tcase_add_loop_test(tc, reads, 0, (int)ARRAY_LEN(good));
    tcase_add_loop_test(tc, refuses, 0, (int)ARRAY_LEN(bad));
    return run_case(tc);
}

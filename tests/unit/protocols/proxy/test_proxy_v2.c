/* The PROXY protocol's head, whole, in pieces, and broken. */
#include "protocols/proxy/proxy_v2.h"
#include "tests/unit/common/run.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TEXT(s) s, sizeof(s) - 1
#define V4 "\xcb\x00\x71\x09\x0a\x00\x00\x01\x12\x34\x01\xbb"
#define LOOPBACK6 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
#define V6 LOOPBACK6 LOOPBACK6 "\x12\x34\x01\xbb"

static const struct {
    const char *head;
    size_t len;
    bool own, tls;
    const char *client;
} good[] = {
    {TEXT(SIGNATURE "\x21\x11\x00\x0c" V4), false, false, "203.0.113.9"},
    {TEXT(SIGNATURE "\x21\x21\x00\x24" V6), false, false, "::1"},
    {TEXT(SIGNATURE "\x20\x00\x00\x00"), true, false, NULL},
    {TEXT(SIGNATURE "\x20\x11\x00\x0c" V4), true, false, NULL},
    {TEXT(SIGNATURE "\x21\x00\x00\x00"), false, false, NULL},
    /* A checksum, then TLS: the client used it; did not. */
    {TEXT(SIGNATURE "\x21\x11\x00\x1b" V4 "\x03\x00\x04"
                    "abcd"
                    "\x20\x00\x05\x01\0\0\0\0"),
     false, true, "203.0.113.9"},
    {TEXT(SIGNATURE "\x21\x11\x00\x14" V4 "\x20\x00\x05\x02\0\0\0\0"), false, false, "203.0.113.9"},
};

static const struct {
    const char *head;
    size_t len;
} bad[] = {
    {TEXT("G")},
    {TEXT("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n")},
    {TEXT(SIGNATURE "\x11\x11\x00\x0c" V4)},
    {TEXT(SIGNATURE "\x22\x11\x00\x0c" V4)},
    {TEXT(SIGNATURE "\x21\x41\x00\x0c" V4)},
    {TEXT(SIGNATURE "\x21\x11\x00\x0b" V4)},
    {TEXT(SIGNATURE "\x21\x21\x00\x0c" V4)},
    {TEXT(SIGNATURE "\x21\x11\x00\x0d" V4 "\x03")},
    {TEXT(SIGNATURE "\x21\x11\x00\x10" V4 "\x03\x00\x04"
                    "a")},
    {TEXT(SIGNATURE "\x21\x11\x07\xf1")},
    {TEXT(SIGNATURE "\x21\x11\xff\xff")},
};

/* Never asks for a byte that is not its own, nor stops before its end. */
START_TEST(reads_whole_heads)
{
    struct proxy_v2 p;
    struct address client = {.len = 0};
    size_t got = 0, size = 0;
    enum proxy_result r;
    while ((r = proxy_v2_parse(bytes_of(good[_i].head, got), &p, &size)) == PROXY_MORE) {
        ck_assert_uint_gt(size, got);
        ck_assert_uint_le(size, good[_i].len);
        got++;
    }
    ck_assert_int_eq(r, PROXY_DONE);
    ck_assert_uint_eq(size, good[_i].len);
    ck_assert_uint_eq(got, good[_i].len);
    ck_assert_int_eq(p.own, good[_i].own);
    ck_assert_int_eq(p.tls, good[_i].tls);
    ck_assert(!good[_i].client || address_parse_text(bytes_cstr(good[_i].client), &client));
    ck_assert(bytes_eq(address_bytes(&p.client), address_bytes(&client)));
}
END_TEST

START_TEST(refuses_broken_heads)
{
    struct proxy_v2 p;
    size_t size;
    ck_assert_int_eq(proxy_v2_parse(bytes_of(bad[_i].head, bad[_i].len), &p, &size), PROXY_BAD);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("proxy");
    tcase_add_loop_test(tc, reads_whole_heads, 0, (int)ARRAY_LEN(good));
    tcase_add_loop_test(tc, refuses_broken_heads, 0, (int)ARRAY_LEN(bad));
    return run_case(tc);
}

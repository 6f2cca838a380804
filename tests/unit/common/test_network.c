/* Addresses and networks. */
#include "common/network.h"
#include "run.h"

static struct address parsed(const char *text)
{
    struct address a;
    ck_assert_msg(address_parse_text(bytes_cstr(text), &a), "%s", text);
    return a;
}

static const struct {
    const char *network, *address;
    bool has;
} cases[] = {
    {"10.0.0.0/8", "10.255.3.4", true},
    {"10.0.0.0/8", "11.0.0.0", false},
    {"192.0.2.128/25", "192.0.2.128", true},
    {"192.0.2.128/25", "192.0.2.127", false},
    {"192.0.2.4/31", "192.0.2.5", true},
    {"192.0.2.4/31", "192.0.2.6", false},
    {"192.0.2.4", "192.0.2.4", true},
    {"192.0.2.4", "192.0.2.5", false},
    {"0.0.0.0/0", "203.0.113.9", true},
    {"0.0.0.0/0", "::1", false},
    {"::/0", "203.0.113.9", false},
    {"::/0", "2001:db8::1", true},
    {"2001:db8::/33", "2001:db8:7fff::1", true},
    {"2001:db8::/33", "2001:db8:8000::1", false},
    {"::1", "::1", true},
    {"::1/128", "::2", false},
    {"127.0.0.0/8", "::ffff:127.0.0.1", true},
    {"::ffff:10.0.0.0/8", "10.1.2.3", true},
};

START_TEST(knows_its_own)
{
    struct network n;
    struct address a = parsed(cases[_i].address);
    ck_assert_ptr_null(network_parse(bytes_cstr(cases[_i].network), &n));
    ck_assert_int_eq(network_has(&n, &a), cases[_i].has);
}
END_TEST

START_TEST(refuses_what_is_none)
{
    static const char *const bad[] = {"",
                                      "a",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "10.0.0.1/8",
                                      "10.0.0.0/8/8",
                                      "/8",
                                      "::/129",
                                      "::1/127",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/+8",
                                      "10.0.0/8",
                                      "[::1]",
                                      "fe80::1%lo",
                                      "10.0.0.0/ 8",
                                      " 10.0.0.0",
                                      "1111:2222:3333:4444:5555:6666:7777:8888:9999"};
    struct network n;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(network_parse(bytes_cstr(bad[i]), &n) != NULL, "%s", bad[i]);
}
END_TEST

START_TEST(knows_loopback)
{
    static const char *const loopback[] = {"127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"};
    static const char *const other[] = {"128.0.0.1", "::", "::2", "::127.0.0.1", "0.0.0.0"};
    const struct address none = {.len = 0};
    const struct network all = {.address = {.len = 4}, .bits = 0};
    for (size_t i = 0; i < ARRAY_LEN(loopback); i++) {
        struct address a = parsed(loopback[i]);
        ck_assert(address_is_loopback(&a));
    }
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        struct address a = parsed(other[i]);
        ck_assert(!address_is_loopback(&a));
    }
    ck_assert(!address_is_loopback(&none) && !network_has(&all, &none));
    ck_assert_uint_eq(address_of(BYTES("123")).len, 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("network");
    tcase_add_loop_test(tc, knows_its_own, 0, (int)ARRAY_LEN(cases));
    tcase_add_test(tc, refuses_what_is_none);
    tcase_add_test(tc, knows_loopback);
    return run_case(tc);
}

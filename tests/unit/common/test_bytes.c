#include "common/bytes.h"
#include "tests/unit/common/run.h"
#include <stdio.h>

START_TEST(equality)
{
    struct bytes none = {NULL, 0};

    ck_assert(bytes_eq(none, BYTES("")));
    ck_assert(bytes_eq(BYTES("a\0b"), BYTES("a\0b")));
    ck_assert(!bytes_eq(BYTES("a\0b"), BYTES("a\0c")));
    ck_assert(!bytes_eq(BYTES("ab"), BYTES("abc")));
    ck_assert(bytes_is(BYTES("abc"), "abc"));
    ck_assert(bytes_is(none, NULL));
    ck_assert(bytes_starts(BYTES("abc"), BYTES("ab")));
    ck_assert(bytes_starts(none, none));
    ck_assert(!bytes_starts(BYTES("a"), BYTES("ab")));
    ck_assert(bytes_eq_nocase(BYTES("Content-Type"), BYTES("cONTENT-tYPE")));
    ck_assert(!bytes_eq_nocase(BYTES("["), BYTES("{")));
    ck_assert(!bytes_eq_nocase(BYTES("@"), BYTES("`")));
    ck_assert(!bytes_eq_nocase(BYTES("\xC0"), BYTES("\xE0")));
    ck_assert(!bytes_eq_nocase(BYTES("a"), BYTES("ab")));
}
END_TEST

START_TEST(slices)
{
    ck_assert(bytes_eq(bytes_skip(BYTES("abc"), 1), BYTES("bc")));
    ck_assert_uint_eq(bytes_skip(BYTES("abc"), 3).len, 0);
    ck_assert_uint_eq(bytes_skip(BYTES("abc"), SIZE_MAX).len, 0);
    ck_assert(bytes_eq(bytes_trim_ows(BYTES(" \t a b\t ")), BYTES("a b")));
    ck_assert(bytes_eq(bytes_trim_ows(BYTES("\na\r")), BYTES("\na\r")));
    ck_assert_uint_eq(bytes_trim_ows(BYTES(" \t ")).len, 0);
    ck_assert_uint_eq(bytes_trim_ows((struct bytes){NULL, 0}).len, 0);
}
END_TEST

START_TEST(numbers)
{
    static const struct {
        const char *text;
        uint64_t max, value;
        enum err err;
    } cases[] = {
        {"0", 0, 0, ERR_OK},
        {"1", 0, 0, ERR_LIMIT},
        {"007", 7, 7, ERR_OK},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX, ERR_OK},
        {"18446744073709551616", UINT64_MAX, 0, ERR_LIMIT},
        {"99999999999999999999999", UINT64_MAX, 0, ERR_LIMIT},
        {"99999999999999999999999x", UINT64_MAX, 0, ERR_SYNTAX},
        {"00000000000000000000000000000042", 42, 42, ERR_OK},
        {"", 9, 0, ERR_SYNTAX},
        {"+1", 9, 0, ERR_SYNTAX},
        {"-1", 9, 0, ERR_SYNTAX},
        {" 1", 9, 0, ERR_SYNTAX},
        {"1 ", 9, 0, ERR_SYNTAX},
        {"0x1", 9, 0, ERR_SYNTAX},
        {"1.0", 9, 0, ERR_SYNTAX},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t value = 4711;
        enum err e = bytes_to_u64(bytes_cstr(cases[i].text), cases[i].max, &value);
        ck_assert_msg(e == cases[i].err, "%s: %s", cases[i].text, err_name(e));
        ck_assert_uint_eq(value, e ? 4711 : cases[i].value);
    }
}
END_TEST

START_TEST(hashes_spread)
{
    unsigned used[1024] = {0};
    unsigned most = 0;

    ck_assert_uint_eq(bytes_hash(BYTES("abc")), bytes_hash(BYTES("abc")));
    ck_assert_uint_ne(bytes_hash(BYTES("abc")), bytes_hash(BYTES("abd")));
    for (unsigned i = 0; i < 8192; i++) {
        char key[16];
        int n = snprintf(key, sizeof(key), "key-%u", i);
        uint64_t slot = bytes_hash(bytes_of(key, (size_t)n)) % ARRAY_LEN(used);
        used[slot]++;
        most = MAX(most, used[slot]);
    }
    /* 8 a slot on average. */
    ck_assert_uint_lt(most, 40);
}
END_TEST

START_TEST(error_names)
{
    ck_assert_str_eq(err_name(ERR_OK), "ERR_OK");
    ck_assert_str_eq(err_name(ERR_LIMIT), "ERR_LIMIT");
    ck_assert_str_eq(err_name(ERR_IO), "ERR_IO");
    for (int i = ERR_OK; i <= ERR_IO; i++) {
        ck_assert_str_ne(err_name((enum err)i), "ERR_UNKNOWN");
        for (int j = ERR_OK; j < i; j++)
            ck_assert_str_ne(err_name((enum err)i), err_name((enum err)j));
    }
    ck_assert_ptr_nonnull(err_name((enum err)12345));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("bytes");

    tcase_add_test(tc, equality);
    tcase_add_test(tc, slices);
    tcase_add_test(tc, numbers);
    tcase_add_test(tc, hashes_spread);
    tcase_add_test(tc, error_names);
    return run_case(tc);
}

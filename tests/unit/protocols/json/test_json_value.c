#include "protocols/json/json.h"
#include "tests/unit/common/run.h"
#include <math.h>
#include <stdio.h>

static struct json_doc doc;
static struct arena arena;
static const struct json_limits limits = {64, 1000};

static void setup(void)
{
    json_doc_init(&doc);
    arena_init(&arena, 100000);
}

static void teardown(void)
{
    json_doc_free(&doc);
    arena_free(&arena);
}

static void parse(struct bytes text)
{
    ck_assert_int_eq(json_parse(&doc, text, &limits, NULL), ERR_OK);
}

START_TEST(integers)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"0.000e5", true, 0},
        {"0e999999999999999999999999", true, 0},
        {"-0.0e-999999999999999999999", true, 0},
        {"1", true, 1},
        {"-1", true, -1},
        {"1.0", true, 1},
        {"1e0", true, 1},
        {"1.50e1", true, 15},
        {"150e-1", true, 15},
        {"10e-1", true, 1},
        {"0.01e2", true, 1},
        {"0.010e+3", true, 10},
        {"1200E2", true, 120000},
        {"100000000000000000000000000e-26", true, 1},
        {"0.00000000000000000000000000007e29", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775807.000", true, INT64_MAX},
        {"922337203685477580.7e1", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"1e18", true, INT64_C(1000000000000000000)},
        {"9007199254740993", true, INT64_C(9007199254740993)},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"18446744073709551616", false, 0},
        {"18446744073709551615", false, 0},
        {"99999999999999999999", false, 0},
        {"1e19", false, 0},
        {"1e400", false, 0},
        {"1e99999999999999999999999", false, 0},
        {"1e-99999999999999999999999", false, 0},
        {"1.5", false, 0},
        {"15e-1", false, 0},
        {"0.1", false, 0},
        {"-1e-1", false, 0},
        {"1.00000000000000000000000000000000001", false, 0},
        {"100000000000000000000000000000000001e-10", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
        {"null", false, 0},
        {"[1]", false, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t value = 4711;
        parse(bytes_cstr(cases[i].text));
        ck_assert_msg(json_int(&doc, 0, &value) == cases[i].ok, "%s", cases[i].text);
        ck_assert_msg(value == (cases[i].ok ? cases[i].value : 4711), "%s: %jd", cases[i].text,
                      (intmax_t)value);
    }
}
END_TEST

START_TEST(doubles)
{
    static const struct {
        const char *text;
        bool ok;
        double value;
    } cases[] = {
        {"0", true, 0},
        {"0.7", true, 0.7},
        {"-1.5e3", true, -1500},
        {"1e308", true, 1e308},
        {"2.2250738585072011e-308", true, 2.2250738585072011e-308},
        {"5e-324", true, 5e-324},
        {"1e-400", true, 0},
        {"9007199254740993", true, 9007199254740992},
        {"1e309", false, 0},
        {"-1e309", false, 0},
        {"\"1\"", false, 0},
        {"null", false, 0},
    };
    char *big = malloc(100001);
    double value;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        value = 4711;
        parse(bytes_cstr(cases[i].text));
        ck_assert_msg(json_double(&doc, 0, &value) == cases[i].ok, "%s", cases[i].text);
        ck_assert_msg(value == (cases[i].ok ? cases[i].value : 4711), "%s: %g", cases[i].text, value);
    }
    parse(BYTES("-0"));
    ck_assert(json_double(&doc, 0, &value));
    ck_assert(signbit(value));
    /* However many digits. */
    ck_assert_ptr_nonnull(big);
    memset(big, '3', 100000);
    big[1] = '.';
    parse(bytes_of(big, 100000));
    ck_assert(json_double(&doc, 0, &value));
    ck_assert_double_eq_tol(value, 10.0 / 3, 1e-15);
    free(big);
}
END_TEST

static void string_is(struct bytes text, struct bytes want)
{
    struct bytes got = BYTES("untouched");
    struct buf b;

    parse(text);
    ck_assert(json_string(&doc, 0, &arena, &got));
    ck_assert_msg(bytes_eq(got, want), "%.*s: %.*s", BYTES_FMT(text), BYTES_FMT(got));
    buf_init(&b, want.len + 1);
    ck_assert_int_eq(buf_append_char(&b, '>'), ERR_OK);
    ck_assert_int_eq(json_string_append(&doc, 0, &b), ERR_OK);
    ck_assert(bytes_eq(bytes_skip(buf_bytes(&b), 1), want));
    buf_free(&b);
}

START_TEST(strings)
{
    string_is(BYTES("\"\""), BYTES(""));
    string_is(BYTES("\"plain\""), BYTES("plain"));
    string_is(BYTES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), BYTES("\"\\/\b\f\n\r\t"));
    string_is(BYTES("\"a\\u0000b\""), BYTES("a\0b"));
    string_is(BYTES("\"\\u007f\\u0080\\u07FF\\u0800\\uffff\""),
              BYTES("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"));
    string_is(BYTES("\"\\ud800\\udc00\\uDBFF\\uDFFF\""), BYTES("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"));
    string_is(BYTES("\"x\\ud834\\udd1ey\""), BYTES("x\xF0\x9D\x84\x9Ey"));
    string_is(BYTES("\"\\\\u0041\""), BYTES("\\u0041"));
    string_is(BYTES("\"\xE2\x82\xAC\\n\xE2\x82\xAC\""), BYTES("\xE2\x82\xAC\n\xE2\x82\xAC"));
}
END_TEST

START_TEST(strings_without_escapes_are_slices)
{
    static const char text[] = "[\"plain\"]";
    struct bytes got;

    parse(bytes_cstr(text));
    ck_assert(json_string(&doc, 1, &arena, &got));
    ck_assert_ptr_eq(got.data, text + 2);
    ck_assert_uint_eq(arena.used, 0);
    ck_assert(!json_string(&doc, 0, &arena, &got));
}
END_TEST

START_TEST(strings_meet_ceilings)
{
    struct arena small;
    struct bytes got = BYTES("untouched");
    struct buf b;

    arena_init(&small, 16);
    buf_init(&b, 10);
    parse(BYTES("\"0123456789\\n0123456789\""));
    ck_assert(!json_string(&doc, 0, &small, &got));
    ck_assert(bytes_is(got, "untouched"));
    ck_assert_int_eq(buf_append(&b, "ab", 2), ERR_OK);
    ck_assert_int_eq(json_string_append(&doc, 0, &b), ERR_LIMIT);
    ck_assert(bytes_is(buf_bytes(&b), "ab"));
    buf_reset(&b);
    ck_assert_int_eq(json_string_append(&doc, 0, &b), ERR_LIMIT);
    ck_assert_uint_eq(b.len, 0);
    parse(BYTES("17"));
    ck_assert_int_eq(json_string_append(&doc, 0, &b), ERR_INVALID);
    buf_free(&b);
    arena_free(&small);
}
END_TEST

START_TEST(nothing_is_lost)
{
    static const char *const raw[] = {
        "1000000000000000000000000000000",     "1.10", "1E+2", "-0", "\"\\u0041\\/\"", "[ 1 ]", "{ }",
        "0.1000000000000000055511151231257827"};

    for (size_t i = 0; i < ARRAY_LEN(raw); i++) {
        char text[128];
        int n = snprintf(text, sizeof(text), "{\"v\" : %s , \"w\":0}", raw[i]);
        parse(bytes_of(text, (size_t)n));
        ck_assert(bytes_is(json_raw(&doc, json_get(&doc, 0, "v")), raw[i]));
    }
    parse(BYTES("\"\\u0041\\/\""));
    ck_assert(bytes_is(json_raw_string(&doc, 0), "\\u0041\\/"));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("json_value");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, integers);
    tcase_add_test(tc, doubles);
    tcase_add_test(tc, strings);
    tcase_add_test(tc, strings_without_escapes_are_slices);
    tcase_add_test(tc, strings_meet_ceilings);
    tcase_add_test(tc, nothing_is_lost);
    return run_case(tc);
}

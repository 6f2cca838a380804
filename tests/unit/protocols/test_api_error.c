#include "common/utf8.h"
#include "support.h"

static void expect_body(const struct api_error *e, const char *expected)
{
    struct buf out;
    buf_init(&out, 4096);
    api_error_body(e, &out);
    expect_bytes(buf_bytes(&out), expected);
    buf_free(&out);
}

START_TEST(test_body)
{
    struct api_error e;
    api_error_set(&e, 400, API_INVALID, "invalid_type", "input[0].text", "Not a \"%s\".", "string");
    ck_assert_int_eq(e.status, 400);
    expect_body(&e, "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"invalid_type\","
                    "\"message\":\"Not a \\\"string\\\".\",\"param\":\"input[0].text\"}}");
}
END_TEST

START_TEST(test_nulls)
{
    struct api_error e;
    e.retry_after_s = 7;
    api_error_set(&e, 500, API_SERVER, NULL, NULL, "Oh.");
    ck_assert_int_eq(e.retry_after_s, 0);
    expect_body(&e,
                "{\"error\":{\"type\":\"server_error\",\"code\":null,\"message\":\"Oh.\",\"param\":null}}");
}
END_TEST

/* Texts are cut on whole characters, whatever the length of the cut one and wherever the cut falls. */
START_TEST(test_cut)
{
    static const char *const chars[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t c = 0; c < ARRAY_LEN(chars); c++)
        for (size_t shift = 0; shift < 5; shift++) {
            char text[1300] = "";
            size_t len = shift, char_len = strlen(chars[c]);
            memset(text, 'x', shift);
            while (len + char_len < sizeof text) {
                memcpy(text + len, chars[c], char_len);
                len += char_len;
            }
            text[len] = 0;
            struct api_error e;
            api_error_set(&e, 400, API_INVALID, "c", text, "%s", text);
            ck_assert(utf8_valid(bytes_cstr(e.message)));
            ck_assert(utf8_valid(bytes_cstr(e.param)));
            ck_assert_uint_gt(strlen(e.message), sizeof e.message - 1 - 4);
            ck_assert_uint_gt(strlen(e.param), sizeof e.param - 1 - 4);
            ck_assert_int_eq(strncmp(text, e.message, strlen(e.message)), 0);
        }
}
END_TEST

START_TEST(test_from_itself)
{
    struct api_error e;
    api_error_set(&e, 400, API_INVALID, "a", "p", "inner");
    api_error_set(&e, 502, API_UPSTREAM, "b", e.param, "outer: %s", e.message);
    ck_assert_str_eq(e.message, "outer: inner");
    ck_assert_str_eq(e.param, "p");
}
END_TEST

START_TEST(test_scrub)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"Incorrect API key provided: sk-proj-abc***xyz. Find yours.",
         "Incorrect API key provided: [secret] Find yours."},
        {"bearer abcdefgh is bad, Bearer 12345678", "bearer [secret] is bad, Bearer [secret]"},
        {"key AIzaSyA-1234_567 and eyJhbGciOi.J9.x", "key [secret] and [secret]"},
        {"sk-1 is short; the task-oriented model \xc3\xa9 gpt-4o-mini stays",
         "sk-1 is short; the task-oriented model \xc3\xa9 gpt-4o-mini stays"},
        {"sk-12345", "[secret]"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct api_error e;
        api_error_set(&e, 400, API_INVALID, NULL, NULL, "%s", cases[i].from);
        api_error_scrub(&e);
        ck_assert_str_eq(e.message, cases[i].to);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_body, test_nulls, test_cut, test_from_itself, test_scrub};
    return run_tests("api_error", tests, ARRAY_LEN(tests));
}

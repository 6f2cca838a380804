#include "common/utf8.h"
#include "tests/unit/common/run.h"

static const struct {
    const char *text;
    size_t len;
    bool valid;
} cases[] = {
#define CASE(text, valid)                                                                                    \
    {                                                                                                        \
        text, sizeof(text) - 1, valid                                                                        \
    }
    CASE("", true),
    CASE("plain ascii, longer than a word", true),
    CASE("\x00", true),
    CASE("\x7F", true),
    CASE("\x80", false),
    CASE("\xBF", false),
    CASE("\xC0\x80", false),
    CASE("\xC1\xBF", false),
    CASE("\xC2\x80", true),
    CASE("\xDF\xBF", true),
    CASE("\xC2", false),
    CASE("\xC2\x7F", false),
    CASE("\xC2\xC0", false),
    CASE("\xE0\x9F\xBF", false),
    CASE("\xE0\xA0\x80", true),
    CASE("\xED\x9F\xBF", true),
    CASE("\xED\xA0\x80", false),
    CASE("\xED\xBF\xBF", false),
    CASE("\xEE\x80\x80", true),
    CASE("\xEF\xBF\xBF", true),
    CASE("\xE2\x82", false),
    CASE("\xE2\x28\xA1", false),
    CASE("\xF0\x8F\xBF\xBF", false),
    CASE("\xF0\x90\x80\x80", true),
    CASE("\xF4\x8F\xBF\xBF", true),
    CASE("\xF4\x90\x80\x80", false),
    CASE("\xF5\x80\x80\x80", false),
    CASE("\xF8\x88\x80\x80\x80", false),
    CASE("\xFF", false),
    CASE("\xFE\xFE\xFF\xFF", false),
    CASE("12345678\xC3\xA9"
         "2345678\xF0\x9F\x98\x80!",
         true),
    CASE("1234567\xE2\x82\xAC\xE2\x82", false),
};

START_TEST(whole_texts)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_msg(utf8_valid(bytes_of(cases[i].text, cases[i].len)) == cases[i].valid, "case %zu", i);
}
END_TEST

START_TEST(any_split)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes all = bytes_of(cases[i].text, cases[i].len);
        for (size_t split = 0; split <= all.len; split++) {
            struct utf8_state s = {0};
            bool ok = utf8_feed(&s, bytes_of(all.data, split));
            ok = utf8_feed(&s, bytes_of(all.data + split, all.len - split)) && ok;
            ck_assert_msg((ok && utf8_complete(&s)) == cases[i].valid, "case %zu split %zu", i, split);
        }
    }
}
END_TEST

/* What encodes a code point, and nothing else of its length, is valid. */
START_TEST(all_of_three_bytes)
{
    unsigned valid = 0;

    for (unsigned a = 0xE0; a < 0xF0; a++)
        for (unsigned b = 0; b < 256; b++)
            for (unsigned c = 0; c < 256; c++) {
                char s[3] = {(char)a, (char)b, (char)c};
                valid += utf8_valid(bytes_of(s, 3));
            }
    ck_assert_uint_eq(valid, 0x10000 - 0x800 - 0x800);
}
END_TEST

START_TEST(stays_bad)
{
    struct utf8_state s = {0};

    ck_assert(!utf8_feed(&s, BYTES("\xFF")));
    ck_assert(!utf8_feed(&s, BYTES("a")));
    ck_assert(!utf8_complete(&s));
    /* A prefix that can still become valid is no error yet. */
    s = (struct utf8_state){0};
    ck_assert(utf8_feed(&s, BYTES("\xF4\x8F")));
    ck_assert(!utf8_complete(&s));
    ck_assert(utf8_feed(&s, BYTES("\xBF\xBF")));
    ck_assert(utf8_complete(&s));
    s = (struct utf8_state){0};
    ck_assert(!utf8_feed(&s, BYTES("\xF4\x90")));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("utf8");

    tcase_add_test(tc, whole_texts);
    tcase_add_test(tc, any_split);
    tcase_add_test(tc, all_of_three_bytes);
    tcase_add_test(tc, stays_bad);
    return run_case(tc);
}

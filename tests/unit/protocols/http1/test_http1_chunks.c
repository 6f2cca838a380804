/* What requests and responses share: the characters, and chunks in both strictnesses. */
#include "common/buf.h"
#include "protocols/http1/http1_chunks.h"
#include "tests/unit/common/run.h"

enum { MAX_BODY = 20, MAX_TRAILERS = 40 };

START_TEST(characters_are_those_of_the_rfcs)
{
    static const char token[] = "!#$%&'*+-.^_`|~", host[] = "-._~%!$&'()*+;=:[]",
                      digits[] = "0123456789abcdef";
    for (int i = 0; i < 256; i++) {
        const char c = (char)i;
        const bool upper = i >= 'A' && i <= 'Z', lower = i >= 'a' && i <= 'z', digit = i >= '0' && i <= '9';
        const bool word = upper || lower || digit;
        const char *hex = i ? strchr(digits, upper ? i + 0x20 : i) : NULL;
        ck_assert_int_eq(http1_is_word(c), word);
        ck_assert_int_eq(http1_char_is(c, HTTP1_TOKEN) != 0, word || (i && strchr(token, i)));
        ck_assert_int_eq(http1_char_is(c, HTTP1_HOST) != 0, word || (i && strchr(host, i)));
        ck_assert_int_eq(http1_char_is(c, HTTP1_FIELD) != 0, i == '\t' || (i >= ' ' && i != 0x7f));
        ck_assert_int_eq(http1_char_is(c, HTTP1_HEX) != 0, hex != NULL);
        ck_assert_int_eq(http1_char_is(c, HTTP1_HEX_VALUE), hex ? hex - digits : 0);
    }
}
END_TEST

START_TEST(fields_are_a_token_a_colon_and_a_value)
{
    static const char *const none[] = {"", ":", ": v", "a", "a : v", " a: v", "a b: v", "\xc3\xa9: v"};
    struct bytes name, value;
    ck_assert(http1_field(BYTES("X-a: \t b c \t"), &name, &value));
    ck_assert(bytes_is(name, "X-a") && bytes_is(value, "b c"));
    ck_assert(http1_field(BYTES("a::"), &name, &value));
    ck_assert(bytes_is(name, "a") && bytes_is(value, ":"));
    ck_assert(http1_field(BYTES("a:"), &name, &value));
    ck_assert(bytes_is(name, "a") && value.len == 0);
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        ck_assert_msg(!http1_field(bytes_cstr(none[i]), &name, &value), "'%s'", none[i]);
}
END_TEST

/* Splits at `at`; the verdict, the body, and what is left. */
static enum http1_body_step read_all(struct bytes all, bool strict, size_t at, struct buf *body,
                                     struct http1_chunks *c, size_t *ret_left)
{
    enum http1_body_step step = BODY_MORE;
    http1_chunks_init(c, strict, MAX_BODY, MAX_TRAILERS);
    buf_reset(body);
    *ret_left = 0;
    for (int half = 0; half < 2; half++) {
        struct bytes in = half ? bytes_skip(all, at) : bytes_of(all.data, at), part;
        while ((step = http1_chunks_next(c, &in, &part)) == BODY_DATA)
            buf_append_bytes(body, part);
        *ret_left += in.len;
    }
    return step;
}

START_TEST(one_grammar_in_two_strictnesses)
{
    static const struct {
        const char *all;
        int strict, lenient; /* 0: ends; else as http1_chunks.status */
        size_t left;
    } cases[] = {
        {"3\r\nabc\r\n0\r\n\r\nrest", 0, 0, 4},
        {"00000003\r\nabc\r\n0000000000000000\r\n\r\n", 0, 0, 0},
        {"00000000000000003\r\nabc\r\n0\r\n\r\n", 400, 400, 0},
        {"14\r\n01234567890123456789\r\n0\r\n\r\n", 0, 0, 0},
        {"15\r\n", 413, 413, 0},
        {"13\r\n0123456789012345678\r\n2\r\n", 413, 413, 0},
        {"3;a=\"b\"\r\nabc\r\n0\r\n\r\n", 0, 0, 0},
        {"3;\x01\r\nabc\r\n0\r\n\r\n", 400, 0, 0},
        {"3 \t;a\r\nabc\r\n0\r\n\r\n", 400, 0, 0},
        {"3\nabc\r\n", 400, 400, 0},
        {"3\r\nabc\n", 400, 400, 0},
        {"3\r\nabcd\r\n", 400, 400, 0},
        {"0\r\nA: b\r\nC:\r\n\r\n", 0, 0, 0},
        {"0\r\nA: b\n\n", 400, 0, 0},
        {"0\r\nno colon\r\n \r\n\r\n", 400, 0, 0},
        {"0\r\n\rA\r\n\r\n", 400, 0, 0},
        {"0\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n\r\n", 431, 431, 0},
    };
    struct buf body;
    buf_init(&body, MAX_BODY);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes all = bytes_cstr(cases[i].all);
        for (size_t at = 0; at <= 2 * all.len + 1; at++) {
            struct http1_chunks c;
            size_t left;
            const bool strict = at > all.len;
            const int want = strict ? cases[i].strict : cases[i].lenient;
            enum http1_body_step step =
                read_all(all, strict, strict ? at - all.len - 1 : at, &body, &c, &left);
            ck_assert_msg(step == (want ? BODY_BAD : BODY_END), "'%s': %d", cases[i].all, (int)step);
            ck_assert_int_eq(http1_chunks_ended(&c), !want);
            if (want)
                ck_assert_int_eq(c.status, want);
            else
                ck_assert_uint_eq(left, cases[i].left);
        }
    }
    buf_free(&body);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("http1_chunks");
    tcase_add_test(tc, characters_are_those_of_the_rfcs);
    tcase_add_test(tc, fields_are_a_token_a_colon_and_a_value);
    tcase_add_test(tc, one_grammar_in_two_strictnesses);
    return run_case(tc);
}

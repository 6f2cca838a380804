#include "loadtest/kit/tokens.h"
#include "tests/unit/common/run.h"
#include <stdio.h>
#include <stdlib.h>

static struct token_check c;

static void setup(void)
{
    token_check_init(&c);
}

static unsigned feed(const char *text)
{
    return token_check_feed(&c, bytes_cstr(text));
}

#define EXPECT(lost_, doubled_, reordered_, malformed_, extra_)                                              \
    do {                                                                                                     \
        ck_assert_uint_eq(c.lost, lost_);                                                                    \
        ck_assert_uint_eq(c.doubled, doubled_);                                                              \
        ck_assert_uint_eq(c.reordered, reordered_);                                                          \
        ck_assert_uint_eq(c.malformed, malformed_);                                                          \
        ck_assert_uint_eq(c.extra, extra_);                                                                  \
        ck_assert_int_eq(token_check_ok(&c),                                                                 \
                         !((lost_) + (doubled_) + (reordered_) + (malformed_) + (extra_)));                  \
    } while (0)

START_TEST(all_in_order_is_right)
{
    ck_assert_uint_eq(feed("t000000 t000001 "), 2);
    ck_assert_uint_eq(feed("t000002 "), 1);
    token_check_end(&c, 3);
    EXPECT(0, 0, 0, 0, 0);
}
END_TEST

START_TEST(any_split_gives_the_same)
{
    const char text[] = "t000000 t000001xx t000002@0000000000000042 t000003@0000000000000043xxx ";
    for (size_t cut = 0; cut < sizeof(text); cut++) {
        token_check_init(&c);
        unsigned n = token_check_feed(&c, bytes_of(text, cut));
        n += token_check_feed(&c, bytes_of(text + cut, sizeof(text) - 1 - cut));
        token_check_end(&c, 4);
        ck_assert_uint_eq(n, 4);
        ck_assert_uint_eq(c.stamp_us, 43);
        EXPECT(0, 0, 0, 0, 0);
    }
}
END_TEST

/* What comes instead of so many tokens, and what that is. */
START_TEST(each_fault_is_counted_as_what_it_is)
{
    static const struct {
        const char *what, *text;
        uint32_t asked;
        unsigned lost, doubled, reordered, malformed, extra;
    } cases[] = {
        {.what = "one lost in the middle", .text = "t000000 t000002 t000003 ", .asked = 4, .lost = 1},
        {.what = "the first and the last lost", .text = "t000001 t000002 ", .asked = 5, .lost = 3},
        {.what = "all lost", .text = "", .asked = 7, .lost = 7},
        {.what = "doubled at once and later",
         .text = "t000000 t000001 t000001 t000002 t000000 ",
         .asked = 3,
         .doubled = 2},
        {.what = "swapped neighbours are reordered, not lost",
         .text = "t000000 t000002 t000001 t000003 ",
         .asked = 4,
         .reordered = 1},
        {.what = "more than asked for", .text = "t000000 t000001 t000002 ", .asked = 2, .extra = 1},
        {.what = "garbage is malformed and the token lost",
         .text = "t000000 t0000x1 t000002 ",
         .asked = 3,
         .lost = 1,
         .malformed = 1},
        {.what = "cut at the end", .text = "t000000 t00000", .asked = 2, .lost = 1, .malformed = 1},
        {.what = "no space between two",
         .text = "t000000t000001 t000002 ",
         .asked = 3,
         .lost = 2,
         .malformed = 1},
        {.what = "an escape is no token", .text = "\\u0074000000 ", .asked = 1, .lost = 1, .malformed = 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        token_check_init(&c);
        feed(cases[i].text);
        token_check_end(&c, cases[i].asked);
        ck_assert_msg(c.lost == cases[i].lost && c.doubled == cases[i].doubled &&
                          c.reordered == cases[i].reordered && c.malformed == cases[i].malformed &&
                          c.extra == cases[i].extra && !token_check_ok(&c),
                      "%s", cases[i].what);
    }
}
END_TEST

START_TEST(doubled_long_ago)
{
    char text[16];
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(text, sizeof(text), "t%06u ", i);
        feed(text);
    }
    feed("t000003 ");
    token_check_end(&c, 300);
    EXPECT(0, 1, 0, 0, 0);
}
END_TEST

START_TEST(written_tokens_read_back)
{
    char room[128];
    for (uint32_t i = 0; i < 200; i++) {
        size_t size = TOKEN_MIN_SIZE + i % 40;
        bool stamped = i % 3 == 0;
        token_write(room, size, i, stamped);
        if (stamped)
            token_write_stamp(room + 2 + TOKEN_DIGITS, 1000 + i);
        ck_assert_uint_eq(token_check_feed(&c, bytes_of(room, size + (stamped ? 17 : 0))), 1);
        if (stamped)
            ck_assert_uint_eq(c.stamp_us, 1000 + i);
    }
    token_check_end(&c, 200);
    EXPECT(0, 0, 0, 0, 0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("tokens");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, all_in_order_is_right);
    tcase_add_test(t, any_split_gives_the_same);
    tcase_add_test(t, each_fault_is_counted_as_what_it_is);
    tcase_add_test(t, doubled_long_ago);
    tcase_add_test(t, written_tokens_read_back);
    return run_case(t);
}

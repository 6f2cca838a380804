#include "loadtest/kit/tokens.h"
#include <check.h>
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

START_TEST(one_lost_in_the_middle)
{
    feed("t000000 t000002 t000003 ");
    token_check_end(&c, 4);
    EXPECT(1, 0, 0, 0, 0);
}
END_TEST

START_TEST(the_first_and_the_last_lost)
{
    feed("t000001 t000002 ");
    token_check_end(&c, 5);
    EXPECT(3, 0, 0, 0, 0);
}
END_TEST

START_TEST(all_lost)
{
    token_check_end(&c, 7);
    EXPECT(7, 0, 0, 0, 0);
}
END_TEST

START_TEST(doubled_at_once_and_later)
{
    feed("t000000 t000001 t000001 t000002 t000000 ");
    token_check_end(&c, 3);
    EXPECT(0, 2, 0, 0, 0);
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

START_TEST(swapped_neighbours_are_reordered_and_not_lost)
{
    feed("t000000 t000002 t000001 t000003 ");
    token_check_end(&c, 4);
    EXPECT(0, 0, 1, 0, 0);
}
END_TEST

START_TEST(more_than_asked_for)
{
    feed("t000000 t000001 t000002 ");
    token_check_end(&c, 2);
    EXPECT(0, 0, 0, 0, 1);
}
END_TEST

START_TEST(garbage_is_malformed_and_the_token_lost)
{
    feed("t000000 t0000x1 t000002 ");
    token_check_end(&c, 3);
    EXPECT(1, 0, 0, 1, 0);
}
END_TEST

START_TEST(a_token_cut_at_the_end)
{
    feed("t000000 t00000");
    token_check_end(&c, 2);
    EXPECT(1, 0, 0, 1, 0);
}
END_TEST

START_TEST(a_missing_space_between_two)
{
    feed("t000000t000001 t000002 ");
    token_check_end(&c, 3);
    ck_assert(!token_check_ok(&c));
    ck_assert_uint_eq(c.malformed, 1);
    ck_assert_uint_eq(c.lost, 2);
}
END_TEST

START_TEST(an_escape_is_no_token)
{
    feed("\\u0074000000 ");
    token_check_end(&c, 1);
    EXPECT(1, 0, 0, 1, 0);
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
    Suite *s = suite_create("loadtest_tokens");
    TCase *t = tcase_create("tokens");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, all_in_order_is_right);
    tcase_add_test(t, any_split_gives_the_same);
    tcase_add_test(t, one_lost_in_the_middle);
    tcase_add_test(t, the_first_and_the_last_lost);
    tcase_add_test(t, all_lost);
    tcase_add_test(t, doubled_at_once_and_later);
    tcase_add_test(t, doubled_long_ago);
    tcase_add_test(t, swapped_neighbours_are_reordered_and_not_lost);
    tcase_add_test(t, more_than_asked_for);
    tcase_add_test(t, garbage_is_malformed_and_the_token_lost);
    tcase_add_test(t, a_token_cut_at_the_end);
    tcase_add_test(t, a_missing_space_between_two);
    tcase_add_test(t, an_escape_is_no_token);
    tcase_add_test(t, written_tokens_read_back);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

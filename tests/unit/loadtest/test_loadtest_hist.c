#include "loadtest/kit/hist.h"
#include "tests/unit/common/run.h"
#include <stdlib.h>

static struct hist h;

static void setup(void)
{
    hist_reset(&h);
}

START_TEST(buckets_are_contiguous_and_bounded)
{
    for (unsigned b = 0; b + 1 < HIST_BUCKETS; b++) {
        uint64_t top = hist_bucket_max(b);
        ck_assert_uint_eq(hist_bucket(top), b);
        if (top == UINT64_MAX)
            break;
        ck_assert_uint_eq(hist_bucket(top + 1), b + 1);
    }
    ck_assert_uint_eq(hist_bucket_max(hist_bucket(UINT64_MAX)), UINT64_MAX);
    ck_assert_uint_lt(hist_bucket(UINT64_MAX), HIST_BUCKETS);
}
END_TEST

START_TEST(error_is_at_most_one_in_128)
{
    uint64_t v = 1;
    for (unsigned i = 0; i < 200; i++) {
        uint64_t top = hist_bucket_max(hist_bucket(v));
        ck_assert_uint_ge(top, v);
        ck_assert_uint_le(top - v, v / 128);
        v = v * 5 / 4 + 1;
    }
}
END_TEST

START_TEST(quantiles_of_a_known_row)
{
    for (uint64_t i = 1; i <= 100; i++)
        hist_record(&h, i);
    ck_assert_uint_eq(hist_quantile(&h, 0), 1);
    ck_assert_uint_eq(hist_quantile(&h, 0.5), 50);
    ck_assert_uint_eq(hist_quantile(&h, 0.9), 90);
    ck_assert_uint_eq(hist_quantile(&h, 0.99), 99);
    ck_assert_uint_eq(hist_quantile(&h, 1), 100);
    ck_assert_uint_eq(h.count, 100);
    ck_assert_uint_eq(h.min, 1);
    ck_assert_uint_eq(h.max, 100);
    ck_assert_double_eq(hist_mean(&h), 50.5);
}
END_TEST

START_TEST(quantiles_match_counting)
{
    enum { N = 20000 };
    static uint64_t values[N];
    uint64_t x = 88172645463325252u;
    for (unsigned i = 0; i < N; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        values[i] = x >> (x % 40 + 10);
        hist_record(&h, values[i]);
    }
    const double quantiles[] = {0.01, 0.5, 0.9, 0.99, 0.999};
    for (unsigned q = 0; q < 5; q++) {
        uint64_t answer = hist_quantile(&h, quantiles[q]);
        unsigned at_most = 0, clearly_below = 0;
        for (unsigned i = 0; i < N; i++) {
            at_most += values[i] <= answer;
            clearly_below += values[i] < answer - answer / 128 - (answer > 0);
        }
        double rank = quantiles[q] * (double)N;
        ck_assert_double_ge(at_most, rank - 1e-6);
        ck_assert_double_lt(clearly_below, rank);
    }
}
END_TEST

START_TEST(never_above_the_maximum)
{
    hist_record(&h, 1000001);
    ck_assert_uint_eq(hist_quantile(&h, 0.5), 1000001);
    ck_assert_uint_eq(hist_quantile(&h, 0.999), 1000001);
}
END_TEST

START_TEST(an_empty_one_answers_zero)
{
    ck_assert_uint_eq(hist_quantile(&h, 0.99), 0);
    ck_assert_double_eq(hist_mean(&h), 0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("hist");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, buckets_are_contiguous_and_bounded);
    tcase_add_test(t, error_is_at_most_one_in_128);
    tcase_add_test(t, quantiles_of_a_known_row);
    tcase_add_test(t, quantiles_match_counting);
    tcase_add_test(t, never_above_the_maximum);
    tcase_add_test(t, an_empty_one_answers_zero);
    return run_case(t);
}

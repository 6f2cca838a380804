#pragma once
/* A histogram of non-negative integers with a bounded relative error: log-linear buckets, 128 to each power
 * of two, so that an answer is at most 1/128 (0.8 %) above the value that was recorded. Values below 128 are
 * exact. */
#include <stdint.h>

enum { HIST_SUB_BITS = 7, HIST_SUB = 1 << HIST_SUB_BITS, HIST_BUCKETS = (64 - HIST_SUB_BITS + 1) * HIST_SUB };

struct hist {
    uint64_t count;
    uint64_t min, max; /* exact; min is 0 while count is 0 */
    double sum;
    uint64_t buckets[HIST_BUCKETS];
};

void hist_reset(struct hist *h);
void hist_record(struct hist *h, uint64_t value);
/* The smallest bucket limit below which at least `q` (0 to 1) of the values lie, never above `max`; 0 when
 * empty. */
uint64_t hist_quantile(const struct hist *h, double q);
double hist_mean(const struct hist *h);
/* The bucket of a value, and the largest value of a bucket: apart for the tests' sake. */
unsigned hist_bucket(uint64_t value);
uint64_t hist_bucket_max(unsigned bucket);

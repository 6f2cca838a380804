#include "loadtest/kit/hist.h"
#include <math.h>
#include <string.h>

unsigned hist_bucket(uint64_t value)
{
    if (value < HIST_SUB)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HIST_SUB_BITS;
    return (shift + 1) * HIST_SUB + (unsigned)(value >> shift) - HIST_SUB;
}

uint64_t hist_bucket_max(unsigned bucket)
{
    if (bucket < HIST_SUB)
        return bucket;
    unsigned shift = bucket / HIST_SUB - 1;
    uint64_t base = HIST_SUB + bucket % HIST_SUB;
    return (base << shift) + ((UINT64_C(1) << shift) - 1);
}

void hist_reset(struct hist *h)
{
    memset(h, 0, sizeof(*h));
}

void hist_record(struct hist *h, uint64_t value)
{
    h->buckets[hist_bucket(value)]++;
    if (h->count == 0 || value < h->min)
        h->min = value;
    if (value > h->max)
        h->max = value;
    h->count++;
    h->sum += (double)value;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
    if (h->count == 0)
        return 0;
    double wanted = ceil(q * (double)h->count);
    uint64_t rank = wanted < 1 ? 1 : (uint64_t)wanted;
    if (rank > h->count)
        rank = h->count;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank) {
            uint64_t top = hist_bucket_max(i);
            return top < h->max ? top : h->max;
        }
    }
    return h->max;
}

double hist_mean(const struct hist *h)
{
    return h->count ? h->sum / (double)h->count : 0;
}

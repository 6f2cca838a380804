/* Numbers as C values. */
#include "protocols/json/json.h"
#include <limits.h>
#include <math.h>
#include <stdlib.h>

/* A number as its significant digits, without zeros at either end, times a power of ten. */
struct decimal {
    bool negative;
    bool too_long;   /* more digits than any 64-bit integer has */
    uint64_t digits; /* 0: the value is zero */
    int64_t exponent;
};

/* Exponents beyond any text's digits are all the same. */
static int64_t read_exponent(struct bytes s)
{
    const int64_t huge = INT64_C(1) << 40;
    bool negative = s.len > 0 && s.data[0] == '-';
    int64_t value = 0;

    if (s.len > 0 && (s.data[0] == '-' || s.data[0] == '+'))
        s = bytes_skip(s, 1);
    for (size_t i = 0; i < s.len && value < huge; i++)
        value = value * 10 + (s.data[i] - '0');
    return negative ? -value : value;
}

static struct decimal read_decimal(struct bytes s)
{
    struct decimal d = {.negative = s.data[0] == '-'};
    bool fraction = false;
    int64_t zeros = 0; /* seen since the last digit that was none */

    for (size_t i = d.negative; i < s.len; i++) {
        char c = s.data[i];
        if (c == 'e' || c == 'E') {
            d.exponent += read_exponent(bytes_skip(s, i + 1));
            break;
        }
        if (c == '.') {
            fraction = true;
            continue;
        }
        d.exponent -= fraction;
        if (c == '0') {
            zeros++;
            continue;
        }
        for (; zeros > 0 && d.digits > 0 && !d.too_long; zeros--) {
            d.too_long = d.digits > UINT64_MAX / 10 - 1;
            d.digits *= d.too_long ? 1 : 10;
        }
        zeros = 0;
        if (d.digits > UINT64_MAX / 10 - 1)
            d.too_long = true;
        if (!d.too_long)
            d.digits = d.digits * 10 + (uint64_t)(c - '0');
    }
    d.exponent += zeros;
    return d;
}

bool json_int(const struct json_doc *d, json_ref r, int64_t *ret)
{
    if (!json_is(d, r, JSON_NUMBER))
        return false;
    struct decimal v = read_decimal(json_raw(d, r));
    if (v.digits == 0) {
        *ret = 0;
        return true;
    }
    if (v.too_long || v.exponent < 0)
        return false;
    uint64_t limit = v.negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    for (; v.exponent > 0; v.exponent--) {
        if (v.digits > limit / 10)
            return false;
        v.digits *= 10;
    }
    if (v.digits > limit)
        return false;
    *ret = v.negative ? (int64_t)(0 - v.digits) : (int64_t)v.digits;
    return true;
}

bool json_double(const struct json_doc *d, json_ref r, double *ret)
{
    char small[128];

    if (!json_is(d, r, JSON_NUMBER))
        return false;
    struct bytes raw = json_raw(d, r);
    char *text = raw.len < sizeof(small) ? small : malloc(raw.len + 1);
    if (!text)
        return false;
    memcpy(text, raw.data, raw.len);
    text[raw.len] = '\0';
    double value = strtod(text, NULL);
    if (text != small)
        free(text);
    if (!isfinite(value))
        return false;
    *ret = value;
    return true;
}

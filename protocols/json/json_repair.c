#include "protocols/json/json.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The unit of a \uXXXX at `at`; -1: there is none. */
static int unit_at(struct bytes s, size_t at)
{
    int unit = 0;
    if (s.len < 6 || at > s.len - 6 || s.data[at] != '\\' || s.data[at + 1] != 'u')
        return -1;
    for (size_t i = 2; i < 6; i++) {
        const int digit = hex(s.data[at + i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static bool is_high(int unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low(int unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

size_t json_drop_half_pairs(char *text, size_t len)
{
    const struct bytes s = bytes_of(text, len);
    size_t n = 0;
    for (size_t at = 0; at < len;) {
        const int unit = unit_at(s, at);
        /* Any other escape goes as a whole, so that what follows an escaped backslash is no escape. */
        size_t step = unit >= 0 ? 6 : text[at] == '\\' && at + 1 < len ? 2 : 1;
        if (is_high(unit) && is_low(unit_at(s, at + 6))) {
            step = 12;
        } else if (is_high(unit) || is_low(unit)) {
            at += step;
            continue;
        }
        memmove(text + n, text + at, step);
        n += step;
        at += step;
    }
    return n;
}

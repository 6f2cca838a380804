#include "common/bytes.h"
#include "common/ids.h"

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

bool bytes_same_nocase(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

static bool is_ows(char c)
{
    return c == ' ' || c == '\t';
}

struct bytes bytes_trim_ows(struct bytes a)
{
    while (a.len > 0 && is_ows(a.data[0])) {
        a.data++;
        a.len--;
    }
    while (a.len > 0 && is_ows(a.data[a.len - 1]))
        a.len--;
    return a;
}

enum err bytes_to_u64(struct bytes a, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;
    bool too_big = false;

    if (a.len == 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < a.len; i++) {
        if (a.data[i] < '0' || a.data[i] > '9')
            return ERR_SYNTAX;
        uint64_t digit = (uint64_t)(a.data[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            too_big = true;
        else
            value = value * 10 + digit;
    }
    if (too_big || value > max)
        return ERR_LIMIT;
    *ret_value = value;
    return ERR_OK;
}

uint64_t bytes_hash(struct bytes a)
{
    static uint64_t seed;

    while (seed == 0)
        random_bytes(&seed, sizeof(seed));
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;
    for (size_t i = 0; i < a.len; i++) {
        h ^= (unsigned char)a.data[i];
        h *= UINT64_C(0x100000001b3);
    }
    /* Tables index by the low bits, which FNV alone mixes badly: the high half is folded in. */
    h ^= h >> 32;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

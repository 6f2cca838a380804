#include "common/network.h"
#include <arpa/inet.h>

struct address address_of(struct bytes raw)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct address a = {.len = 0};
    if (raw.len == 16 && memcmp(raw.data, mapped, sizeof(mapped)) == 0)
        raw = bytes_skip(raw, sizeof(mapped));
    if (raw.len != 4 && raw.len != 16)
        return a;
    a.len = (uint8_t)raw.len;
    memcpy(a.bytes, raw.data, raw.len);
    return a;
}

bool address_parse_text(struct bytes text, struct address *ret)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char raw[16];
    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, raw) == 1)
        *ret = address_of(bytes_of(raw, 4));
    else if (inet_pton(AF_INET6, copy, raw) == 1)
        *ret = address_of(bytes_of(raw, 16));
    else
        return false;
    return true;
}

bool address_is_loopback(const struct address *a)
{
    static const unsigned char one[16] = {[15] = 1};
    return a->len == 4 ? a->bytes[0] == 127 : a->len == 16 && memcmp(a->bytes, one, sizeof(one)) == 0;
}

/* The bits behind the first `n` are 0. */
static bool clear_behind(const struct address *a, unsigned n)
{
    for (unsigned i = n; i < a->len * 8U; i++)
        if (a->bytes[i / 8] & (0x80U >> i % 8))
            return false;
    return true;
}

const char *network_parse(struct bytes text, struct network *ret)
{
    struct network n;
    uint64_t bits;
    const char *slash = text.len > 0 ? memchr(text.data, '/', text.len) : NULL;
    const size_t len = slash ? (size_t)(slash - text.data) : text.len;
    if (!address_parse_text(bytes_of(text.data, len), &n.address))
        return "is no numeric address";
    bits = (uint64_t)n.address.len * 8;
    if (slash && bytes_to_u64(bytes_skip(text, len + 1), bits, &bits) != ERR_OK)
        return "has behind its / no number of bits of such an address";
    n.bits = (uint8_t)bits;
    if (!clear_behind(&n.address, n.bits))
        return "has bits behind those that its / leaves";
    *ret = n;
    return NULL;
}

bool network_has(const struct network *n, const struct address *a)
{
    const unsigned whole = n->bits / 8U, rest = n->bits % 8U;
    if (n->address.len != a->len || a->len == 0 || memcmp(n->address.bytes, a->bytes, whole) != 0)
        return false;
    return rest == 0 || ((n->address.bytes[whole] ^ a->bytes[whole]) & (0xff00U >> rest) & 0xffU) == 0;
}

#pragma once
/* Addresses of IPv4 (4 bytes) and IPv6 (16 bytes), and networks of them (CIDR, RFC 4632). An IPv4 address
 * that is mapped into IPv6 is an IPv4 address. */
#include "common/bytes.h"

struct address {
    uint8_t len; /* 4 or 16; 0: none */
    uint8_t bytes[16];
};

struct network {
    struct address address;
    uint8_t bits;
};

static inline struct bytes address_bytes(const struct address *a)
{
    return bytes_of(a->bytes, a->len);
}
/* Of 4 or 16 bytes; of any other number: none. */
struct address address_of(struct bytes raw);
/* "192.0.2.1", "2001:db8::1". */
bool address_parse_text(struct bytes text, struct address *ret) MUST_USE;
/* 127.0.0.0/8, ::1 */
bool address_is_loopback(const struct address *a);
/* "10.0.0.0/8", "2001:db8::/32", or one address. NULL, or what is wrong (static). */
const char *network_parse(struct bytes text, struct network *ret) MUST_USE;
bool network_has(const struct network *n, const struct address *a);

#pragma once
/* HOST[:PORT], as in the Host header and in a URL (RFC 3986, 3.2.2 and 3.2.3; RFC 9110, 7.2), without a user.
 * Pure. */
#include "common/bytes.h"

struct http1_host {
    struct bytes name; /* without the brackets of an IPv6 address */
    uint16_t port;     /* 0: none */
    bool numeric;      /* an IPv4 or IPv6 address */
};

/* False: malformed. No name at all is well-formed where there is no port either: the Host of a target without
 * an authority. */
bool http1_host_parse(struct bytes text, struct http1_host *ret) MUST_USE;

#pragma once
/* The PROXY protocol, version 2 (HAProxy, doc/proxy-protocol.txt, 2.2): what a proxy says of its client in
 * front of the client's first byte. Pure. */
#include "common/network.h"

enum {
    PROXY_V2_FIXED = 16,
    PROXY_V2_MAX = 2048, /* of a whole one: addresses need no more than 232, the rest is for extensions */
};

struct proxy_v2 {
    bool own;              /* the proxy speaks for itself, for example to see whether we are well */
    struct address client; /* none: it is not told, or has no internet address */
    bool tls;              /* the client came over TLS */
};

enum proxy_result { PROXY_MORE, PROXY_DONE, PROXY_BAD };

/* PROXY_MORE: *ret_size is how many bytes it has at least, to be asked for before the next call; nothing
 * behind it needs to be read. PROXY_DONE: *ret is filled, and *ret_size is its size. */
enum proxy_result proxy_v2_parse(struct bytes in, struct proxy_v2 *ret, size_t *ret_size) MUST_USE;

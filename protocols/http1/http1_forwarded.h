#pragma once
/* What a proxy says of its client: X-Forwarded-For with X-Forwarded-Proto, or Forwarded (RFC 7239). Each
 * proxy adds to the end what it knows, so the end is the only part that a trusted one has written; what
 * stands before it, anybody may have. */
#include "common/network.h"
#include "protocols/http1/http1_request.h"

enum http1_forwarded_by { HTTP1_X_FORWARDED, HTTP1_FORWARDED };

struct http1_forwarded {
    bool said;             /* the header is there */
    struct address client; /* the last that no trusted proxy has; none: it is not told as a numeric address */
    enum { HTTP1_SCHEME_UNTOLD, HTTP1_SCHEME_HTTP, HTTP1_SCHEME_HTTPS } scheme; /* that the client used */
};

/* Looks at no more than this many hops from the end. */
enum { HTTP1_MAX_HOPS = 16 };

void http1_forwarded(const struct http1_request *r, enum http1_forwarded_by by, const struct network *trusted,
                     size_t n_trusted, struct http1_forwarded *ret);

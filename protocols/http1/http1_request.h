#pragma once
/* HTTP/1.1 requests out of a byte stream (RFC 9112), strictly: what two readers could understand differently
 * is refused (request smuggling), never repaired. No I/O and no clock; fed any split of the bytes, it answers
 * the same.
 *
 * Refused: Content-Length with Transfer-Encoding, repeated either, codings other than chunked, folded lines,
 * bare CR or LF, blanks before a colon, control characters, a missing or repeated Host, HTTP/0.9 and HTTP/2.
 */
#include "common/buf.h"
#include "protocols/http1/http1_chunks.h"
#include "protocols/http1/http1_host.h"

enum { HTTP1_MAX_HEADERS = 100 };

struct http1_header {
    struct bytes name, value; /* value without the blanks around it */
};

/* One request's head. Slices of the input or of the parser: valid until the next http1_feed. */
struct http1_request {
    struct bytes method;
    struct bytes path;      /* "/v1/models", or "*"; still percent-encoded */
    struct bytes query;     /* without the '?' */
    struct http1_host host; /* of the target if it names one, else of the Host header */
    bool http10;
    bool keep_alive; /* by version and Connection */
    bool upgrade;    /* Connection lists "upgrade" */
    bool expect_continue;
    bool has_body;
    size_t n_headers;
    struct http1_header headers[HTTP1_MAX_HEADERS];
};

struct http1 {
    size_t max_head, max_body;
    bool drop;          /* may be set at HTTP1_HEAD: read the body and forget it */
    struct bytes body;  /* at HTTP1_COMPLETE; valid until the next call */
    int status;         /* at HTTP1_BAD: what to answer, before closing */
    const char *reason; /* at HTTP1_BAD: static text */
    int state_;
    unsigned blank_lines_;
    uint64_t left_; /* bytes of a body of known length that are to come */
    struct http1_chunks chunks_;
    struct buf head_;
    struct buf body_;
};

enum http1_result {
    HTTP1_MORE,     /* the input is used up */
    HTTP1_HEAD,     /* *req is filled; the body follows */
    HTTP1_COMPLETE, /* the request has ended; the next byte begins another */
    HTTP1_BAD,      /* answer `status` and close: the stream is lost */
};

void http1_init(struct http1 *p, size_t max_head, size_t max_body);
void http1_free(struct http1 *p);
/* Eats from the front of *in. After HTTP1_HEAD and HTTP1_COMPLETE call again, also with no input. */
enum http1_result http1_feed(struct http1 *p, struct bytes *in, struct http1_request *req);
/* True before the first byte of a request. */
bool http1_at_start(const struct http1 *p);

/* The first header of that name (lower case or not); *ret_count (may be NULL): how many there are. */
bool http1_find(const struct http1_request *r, const char *name, struct bytes *ret_value, size_t *ret_count);
/* `token` is an element of one of the headers of that name, ASCII case apart. */
bool http1_lists(const struct http1_request *r, const char *name, const char *token);

#pragma once
/* An HTTP/1.1 response (RFC 9112) out of bytes that arrive in any pieces: pure, no I/O. It hands out the
 * lines of its head and slices of its body; nothing of the body is copied. It is strict wherever two readers
 * could see two different messages: Transfer-Encoding beside Content-Length, either of them twice, any coding
 * but chunked, folded lines, bare CR and NUL, chunk framing that does not end its lines in CR LF. */
#include "common/buf.h"
#include "protocols/http1/http1_chunks.h"

enum http1_response_step {
    RESPONSE_MORE = BODY_MORE, /* all of the input is used up */
    RESPONSE_BODY = BODY_DATA, /* some of the body */
    /* The response is over; what is left of the input belongs to nothing that was asked. */
    RESPONSE_END = BODY_END,
    RESPONSE_BAD = BODY_BAD, /* no HTTP/1.1, or not safe to read; stays so */
    /* A line of the head with its line end; the last one is blank. Interim (1xx) heads too. */
    RESPONSE_HEAD_LINE,
};

enum http1_response_state_ {
    RESPONSE_IN_STATUS_LINE,
    RESPONSE_IN_HEADERS,
    RESPONSE_IN_BODY_OF_LENGTH,
    RESPONSE_IN_BODY_UNTIL_CLOSE,
    RESPONSE_IN_CHUNKS,
    RESPONSE_ENDED,
    RESPONSE_BROKEN,
};

struct http1_response {
    enum http1_response_state_ state_;
    uint64_t left_; /* of a body of known length */
    int status_;
    bool keep_, chunked_, has_length_;
    bool line_used_; /* line_ was handed out and begins anew */
    size_t max_line_;
    struct buf line_; /* an unfinished line of the head */
    struct http1_chunks chunks_;
};

/* `max_head`: ceiling of one line of the head, and of all trailers together. */
void http1_response_init(struct http1_response *r, size_t max_head);
/* Makes it ready for the next response on the same connection. */
void http1_response_reset(struct http1_response *r);
void http1_response_free(struct http1_response *r);
/* Takes what one step needs off the front of *in. *ret, for a line or a part of the body, is borrowed: from
 * the input, or from `r` until the next call. */
enum http1_response_step http1_response_next(struct http1_response *r, struct bytes *in,
                                             struct bytes *ret) MUST_USE;
/* The connection has ended: is the response whole? */
bool http1_response_whole_at_close(const struct http1_response *r);
/* After RESPONSE_END: may the connection be used again? */
bool http1_response_keeps(const struct http1_response *r);

#pragma once
/* A chunked body (RFC 9112, 7.1) out of bytes that arrive in any pieces: pure, and nothing of the body is
 * copied. A chunk whose lines do not end in CR LF is refused in both directions. */
#include "protocols/http1/http1.h"

enum http1_body_step {
    BODY_MORE, /* the input is used up */
    BODY_DATA, /* some of the body, a slice of the input */
    BODY_END,  /* what is left of the input belongs to what follows */
    BODY_BAD,  /* no chunk, or past a ceiling; stays so */
};

struct http1_chunks {
    /* What a client sends: extensions and trailers must be well-formed. What a provider sends may hold
     * anything where nobody looks: blanks before an extension, trailers that are no fields and end in LF. */
    bool strict;
    size_t max_trailers; /* bytes of all trailers with their line ends */
    int status;          /* at BODY_BAD: what to answer a client */
    const char *reason;  /* at BODY_BAD: static text */
    unsigned state_;
    size_t line_;   /* bytes of this chunk's line, or of all trailers, so far */
    uint64_t room_; /* what may still come, this chunk left out */
    uint64_t left_; /* of this chunk */
};

/* `max_body`: ceiling of all chunks together. */
void http1_chunks_init(struct http1_chunks *c, bool strict, uint64_t max_body, size_t max_trailers);
/* Takes what one step needs off the front of *in. */
enum http1_body_step http1_chunks_next(struct http1_chunks *c, struct bytes *in,
                                       struct bytes *ret_data) MUST_USE;
/* BODY_END was, or would be, answered. */
bool http1_chunks_ended(const struct http1_chunks *c);

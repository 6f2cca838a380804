#pragma once
/* The head of one request, whole: request line, fields, and what they say of the body. Only
 * http1_request.c needs it. */
#include "protocols/http1/http1_request.h"

struct http1_framing {
    bool chunked;
    bool sized; /* a Content-Length was there */
    uint64_t length;
};

/* `head` ends in the empty line. Answers 0, or the status to refuse it with and *ret_reason. */
int http1_parse_head(struct bytes head, uint64_t max_body, struct http1_request *req,
                     struct http1_framing *ret_framing, const char **ret_reason);

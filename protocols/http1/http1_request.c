#include "protocols/http1/http1_request.h"
#include "protocols/http1/http1_request_head.h"

enum { MAX_BLANK_LINES = 4 };

enum state {
    START, /* before a request: an empty line or two may stand there (RFC 9112, 2.2) */
    START_LF,
    HEAD,
    LENGTH, /* a body of known length, or none */
    CHUNKS,
    COMPLETE,
    BAD,
};

void http1_init(struct http1 *p, size_t max_head, size_t max_body)
{
    *p = (struct http1){.max_head = max_head, .max_body = max_body, .state_ = START};
    buf_init(&p->head_, max_head + 1);
    buf_init(&p->body_, max_body);
}

void http1_free(struct http1 *p)
{
    buf_free(&p->head_);
    buf_free(&p->body_);
}

bool http1_at_start(const struct http1 *p)
{
    return p->state_ == START || p->state_ == COMPLETE;
}

static enum http1_result bad(struct http1 *p, int status, const char *reason)
{
    p->state_ = BAD;
    p->status = status;
    p->reason = reason;
    return HTTP1_BAD;
}

static void begin(struct http1 *p)
{
    buf_reset(&p->head_);
    buf_free(&p->body_);
    p->body = (struct bytes){NULL, 0};
    p->drop = false;
    p->blank_lines_ = 0;
    p->left_ = 0;
    p->state_ = START;
}

static char eat(struct bytes *in)
{
    char c = in->data[0];
    *in = bytes_skip(*in, 1);
    return c;
}

static enum http1_result feed_start(struct http1 *p, struct bytes *in)
{
    while (in->len > 0) {
        if (p->state_ == START_LF) {
            if (eat(in) != '\n' || ++p->blank_lines_ > MAX_BLANK_LINES)
                return bad(p, 400, "a line does not end in CR LF");
            p->state_ = START;
        } else if (in->data[0] == '\r') {
            eat(in);
            p->state_ = START_LF;
        } else if (!http1_char_is(in->data[0], HTTP1_TOKEN)) {
            return bad(p, 400, "this is not HTTP/1.1");
        } else {
            p->state_ = HEAD;
            return HTTP1_MORE;
        }
    }
    return HTTP1_MORE;
}

static enum http1_result take_head(struct http1 *p, struct bytes head, struct http1_request *req)
{
    struct http1_framing framing;
    const char *reason;
    int status = http1_parse_head(head, p->max_body, req, &framing, &reason);
    if (status != 0)
        return bad(p, status, reason);
    p->state_ = framing.chunked ? CHUNKS : LENGTH;
    p->left_ = framing.length;
    if (framing.chunked)
        http1_chunks_init(&p->chunks_, true, p->max_body, p->max_head);
    return HTTP1_HEAD;
}

/* A lone LF would be waited on until the deadline; it is refused as soon as it is seen, and before anything
 * else that is wrong, which is seen only when the head is whole. */
static bool bare_lf(struct bytes s, size_t from)
{
    for (;;) {
        const char *lf = from < s.len ? memchr(s.data + from, '\n', s.len - from) : NULL;
        if (!lf)
            return false;
        if (lf == s.data || lf[-1] != '\r')
            return true;
        from = (size_t)(lf - s.data) + 1;
    }
}

static size_t head_end(struct bytes s, size_t from)
{
    const char *end = from < s.len ? memmem(s.data + from, s.len - from, "\r\n\r\n", 4) : NULL;
    return end ? (size_t)(end - s.data) + 4 : 0;
}

/* The usual head comes whole and is parsed where it lies; another is gathered. */
static enum http1_result feed_head(struct http1 *p, struct bytes *in, struct http1_request *req)
{
    const size_t before = p->head_.len;
    struct bytes all = *in;
    if (before > 0) {
        size_t take = MIN(in->len, p->head_.max - before);
        if (buf_append(&p->head_, in->data, take) != ERR_OK)
            return bad(p, 503, "out of memory");
        all = buf_bytes(&p->head_);
    }
    size_t end = head_end(all, before > 3 ? before - 3 : 0);
    size_t len = end > 0 ? end : all.len;
    if (bare_lf(bytes_of(all.data, MIN(len, p->max_head)), before))
        return bad(p, 400, "a line does not end in CR LF");
    if (len > p->max_head)
        return bad(p, 431, "the head is larger than allowed");
    if (end > 0) {
        *in = bytes_skip(*in, end - before);
        return take_head(p, bytes_of(all.data, end), req);
    }
    if (before == 0 && buf_append(&p->head_, in->data, in->len) != ERR_OK)
        return bad(p, 503, "out of memory");
    *in = (struct bytes){NULL, 0};
    return HTTP1_MORE;
}

static bool store(struct http1 *p, struct bytes part)
{
    return p->drop || buf_append_bytes(&p->body_, part) == ERR_OK;
}

static enum http1_result complete(struct http1 *p)
{
    p->state_ = COMPLETE;
    return HTTP1_COMPLETE;
}

static enum http1_result feed_length(struct http1 *p, struct bytes *in)
{
    if (p->left_ <= in->len && p->body_.len == 0) {
        p->body = p->drop ? (struct bytes){NULL, 0} : bytes_of(in->data, (size_t)p->left_);
        *in = bytes_skip(*in, (size_t)p->left_);
        p->left_ = 0;
        return complete(p);
    }
    const size_t n = (size_t)MIN(p->left_, in->len);
    if (!store(p, bytes_of(in->data, n)))
        return bad(p, 503, "out of memory");
    *in = bytes_skip(*in, n);
    p->left_ -= n;
    p->body = buf_bytes(&p->body_);
    return p->left_ == 0 ? complete(p) : HTTP1_MORE;
}

static enum http1_result feed_chunks(struct http1 *p, struct bytes *in)
{
    struct bytes part;
    for (;;) {
        switch (http1_chunks_next(&p->chunks_, in, &part)) {
        case BODY_MORE:
            return HTTP1_MORE;
        case BODY_DATA:
            if (!store(p, part))
                return bad(p, 503, "out of memory");
            break;
        case BODY_END:
            p->body = buf_bytes(&p->body_);
            return complete(p);
        default:
            return bad(p, p->chunks_.status, p->chunks_.reason);
        }
    }
}

enum http1_result http1_feed(struct http1 *p, struct bytes *in, struct http1_request *req)
{
    if (p->state_ == BAD)
        return HTTP1_BAD;
    if (p->state_ == COMPLETE)
        begin(p);
    if (p->state_ == START || p->state_ == START_LF) {
        if (feed_start(p, in) == HTTP1_BAD)
            return HTTP1_BAD;
        if (in->len == 0)
            return HTTP1_MORE;
    }
    if (p->state_ == HEAD)
        return in->len > 0 ? feed_head(p, in, req) : HTTP1_MORE;
    if (p->state_ == LENGTH)
        return feed_length(p, in);
    return feed_chunks(p, in);
}

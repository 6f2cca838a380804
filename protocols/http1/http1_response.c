/* An HTTP/1.1 response out of pieces. See http1_response.h. */
#include "protocols/http1/http1_response.h"

static const uint64_t length_max = (UINT64_C(1) << 62) - 1; /* no body is longer */
static const struct bytes version = {"HTTP/1.", 7};

void http1_response_init(struct http1_response *r, size_t max_head)
{
    *r = (struct http1_response){.max_line_ = max_head};
    buf_init(&r->line_, max_head);
}

void http1_response_reset(struct http1_response *r)
{
    http1_response_free(r);
    http1_response_init(r, r->max_line_);
}

void http1_response_free(struct http1_response *r)
{
    buf_free(&r->line_);
}

static bool ended(const struct http1_response *r)
{
    return r->state_ == RESPONSE_ENDED ||
           (r->state_ == RESPONSE_IN_CHUNKS && http1_chunks_ended(&r->chunks_));
}

bool http1_response_whole_at_close(const struct http1_response *r)
{
    return ended(r) || r->state_ == RESPONSE_IN_BODY_UNTIL_CLOSE;
}

bool http1_response_keeps(const struct http1_response *r)
{
    return ended(r) && r->keep_;
}

static enum http1_response_step broken(struct http1_response *r)
{
    r->state_ = RESPONSE_BROKEN;
    return RESPONSE_BAD;
}

/* ---- The head ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A line that has not ended yet: what it begins with shows already whether it can be a response at all. */
static bool can_become(const struct http1_response *r, struct bytes line)
{
    size_t n = MIN(line.len, version.len);
    return r->state_ != RESPONSE_IN_STATUS_LINE || memcmp(line.data, version.data, n) == 0;
}

static bool read_status_line(struct http1_response *r, struct bytes line)
{
    struct bytes rest = bytes_skip(line, version.len);
    if (!bytes_starts(line, version) || rest.len < 5 || (rest.data[0] != '0' && rest.data[0] != '1') ||
        rest.data[1] != ' ' || (rest.len > 5 && rest.data[5] != ' '))
        return false;
    r->status_ = 0;
    for (int i = 2; i < 5; i++) {
        if (!is_digit(rest.data[i]))
            return false;
        r->status_ = r->status_ * 10 + (rest.data[i] - '0');
    }
    /* Nobody asked for another protocol (101). */
    if (r->status_ < 100 || r->status_ == 101)
        return false;
    r->keep_ = rest.data[0] == '1';
    r->chunked_ = r->has_length_ = false;
    r->left_ = 0;
    r->state_ = RESPONSE_IN_HEADERS;
    return true;
}

static void read_connection(struct http1_response *r, struct bytes value)
{
    struct bytes item;
    while (http1_list_next(&value, &item))
        if (bytes_eq_nocase(item, BYTES("close")))
            r->keep_ = false;
}

static bool read_header(struct http1_response *r, struct bytes line)
{
    struct bytes name, value;
    if (!http1_field(line, &name, &value))
        return false;
    if (bytes_eq_nocase(name, BYTES("content-length"))) {
        bool again = r->has_length_;
        r->has_length_ = true;
        return !again && bytes_to_u64(value, length_max, &r->left_) == ERR_OK;
    }
    if (bytes_eq_nocase(name, BYTES("transfer-encoding"))) {
        bool again = r->chunked_;
        r->chunked_ = true;
        return !again && bytes_eq_nocase(value, BYTES("chunked"));
    }
    if (bytes_eq_nocase(name, BYTES("connection")))
        read_connection(r, value);
    return true;
}

/* Chunks from one who says HTTP/1.0 are read, but the connection is not used again (RFC 9112, 6.1). */
static bool end_head(struct http1_response *r)
{
    if (r->chunked_ && r->has_length_)
        return false;
    if (r->chunked_)
        http1_chunks_init(&r->chunks_, false, length_max, r->max_line_);
    if (r->status_ < 200)
        r->state_ = RESPONSE_IN_STATUS_LINE;
    else if (r->status_ == 204 || r->status_ == 304)
        r->state_ = RESPONSE_ENDED;
    else if (r->chunked_)
        r->state_ = RESPONSE_IN_CHUNKS;
    else if (r->has_length_)
        r->state_ = r->left_ > 0 ? RESPONSE_IN_BODY_OF_LENGTH : RESPONSE_ENDED;
    else
        r->state_ = RESPONSE_IN_BODY_UNTIL_CLOSE;
    return true;
}

/* RESPONSE_HEAD_LINE: *ret is a whole line with its end. */
static enum http1_response_step take_line(struct http1_response *r, struct bytes *in, struct bytes *ret)
{
    if (r->line_used_)
        buf_reset(&r->line_);
    r->line_used_ = false;
    const char *lf = in->len > 0 ? memchr(in->data, '\n', in->len) : NULL;
    struct bytes part = bytes_of(in->data, lf ? (size_t)(lf + 1 - in->data) : in->len);
    bool first = r->line_.len == 0;
    *in = bytes_skip(*in, part.len);
    if (part.len == 0)
        return RESPONSE_MORE;
    if (lf && first && part.len <= r->max_line_) {
        *ret = part;
        return RESPONSE_HEAD_LINE;
    }
    if (buf_append_bytes(&r->line_, part) != ERR_OK || !can_become(r, buf_bytes(&r->line_)))
        return broken(r);
    if (!lf)
        return RESPONSE_MORE;
    r->line_used_ = true;
    *ret = buf_bytes(&r->line_);
    return RESPONSE_HEAD_LINE;
}

/* Without its line end, which may be a lone LF (RFC 9112, 2.2). */
static struct bytes without_end(struct bytes line)
{
    line.len--;
    if (line.len > 0 && line.data[line.len - 1] == '\r')
        line.len--;
    return line;
}

static enum http1_response_step read_head(struct http1_response *r, struct bytes *in, struct bytes *ret)
{
    bool ok;
    struct bytes raw;
    enum http1_response_step step = take_line(r, in, &raw);
    if (step != RESPONSE_HEAD_LINE)
        return step;
    struct bytes line = without_end(raw);
    if (line.len > 0 && (memchr(line.data, '\r', line.len) || memchr(line.data, '\0', line.len)))
        return broken(r);
    if (r->state_ == RESPONSE_IN_STATUS_LINE)
        ok = read_status_line(r, line);
    else if (line.len > 0)
        ok = read_header(r, line);
    else
        ok = end_head(r);
    if (!ok)
        return broken(r);
    *ret = raw;
    return RESPONSE_HEAD_LINE;
}

/* ---- The body ---- */

static enum http1_response_step take_body(struct http1_response *r, struct bytes *in, struct bytes *ret,
                                          enum http1_response_state_ then)
{
    size_t n = in->len < r->left_ ? in->len : (size_t)r->left_;
    if (n == 0)
        return RESPONSE_MORE;
    *ret = bytes_of(in->data, n);
    *in = bytes_skip(*in, n);
    r->left_ -= n;
    if (r->left_ == 0)
        r->state_ = then;
    return RESPONSE_BODY;
}

enum http1_response_step http1_response_next(struct http1_response *r, struct bytes *in, struct bytes *ret)
{
    switch (r->state_) {
    case RESPONSE_IN_CHUNKS:
        return (enum http1_response_step)http1_chunks_next(&r->chunks_, in, ret);
    case RESPONSE_IN_STATUS_LINE:
    case RESPONSE_IN_HEADERS:
        return read_head(r, in, ret);
    case RESPONSE_IN_BODY_OF_LENGTH:
        return take_body(r, in, ret, RESPONSE_ENDED);
    case RESPONSE_IN_BODY_UNTIL_CLOSE:
        r->left_ = UINT64_MAX;
        r->keep_ = false;
        return take_body(r, in, ret, RESPONSE_BROKEN);
    case RESPONSE_ENDED:
        return RESPONSE_END;
    default: /* RESPONSE_BROKEN */
        return RESPONSE_BAD;
    }
}

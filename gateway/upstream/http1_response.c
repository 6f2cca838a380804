/* An HTTP/1.1 response out of pieces. See http1_response.h. */
#include "gateway/upstream/http1_response.h"

enum {
    MAX_CHUNK_LINE = 256, /* a chunk's size with its extensions, which nobody uses */
    LENGTH_MAX_BITS = 62, /* no body is longer than 2 to this */
};

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

bool http1_response_whole_at_close(const struct http1_response *r)
{
    return r->state_ == RESPONSE_ENDED || r->state_ == RESPONSE_IN_BODY_UNTIL_CLOSE;
}

bool http1_response_keeps(const struct http1_response *r)
{
    return r->state_ == RESPONSE_ENDED && r->keep_;
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

/* The characters of a field name (RFC 9110, 5.6.2). */
static bool is_token_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
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
    while (value.len > 0) {
        const char *comma = memchr(value.data, ',', value.len);
        size_t n = comma ? (size_t)(comma - value.data) : value.len;
        if (bytes_eq_nocase(bytes_trim_ows(bytes_of(value.data, n)), BYTES("close")))
            r->keep_ = false;
        value = bytes_skip(value, n + 1);
    }
}

static bool read_header(struct http1_response *r, struct bytes line)
{
    const char *colon = memchr(line.data, ':', line.len);
    size_t n = colon ? (size_t)(colon - line.data) : 0;
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_token_char(line.data[i]))
            return false;
    struct bytes name = bytes_of(line.data, n), value = bytes_trim_ows(bytes_skip(line, n + 1));
    if (bytes_eq_nocase(name, BYTES("content-length"))) {
        bool again = r->has_length_;
        r->has_length_ = true;
        return !again && bytes_to_u64(value, UINT64_C(1) << LENGTH_MAX_BITS, &r->left_) == ERR_OK;
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
    if (r->status_ < 200)
        r->state_ = RESPONSE_IN_STATUS_LINE;
    else if (r->status_ == 204 || r->status_ == 304)
        r->state_ = RESPONSE_ENDED;
    else if (r->chunked_)
        r->state_ = RESPONSE_IN_CHUNK_SIZE;
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

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One byte of what stands around the chunks. False: it must not stand there. */
static bool read_framing(struct http1_response *r, char c)
{
    int digit = hex_value(c);
    switch (r->state_) {
    case RESPONSE_IN_CHUNK_SIZE:
        if (digit >= 0) {
            r->left_ = r->left_ << 4 | (unsigned)digit;
            return r->left_ >> LENGTH_MAX_BITS == 0 && ++r->framing_ <= LENGTH_MAX_BITS / 4;
        }
        if (r->framing_ == 0)
            return false;
        r->state_ = c == '\r' ? RESPONSE_IN_CHUNK_SIZE_LF : RESPONSE_IN_CHUNK_EXTENSION;
        return c == '\r' || c == ';' || c == ' ' || c == '\t';
    case RESPONSE_IN_CHUNK_EXTENSION:
        if (c == '\r')
            r->state_ = RESPONSE_IN_CHUNK_SIZE_LF;
        return c != '\n' && c != '\0' && ++r->framing_ <= MAX_CHUNK_LINE;
    case RESPONSE_IN_CHUNK_SIZE_LF:
        r->state_ = r->left_ > 0 ? RESPONSE_IN_CHUNK : RESPONSE_IN_TRAILERS;
        r->framing_ = 0;
        return c == '\n';
    case RESPONSE_IN_CHUNK_CR:
        r->state_ = RESPONSE_IN_CHUNK_LF;
        return c == '\r';
    default: /* RESPONSE_IN_CHUNK_LF */
        r->state_ = RESPONSE_IN_CHUNK_SIZE;
        return c == '\n';
    }
}

/* Trailers say nothing that we need. */
static enum http1_response_step skip_trailers(struct http1_response *r, struct bytes *in)
{
    struct bytes line;
    for (;;) {
        enum http1_response_step step = take_line(r, in, &line);
        if (step != RESPONSE_HEAD_LINE)
            return step;
        r->framing_ += (unsigned)line.len;
        if (r->framing_ > r->max_line_)
            return broken(r);
        if (without_end(line).len > 0)
            continue;
        r->state_ = RESPONSE_ENDED;
        return RESPONSE_END;
    }
}

/* What usually stands between two chunks, whole in one piece: a line end, digits, a line end. Anything else
 * is left to be read byte by byte. */
static void read_usual_framing(struct http1_response *r, struct bytes *in)
{
    enum { USUAL_DIGITS = 8 };
    uint64_t size = 0;
    size_t n = 0;
    if (r->state_ == RESPONSE_IN_CHUNK_CR && bytes_starts(*in, BYTES("\r\n"))) {
        *in = bytes_skip(*in, 2);
        r->state_ = RESPONSE_IN_CHUNK_SIZE;
    }
    if (r->state_ != RESPONSE_IN_CHUNK_SIZE || r->framing_ != 0)
        return;
    for (int digit; n < in->len && n < USUAL_DIGITS && (digit = hex_value(in->data[n])) >= 0; n++)
        size = size << 4 | (unsigned)digit;
    if (n == 0 || !bytes_starts(bytes_skip(*in, n), BYTES("\r\n")))
        return;
    *in = bytes_skip(*in, n + 2);
    r->left_ = size;
    r->state_ = size > 0 ? RESPONSE_IN_CHUNK : RESPONSE_IN_TRAILERS;
}

static enum http1_response_step read_chunked(struct http1_response *r, struct bytes *in, struct bytes *ret)
{
    read_usual_framing(r, in);
    while (in->len > 0) {
        if (r->state_ == RESPONSE_IN_CHUNK)
            return take_body(r, in, ret, RESPONSE_IN_CHUNK_CR);
        if (r->state_ == RESPONSE_IN_TRAILERS)
            return skip_trailers(r, in);
        if (!read_framing(r, in->data[0]))
            return broken(r);
        *in = bytes_skip(*in, 1);
    }
    return RESPONSE_MORE;
}

enum http1_response_step http1_response_next(struct http1_response *r, struct bytes *in, struct bytes *ret)
{
    switch (r->state_) {
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
    case RESPONSE_BROKEN:
        return RESPONSE_BAD;
    default:
        return read_chunked(r, in, ret);
    }
}

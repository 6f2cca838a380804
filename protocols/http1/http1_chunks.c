#include "protocols/http1/http1_chunks.h"

enum {
    MAX_LINE = 256,   /* a chunk's size with its extensions, which nobody uses */
    MAX_DIGITS = 16,  /* leading zeros too */
    USUAL_DIGITS = 8, /* looked for in one go */
};

enum state {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* at the beginning of a line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    ENDED,
    BROKEN,
};

void http1_chunks_init(struct http1_chunks *c, bool strict, uint64_t max_body, size_t max_trailers)
{
    *c = (struct http1_chunks){
        .strict = strict, .max_trailers = max_trailers, .state_ = SIZE, .room_ = max_body};
}

bool http1_chunks_ended(const struct http1_chunks *c)
{
    return c->state_ == ENDED;
}

static bool bad(struct http1_chunks *c, int status, const char *reason)
{
    c->state_ = BROKEN;
    c->status = status;
    c->reason = reason;
    return false;
}

static bool go_on(struct http1_chunks *c, enum state next)
{
    c->state_ = next;
    return true;
}

static void end_line(struct http1_chunks *c)
{
    c->line_ = 0;
    c->room_ -= c->left_;
    c->state_ = c->left_ > 0 ? DATA : TRAILER;
}

static bool read_size(struct http1_chunks *c, char at)
{
    if (http1_char_is(at, HTTP1_HEX)) {
        const unsigned digit = http1_char_is(at, HTTP1_HEX_VALUE);
        if (++c->line_ > MAX_DIGITS)
            return bad(c, 400, "malformed chunk size");
        /* Before the shift, so that it cannot overflow. */
        if (c->left_ > c->room_ / 16 || c->left_ * 16 + digit > c->room_)
            return bad(c, 413, "the body is larger than allowed");
        c->left_ = c->left_ * 16 + digit;
        return true;
    }
    if (c->line_ == 0)
        return bad(c, 400, "malformed chunk size");
    if (at == '\r')
        return go_on(c, SIZE_LF);
    if (at == ';' || (!c->strict && (at == ' ' || at == '\t')))
        return go_on(c, EXTENSION);
    return bad(c, 400, "malformed chunk size");
}

static bool read_extension(struct http1_chunks *c, char at)
{
    if (at == '\r')
        return go_on(c, SIZE_LF);
    if (c->strict ? !http1_char_is(at, HTTP1_FIELD) : at == '\n' || at == '\0')
        return bad(c, 400, "malformed chunk extension");
    return ++c->line_ <= MAX_LINE || bad(c, 400, "malformed chunk extension");
}

/* Trailer fields are checked and forgotten. */
static bool read_trailer(struct http1_chunks *c, char at)
{
    switch (c->state_) {
    case TRAILER:
        if (at == '\r')
            return go_on(c, LAST_LF);
        return http1_char_is(at, HTTP1_TOKEN) ? go_on(c, TRAILER_NAME) : bad(c, 400, "malformed trailer");
    case TRAILER_NAME:
        if (at == ':')
            return go_on(c, TRAILER_VALUE);
        return http1_char_is(at, HTTP1_TOKEN) || bad(c, 400, "malformed trailer");
    case TRAILER_VALUE:
        if (at == '\r')
            return go_on(c, TRAILER_LF);
        return http1_char_is(at, HTTP1_FIELD) || bad(c, 400, "malformed trailer");
    default: /* TRAILER_LF, LAST_LF */
        if (at != '\n')
            return bad(c, 400, "a line does not end in CR LF");
        return go_on(c, c->state_ == TRAILER_LF ? TRAILER : ENDED);
    }
}

/* Only the blank line is looked for. */
static bool skip_trailer(struct http1_chunks *c, char at)
{
    if (at == '\n')
        return go_on(c, c->state_ == TRAILER_VALUE ? TRAILER : ENDED);
    return go_on(c, at == '\r' && c->state_ == TRAILER ? LAST_LF : TRAILER_VALUE);
}

/* One byte of what stands around the chunks. False: it must not stand there. */
static bool read_byte(struct http1_chunks *c, char at)
{
    switch (c->state_) {
    case SIZE:
        return read_size(c, at);
    case EXTENSION:
        return read_extension(c, at);
    case SIZE_LF:
        end_line(c);
        break;
    case DATA_CR:
        c->state_ = DATA_LF;
        return at == '\r' || bad(c, 400, "a chunk is longer than its size");
    case DATA_LF:
        c->state_ = SIZE;
        break;
    default:
        if (++c->line_ > c->max_trailers)
            return bad(c, 431, "the trailers are larger than allowed");
        return c->strict ? read_trailer(c, at) : skip_trailer(c, at);
    }
    return at == '\n' || bad(c, 400, "a line does not end in CR LF");
}

static enum http1_body_step read_unusual(struct http1_chunks *c, struct bytes *in, struct bytes *ret)
{
    while (in->len > 0 && c->state_ < ENDED) {
        if (c->state_ == DATA)
            return http1_chunks_next(c, in, ret);
        if (!read_byte(c, in->data[0]))
            break;
        *in = bytes_skip(*in, 1);
    }
    if (c->state_ == BROKEN)
        return BODY_BAD;
    return c->state_ == ENDED ? BODY_END : BODY_MORE;
}

static bool line_ends(const char *at, const char *end)
{
    return end - at >= 2 && at[0] == '\r' && at[1] == '\n';
}

/* A chunk's size as it usually comes, digits and a line end whole in one piece: where the line ends, or NULL
 * when it is to be read byte by byte. */
static const char *usual_size(const char *at, const char *end, uint64_t *ret_size)
{
    const char *stop = end - at > USUAL_DIGITS ? at + USUAL_DIGITS : end, *digit = at;
    uint64_t size = 0;
    for (; digit < stop; digit++) {
        const unsigned kind = http1_chars[(unsigned char)*digit];
        if (!(kind & HTTP1_HEX))
            break;
        size = size << 4 | (kind & HTTP1_HEX_VALUE);
    }
    *ret_size = size;
    return digit > at && line_ends(digit, end) ? digit + 2 : NULL;
}

/* The usual piece is "SIZE line end DATA line end", or a part of DATA. */
enum http1_body_step http1_chunks_next(struct http1_chunks *c, struct bytes *in, struct bytes *ret_data)
{
    if (in->len == 0)
        return read_unusual(c, in, ret_data);
    const char *at = in->data, *end = at + in->len;
    if (c->state_ == DATA_CR && line_ends(at, end)) {
        at += 2;
        c->state_ = SIZE;
        if (at == end) {
            *in = bytes_of(at, 0);
            return BODY_MORE;
        }
    }
    if (c->state_ == SIZE && c->line_ == 0) {
        uint64_t size;
        const char *data = usual_size(at, end, &size);
        if (data && size <= c->room_) {
            at = data;
            c->left_ = size;
            end_line(c);
        }
    }
    size_t len = (size_t)(end - at);
    if (c->state_ != DATA || len == 0) {
        *in = bytes_of(at, len);
        return read_unusual(c, in, ret_data);
    }
    const size_t n = len < c->left_ ? len : (size_t)c->left_;
    *ret_data = bytes_of(at, n);
    *in = bytes_of(at + n, len - n);
    c->left_ -= n;
    if (c->left_ == 0)
        c->state_ = DATA_CR;
    return BODY_DATA;
}

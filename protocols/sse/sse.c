#include "protocols/sse/sse.h"

/* A line may be longer than the event by its field name, colon, space and BOM. */
enum { LINE_EXTRA = 16 };

/* What is known of the event being read and still lies in the chunk: it is copied only when it must outlive
 * the feed, or be joined with more. */
struct feed {
    struct bytes data, name;
    bool data_borrowed, name_borrowed;
};

void sse_init(struct sse_parser *p, size_t max_event, void (*on_event)(void *, const struct sse_event *),
              void *ctx)
{
    *p = (struct sse_parser){
        .max_event = MIN(max_event, SIZE_MAX - LINE_EXTRA), .on_event = on_event, .ctx = ctx};
    buf_init(&p->line_, p->max_event + LINE_EXTRA);
    buf_init(&p->data_, p->max_event);
    buf_init(&p->name_, p->max_event + LINE_EXTRA);
}

void sse_free(struct sse_parser *p)
{
    if (!p)
        return;
    buf_free(&p->line_);
    buf_free(&p->data_);
    buf_free(&p->name_);
}

static enum err own_data(struct sse_parser *p, struct feed *f)
{
    if (!f->data_borrowed)
        return ERR_OK;
    f->data_borrowed = false;
    return buf_append_bytes(&p->data_, f->data);
}

static enum err own_name(struct sse_parser *p, struct feed *f)
{
    if (!f->name_borrowed)
        return ERR_OK;
    f->name_borrowed = false;
    buf_reset(&p->name_);
    return buf_append_bytes(&p->name_, f->name);
}

static enum err add_data(struct sse_parser *p, struct feed *f, struct bytes value, bool borrowed)
{
    size_t before = f->data_borrowed ? f->data.len : p->data_.len;

    if (value.len > p->max_event - before)
        return ERR_LIMIT;
    if (!p->has_data_ && borrowed) {
        f->data = value;
        f->data_borrowed = true;
        p->has_data_ = true;
        return ERR_OK;
    }
    enum err e = own_data(p, f);
    if (!e && p->has_data_)
        e = buf_append_char(&p->data_, '\n');
    if (!e)
        e = buf_append_bytes(&p->data_, value);
    p->has_data_ = true;
    return e;
}

static enum err set_name(struct sse_parser *p, struct feed *f, struct bytes value, bool borrowed)
{
    f->name = value;
    f->name_borrowed = true;
    return borrowed ? ERR_OK : own_name(p, f);
}

static void dispatch(struct sse_parser *p, struct feed *f)
{
    struct sse_event e = {
        .name = f->name_borrowed ? f->name : buf_bytes(&p->name_),
        .data = f->data_borrowed ? f->data : buf_bytes(&p->data_),
    };
    bool has_data = p->has_data_;

    if (e.name.len == 0)
        e.name = BYTES("");
    if (e.data.len == 0)
        e.data = BYTES("");
    *f = (struct feed){.data_borrowed = false};
    p->has_data_ = false;
    /* The memory stays, so the event may still point to it. */
    buf_reset(&p->data_);
    buf_reset(&p->name_);
    if (has_data)
        p->on_event(p->ctx, &e);
}

/* `borrowed`: the line lies in the chunk. */
static enum err on_line(struct sse_parser *p, struct feed *f, struct bytes line, bool borrowed)
{
    if (line.len > p->max_event + LINE_EXTRA)
        return ERR_LIMIT;
    if (!p->bom_done_ && bytes_starts(line, BYTES("\xEF\xBB\xBF")))
        line = bytes_skip(line, 3);
    p->bom_done_ = true;
    if (line.len == 0) {
        dispatch(p, f);
        return ERR_OK;
    }
    if (line.data[0] == ':') {
        p->comments++;
        return ERR_OK;
    }
    const char *colon = memchr(line.data, ':', line.len);
    struct bytes field = {line.data, colon ? (size_t)(colon - line.data) : line.len};
    struct bytes value = bytes_skip(line, field.len + 1);
    if (value.len > 0 && value.data[0] == ' ')
        value = bytes_skip(value, 1);
    if (bytes_eq(field, BYTES("data")))
        return add_data(p, f, value, borrowed);
    if (bytes_eq(field, BYTES("event")))
        return set_name(p, f, value, borrowed);
    return ERR_OK;
}

/* A whole line, whose beginning may have come with earlier chunks. */
static enum err end_line(struct sse_parser *p, struct feed *f, struct bytes rest)
{
    if (p->line_.len == 0)
        return on_line(p, f, rest, true);
    enum err e = buf_append_bytes(&p->line_, rest);
    if (!e)
        e = on_line(p, f, buf_bytes(&p->line_), false);
    buf_reset(&p->line_);
    return e;
}

static const char *find(const char *from, const char *end, char c)
{
    const char *at = from < end ? memchr(from, c, (size_t)(end - from)) : NULL;

    return at ? at : end;
}

static enum err feed_lines(struct sse_parser *p, struct feed *f, const char *at, const char *end)
{
    const char *lf = find(at, end, '\n');

    while (at < end && !p->stopped) {
        if (lf < at)
            lf = find(at, end, '\n');
        const char *stop = find(at, lf, '\r');
        struct bytes part = bytes_of(at, (size_t)(stop - at));
        if (stop == end)
            return buf_append_bytes(&p->line_, part);
        enum err e = end_line(p, f, part);
        if (e)
            return e;
        at = stop + 1;
        if (*stop == '\r') {
            /* The line has ended already; an LF that follows, perhaps in the next chunk, is the rest of its
             * end. */
            p->cr_pending_ = at == end;
            at += at < end && *at == '\n';
        }
    }
    return ERR_OK;
}

enum err sse_feed(struct sse_parser *p, struct bytes chunk)
{
    struct feed f = {.data_borrowed = false};

    if (p->error_)
        return p->error_;
    if (p->stopped || chunk.len == 0)
        return ERR_OK;
    bool rest_of_crlf = p->cr_pending_ && chunk.data[0] == '\n';
    p->cr_pending_ = false;
    enum err e = feed_lines(p, &f, chunk.data + rest_of_crlf, chunk.data + chunk.len);
    if (!e && !p->stopped)
        e = own_data(p, &f);
    if (!e && !p->stopped)
        e = own_name(p, &f);
    p->error_ = e;
    return e;
}

bool sse_at_boundary(const struct sse_parser *p)
{
    bool comment = p->line_.len > 0 && p->line_.data[0] == ':';

    return (p->line_.len == 0 || comment) && !p->has_data_ && p->name_.len == 0;
}

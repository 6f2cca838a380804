#include "gateway/server/sinks.h"
#include "gateway/server/ws.h"

/* Most events need a header of four bytes; the others are moved. */
enum { USUAL_HEADER = 4 };

static void ws_begin(struct event_sink *s, const char *name UNUSED)
{
    s->mark_ = s->out->len;
    buf_append(s->out, "\0\0\0\0", USUAL_HEADER);
}

static void ws_end(struct event_sink *s)
{
    struct buf *out = s->out;
    uint8_t head[WS_MAX_HEADER];
    if (out->failed)
        return;
    size_t len = out->len - s->mark_ - USUAL_HEADER;
    size_t n = ws_header(head, s->binary ? WS_OP_BINARY : WS_OP_TEXT, len);
    if (n > USUAL_HEADER && buf_reserve(out, n - USUAL_HEADER) != ERR_OK) {
        out->failed = true;
        return;
    }
    char *frame = out->data + s->mark_;
    if (n != USUAL_HEADER)
        memmove(frame + n, frame + USUAL_HEADER, len);
    memcpy(frame, head, n);
    out->len = s->mark_ + n + len;
}

struct event_sink ws_sink(struct buf *out)
{
    return (struct event_sink){.out = out, .begin = ws_begin, .end = ws_end};
}

static void sse_begin(struct event_sink *s, const char *name)
{
    if (name) {
        buf_append_bytes(s->out, BYTES("event: "));
        buf_append_bytes(s->out, bytes_cstr(name));
        buf_append_char(s->out, '\n');
    }
    buf_append_bytes(s->out, BYTES("data: "));
}

static void sse_end(struct event_sink *s)
{
    buf_append_bytes(s->out, BYTES("\n\n"));
}

struct event_sink sse_sink(struct buf *out)
{
    return (struct event_sink){.out = out, .begin = sse_begin, .end = sse_end};
}

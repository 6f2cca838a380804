/* Server-sent events: the same whatever the split. */
#include "protocols/sse/sse.h"
#include "tests/fuzz/splits.h"

static void note(void *ctx, const struct sse_event *e)
{
    struct buf *out = ctx;

    (void)buf_append_bytes(out, e->name);
    (void)buf_append_char(out, '\0');
    (void)buf_append_bytes(out, e->data);
    (void)buf_append_char(out, '\0');
}

struct reading {
    struct sse_parser parser;
    enum err err;
};

static bool feed(void *ctx, struct bytes piece)
{
    struct reading *r = ctx;
    r->err = sse_feed(&r->parser, piece);
    return !r->err;
}

static void read_split(struct buf *out, struct bytes text, struct split by)
{
    struct reading r = {.err = ERR_OK};
    sse_init(&r.parser, 200, note, out);
    bool ok = split_feed(feed, &r, text, by);
    (void)buf_printf(out, "%s %ju %d", err_name(r.err), (uintmax_t)r.parser.comments,
                     ok && sse_at_boundary(&r.parser));
    sse_free(&r.parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    must_read_alike(read_split, bytes_of(data, size));
    return 0;
}

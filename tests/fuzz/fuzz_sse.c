/* The first two bytes choose a split: with and without it the events must be the same. */
#include "protocols/sse/sse.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(void *ctx, const struct sse_event *e)
{
    struct buf *out = ctx;

    (void)buf_append_bytes(out, e->name);
    (void)buf_append_char(out, '\0');
    (void)buf_append_bytes(out, e->data);
    (void)buf_append_char(out, '\0');
}

static void run(struct bytes text, size_t step, struct buf *out)
{
    struct sse_parser p;
    enum err e = ERR_OK;

    sse_init(&p, 200, note, out);
    for (size_t at = 0; at < text.len && !e; at += step) {
        size_t n = MIN(step, text.len - at);
        char *copy = malloc(n);
        if (!copy)
            abort();
        memcpy(copy, text.data + at, n);
        e = sse_feed(&p, bytes_of(copy, n));
        free(copy);
    }
    (void)buf_printf(out, "%s %ju %d", err_name(e), (uintmax_t)p.comments, !e && sse_at_boundary(&p));
    sse_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, split;

    if (size < 3)
        return 0;
    struct bytes text = bytes_of(data + 2, size - 2);
    buf_init(&whole, 1U << 22);
    buf_init(&split, 1U << 22);
    run(text, text.len, &whole);
    run(text, (size_t)(data[0] | data[1] << 8) % text.len + 1, &split);
    if (!bytes_eq(buf_bytes(&whole), buf_bytes(&split)))
        abort();
    buf_free(&whole);
    buf_free(&split);
    return 0;
}

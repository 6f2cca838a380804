/* HTTP/1.1 requests: the same reading and the same places, whatever the split. */
#include "gateway/server/http1.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_HEAD = 512, MAX_BODY = 300 };

struct reading {
    struct buf text;
    size_t eaten;
    bool drop;
};

static void note_head(struct buf *out, const struct http1_request *q)
{
    MUST(q->method.len > 0 && q->path.len > 0 && q->n_headers <= HTTP1_MAX_HEADERS);
    buf_printf(out, "%.*s %.*s ?%.*s @%.*s %d%d%d%d%d\n", BYTES_FMT(q->method), BYTES_FMT(q->path),
               BYTES_FMT(q->query), BYTES_FMT(q->host), q->http10, q->keep_alive, q->upgrade,
               q->expect_continue, q->has_body);
    for (size_t i = 0; i < q->n_headers; i++) {
        struct bytes name = q->headers[i].name, value = q->headers[i].value, list = value, item;
        MUST(name.len > 0 && bytes_eq(value, bytes_trim_ows(value)));
        for (size_t k = 0; k < value.len; k++)
            MUST(value.data[k] != '\r' && value.data[k] != '\n' && value.data[k] != '\0');
        while (http1_list_next(&list, &item))
            MUST(item.len > 0);
        buf_printf(out, "%.*s: %.*s\n", BYTES_FMT(name), BYTES_FMT(value));
    }
}

/* One piece; false: refused. */
static bool feed(struct http1 *p, struct reading *r, struct bytes piece)
{
    static struct http1_request q;
    char *copy = exact_copy(piece.data, piece.len);
    struct bytes in = bytes_of(copy, piece.len);
    for (;;) {
        size_t before = in.len;
        enum http1_result result = http1_feed(p, &in, &q);
        MUST(in.len <= before);
        r->eaten += before - in.len;
        if (result == HTTP1_HEAD) {
            note_head(&r->text, &q);
            p->drop = r->drop;
        } else if (result == HTTP1_COMPLETE) {
            MUST(p->body.len <= MAX_BODY && (!r->drop || p->body.len == 0));
            buf_printf(&r->text, "end at %zu: ", r->eaten);
            buf_append_bytes(&r->text, p->body);
            buf_append_char(&r->text, '\n');
        } else {
            MUST(result == HTTP1_BAD || in.len == 0);
            if (result == HTTP1_BAD) {
                MUST(p->status >= 400 && p->status <= 599 && p->reason);
                buf_printf(&r->text, "%d\n", p->status);
            }
            free(copy);
            return result == HTTP1_MORE;
        }
    }
}

static void read_split(struct reading *r, struct bytes s, size_t step, uint32_t random)
{
    struct http1 p;
    bool ok = true;
    http1_init(&p, MAX_HEAD, MAX_BODY);
    buf_init(&r->text, 1 << 24);
    r->eaten = 0;
    r->drop = random & 1;
    while (ok && s.len > 0) {
        size_t n = step ? step : fuzz_next(&random) % 40 + 1;
        n = MIN(n, s.len);
        ok = feed(&p, r, bytes_of(s.data, n));
        s = bytes_skip(s, n);
    }
    if (ok)
        buf_printf(&r->text, "%d", http1_at_start(&p));
    MUST(!r->text.failed);
    http1_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    struct reading whole, split;
    uint32_t random = fuzz_hash(data, size);
    if (size == 0)
        return 0;
    read_split(&whole, text, size, random);
    for (size_t step = 0; step <= 1; step++) {
        read_split(&split, text, step, random);
        if (!bytes_eq(buf_bytes(&whole.text), buf_bytes(&split.text))) {
            fprintf(stderr, "whole:\n%.*s\nsplit:\n%.*s\n", BYTES_FMT(buf_bytes(&whole.text)),
                    BYTES_FMT(buf_bytes(&split.text)));
            abort();
        }
        buf_free(&split.text);
    }
    buf_free(&whole.text);
    return 0;
}

/* HTTP/1.1 requests: the same reading and the same places, whatever the split. */
#include "protocols/http1/http1_forwarded.h"
#include "tests/fuzz/splits.h"

enum { MAX_HEAD = 512, MAX_BODY = 300 };

struct reading {
    struct http1 parser;
    struct buf *text;
    size_t eaten;
    bool drop;
};

static void note_client(struct buf *out, const struct http1_request *q, enum http1_forwarded_by by)
{
    struct http1_forwarded f;
    http1_forwarded(q, by, NULL, 0, &f);
    MUST(f.client.len == 0 || (f.said && (f.client.len == 4 || f.client.len == 16)));
    buf_printf(out, "%d%d", f.said, (int)f.scheme);
    buf_append_bytes(out, address_bytes(&f.client));
}

static void note_head(struct buf *out, const struct http1_request *q)
{
    note_client(out, q, HTTP1_X_FORWARDED);
    note_client(out, q, HTTP1_FORWARDED);
    MUST(q->method.len > 0 && q->path.len > 0 && q->n_headers <= HTTP1_MAX_HEADERS);
    buf_printf(out, "%.*s %.*s ?%.*s @%.*s %d%d%d%d%d\n", BYTES_FMT(q->method), BYTES_FMT(q->path),
               BYTES_FMT(q->query), BYTES_FMT(q->host.name), q->http10, q->keep_alive, q->upgrade,
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

static bool feed(void *ctx, struct bytes in)
{
    static struct http1_request q;
    struct reading *r = ctx;
    struct http1 *p = &r->parser;
    for (;;) {
        size_t before = in.len;
        enum http1_result result = http1_feed(p, &in, &q);
        MUST(in.len <= before);
        r->eaten += before - in.len;
        if (result == HTTP1_HEAD) {
            note_head(r->text, &q);
            p->drop = r->drop;
        } else if (result == HTTP1_COMPLETE) {
            MUST(p->body.len <= MAX_BODY && (!r->drop || p->body.len == 0));
            buf_printf(r->text, "end at %zu: ", r->eaten);
            buf_append_bytes(r->text, p->body);
            buf_append_char(r->text, '\n');
        } else {
            MUST(result == HTTP1_BAD || in.len == 0);
            if (result == HTTP1_BAD) {
                MUST(p->status >= 400 && p->status <= 599 && p->reason);
                buf_printf(r->text, "%d\n", p->status);
            }
            return result == HTTP1_MORE;
        }
    }
}

static void read_split(struct buf *out, struct bytes text, struct split by)
{
    struct reading r = {.text = out, .drop = by.random & 1};
    http1_init(&r.parser, MAX_HEAD, MAX_BODY);
    if (split_feed(feed, &r, text, by))
        buf_printf(out, "%d", http1_at_start(&r.parser));
    http1_free(&r.parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    must_read_alike(read_split, bytes_of(data, size));
    return 0;
}

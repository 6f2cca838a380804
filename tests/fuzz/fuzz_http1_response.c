/* A provider's HTTP/1.1 responses: the same lines, body and ends, whatever the split. */
#include "protocols/http1/http1_response.h"
#include "tests/fuzz/splits.h"

enum { MAX_HEAD = 300 };

struct reading {
    struct http1_response parser;
    struct buf *text;
    size_t eaten;
    bool in_body; /* the last that was noted is a part of a body */
};

static void note(struct reading *r, const char *what, struct bytes data)
{
    buf_printf(r->text, "\n%s ", what);
    buf_append_bytes(r->text, data);
    r->in_body = false;
}

static void note_step(struct reading *r, enum http1_response_step step, struct bytes data)
{
    if (step == RESPONSE_HEAD_LINE) {
        MUST(data.len > 0 && data.data[data.len - 1] == '\n' && data.len <= MAX_HEAD + 2);
        note(r, "line", data);
    } else if (step == RESPONSE_BODY && r->in_body) {
        buf_append_bytes(r->text, data);
    } else if (step == RESPONSE_BODY) {
        MUST(data.len > 0);
        note(r, "body", data);
        r->in_body = true;
    }
}

static bool feed(void *ctx, struct bytes in)
{
    struct reading *r = ctx;
    struct http1_response *p = &r->parser;
    enum http1_response_step step;
    do {
        struct bytes data = {NULL, 0};
        size_t before = in.len;
        step = http1_response_next(p, &in, &data);
        MUST(in.len <= before && (step != RESPONSE_MORE || in.len == 0));
        r->eaten += before - in.len;
        note_step(r, step, data);
        if (step == RESPONSE_END) {
            bool keeps = http1_response_keeps(p);
            buf_printf(r->text, "\nend at %zu, %d", r->eaten, keeps);
            r->in_body = false;
            if (!keeps)
                break;
            http1_response_reset(p);
        }
    } while (step != RESPONSE_MORE && step != RESPONSE_BAD);
    if (step == RESPONSE_BAD)
        note(r, "bad", (struct bytes){NULL, 0});
    return step == RESPONSE_MORE;
}

static void read_split(struct buf *out, struct bytes text, struct split by)
{
    struct reading r = {.text = out};
    http1_response_init(&r.parser, MAX_HEAD);
    bool ok = split_feed(feed, &r, text, by);
    buf_printf(out, "\nwhole %d", ok && http1_response_whole_at_close(&r.parser));
    http1_response_free(&r.parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    must_read_alike(read_split, bytes_of(data, size));
    return 0;
}

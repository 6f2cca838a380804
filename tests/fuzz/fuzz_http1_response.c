/* A provider's HTTP/1.1 responses: the same lines, body and ends, whatever the split. */
#include "gateway/upstream/http1_response.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_HEAD = 300 };

struct reading {
    struct buf text;
    size_t eaten;
    bool in_body; /* the last that was noted is a part of a body */
};

static void note(struct reading *r, const char *what, struct bytes data)
{
    buf_printf(&r->text, "\n%s ", what);
    buf_append_bytes(&r->text, data);
    r->in_body = false;
}

static void note_step(struct reading *r, enum http1_response_step step, struct bytes data)
{
    if (step == RESPONSE_HEAD_LINE) {
        MUST(data.len > 0 && data.data[data.len - 1] == '\n' && data.len <= MAX_HEAD + 2);
        note(r, "line", data);
    } else if (step == RESPONSE_BODY && r->in_body) {
        buf_append_bytes(&r->text, data);
    } else if (step == RESPONSE_BODY) {
        MUST(data.len > 0);
        note(r, "body", data);
        r->in_body = true;
    }
}

/* One piece; false: no more can be read. */
static bool feed(struct http1_response *p, struct reading *r, struct bytes piece)
{
    char *copy = exact_copy(piece.data, piece.len);
    struct bytes in = bytes_of(copy, piece.len);
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
            buf_printf(&r->text, "\nend at %zu, %d", r->eaten, keeps);
            r->in_body = false;
            if (!keeps)
                break;
            http1_response_reset(p);
        }
    } while (step != RESPONSE_MORE && step != RESPONSE_BAD);
    if (step == RESPONSE_BAD)
        note(r, "bad", (struct bytes){NULL, 0});
    free(copy);
    return step == RESPONSE_MORE;
}

static void read_split(struct reading *r, struct bytes s, size_t step, uint32_t random)
{
    struct http1_response p;
    bool ok = true;
    http1_response_init(&p, MAX_HEAD);
    *r = (struct reading){.eaten = 0};
    buf_init(&r->text, 1 << 24);
    while (ok && s.len > 0) {
        size_t n = step ? step : fuzz_next(&random) % 40 + 1;
        n = MIN(n, s.len);
        ok = feed(&p, r, bytes_of(s.data, n));
        s = bytes_skip(s, n);
    }
    buf_printf(&r->text, "\nwhole %d", ok && http1_response_whole_at_close(&p));
    MUST(!r->text.failed);
    http1_response_free(&p);
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

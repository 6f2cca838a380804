/* The first two bytes choose a split: with and without it the response must be the same. */
#include "gateway/upstream/http1_response.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* True: it was not refused; what is handed out before that depends on the split. */
static bool run(struct bytes text, size_t first, struct buf *out)
{
    enum http1_response_step step = RESPONSE_MORE;
    struct http1_response r;
    size_t at = 0, n = MIN(first, text.len);

    http1_response_init(&r, 200);
    while (step == RESPONSE_MORE && at < text.len) {
        char *copy = malloc(n ? n : 1);
        struct bytes in, part;
        if (!copy)
            abort();
        memcpy(copy, text.data + at, n);
        in = bytes_of(copy, n);
        do {
            step = http1_response_next(&r, &in, &part);
            if (step == RESPONSE_HEAD_LINE || step == RESPONSE_BODY)
                (void)buf_append_bytes(out, part);
        } while (step == RESPONSE_HEAD_LINE || step == RESPONSE_BODY);
        if (step == RESPONSE_MORE && in.len > 0)
            abort();
        at += n - in.len;
        n = text.len - at;
        free(copy);
    }
    (void)buf_printf(out, " %d %d %d %zu", (int)step, http1_response_keeps(&r),
                     http1_response_whole_at_close(&r), at);
    http1_response_free(&r);
    return step != RESPONSE_BAD;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, split;

    if (size < 3)
        return 0;
    struct bytes text = bytes_of(data + 2, size - 2);
    size_t first = (size_t)(data[0] << 8 | data[1]) % text.len;
    buf_init(&whole, 1 << 20);
    buf_init(&split, 1 << 20);
    bool ok = run(text, text.len, &whole);
    if (run(text, first, &split) != ok || (ok && !bytes_eq(buf_bytes(&whole), buf_bytes(&split))))
        abort();
    buf_free(&whole);
    buf_free(&split);
    return 0;
}

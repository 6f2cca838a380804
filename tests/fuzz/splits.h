#pragma once
/* For what reads a stream: it must understand the same, whatever the split. */
#include "fuzz.h"

struct split {
    size_t step; /* bytes a piece; 0: up to 40, each as `random` says */
    uint32_t random;
};

/* Takes the next piece off `text`, which is not empty. */
static inline struct bytes split_next(struct split *by, struct bytes *text)
{
    size_t n = by->step ? by->step : fuzz_next(&by->random) % 40 + 1;
    struct bytes piece = bytes_of(text->data, MIN(n, text->len));
    *text = bytes_skip(*text, piece.len);
    return piece;
}

/* What takes a piece, of which it may read no byte too many; false: it reads no more. */
typedef bool piece_reader(void *ctx, struct bytes piece);

/* Gives all pieces to `read`; false: it has answered false. */
static inline bool split_feed(piece_reader *read, void *ctx, struct bytes text, struct split by)
{
    bool ok = true;
    while (ok && text.len > 0) {
        struct bytes piece = split_next(&by, &text);
        char *copy = exact_copy(piece.data, piece.len);
        ok = read(ctx, bytes_of(copy, piece.len));
        free(copy);
    }
    return ok;
}

/* Appends to `out` what it understands of `text`. */
typedef void split_reader(struct buf *out, struct bytes text, struct split by);

static inline void must_read_alike(split_reader *read, struct bytes text)
{
    uint32_t random = fuzz_hash((const uint8_t *)text.data, text.len);
    struct buf whole, split;
    if (text.len == 0)
        return;
    buf_init(&whole, 1 << 24);
    read(&whole, text, (struct split){text.len, random});
    MUST(!whole.failed);
    for (size_t step = 0; step <= 1; step++) {
        buf_init(&split, 1 << 24);
        read(&split, text, (struct split){step, random});
        MUST(!split.failed);
        if (!bytes_eq(buf_bytes(&whole), buf_bytes(&split))) {
            fprintf(stderr, "not so: whole:\n%.*s\nsplit:\n%.*s\n", BYTES_FMT(buf_bytes(&whole)),
                    BYTES_FMT(buf_bytes(&split)));
            abort();
        }
        buf_free(&split);
    }
    buf_free(&whole);
}

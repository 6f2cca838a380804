#pragma once
/* A growable byte buffer with a mandatory ceiling. A failed append sets `failed` and leaves the contents as
 * they were: writers may append many times and look once. */
#include "common/bytes.h"
#include <stdarg.h>

struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max;  /* `len` never passes this */
    bool failed; /* an append met `max` or the allocator; cleared by buf_reset */
};

void buf_init(struct buf *b, size_t max);
/* Frees the memory; the buffer may be used again. NULL-safe. */
void buf_free(struct buf *b);
/* Empties it and keeps the memory. */
void buf_reset(struct buf *b);
/* Room for `n` more bytes: data + len may then be written and len advanced by the caller. ERR_LIMIT,
 * ERR_NOMEM. */
enum err buf_reserve(struct buf *b, size_t n) MUST_USE;
/* What buf_append does when there is no room yet. */
enum err buf_append_growing(struct buf *b, const void *data, size_t len);
static inline enum err buf_append(struct buf *b, const void *data, size_t len)
{
    if (len == 0)
        return ERR_OK;
    if (len > b->cap - b->len)
        return buf_append_growing(b, data, len);
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return ERR_OK;
}
static inline enum err buf_append_bytes(struct buf *b, struct bytes s)
{
    return buf_append(b, s.data, s.len);
}
static inline enum err buf_append_char(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}
enum err buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
enum err buf_append_u64(struct buf *b, uint64_t v);
/* Drops the first `n` bytes. */
void buf_consume(struct buf *b, size_t n);
static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){b->data, b->len};
}

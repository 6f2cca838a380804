#include "common/buf.h"
#include <stdio.h>
#include <stdlib.h>

enum { BUF_MIN = 128 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
    if (!b)
        return;
    free(b->data);
    buf_init(b, b->max);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

enum err buf_reserve(struct buf *b, size_t n)
{
    if (n <= b->cap - b->len)
        return ERR_OK;
    if (b->len > b->max || n > b->max - b->len)
        return ERR_LIMIT;
    size_t cap = b->cap > SIZE_MAX / 2 ? SIZE_MAX : b->cap * 2;
    cap = MAX(cap, BUF_MIN);
    cap = MAX(cap, b->len + n);
    cap = MIN(cap, b->max);
    if (cap == SIZE_MAX)
        return ERR_NOMEM;
    /* One byte more than `cap` says, for the NUL that vsnprintf insists on. */
    char *data = realloc(b->data, cap + 1);
    if (!data)
        return ERR_NOMEM;
    b->data = data;
    b->cap = cap;
    return ERR_OK;
}

enum err buf_append_growing(struct buf *b, const void *data, size_t len)
{
    enum err e = buf_reserve(b, len);
    if (e) {
        b->failed = true;
        return e;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return ERR_OK;
}

enum err buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    size_t room = b->data ? b->cap - b->len + 1 : 0;

    va_start(args, fmt);
    int n = vsnprintf(b->data ? b->data + b->len : NULL, room, fmt, args);
    va_end(args);
    if (n < 0) {
        b->failed = true;
        return ERR_INVALID;
    }
    if ((size_t)n >= room) {
        enum err e = buf_reserve(b, (size_t)n);
        if (e) {
            b->failed = true;
            return e;
        }
        if (!b->data)
            return ERR_OK; /* an empty text in an empty buffer */
        va_start(args, fmt);
        n = vsnprintf(b->data + b->len, (size_t)n + 1, fmt, args);
        va_end(args);
    }
    b->len += (size_t)n;
    return ERR_OK;
}

enum err buf_append_u64(struct buf *b, uint64_t v)
{
    char room[BYTES_U64_ROOM];

    return buf_append_bytes(b, bytes_from_u64(v, 10, room));
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->len) {
        b->len = 0;
        return;
    }
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

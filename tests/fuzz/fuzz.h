#pragma once
/* What the fuzz targets share. */
#include "protocols/dialect.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void must_at(bool ok, const char *what, const char *file, int line)
{
    if (ok)
        return;
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    abort();
}
#define MUST(x) must_at((x), #x, __FILE__, __LINE__)

/* One JSON value; on one line if it is to stand in an event stream. */
static inline void must_json_at(struct bytes text, bool one_line, const char *file, int line)
{
    static const struct json_limits limits = {.max_depth = 400, .max_nodes = 1 << 22};
    struct json_error e = {0, "line end"};
    struct json_doc d;
    json_doc_init(&d);
    if (json_parse(&d, text, &limits, &e) != ERR_OK ||
        (one_line && (memchr(text.data, '\n', text.len) || memchr(text.data, '\r', text.len)))) {
        fprintf(stderr, "%s:%d: not JSON: %s at %zu of %.*s\n", file, line, e.what, e.offset,
                BYTES_FMT(text));
        abort();
    }
    json_doc_free(&d);
}
#define MUST_JSON(text) must_json_at((text), false, __FILE__, __LINE__)
#define MUST_JSON_LINE(text) must_json_at((text), true, __FILE__, __LINE__)

/* The error is one that can be told to a client. */
static inline void must_explain(const struct api_error *e)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    MUST(e->status >= 400 && e->status <= 599 && e->type && e->message[0]);
    api_error_body(e, &out);
    MUST(!out.failed);
    MUST_JSON_LINE(buf_bytes(&out));
    buf_free(&out);
}

/* A copy in memory of exactly its size, so that reading past it is seen. The caller frees. */
static inline char *exact_copy(const void *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    MUST(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

/* Numbers made of the input, so that it is all that a run depends on. */
static inline uint32_t fuzz_hash(const uint8_t *data, size_t size)
{
    uint32_t h = 2166136261U;
    for (size_t i = 0; i < size; i++)
        h = (h ^ data[i]) * 16777619U;
    return h;
}
static inline uint32_t fuzz_next(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

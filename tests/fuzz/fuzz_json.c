/* Whatever is accepted can be read in every way, and survives being written again from its parts. */
#include "protocols/json/json.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void rewrite(const struct json_doc *d, json_ref r, struct json_writer *w, struct arena *a)
{
    struct bytes s;
    int64_t i;
    double v;

    switch (json_type(d, r)) {
    case JSON_OBJECT:
        jw_object(w);
        for (json_ref m = json_first(d, r); m != JSON_NONE; m = json_next(d, m)) {
            struct bytes key = json_raw_key(d, m);
            jw_raw_members(w, (struct bytes){key.data - 1, key.len + 2});
            (void)buf_append_char(w->out, ':');
            w->comma_ = false;
            rewrite(d, m, w, a);
        }
        jw_object_end(w);
        return;
    case JSON_ARRAY:
        jw_array(w);
        for (json_ref m = json_first(d, r); m != JSON_NONE; m = json_next(d, m))
            rewrite(d, m, w, a);
        jw_array_end(w);
        return;
    case JSON_STRING:
        check(json_string(d, r, a, &s));
        jw_string(w, s);
        return;
    case JSON_NUMBER:
        if (json_int(d, r, &i) && json_double(d, r, &v))
            check(v == (double)i);
        jw_raw(w, json_raw(d, r));
        return;
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
        jw_raw(w, json_raw(d, r));
    }
}

static void same(const struct json_doc *a, const struct json_doc *b)
{
    struct arena arena;

    check(a->n == b->n);
    arena_init(&arena, 1U << 22);
    for (json_ref r = 0; r < a->n; r++) {
        struct bytes sa, sb;
        check(a->nodes[r].type == b->nodes[r].type && a->nodes[r].count == b->nodes[r].count &&
              a->nodes[r].next == b->nodes[r].next);
        check(bytes_eq(json_raw_key(a, r), json_raw_key(b, r)));
        if (json_is(a, r, JSON_STRING)) {
            check(json_string(a, r, &arena, &sa));
            check(json_string(b, r, &arena, &sb));
            check(bytes_eq(sa, sb));
        }
    }
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct json_limits limits = {100, 5000};
    struct json_error error = {SIZE_MAX, NULL};
    struct json_doc d, again;
    struct json_writer w;
    struct arena arena;
    struct buf out;

    json_doc_init(&d);
    json_doc_init(&again);
    arena_init(&arena, 1U << 22);
    buf_init(&out, 1U << 22);
    jw_init(&w, &out);
    if (json_parse(&d, bytes_of(data, size), &limits, &error)) {
        check(error.what && error.offset <= size && d.n == 0);
    } else {
        rewrite(&d, 0, &w, &arena);
        check(!out.failed);
        check(json_parse(&again, buf_bytes(&out), &limits, NULL) == ERR_OK);
        same(&d, &again);
    }
    json_doc_free(&d);
    json_doc_free(&again);
    arena_free(&arena);
    buf_free(&out);
    return 0;
}

/* A client's request in every dialect, and what becomes of it on its way to every provider. */
#include "tests/fuzz/fuzz.h"

static const struct json_limits limits = {.max_depth = 64, .max_nodes = 1 << 16};

struct request {
    struct json_doc doc;
    struct arena arena;
    struct llm_request r;
    char *text;
};

static enum err request_read(struct request *q, const struct dialect *d, struct bytes text,
                             struct api_error *ret_error)
{
    q->text = exact_copy(text.data, text.len);
    json_doc_init(&q->doc);
    arena_init(&q->arena, 1 << 24);
    llm_request_init(&q->r, &q->arena, d);
    if (json_parse(&q->doc, bytes_of(q->text, text.len), &limits, NULL) != ERR_OK)
        return ERR_SYNTAX;
    return d->decode_request(&q->doc, 0, &q->r, ret_error);
}

static void request_free(struct request *q)
{
    arena_free(&q->arena);
    json_doc_free(&q->doc);
    free(q->text);
}

/* The same members, in whatever order. */
static bool same_members(struct bytes a, struct bytes b)
{
    struct json_doc da, db;
    bool same = true;
    json_doc_init(&da);
    json_doc_init(&db);
    MUST(json_parse(&da, a, &limits, NULL) == ERR_OK && json_parse(&db, b, &limits, NULL) == ERR_OK);
    same = da.nodes[0].count == db.nodes[0].count;
    for (json_ref m = json_first(&da, 0); m != JSON_NONE && same; m = json_next(&da, m)) {
        json_ref other = json_first(&db, 0);
        while (other != JSON_NONE && !bytes_eq(json_raw_key(&da, m), json_raw_key(&db, other)))
            other = json_next(&db, other);
        same = other != JSON_NONE && bytes_eq(json_raw(&da, m), json_raw(&db, other));
    }
    json_doc_free(&da);
    json_doc_free(&db);
    return same;
}

/* What goes to a provider is a request of its dialect again, and loses nothing on another such way. `own`: it
 * came in the same dialect; from another it may bring words that only the provider can judge. */
static void check_again(const struct dialect *d, struct bytes text, bool own)
{
    struct request q;
    struct api_error e;
    struct buf out;
    buf_init(&out, 1 << 24);
    enum err err = request_read(&q, d, text, &e);
    if (err == ERR_INVALID && !own) {
        request_free(&q);
        return;
    }
    if (err == ERR_OK)
        err = d->encode_request(&q.r, BYTES("m"), &out, &e);
    if (err != ERR_OK || !same_members(buf_bytes(&out), text)) {
        fprintf(stderr, "%s: %s, %s: %s\n%.*s\n%.*s\n", d->name, err_name(err), err ? e.param : "",
                err ? e.message : "", BYTES_FMT(text), BYTES_FMT(buf_bytes(&out)));
        abort();
    }
    buf_free(&out);
    request_free(&q);
}

static void check_copies(struct llm_request *r)
{
    struct arena a;
    arena_init(&a, 1 << 24);
    size_t n = r->n_items;
    struct llm_item *items = arena_array(&a, n + 1, sizeof(*items));
    for (size_t i = 0; i < n; i++)
        MUST(llm_item_copy(&a, &r->items[i], &items[i]) == ERR_OK);
    MUST(llm_request_prepend(r, items, n) == ERR_OK && r->n_items == 2 * n);
    arena_free(&a);
}

static void check_request(struct request *q, const struct dialect *from)
{
    struct api_error e;
    struct buf out;
    buf_init(&out, 1 << 24);
    buf_append_char(&out, '{');
    if (from->encode_echo)
        from->encode_echo(&q->r, &out);
    buf_append_char(&out, '}');
    MUST(!out.failed);
    MUST_JSON_LINE(buf_bytes(&out));
    for (size_t i = 0; i < n_dialects; i++) {
        if (!dialect_faces_providers(dialects[i]))
            continue;
        buf_reset(&out);
        enum err err = dialects[i]->encode_request(&q->r, BYTES("m"), &out, &e);
        MUST(err == ERR_OK || (err == ERR_INVALID && dialects[i] != from));
        if (err == ERR_OK) {
            MUST_JSON(buf_bytes(&out));
            if (dialect_faces_clients(dialects[i]))
                check_again(dialects[i], buf_bytes(&out), dialects[i] == from);
        } else {
            must_explain(&e);
        }
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < n_dialects; i++) {
        struct request q;
        struct api_error e = {0};
        if (!dialect_faces_clients(dialects[i]))
            continue;
        enum err err = request_read(&q, dialects[i], bytes_of(data, size), &e);
        if (err == ERR_OK) {
            check_request(&q, dialects[i]);
            check_copies(&q.r);
        } else if (err != ERR_SYNTAX) {
            MUST(err == ERR_INVALID);
            must_explain(&e);
        }
        request_free(&q);
    }
    return 0;
}

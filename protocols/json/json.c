/* Looking at a parsed document. */
#include "protocols/json/json.h"
#include "protocols/json/json_internal.h"

static const struct json_node *node(const struct json_doc *d, json_ref r)
{
    return r < d->n ? &d->nodes[r] : NULL;
}

enum json_type json_type(const struct json_doc *d, json_ref r)
{
    const struct json_node *n = node(d, r);

    return n ? (enum json_type)n->type : JSON_NULL;
}

const char *json_type_name(enum json_type t)
{
    static const char *const names[] = {"null", "boolean", "boolean", "number", "string", "array", "object"};

    return (size_t)t < ARRAY_LEN(names) ? names[t] : "unknown";
}

bool json_is(const struct json_doc *d, json_ref r, enum json_type t)
{
    const struct json_node *n = node(d, r);

    return n && n->type == t;
}

bool json_is_bool(const struct json_doc *d, json_ref r)
{
    return json_is(d, r, JSON_TRUE) || json_is(d, r, JSON_FALSE);
}

static bool key_equals(const struct json_doc *d, const struct json_node *n, struct bytes key)
{
    struct bytes own = json_node_key(d, n);

    if (!n->key_escaped)
        return bytes_eq(own, key);
    return json_compare(own, true, key, false) == 0;
}

json_ref json_get_bytes(const struct json_doc *d, json_ref obj, struct bytes key)
{
    if (!json_is(d, obj, JSON_OBJECT))
        return JSON_NONE;
    for (json_ref r = json_first(d, obj); r != JSON_NONE; r = json_next(d, r))
        if (key_equals(d, &d->nodes[r], key))
            return r;
    return JSON_NONE;
}

json_ref json_first(const struct json_doc *d, json_ref container)
{
    const struct json_node *n = node(d, container);

    return n && n->count > 0 ? container + 1 : JSON_NONE;
}

json_ref json_next(const struct json_doc *d, json_ref r)
{
    const struct json_node *n = node(d, r);

    return n && n->next != 0 ? n->next : JSON_NONE;
}

struct bytes json_raw(const struct json_doc *d, json_ref r)
{
    const struct json_node *n = node(d, r);

    return n ? (struct bytes){d->text.data + n->start, n->len} : (struct bytes){NULL, 0};
}

struct bytes json_raw_key(const struct json_doc *d, json_ref r)
{
    const struct json_node *n = node(d, r);

    return n && n->key_start > 0 ? json_node_key(d, n) : (struct bytes){NULL, 0};
}

bool json_key_is_bytes(const struct json_doc *d, json_ref r, struct bytes key)
{
    const struct json_node *n = node(d, r);

    return n && n->key_start > 0 && key_equals(d, n, key);
}

struct bytes json_raw_string(const struct json_doc *d, json_ref r)
{
    const struct json_node *n = node(d, r);

    if (!n || n->type != JSON_STRING)
        return (struct bytes){NULL, 0};
    return (struct bytes){d->text.data + n->start + 1, n->len - 2};
}

bool json_string(const struct json_doc *d, json_ref r, struct arena *a, struct bytes *ret)
{
    const struct json_node *n = node(d, r);

    if (!n || n->type != JSON_STRING)
        return false;
    struct bytes raw = json_raw_string(d, r);
    if (!n->escaped) {
        *ret = raw;
        return true;
    }
    /* No escape is shorter than what it stands for. */
    char *out = arena_alloc(a, raw.len);
    if (!out)
        return false;
    size_t len = 0;
    for (const char *p = raw.data, *end = raw.data + raw.len; p < end;) {
        char piece[4];
        size_t n_piece = json_decode(&p, piece);
        memcpy(out + len, piece, n_piece);
        len += n_piece;
    }
    *ret = (struct bytes){out, len};
    return true;
}

enum err json_string_append(const struct json_doc *d, json_ref r, struct buf *out)
{
    const struct json_node *n = node(d, r);
    size_t before = out->len;

    if (!n || n->type != JSON_STRING)
        return ERR_INVALID;
    struct bytes raw = json_raw_string(d, r);
    if (!n->escaped)
        return buf_append_bytes(out, raw);
    for (const char *p = raw.data, *end = raw.data + raw.len; p < end;) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        enum err e = buf_append(out, p, (size_t)((escape ? escape : end) - p));
        p = escape ? escape : end;
        if (!e && escape) {
            char piece[4];
            size_t n_piece = json_decode(&p, piece);
            e = buf_append(out, piece, n_piece);
        }
        if (e) {
            out->len = before;
            return e;
        }
    }
    return ERR_OK;
}

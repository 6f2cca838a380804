/* One pass over the text: checks it, and writes a node for each value. No recursion: while a container is
 * open its own node holds the way back: `next` is the container around it, `len` the filter of its keys. */
#include "protocols/json/json_internal.h"
#include <stdlib.h>

struct parser {
    struct json_cursor c;
    struct json_doc *d;
    const struct json_limits *limits;
    size_t max_nodes;
    json_ref open; /* the innermost open container */
    json_ref last; /* its newest finished child */
    unsigned depth;
    uint32_t filter;      /* keys of the open object: a clear bit says that no such key was there */
    struct json_node key; /* the key of the value to come */
    enum err err;
};

enum { NODES_FIRST = 32 };

static bool fail(struct parser *s, enum err e, const char *at, const char *what)
{
    s->err = e;
    s->c.p = at;
    s->c.what = e == ERR_SYNTAX && at == s->c.end ? "the text ends too early" : what;
    return false;
}

enum err json_nodes_reserve(struct json_doc *d, size_t n)
{
    if (n <= d->cap)
        return ERR_OK;
    size_t cap = MAX(MAX(d->cap * 2, n), (size_t)NODES_FIRST);
    if (cap > SIZE_MAX / sizeof(struct json_node))
        return ERR_NOMEM;
    struct json_node *nodes = realloc(d->nodes, cap * sizeof(struct json_node));
    if (!nodes)
        return ERR_NOMEM;
    d->nodes = nodes;
    d->cap = cap;
    return ERR_OK;
}

static inline void skip_blanks(struct parser *s)
{
    const char *p = s->c.p;

    while (p < s->c.end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    s->c.p = p;
}

/* The next byte that is no blank; NUL, which fits nowhere, at the end. */
static inline char peek(struct parser *s)
{
    skip_blanks(s);
    if (s->c.p == s->c.end)
        return '\0';
    return *s->c.p;
}

/* A new node at the end, linked to its elder sibling. NULL: failed. */
static inline struct json_node *add_node(struct parser *s, enum json_type type)
{
    struct json_doc *d = s->d;

    if (d->n == d->cap || d->n == s->max_nodes) {
        if (d->n >= s->max_nodes) {
            fail(s, ERR_LIMIT, s->c.p, "more values than allowed");
            return NULL;
        }
        if (json_nodes_reserve(d, d->n + 1)) {
            fail(s, ERR_NOMEM, s->c.p, "out of memory");
            return NULL;
        }
    }
    struct json_node *n = &d->nodes[d->n];
    *n = s->key;
    n->type = (uint8_t)type;
    n->start = (uint32_t)(s->c.p - d->text.data);
    if (s->open != JSON_NONE) {
        d->nodes[s->open].count++;
        if (s->last != JSON_NONE)
            d->nodes[s->last].next = (uint32_t)d->n;
    }
    s->last = (uint32_t)d->n++;
    return n;
}

/* A clear bit of the filter is the cheap answer that nearly every key gets. */
static bool check_key(struct parser *s)
{
    const char *text = s->d->text.data + s->key.key_start;
    uint32_t count = s->d->nodes[s->open].count;
    uint32_t mix =
        s->key.key_len == 0 ? 0 : (unsigned char)text[0] * 3U + (unsigned char)text[s->key.key_len - 1];
    uint32_t bit = UINT32_C(1) << ((mix + s->key.key_len * 7) % 32);
    bool seen = (s->filter & bit) != 0;

    s->filter |= bit;
    if (s->key.key_escaped) {
        s->filter = UINT32_MAX;
        seen = true;
    }
    if (seen && count <= JSON_KEYS_FEW && json_keys_has(s->d, s->open, count, &s->key))
        return fail(s, ERR_SYNTAX, text - 1, "duplicate key");
    return true;
}

/* A key and its colon. */
static bool scan_key(struct parser *s)
{
    if (peek(s) != '"')
        return fail(s, ERR_SYNTAX, s->c.p, "a key must stand here");
    const char *start = ++s->c.p;
    if (!json_scan_string(&s->c, &s->key.key_escaped))
        return fail(s, ERR_SYNTAX, s->c.p, s->c.what);
    s->key.key_start = (uint32_t)(start - s->d->text.data);
    s->key.key_len = (uint32_t)(s->c.p - 1 - start);
    if (!check_key(s))
        return false;
    if (peek(s) != ':')
        return fail(s, ERR_SYNTAX, s->c.p, "a colon must stand here");
    s->c.p++;
    return true;
}

static bool scan_literal(struct parser *s, const char *word, size_t len, enum json_type type)
{
    struct json_node *n = add_node(s, type);
    size_t i = 0;

    if (!n)
        return false;
    while (i < len && s->c.p + i < s->c.end && s->c.p[i] == word[i])
        i++;
    if (i < len)
        return fail(s, ERR_SYNTAX, s->c.p + i, "no such word");
    n->len = (uint32_t)len;
    s->c.p += len;
    return true;
}

static bool open_container(struct parser *s, enum json_type type)
{
    if (s->depth == s->limits->max_depth)
        return fail(s, ERR_LIMIT, s->c.p, "nesting deeper than allowed");
    json_ref outer = s->open;
    struct json_node *n = add_node(s, type);
    if (!n)
        return false;
    if (outer != JSON_NONE)
        s->d->nodes[outer].len = s->filter;
    n->next = outer;
    s->open = s->last;
    s->last = JSON_NONE;
    s->filter = 0;
    s->depth++;
    s->c.p++;
    s->key = (struct json_node){0};
    return true;
}

static bool close_container(struct parser *s)
{
    struct json_doc *d = s->d;
    json_ref closed = s->open, again;

    s->c.p++;
    if (d->nodes[closed].type == JSON_OBJECT && d->nodes[closed].count > JSON_KEYS_FEW) {
        enum err e = json_keys_unique(d, closed, &again);
        if (e == ERR_INVALID)
            return fail(s, ERR_SYNTAX, d->text.data + d->nodes[again].key_start - 1, "duplicate key");
        if (e)
            return fail(s, e, s->c.p, "out of memory");
    }
    struct json_node *n = &d->nodes[closed];
    s->open = n->next;
    n->next = 0;
    n->len = (uint32_t)(s->c.p - d->text.data) - n->start;
    s->last = closed;
    s->depth--;
    if (s->open != JSON_NONE)
        s->filter = d->nodes[s->open].len;
    return true;
}

/* A whole scalar, or the opening of a container. */
static bool scan_value(struct parser *s)
{
    struct json_node *n;
    const char *start;

    switch (peek(s)) {
    case '{':
        return open_container(s, JSON_OBJECT);
    case '[':
        return open_container(s, JSON_ARRAY);
    case '"':
        n = add_node(s, JSON_STRING);
        if (!n)
            return false;
        start = s->c.p++;
        if (!json_scan_string(&s->c, &n->escaped))
            return fail(s, ERR_SYNTAX, s->c.p, s->c.what);
        n->len = (uint32_t)(s->c.p - start);
        return true;
    case 't':
        return scan_literal(s, "true", 4, JSON_TRUE);
    case 'f':
        return scan_literal(s, "false", 5, JSON_FALSE);
    case 'n':
        return scan_literal(s, "null", 4, JSON_NULL);
    default:
        start = s->c.p;
        if (start == s->c.end || (*start != '-' && (*start < '0' || *start > '9')))
            return fail(s, ERR_SYNTAX, start, "a value must stand here");
        n = add_node(s, JSON_NUMBER);
        if (!n)
            return false;
        if (!json_scan_number(&s->c))
            return fail(s, ERR_SYNTAX, s->c.p, s->c.what);
        n->len = (uint32_t)(s->c.p - start);
        return true;
    }
}

/* What stands between values: closes what ends here, then a comma, and a key where one is due. *ret_more: a
 * value must follow. */
static bool scan_between(struct parser *s, bool *ret_more)
{
    while (s->open != JSON_NONE) {
        const struct json_node *n = &s->d->nodes[s->open];
        bool object = n->type == JSON_OBJECT;
        bool first = s->last == JSON_NONE;
        char c = peek(s);
        if (c == (object ? '}' : ']')) {
            if (!close_container(s))
                return false;
            continue;
        }
        if (!first && c != ',')
            return fail(s, ERR_SYNTAX, s->c.p,
                        object ? "a comma or } must stand here" : "a comma or ] must stand here");
        s->c.p += !first;
        *ret_more = true;
        return !object || scan_key(s);
    }
    *ret_more = false;
    return true;
}

static bool scan_text(struct parser *s)
{
    bool more = true;

    while (more)
        if (!scan_value(s) || !scan_between(s, &more))
            return false;
    skip_blanks(s);
    return s->c.p == s->c.end || fail(s, ERR_SYNTAX, s->c.p, "something stands after the value");
}

void json_doc_init(struct json_doc *d)
{
    *d = (struct json_doc){.nodes = NULL};
}

void json_doc_free(struct json_doc *d)
{
    if (!d)
        return;
    free(d->nodes);
    json_doc_init(d);
}

enum err json_parse(struct json_doc *d, struct bytes text, const struct json_limits *limits,
                    struct json_error *ret_error)
{
    const char *data = text.len > 0 ? text.data : "";
    struct parser s = {
        .c = {.p = data, .end = data},
        .d = d,
        .limits = limits,
        .max_nodes = MIN(limits->max_nodes, (size_t)JSON_NONE - 1),
        .open = JSON_NONE,
        .last = JSON_NONE,
    };

    d->text = (struct bytes){data, text.len};
    d->n = 0;
    if (text.len > UINT32_MAX) {
        (void)fail(&s, ERR_LIMIT, data, "a text of 4 GiB or more");
    } else {
        s.c.end = data + text.len;
        if (scan_text(&s))
            return ERR_OK;
    }
    d->n = 0;
    if (ret_error)
        *ret_error = (struct json_error){(size_t)(s.c.p - data), s.c.what};
    return s.err;
}

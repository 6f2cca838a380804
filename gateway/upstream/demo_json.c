/* The smallest JSON value of a schema's shape, for the demo provider. It reads the common keywords (JSON
 * Schema, 2020-12: type, const, enum, anyOf, oneOf, allOf, $ref within the document, properties, items,
 * minItems, minLength, minimum, format) and guesses at no others. */
#include "gateway/upstream/demo.h"
#include "protocols/json/json.h"

enum { MAX_DEPTH = 10, MAX_VALUES = 512, MAX_ELEMENTS = 8, MAX_STRING = 256 };

struct maker {
    const struct json_doc *doc;
    struct json_writer *w;
    unsigned values;
    bool beyond;
};

static void make(struct maker *m, json_ref schema, unsigned depth);

/* Follows "#/$defs/NAME" and the like; keys with escapes are not followed. */
static json_ref resolve(const struct maker *m, json_ref pointer)
{
    struct bytes path = json_raw_string(m->doc, pointer);
    json_ref at = 0;
    if (path.len == 0 || path.data[0] != '#')
        return JSON_NONE;
    path = bytes_skip(path, 1);
    while (path.len > 0 && at != JSON_NONE) {
        char key[128];
        const char *slash = memchr(path.data + 1, '/', path.len - 1);
        size_t n = slash ? (size_t)(slash - path.data - 1) : path.len - 1;
        if (path.data[0] != '/' || n == 0 || n >= sizeof(key))
            return JSON_NONE;
        memcpy(key, path.data + 1, n);
        key[n] = '\0';
        at = json_get(m->doc, at, key);
        path = bytes_skip(path, n + 1);
    }
    return at;
}

static int64_t number_of(const struct maker *m, json_ref schema, const char *key, int64_t absent, int64_t max)
{
    int64_t n;
    return json_int(m->doc, json_get(m->doc, schema, key), &n) && n > absent ? MIN(n, max) : absent;
}

static void make_string(struct maker *m, json_ref schema)
{
    static const struct {
        const char *format, *value;
    } known[] = {{"date-time", "2025-01-01T00:00:00Z"},
                 {"date", "2025-01-01"},
                 {"time", "00:00:00Z"},
                 {"email", "demo@example.com"},
                 {"uri", "https://example.com/"},
                 {"ipv4", "192.0.2.1"},
                 {"uuid", "00000000-0000-4000-8000-000000000000"}};
    json_ref format = json_get(m->doc, schema, "format");
    struct bytes text = BYTES("demo");
    for (size_t i = 0; i < ARRAY_LEN(known) && json_is(m->doc, format, JSON_STRING); i++)
        if (bytes_is(json_raw_string(m->doc, format), known[i].format))
            text = bytes_cstr(known[i].value);
    int64_t shortest = number_of(m, schema, "minLength", 0, MAX_STRING);
    int64_t longest = number_of(m, schema, "maxLength", -1, MAX_STRING);
    if (longest >= 0)
        text.len = MIN(text.len, (size_t)longest);
    jw_string_begin(m->w);
    jw_string_piece(m->w, text);
    for (size_t n = text.len; n < (size_t)shortest; n++)
        jw_string_piece(m->w, BYTES("."));
    jw_string_end(m->w);
}

static void make_object(struct maker *m, json_ref schema, unsigned depth)
{
    json_ref properties = json_get(m->doc, schema, "properties");
    jw_object(m->w);
    if (json_is(m->doc, properties, JSON_OBJECT)) {
        for (json_ref p = json_first(m->doc, properties); p != JSON_NONE; p = json_next(m->doc, p)) {
            struct bytes key = json_raw_key(m->doc, p);
            m->beyond |= memchr(key.data, '\\', key.len) != NULL;
            jw_key_bytes(m->w, key);
            make(m, p, depth + 1);
        }
    }
    jw_object_end(m->w);
}

static void make_array(struct maker *m, json_ref schema, unsigned depth)
{
    json_ref items = json_get(m->doc, schema, "items");
    int64_t n = number_of(m, schema, "minItems", 0, MAX_ELEMENTS);
    if (n == 0 && json_is(m->doc, items, JSON_OBJECT) && depth < MAX_DEPTH / 2)
        n = number_of(m, schema, "maxItems", -1, 1) == 0 ? 0 : 1;
    jw_array(m->w);
    for (int64_t i = 0; i < n; i++)
        make(m, items, depth + 1);
    jw_array_end(m->w);
}

static void make_typed(struct maker *m, json_ref schema, struct bytes type, unsigned depth)
{
    if (bytes_is(type, "object"))
        make_object(m, schema, depth);
    else if (bytes_is(type, "array"))
        make_array(m, schema, depth);
    else if (bytes_is(type, "string"))
        make_string(m, schema);
    else if (bytes_is(type, "integer") || bytes_is(type, "number"))
        jw_int(m->w, number_of(m, schema, "minimum", 1, INT64_MAX));
    else if (bytes_is(type, "boolean"))
        jw_bool(m->w, true);
    else
        jw_null(m->w);
}

/* The first of several schemas; or the one that is referred to. JSON_NONE: it stands for itself. */
static json_ref substitute(const struct maker *m, json_ref schema)
{
    static const char *const choices[] = {"anyOf", "oneOf", "allOf"};
    json_ref pointer = json_get(m->doc, schema, "$ref");
    if (json_is(m->doc, pointer, JSON_STRING))
        return resolve(m, pointer);
    for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
        json_ref list = json_get(m->doc, schema, choices[i]);
        if (json_is(m->doc, list, JSON_ARRAY))
            return json_first(m->doc, list);
    }
    return JSON_NONE;
}

static void make(struct maker *m, json_ref schema, unsigned depth)
{
    if (depth > MAX_DEPTH || ++m->values > MAX_VALUES)
        m->beyond = true;
    if (m->beyond || !json_is(m->doc, schema, JSON_OBJECT)) {
        jw_null(m->w);
        return;
    }
    json_ref given = json_get(m->doc, schema, "const");
    json_ref list = json_get(m->doc, schema, "enum");
    json_ref type = json_get(m->doc, schema, "type");
    json_ref other = substitute(m, schema);
    if (given == JSON_NONE && json_is(m->doc, list, JSON_ARRAY))
        given = json_first(m->doc, list);
    if (json_is(m->doc, type, JSON_ARRAY))
        type = json_first(m->doc, type);
    if (given != JSON_NONE)
        jw_raw(m->w, json_raw(m->doc, given));
    else if (other != JSON_NONE)
        make(m, other, depth + 1);
    else if (json_is(m->doc, type, JSON_STRING))
        make_typed(m, schema, json_raw_string(m->doc, type), depth);
    else
        make_object(m, schema, depth);
}

bool demo_json_value(struct bytes schema, struct buf *out)
{
    const struct json_limits limits = {.max_depth = 64, .max_nodes = 16384};
    struct json_doc doc;
    struct json_writer w;
    struct maker m = {.doc = &doc, .w = &w};
    json_doc_init(&doc);
    jw_init(&w, out);
    bool ok = json_parse(&doc, schema, &limits, NULL) == ERR_OK;
    if (ok)
        make(&m, 0, 0);
    json_doc_free(&doc);
    return ok && !m.beyond && !out->failed;
}

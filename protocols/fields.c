#include "protocols/fields.h"
#include <math.h>
#include <stdio.h>

struct walk {
    const struct json_doc *doc;
    struct arena *arena;
    struct api_error *error;
    char path[sizeof((struct api_error *)0)->param];
    size_t path_len; /* may pass the room: the path is then cut */
};

static enum err check(struct walk *w, json_ref r, const struct field_shape *shape);

/* ---- the path ---- */

static void path_add(struct walk *w, struct bytes s)
{
    for (size_t i = 0; i < s.len; i++, w->path_len++)
        if (w->path_len < sizeof w->path - 1)
            w->path[w->path_len] = s.data[i];
    w->path[MIN(w->path_len, sizeof w->path - 1)] = 0;
}

static void path_cut(struct walk *w, size_t len)
{
    w->path_len = len;
    w->path[MIN(len, sizeof w->path - 1)] = 0;
}

static void path_key(struct walk *w, struct bytes key)
{
    if (w->path_len > 0)
        path_add(w, BYTES("."));
    path_add(w, key);
}

static void path_index(struct walk *w, size_t i)
{
    char room[BYTES_U64_ROOM];
    path_add(w, BYTES("["));
    path_add(w, bytes_from_u64(i, 10, room));
    path_add(w, BYTES("]"));
}

/* ---- saying what is wrong ---- */

static enum err fail(struct walk *w, const char *code, const char *what)
{
    api_error_set(w->error, 400, API_INVALID, code, w->path, "%s", what);
    return ERR_INVALID;
}

static enum err no_memory(struct walk *w)
{
    api_error_no_memory(w->error);
    return ERR_NOMEM;
}

static const char *subject(const struct walk *w)
{
    return w->path_len ? w->path : "the message";
}

/* From 2^53 on a double has no fraction. */
static bool is_integer(const struct json_doc *d, json_ref r)
{
    int64_t i;
    double v;
    return json_int(d, r, &i) || (json_double(d, r, &v) && (v >= 0x1p53 || v <= -0x1p53));
}

static unsigned type_of(const struct json_doc *d, json_ref r)
{
    switch (json_type(d, r)) {
    case JSON_NULL:
        return FIELD_NULL;
    case JSON_FALSE:
    case JSON_TRUE:
        return FIELD_BOOL;
    case JSON_NUMBER:
        return is_integer(d, r) ? FIELD_INTEGER | FIELD_NUMBER : FIELD_NUMBER;
    case JSON_STRING:
        return FIELD_STRING;
    case JSON_ARRAY:
        return FIELD_ARRAY;
    case JSON_OBJECT:
        break;
    }
    return FIELD_OBJECT;
}

static const struct {
    unsigned type;
    const char *text;
} type_names[] = {
    {FIELD_STRING, "a string"}, {FIELD_INTEGER, "an integer"}, {FIELD_NUMBER, "a number"},
    {FIELD_BOOL, "a boolean"},  {FIELD_OBJECT, "an object"},   {FIELD_ARRAY, "an array"},
    {FIELD_NULL, "null"},
};

static const char *type_text(unsigned type)
{
    if (type == FIELD_NUMBER)
        return "a decimal number";
    for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
        if (type & type_names[i].type)
            return type_names[i].text;
    return "nothing";
}

static enum err fail_type(struct walk *w, json_ref r, unsigned types)
{
    char expected[120] = "";
    size_t len = 0;
    unsigned left = types;
    for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
        unsigned t = type_names[i].type;
        if (!(left & t))
            continue;
        left &= ~t;
        int n = snprintf(expected + len, sizeof expected - len, "%s%s",
                         len == 0 ? ""
                         : left   ? ", "
                                  : " or ",
                         type_names[i].text);
        len += n > 0 ? (size_t)n : 0;
    }
    api_error_set(w->error, 400, API_INVALID, "invalid_type", w->path,
                  "Invalid type for %s: expected %s, got %s.", subject(w), expected,
                  type_text(type_of(w->doc, r)));
    return ERR_INVALID;
}

enum { SHOWN = 48 };

/* A value as it came, cut. */
static struct bytes shown(const struct walk *w, json_ref r)
{
    struct bytes raw = json_raw(w->doc, r);
    if (raw.len <= SHOWN)
        return raw;
    raw.len = SHOWN;
    while (raw.len > 0 && ((unsigned char)raw.data[raw.len] & 0xC0) == 0x80)
        raw.len--;
    return raw;
}

static enum err fail_choice(struct walk *w, json_ref r, const char *const *values, size_t n)
{
    char list[240] = "";
    size_t len = 0;
    for (size_t i = 0; i < n && len < sizeof list; i++) {
        int k = snprintf(list + len, sizeof list - len, "%s'%s'", i ? ", " : "", values[i]);
        len += k > 0 ? (size_t)k : 0;
    }
    api_error_set(w->error, 400, API_INVALID, "invalid_value", w->path,
                  "Invalid value for %s: got %.*s, expected %s%s.", subject(w), BYTES_FMT(shown(w, r)),
                  n == 1 ? "" : "one of ", list);
    return ERR_INVALID;
}

static enum err fail_missing(struct walk *w, const char *key)
{
    size_t at = w->path_len;
    path_key(w, bytes_cstr(key));
    api_error_set(w->error, 400, API_INVALID, "missing_required_parameter", w->path,
                  "Missing required parameter: %s.", w->path);
    path_cut(w, at);
    return ERR_INVALID;
}

/* ---- scalars ---- */

static enum err check_number(struct walk *w, json_ref r, const struct field_shape *s)
{
    double v;
    if (!json_double(w->doc, r, &v) || !isfinite(v))
        return fail(w, "invalid_value", "The number is too large.");
    if (!s->bounded || (v >= s->min && v <= s->max))
        return ERR_OK;
    bool above = v > s->max;
    bool integer = !(s->types & FIELD_NUMBER);
    const char *code = above ? (integer ? "integer_above_max_value" : "decimal_above_max_value")
                             : (integer ? "integer_below_min_value" : "decimal_below_min_value");
    api_error_set(w->error, 400, API_INVALID, code, w->path,
                  "Invalid value for %s: expected at %s %.15g, got %.*s.", subject(w),
                  above ? "most" : "least", above ? s->max : s->min, BYTES_FMT(shown(w, r)));
    return ERR_INVALID;
}

/* Code points of a string as it is written: an escape is one, a pair of surrogate escapes is one. */
static size_t count_chars(struct bytes raw)
{
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.data[i];
        if ((c & 0xC0) == 0x80)
            continue;
        n++;
        if (c != '\\')
            continue;
        i++;
        if (i < raw.len && raw.data[i] == 'u') {
            bool high = i + 2 < raw.len && (raw.data[i + 1] | 0x20) == 'd' && raw.data[i + 2] >= '8' &&
                        (raw.data[i + 2] <= '9' || (raw.data[i + 2] | 0x20) <= 'b');
            i += high ? 10 : 4;
        }
    }
    return n;
}

static enum err check_length(struct walk *w, const char *what, size_t n, size_t min, size_t max,
                             const char *above, const char *below)
{
    bool long_ = max && n > max;
    if (!long_ && n >= min)
        return ERR_OK;
    size_t limit = long_ ? max : min;
    api_error_set(w->error, 400, API_INVALID, long_ ? above : below, w->path,
                  "Invalid length of %s: expected at %s %zu %s%s, got %zu.", subject(w),
                  long_ ? "most" : "least", limit, what, limit == 1 ? "" : "s", n);
    return ERR_INVALID;
}

bool field_is(const struct json_doc *d, json_ref value, struct arena *a, const char *s)
{
    struct bytes text;
    return json_is(d, value, JSON_STRING) && json_string(d, value, a, &text) && bytes_is(text, s);
}

static enum err check_string(struct walk *w, json_ref r, const struct field_shape *s)
{
    if (s->min_chars || s->max_chars) {
        enum err err = check_length(w, "character", count_chars(json_raw_string(w->doc, r)), s->min_chars,
                                    s->max_chars, "string_above_max_length", "string_below_min_length");
        if (err != ERR_OK)
            return err;
    }
    if (!s->one_of)
        return ERR_OK;
    struct bytes text;
    if (!json_string(w->doc, r, w->arena, &text))
        return no_memory(w);
    size_t n = 0;
    for (; s->one_of[n]; n++)
        if (bytes_is(text, s->one_of[n]))
            return ERR_OK;
    return fail_choice(w, r, s->one_of, n);
}

/* ---- containers ---- */

static enum err check_array(struct walk *w, json_ref r, const struct field_shape *s)
{
    enum err err = check_length(w, "element", w->doc->nodes[r].count, s->min_items, s->max_items,
                                "array_above_max_length", "array_below_min_length");
    size_t i = 0;
    size_t at = w->path_len;
    for (json_ref e = s->items ? json_first(w->doc, r) : JSON_NONE; err == ERR_OK && e != JSON_NONE;
         e = json_next(w->doc, e), i++) {
        path_index(w, i);
        err = check(w, e, s->items);
        path_cut(w, at);
    }
    return err;
}

static const struct field *find_field(const struct walk *w, json_ref member, const struct field_object *o)
{
    for (size_t i = 0; i < o->n; i++)
        if (json_key_is(w->doc, member, o->fields[i].key))
            return &o->fields[i];
    return NULL;
}

static enum err check_members(struct walk *w, json_ref r, const struct field_object *o, const char *known)
{
    uint64_t seen = 0;
    size_t at = w->path_len;
    for (json_ref m = json_first(w->doc, r); m != JSON_NONE; m = json_next(w->doc, m)) {
        const struct field *f = find_field(w, m, o);
        enum err err = ERR_OK;
        path_key(w, json_raw_key(w->doc, m));
        if (f) {
            seen |= UINT64_C(1) << (f - o->fields);
            err = check(w, m, &f->shape);
        } else if (o->closed && !(known && json_key_is(w->doc, m, known))) {
            err = fail(w, "unknown_parameter", "This parameter is not known here.");
        }
        path_cut(w, at);
        if (err != ERR_OK)
            return err;
    }
    for (size_t i = 0; i < o->n; i++)
        if (o->fields[i].required && !(seen >> i & 1))
            return fail_missing(w, o->fields[i].key);
    return ERR_OK;
}

static enum err fail_variant(struct walk *w, json_ref value, const struct field_union *u)
{
    const char *values[32];
    size_t n = 0;
    for (; n < u->n && n < ARRAY_LEN(values); n++)
        values[n] = u->variants[n].value;
    return fail_choice(w, value, values, n);
}

static enum err check_union(struct walk *w, json_ref r, const struct field_union *u)
{
    json_ref kind = json_get(w->doc, r, u->key);
    struct bytes name = bytes_cstr(u->absent);
    size_t at = w->path_len;
    if (kind == JSON_NONE) {
        if (!u->absent)
            return fail_missing(w, u->key);
    } else {
        path_key(w, bytes_cstr(u->key));
        if (!json_is(w->doc, kind, JSON_STRING))
            return fail_type(w, kind, FIELD_STRING);
        if (!json_string(w->doc, kind, w->arena, &name))
            return no_memory(w);
    }
    for (size_t i = 0; i < u->n; i++)
        if (bytes_is(name, u->variants[i].value)) {
            path_cut(w, at);
            return check_members(w, r, u->variants[i].object, u->key);
        }
    if (!u->other)
        return fail_variant(w, kind, u);
    path_cut(w, at);
    return check_members(w, r, u->other, u->key);
}

static enum err check_map(struct walk *w, json_ref r, const struct field_shape *s)
{
    size_t at = w->path_len;
    for (json_ref m = json_first(w->doc, r); m != JSON_NONE; m = json_next(w->doc, m)) {
        struct bytes key = json_raw_key(w->doc, m);
        path_key(w, key);
        enum err err = ERR_OK;
        if (s->max_key_chars && count_chars(key) > s->max_key_chars)
            err = fail(w, "string_above_max_length", "The name of this member is too long.");
        if (err == ERR_OK && s->values)
            err = check(w, m, s->values);
        path_cut(w, at);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err check_object(struct walk *w, json_ref r, const struct field_shape *s)
{
    enum err err = check_length(w, "member", w->doc->nodes[r].count, s->min_items, s->max_items,
                                "object_above_max_properties", "object_below_min_properties");
    if (err == ERR_OK && s->object)
        err = check_members(w, r, s->object, NULL);
    if (err == ERR_OK && s->variants)
        err = check_union(w, r, s->variants);
    if (err == ERR_OK && (s->values || s->max_key_chars))
        err = check_map(w, r, s);
    return err;
}

static enum err check(struct walk *w, json_ref r, const struct field_shape *shape)
{
    unsigned type = type_of(w->doc, r);
    if (!(type & shape->types))
        return fail_type(w, r, shape->types);
    switch (type) {
    case FIELD_STRING:
        return check_string(w, r, shape);
    case FIELD_ARRAY:
        return check_array(w, r, shape);
    case FIELD_OBJECT:
        return check_object(w, r, shape);
    case FIELD_NULL:
    case FIELD_BOOL:
        return ERR_OK;
    default:
        return check_number(w, r, shape);
    }
}

enum err fields_check(const struct json_doc *d, json_ref root, const struct field_shape *shape,
                      struct arena *a, struct api_error *ret_error)
{
    struct walk w = {.doc = d, .arena = a, .error = ret_error};
    return check(&w, root, shape);
}

enum err fields_extras(const struct json_doc *d, json_ref obj, const struct field_object *object,
                       struct arena *a, struct llm_extra **ret_extras, size_t *ret_n)
{
    const struct walk w = {.doc = d};
    size_t n = 0;
    for (json_ref m = json_first(d, obj); m != JSON_NONE; m = json_next(d, m))
        n += find_field(&w, m, object) ? 0 : 1;
    if (n == 0) {
        *ret_extras = NULL;
        *ret_n = 0;
        return ERR_OK;
    }
    struct llm_extra *extras = arena_array(a, n, sizeof *extras);
    if (!extras)
        return ERR_NOMEM;
    n = 0;
    for (json_ref m = json_first(d, obj); m != JSON_NONE; m = json_next(d, m))
        if (!find_field(&w, m, object))
            extras[n++] = (struct llm_extra){json_raw_key(d, m), json_raw(d, m)};
    *ret_extras = extras;
    *ret_n = n;
    return ERR_OK;
}

/* ---- readers ---- */

enum err field_string(const struct json_doc *d, json_ref obj, const char *key, struct arena *a,
                      struct bytes *ret)
{
    json_ref r = json_get(d, obj, key);
    if (!json_is(d, r, JSON_STRING))
        return ERR_OK;
    return json_string(d, r, a, ret) ? ERR_OK : ERR_NOMEM;
}

void field_int(const struct json_doc *d, json_ref obj, const char *key, int64_t *ret)
{
    json_ref r = json_get(d, obj, key);
    int64_t v;
    if (json_is(d, r, JSON_NUMBER) && json_int(d, r, &v))
        *ret = v;
}

void field_bool(const struct json_doc *d, json_ref obj, const char *key, bool *ret)
{
    json_ref r = json_get(d, obj, key);
    if (json_is_bool(d, r))
        *ret = json_is(d, r, JSON_TRUE);
}

void field_tristate(const struct json_doc *d, json_ref obj, const char *key, int *ret)
{
    json_ref r = json_get(d, obj, key);
    if (json_is_bool(d, r))
        *ret = json_is(d, r, JSON_TRUE) ? 1 : 0;
}

void field_number(const struct json_doc *d, json_ref obj, const char *key, struct llm_number *ret)
{
    json_ref r = json_get(d, obj, key);
    double v;
    if (json_is(d, r, JSON_NUMBER) && json_double(d, r, &v))
        *ret = (struct llm_number){.set = true, .value = v, .raw = json_raw(d, r)};
}

void field_raw(const struct json_doc *d, json_ref obj, const char *key, struct bytes *ret)
{
    json_ref r = json_get(d, obj, key);
    if (r != JSON_NONE && !json_is(d, r, JSON_NULL))
        *ret = json_raw(d, r);
}

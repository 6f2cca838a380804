#pragma once
/* Validation of a JSON message against const tables, one for each kind of object. What a table can say, a
 * JSON Schema can say too (named beside each member), so that the published schemas and the tables can be
 * held against each other. */
#include "protocols/api_error.h"
#include "protocols/llm_request.h"

/* Allowed JSON types, combined with |. An integer is a number without a fraction: 1, 1.0 and 1e0 are. */
enum {
    FIELD_NULL = 1,
    FIELD_BOOL = 2,
    FIELD_INTEGER = 4,
    FIELD_NUMBER = 8,
    FIELD_STRING = 16,
    FIELD_ARRAY = 32,
    FIELD_OBJECT = 64,
    FIELD_ANY = FIELD_NULL | FIELD_BOOL | FIELD_NUMBER | FIELD_STRING | FIELD_ARRAY | FIELD_OBJECT,
};

/* What a value may be. A limit that is 0, and a pointer that is NULL, asks for nothing; each concerns its own
 * type only, so that one shape can describe "a string of at most 10, or an array of those". */
struct field_shape {
    unsigned types;              /* FIELD_*: "type" */
    bool bounded;                /* numbers: min and max count */
    double min, max;             /* "minimum", "maximum" */
    size_t min_chars, max_chars; /* strings, in Unicode code points: "minLength", "maxLength" */
    const char *const *one_of;   /* strings, NULL at the end: "enum" */
    size_t min_items, max_items; /* "minItems", "maxItems"; of an object "minProperties", "maxProperties" */
    const struct field_shape *items;    /* each element of an array: "items" */
    const struct field_object *object;  /* an object with known members */
    const struct field_union *variants; /* an object whose kind one member tells */
    const struct field_shape *values;   /* an object used as a map: "additionalProperties" */
    size_t max_key_chars;               /* of such a map: "propertyNames": {"maxLength"} */
};

/* min and max for a shape: {FIELD_NUMBER, FIELD_RANGE(0, 2)} */
#define FIELD_RANGE(low, high) .bounded = true, .min = (low), .max = (high)

struct field {
    const char *key;
    bool required;
    struct field_shape shape;
};

/* Members that are not in the table are allowed (and at the top level become extras, see fields_extras),
 * unless `closed`: "properties", "required", "additionalProperties": false. */
struct field_object {
    const struct field *fields;
    size_t n; /* <= 64 */
    bool closed;
};

/* FIELD_OBJECT_OF(table) for a table that is an array in scope. */
#define FIELD_OBJECT_OF(table) .fields = (table), .n = ARRAY_LEN(table)

struct field_variant {
    const char *value;
    const struct field_object *object;
};

/* An object whose string member `key` tells which table counts: "oneOf", each with a "const". The tables need
 * not name the key again. */
struct field_union {
    const char *key;
    const char *absent; /* what an absent key means; NULL: the key is required */
    const struct field_variant *variants;
    size_t n;
    const struct field_object *other; /* for any other value; NULL: others are refused */
};

/* ERR_INVALID: *ret_error says what is wrong with the first offending value (status 400, param, code).
 * ERR_NOMEM: status 500. The arena is used for strings with escapes. */
enum err fields_check(const struct json_doc *d, json_ref root, const struct field_shape *shape,
                      struct arena *a, struct api_error *ret_error) MUST_USE;
/* The members of `obj` that the table does not name. */
enum err fields_extras(const struct json_doc *d, json_ref obj, const struct field_object *object,
                       struct arena *a, struct llm_extra **ret_extras, size_t *ret_n) MUST_USE;

/* Readers of what has been checked. Absent, null or of another type: *ret is untouched and the result is
 * ERR_OK; only memory can fail. */
enum err field_string(const struct json_doc *d, json_ref obj, const char *key, struct arena *a,
                      struct bytes *ret) MUST_USE;
void field_int(const struct json_doc *d, json_ref obj, const char *key, int64_t *ret);
void field_bool(const struct json_doc *d, json_ref obj, const char *key, bool *ret);
/* 0 or 1 when it is a boolean. */
void field_tristate(const struct json_doc *d, json_ref obj, const char *key, int *ret);
void field_number(const struct json_doc *d, json_ref obj, const char *key, struct llm_number *ret);
/* The raw value, when it is there and not null. */
void field_raw(const struct json_doc *d, json_ref obj, const char *key, struct bytes *ret);
/* True when the value is a string of exactly these characters. */
bool field_is(const struct json_doc *d, json_ref value, struct arena *a, const char *s);

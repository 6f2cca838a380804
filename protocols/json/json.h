#pragma once
/* Strict JSON (RFC 8259): one scan validates and indexes the text; nothing is copied and nothing is lost:
 * every value keeps its raw bytes, so that what we do not know rides along unchanged (json-c 0.16 loses
 * 10^30, and accepts 16 of the must-reject files of nst/JSONTestSuite). Refused: anything after the value,
 * NaN, leading zeros, raw control characters, bad UTF-8, lone surrogate escapes, a BOM, duplicate keys, more
 * depth or nodes than allowed. */
#include "common/arena.h"
#include "common/buf.h"

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* A value. Nodes lie in document order: the first child of a container is the next node, `next` skips a whole
 * value. In an object a member's key is not a node of its own: it is described by its value's node. */
struct json_node {
    uint32_t start, len;         /* raw text, quotes and brackets included */
    uint32_t key_start, key_len; /* member of an object: its key between the quotes, still escaped */
    uint32_t next;               /* index of the next sibling; 0: the last one */
    uint32_t count;              /* children, of a container */
    uint8_t type;                /* enum json_type */
    bool escaped;                /* string: has escapes */
    bool key_escaped;
};

typedef uint32_t json_ref; /* index of a node; the root is 0 */
#define JSON_NONE UINT32_MAX

struct json_doc {
    struct bytes text; /* borrowed: must outlive the document's use */
    struct json_node *nodes;
    size_t n, cap;
};

struct json_limits {
    unsigned max_depth;
    size_t max_nodes;
};

struct json_error {
    size_t offset;    /* of the offending byte */
    const char *what; /* static text: "duplicate key", "nesting deeper than allowed", ... */
};

void json_doc_init(struct json_doc *d);
void json_doc_free(struct json_doc *d);
/* Parses anew, reusing the node memory. ERR_SYNTAX, ERR_LIMIT (depth, nodes), ERR_NOMEM: *ret_error filled
 * (may be NULL). */
enum err json_parse(struct json_doc *d, struct bytes text, const struct json_limits *limits,
                    struct json_error *ret_error) MUST_USE;

enum json_type json_type(const struct json_doc *d, json_ref r);
const char *json_type_name(enum json_type t); /* "null", "boolean", "number", "string", "array", "object" */
/* The member's value; JSON_NONE when absent or when `obj` is JSON_NONE or no object. Keys compare unescaped.
 */
json_ref json_get_bytes(const struct json_doc *d, json_ref obj, struct bytes key);
static inline json_ref json_get(const struct json_doc *d, json_ref obj, const char *key)
{
    return json_get_bytes(d, obj, bytes_cstr(key));
}
/* First child and next sibling; JSON_NONE at the end. */
json_ref json_first(const struct json_doc *d, json_ref container);
json_ref json_next(const struct json_doc *d, json_ref r);
/* The value's raw text. Lives as long as the text. */
struct bytes json_raw(const struct json_doc *d, json_ref r);
/* The member's key, still escaped, without quotes. */
struct bytes json_raw_key(const struct json_doc *d, json_ref r);
bool json_key_is_bytes(const struct json_doc *d, json_ref r, struct bytes key);
static inline bool json_key_is(const struct json_doc *d, json_ref r, const char *key)
{
    return json_key_is_bytes(d, r, bytes_cstr(key));
}
/* A string's characters, still escaped, without quotes: what a writer may put between quotes unchanged. */
struct bytes json_raw_string(const struct json_doc *d, json_ref r);
/* Unescaped: a slice of the text when it has no escapes, else in the arena. False: not a string, or no
 * memory. */
bool json_string(const struct json_doc *d, json_ref r, struct arena *a, struct bytes *ret) MUST_USE;
/* Unescaped and appended. */
enum err json_string_append(const struct json_doc *d, json_ref r, struct buf *out) MUST_USE;
/* An integer value (1, 1.0 and 1e0 are; 1.5 and what does not fit are not). */
bool json_int(const struct json_doc *d, json_ref r, int64_t *ret) MUST_USE;
bool json_double(const struct json_doc *d, json_ref r, double *ret) MUST_USE;
bool json_is(const struct json_doc *d, json_ref r, enum json_type t); /* false for JSON_NONE */
bool json_is_bool(const struct json_doc *d, json_ref r);

/* Takes escapes of half a surrogate pair, which stand for no character, out of a JSON text, in place; the new
 * length. Programs that cut text in the middle of a character send such. */
size_t json_drop_half_pairs(char *text, size_t len);

/* Appends a valid JSON text (or raw members) without the blanks between its tokens: it has no line ends then,
 * and may stand in a line of an event stream. ERR_LIMIT, ERR_NOMEM. */
enum err json_compact(struct bytes raw, struct buf *out);

/* The writer: appends to a buf, puts commas by itself. Values are written in order; look at buf.failed once
 * at the end. */
struct json_writer {
    struct buf *out;
    bool comma_;
};

void jw_init(struct json_writer *w, struct buf *out);
void jw_object(struct json_writer *w);
void jw_object_end(struct json_writer *w);
void jw_array(struct json_writer *w);
void jw_array_end(struct json_writer *w);
void jw_key_plain(struct json_writer *w, struct bytes key); /* must need no escaping */
static inline void jw_key(struct json_writer *w, const char *key)
{
    jw_key_plain(w, bytes_cstr(key));
}
void jw_key_bytes(struct json_writer *w, struct bytes key); /* any UTF-8 */
void jw_string(struct json_writer *w, struct bytes s);      /* valid UTF-8, unescaped */
void jw_cstr(struct json_writer *w, const char *s);
void jw_raw(struct json_writer *w, struct bytes json); /* a whole JSON value */
void jw_raw_members(struct json_writer *w,
                    struct bytes members); /* `"k":v,...` without braces; may be empty */
void jw_int(struct json_writer *w, int64_t v);
void jw_double(struct json_writer *w, double v);
void jw_bool(struct json_writer *w, bool v);
void jw_null(struct json_writer *w);
/* A string in pieces (each piece whole UTF-8 characters). */
void jw_string_begin(struct json_writer *w);
void jw_string_piece(struct json_writer *w, struct bytes s);
void jw_string_end(struct json_writer *w);
/* key and value in one call */
static inline void jw_kstring(struct json_writer *w, const char *key, struct bytes s)
{
    jw_key(w, key);
    jw_string(w, s);
}
static inline void jw_kcstr(struct json_writer *w, const char *key, const char *s)
{
    jw_key(w, key);
    jw_cstr(w, s);
}
static inline void jw_kint(struct json_writer *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_int(w, v);
}
static inline void jw_kbool(struct json_writer *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}
static inline void jw_knull(struct json_writer *w, const char *key)
{
    jw_key(w, key);
    jw_null(w);
}
static inline void jw_kraw(struct json_writer *w, const char *key, struct bytes json)
{
    jw_key(w, key);
    jw_raw(w, json);
}

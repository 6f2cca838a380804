#pragma once
/* What the files of this folder share. */
#include "protocols/json/json.h"

/* Where a scan stands. A scan that fails leaves `p` at the offending byte and says in `what` what is wrong
 * with it. */
struct json_cursor {
    const char *p, *end;
    const char *what;
};

/* `p` is behind the opening quote; it ends behind the closing one. */
bool json_scan_string(struct json_cursor *c, bool *ret_escaped) MUST_USE;
/* `p` is at '-' or a digit; it ends behind the number. */
bool json_scan_number(struct json_cursor *c) MUST_USE;

/* One character or escape of an already validated, still escaped text: its UTF-8 in `ret`, its length
 * returned. */
size_t json_decode(const char **p, char ret[4]);
/* The unescaped texts compared as bytes: <0, 0, >0. */
int json_compare(struct bytes a, bool a_escaped, struct bytes b, bool b_escaped);

static inline struct bytes json_node_key(const struct json_doc *d, const struct json_node *n)
{
    return (struct bytes){d->text.data + n->key_start, n->key_len};
}

/* Objects of up to so many members are searched for duplicates as they grow, larger ones are sorted when they
 * end. */
enum { JSON_KEYS_FEW = 16 };
/* Is there the key of `n` among the first `count` members of the object at `obj`? */
bool json_keys_has(const struct json_doc *d, json_ref obj, uint32_t count, const struct json_node *n);
/* Looks for two equal keys in a whole object. ERR_INVALID: there are, and *ret_again is the later one's
 * value. `d` may grow (free nodes are used as working space). ERR_NOMEM. */
enum err json_keys_unique(struct json_doc *d, json_ref obj, json_ref *ret_again) MUST_USE;
/* Room for `n` nodes in all. */
enum err json_nodes_reserve(struct json_doc *d, size_t n) MUST_USE;

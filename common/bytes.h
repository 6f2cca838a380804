#pragma once
/* A borrowed run of bytes. Never NUL-terminated by promise; `data` may be NULL only when `len` is 0. */
#include "common/attr.h"
#include "common/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const char *data;
    size_t len;
};

/* A string literal as bytes. */
#define BYTES(lit) ((struct bytes){("" lit), sizeof(lit) - 1})
/* For printf's "%.*s". */
#define BYTES_FMT(b) (int)(b).len, (b).data

static inline struct bytes bytes_of(const void *data, size_t len)
{
    return (struct bytes){(const char *)data, len};
}
static inline struct bytes bytes_cstr(const char *s)
{
    return (struct bytes){s, s ? strlen(s) : 0};
}
static inline bool bytes_eq(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
static inline bool bytes_is(struct bytes a, const char *s)
{
    return bytes_eq(a, bytes_cstr(s));
}
static inline bool bytes_starts(struct bytes a, struct bytes prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.data, prefix.data, prefix.len) == 0);
}
static inline struct bytes bytes_skip(struct bytes a, size_t n)
{
    return n >= a.len ? (struct bytes){NULL, 0} : (struct bytes){a.data + n, a.len - n};
}
/* ASCII only, for header names and the like. */
bool bytes_same_nocase(const char *a, const char *b, size_t len);
static inline bool bytes_eq_nocase(struct bytes a, struct bytes b)
{
    return a.len == b.len && bytes_same_nocase(a.data, b.data, a.len);
}
/* Space and horizontal tab off both ends (RFC 9110 OWS). */
struct bytes bytes_trim_ows(struct bytes a);
/* A decimal non-negative integer without sign, blanks or leading '+'; ERR_SYNTAX otherwise, ERR_LIMIT past
 * `max`. */
enum err bytes_to_u64(struct bytes a, uint64_t max, uint64_t *ret_value) MUST_USE;
/* `value` in base 2 to 16, written to the end of `room`. */
enum { BYTES_U64_ROOM = 64 };
static inline struct bytes bytes_from_u64(uint64_t value, unsigned base, char room[static BYTES_U64_ROOM])
{
    size_t at = BYTES_U64_ROOM;
    do
        room[--at] = "0123456789abcdef"[value % base];
    while ((value /= base) > 0);
    return bytes_of(room + at, BYTES_U64_ROOM - at);
}
/* FNV-1a with a per-process random seed: for hash tables keyed by what strangers send. */
uint64_t bytes_hash(struct bytes a);

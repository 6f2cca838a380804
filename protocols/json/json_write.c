/* The writer. */
#include "common/block.h"
#include "protocols/json/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void jw_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

static inline void put(struct json_writer *w, const void *data, size_t len)
{
    (void)buf_append(w->out, data, len);
}

static inline void put_char(struct json_writer *w, char c)
{
    put(w, &c, 1);
}

static inline void comma(struct json_writer *w)
{
    if (w->comma_)
        put_char(w, ',');
    w->comma_ = true;
}

static void enter(struct json_writer *w, char c)
{
    comma(w);
    put_char(w, c);
    w->comma_ = false;
}

static void leave(struct json_writer *w, char c)
{
    put_char(w, c);
    w->comma_ = true;
}

void jw_object(struct json_writer *w)
{
    enter(w, '{');
}

void jw_object_end(struct json_writer *w)
{
    leave(w, '}');
}

void jw_array(struct json_writer *w)
{
    enter(w, '[');
}

void jw_array_end(struct json_writer *w)
{
    leave(w, ']');
}

static bool must_escape(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

/* Copies the run at the start that needs no escape; `to` has room for all. Returns its length. */
static size_t copy_clean(char *to, const char *p, size_t len)
{
    size_t i = 0;

    while (len - i >= sizeof(block)) {
        const block b = block_at(p + i);
        const size_t n = block_first((block)(b < ' ') | (block)(b == '"') | (block)(b == '\\'));
        memcpy(to + i, &b, sizeof(b));
        i += n;
        if (n < sizeof(block))
            return i;
    }
    for (; i < len && !must_escape(p[i]); i++)
        to[i] = p[i];
    return i;
}

static void put_escape(struct json_writer *w, char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char named[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    const char *at = memchr(named, c, sizeof(named) - 1);

    if (at) {
        put(w, (char[]){'\\', names[at - named]}, 2);
        return;
    }
    put(w, (char[]){'\\', 'u', '0', '0', hex[(unsigned char)c >> 4], hex[c & 15]}, 6);
}

static void put_escaped(struct json_writer *w, struct bytes s)
{
    struct buf *b = w->out;

    while (s.len > 0) {
        if (s.len > b->cap - b->len && buf_reserve(b, s.len) != ERR_OK) {
            b->failed = true;
            return;
        }
        size_t run = copy_clean(b->data + b->len, s.data, s.len);
        b->len += run;
        if (run == s.len)
            return;
        put_escape(w, s.data[run]);
        s = bytes_skip(s, run + 1);
    }
}

void jw_key_plain(struct json_writer *w, struct bytes key)
{
    struct buf *b = w->out;
    const bool comma = w->comma_;

    w->comma_ = false;
    if (b->cap - b->len < key.len + 4 && buf_reserve(b, key.len + 4) != ERR_OK) {
        b->failed = true;
        return;
    }
    char *to = b->data + b->len;
    if (comma)
        *to++ = ',';
    *to++ = '"';
    if (key.len > 0)
        memcpy(to, key.data, key.len);
    to += key.len;
    *to++ = '"';
    *to++ = ':';
    b->len = (size_t)(to - b->data);
}

void jw_key_bytes(struct json_writer *w, struct bytes key)
{
    jw_string(w, key);
    put_char(w, ':');
    w->comma_ = false;
}

void jw_string_begin(struct json_writer *w)
{
    comma(w);
    put_char(w, '"');
}

void jw_string_piece(struct json_writer *w, struct bytes s)
{
    put_escaped(w, s);
}

void jw_string_end(struct json_writer *w)
{
    put_char(w, '"');
}

void jw_string(struct json_writer *w, struct bytes s)
{
    jw_string_begin(w);
    put_escaped(w, s);
    jw_string_end(w);
}

void jw_cstr(struct json_writer *w, const char *s)
{
    jw_string(w, bytes_cstr(s));
}

void jw_raw(struct json_writer *w, struct bytes json)
{
    comma(w);
    put(w, json.data, json.len);
}

void jw_raw_members(struct json_writer *w, struct bytes members)
{
    if (members.len > 0)
        jw_raw(w, members);
}

void jw_int(struct json_writer *w, int64_t v)
{
    comma(w);
    if (v < 0)
        put_char(w, '-');
    (void)buf_append_u64(w->out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void jw_double(struct json_writer *w, double v)
{
    char text[40];
    int n = 0;

    /* JSON has no word for these (RFC 8259, section 6). */
    if (!isfinite(v)) {
        jw_null(w);
        return;
    }
    /* The shortest that reads back as the same value. */
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    jw_raw(w, bytes_of(text, (size_t)n));
}

void jw_bool(struct json_writer *w, bool v)
{
    jw_raw(w, v ? BYTES("true") : BYTES("false"));
}

void jw_null(struct json_writer *w)
{
    jw_raw(w, BYTES("null"));
}

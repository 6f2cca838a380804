/* The writer. */
#include "protocols/json/json.h"
#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void jw_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

static inline void put(struct json_writer *w, const void *data, size_t len)
{
    struct buf *b = w->out;

    if (len <= b->cap - b->len && len > 0) {
        memcpy(b->data + b->len, data, len);
        b->len += len;
        return;
    }
    (void)buf_append(b, data, len);
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

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* The length of the run at the start that needs no escape. */
static size_t clean_run(const char *p, size_t len)
{
    size_t i = 0;

    for (; len - i >= 8; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, sizeof(v));
        uint64_t quote = v ^ EACH_BYTE('"'), backslash = v ^ EACH_BYTE('\\');
        uint64_t control = (v - EACH_BYTE(0x20)) & ~v;
        uint64_t found =
            ((quote - EACH_BYTE(1)) & ~quote) | ((backslash - EACH_BYTE(1)) & ~backslash) | control;
        /* Borrows may set bits above the first find: the byte loop below settles it. */
        if (found & EACH_BYTE(0x80))
            break;
    }
    while (i < len && !must_escape(p[i]))
        i++;
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
    size_t i = 0;

    while (i < s.len) {
        size_t run = clean_run(s.data + i, s.len - i);
        put(w, s.data + i, run);
        i += run;
        if (i < s.len)
            put_escape(w, s.data[i++]);
    }
}

void jw_key(struct json_writer *w, const char *key)
{
    comma(w);
    put_char(w, '"');
    put(w, key, strlen(key));
    put(w, "\":", 2);
    w->comma_ = false;
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

void jw_kstring(struct json_writer *w, const char *key, struct bytes s)
{
    jw_key(w, key);
    jw_string(w, s);
}

void jw_kcstr(struct json_writer *w, const char *key, const char *s)
{
    jw_key(w, key);
    jw_cstr(w, s);
}

void jw_kint(struct json_writer *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_int(w, v);
}

void jw_kbool(struct json_writer *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}

void jw_knull(struct json_writer *w, const char *key)
{
    jw_key(w, key);
    jw_null(w);
}

void jw_kraw(struct json_writer *w, const char *key, struct bytes json)
{
    jw_key(w, key);
    jw_raw(w, json);
}

#include "gateway/config/interpolate.h"
#include "common/buf.h"
#include <stdlib.h>

enum { NAME_MAX_LEN = 255 };

static bool name_char(char c, bool first)
{
    bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    return letter || (!first && c >= '0' && c <= '9');
}

/* `s` begins after "${". */
static enum err append_variable(struct buf *out, struct bytes s, struct bytes *ret_name)
{
    size_t len = 0;
    while (len < s.len && name_char(s.data[len], len == 0))
        len++;
    if (len == 0 || len > NAME_MAX_LEN || len == s.len || s.data[len] != '}')
        return ERR_SYNTAX;
    char name[NAME_MAX_LEN + 1];
    memcpy(name, s.data, len);
    name[len] = '\0';
    *ret_name = bytes_of(s.data, len);
    const char *value = getenv(name);
    if (!value)
        return ERR_NOT_FOUND;
    return buf_append_bytes(out, bytes_cstr(value));
}

static enum err expand(struct buf *out, struct bytes s, struct interpolation *i)
{
    enum err e = ERR_OK;
    while (s.len > 0 && e == ERR_OK) {
        const char *dollar = memchr(s.data, '$', s.len);
        size_t plain = dollar ? (size_t)(dollar - s.data) : s.len;
        e = buf_append(out, s.data, plain);
        s = bytes_skip(s, plain);
        if (e || s.len == 0)
            break;
        if (bytes_starts(s, BYTES("${"))) {
            struct bytes name = {NULL, 0};
            e = append_variable(out, bytes_skip(s, 2), &name);
            i->name = name;
            i->changed = true;
            s = bytes_skip(s, name.len + 3);
        } else {
            e = buf_append_char(out, '$');
            s = bytes_skip(s, bytes_starts(s, BYTES("$$")) ? 2 : 1);
        }
    }
    return e;
}

enum err interpolate(struct bytes s, struct arena *a, struct interpolation *ret)
{
    struct interpolation i = {.text = s};
    struct buf out;
    buf_init(&out, INTERPOLATED_MAX);
    enum err e = expand(&out, s, &i);
    if (e == ERR_OK && !arena_dup(a, buf_bytes(&out), &i.text))
        e = ERR_NOMEM;
    buf_free(&out);
    *ret = i;
    return e;
}

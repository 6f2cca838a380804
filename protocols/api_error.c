#include "protocols/api_error.h"
#include <stdarg.h>
#include <stdio.h>

/* Where a text that was cut at a byte ends on a whole character. */
static size_t whole_chars(const char *s, size_t len)
{
    size_t start = len;
    unsigned back = 0;
    while (start > 0 && back < 4 && ((unsigned char)s[start - 1] & 0xC0) == 0x80) {
        start--;
        back++;
    }
    if (start == 0)
        return 0;
    unsigned char lead = (unsigned char)s[start - 1];
    unsigned follow = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    return follow > back ? start - 1 : len;
}

static void cut_copy(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);
    if (len >= size)
        len = whole_chars(from, size - 1);
    memcpy(to, from, len);
    to[len] = 0;
}

void api_error_set(struct api_error *e, int status, const char *type, const char *code, const char *param,
                   const char *fmt, ...)
{
    char message[2 * sizeof e->message]; /* the arguments may point into *e */
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    if (n < 0)
        message[0] = 0;
    char path[sizeof e->param];
    cut_copy(path, sizeof path, param ? param : "");
    memset(e, 0, sizeof *e);
    e->status = status;
    e->type = type;
    e->code = code;
    memcpy(e->param, path, sizeof path);
    cut_copy(e->message, sizeof e->message, message);
}

static bool in_key(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.' || c == '*';
}

/* A run of key characters: the beginnings of well-known providers' keys, a web token, and whatever follows
 * "Bearer". */
static bool looks_secret(struct bytes before, struct bytes run)
{
    static const char *const starts[] = {"sk-", "sk_", "gsk_", "xai-", "AIza", "eyJ", "hf_", "r8_"};
    const struct bytes bearer = BYTES("Bearer ");
    if (run.len < 8)
        return false;
    if (before.len >= bearer.len && bytes_eq_nocase(bytes_skip(before, before.len - bearer.len), bearer))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (bytes_starts(run, bytes_cstr(starts[i])))
            return true;
    return false;
}

void api_error_scrub(struct api_error *e)
{
    static const char mask[] = "[secret]";
    size_t len = strlen(e->message), to = 0;
    for (size_t i = 0; i < len;) {
        size_t end = i;
        while (end < len && in_key(e->message[end]))
            end++;
        const struct bytes run = bytes_of(e->message + i, end - i);
        if (looks_secret(bytes_of(e->message, to), run)) {
            memcpy(e->message + to, mask, sizeof mask - 1);
            to += sizeof mask - 1;
        } else {
            end = MAX(end, i + 1);
            memmove(e->message + to, e->message + i, end - i);
            to += end - i;
        }
        i = end;
    }
    e->message[to] = 0;
}

void api_error_write(const struct api_error *e, struct json_writer *w)
{
    jw_object(w);
    jw_kcstr(w, "type", e->type ? e->type : API_SERVER);
    if (e->code)
        jw_kcstr(w, "code", e->code);
    else
        jw_knull(w, "code");
    jw_kcstr(w, "message", e->message);
    if (e->param[0])
        jw_kcstr(w, "param", e->param);
    else
        jw_knull(w, "param");
    jw_object_end(w);
}

void api_error_body(const struct api_error *e, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object(&w);
    jw_key(&w, "error");
    api_error_write(e, &w);
    jw_object_end(&w);
}

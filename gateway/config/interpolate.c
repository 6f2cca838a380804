#include "gateway/config/interpolate.h"
#include "common/buf.h"
#include "common/secret.h"
#include <stdlib.h>

enum { NAME_MAX_LEN = 255 };

static bool name_char(char c, bool first)
{
    bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    return letter || (!first && c >= '0' && c <= '9');
}

/* What stands between "${" and "}". */
struct variable {
    struct bytes name;
    struct bytes preset; /* after ":-" */
    bool has_preset;
    size_t len; /* "${" and "}" included */
};

/* `s` begins with "${". */
static bool parse_variable(struct bytes s, struct variable *ret)
{
    const char *end = memchr(s.data, '}', s.len);
    if (!end)
        return false;
    struct bytes inner = bytes_of(s.data + 2, (size_t)(end - s.data) - 2);
    size_t len = 0;
    while (len < inner.len && name_char(inner.data[len], len == 0))
        len++;
    struct bytes rest = bytes_skip(inner, len);
    bool has_preset = bytes_starts(rest, BYTES(":-"));
    if (len == 0 || len > NAME_MAX_LEN || (rest.len > 0 && !has_preset))
        return false;
    *ret = (struct variable){.name = bytes_of(inner.data, len),
                             .preset = bytes_skip(rest, 2),
                             .has_preset = has_preset,
                             .len = inner.len + 3};
    return true;
}

/* What environment_hide took. One a process, as the environment is. */
static struct hidden {
    char name[NAME_MAX_LEN + 1];
    struct secret value;
    struct hidden *next;
} * hidden;

static struct bytes find_value(const char *name)
{
    const char *value = getenv(name);
    if (value)
        return bytes_cstr(value);
    for (const struct hidden *h = hidden; h; h = h->next)
        if (strcmp(h->name, name) == 0)
            return secret_reveal(&h->value);
    return bytes_of(NULL, 0);
}

static enum err hide(struct bytes name)
{
    struct hidden *h = calloc(1, sizeof(*h));
    if (!h)
        return ERR_NOMEM;
    memcpy(h->name, name.data, name.len);
    /* The one added last counts. */
    char *value = getenv(h->name);
    if (!value || secret_set(&h->value, bytes_cstr(value)) != ERR_OK) {
        free(h); /* its default was taken, it is empty, or it was hidden before */
        return ERR_OK;
    }
    secret_wipe(value, strlen(value));
    (void)unsetenv(h->name);
    h->next = hidden;
    hidden = h;
    return ERR_OK;
}

enum err environment_hide(struct bytes written)
{
    struct bytes s = written;
    struct variable v;
    enum err e = ERR_OK;
    while (s.len > 0 && e == ERR_OK) {
        const size_t skip = bytes_starts(s, BYTES("$$")) ? 2 : 1;
        const bool is = bytes_starts(s, BYTES("${")) && parse_variable(s, &v);
        if (is)
            e = hide(v.name);
        s = bytes_skip(s, is ? v.len : skip);
    }
    return e;
}

void environment_forget(void)
{
    while (hidden) {
        struct hidden *h = hidden;
        hidden = h->next;
        secret_free(&h->value);
        free(h);
    }
}

static enum err append_variable(struct buf *out, const struct variable *v)
{
    char name[NAME_MAX_LEN + 1];
    memcpy(name, v->name.data, v->name.len);
    name[v->name.len] = '\0';
    const struct bytes value = find_value(name);
    if (value.data)
        return buf_append_bytes(out, value);
    return v->has_preset ? buf_append_bytes(out, v->preset) : ERR_NOT_FOUND;
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
            struct variable v;
            if (!parse_variable(s, &v))
                return ERR_SYNTAX;
            e = append_variable(out, &v);
            i->name = v.name;
            i->changed = true;
            s = bytes_skip(s, v.len);
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
    if (out.len > 0)
        secret_wipe(out.data, out.len);
    buf_free(&out);
    *ret = i;
    return e;
}

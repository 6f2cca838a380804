/* Raw values on one line. */
#include "protocols/json/json.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The length of the string at `p`, quotes included. */
static size_t string_len(const char *p, size_t len)
{
    size_t i = 1;
    while (i < len && p[i] != '"')
        i += p[i] == '\\' ? 2 : 1;
    return MIN(i + 1, len);
}

enum err json_compact(struct bytes raw, struct buf *out)
{
    enum err err = buf_reserve(out, raw.len);
    size_t i = 0;
    if (err != ERR_OK) {
        out->failed = true;
        return err;
    }
    while (i < raw.len) {
        if (is_blank(raw.data[i])) {
            i++;
            continue;
        }
        size_t from = i;
        while (i < raw.len && !is_blank(raw.data[i]))
            i += raw.data[i] == '"' ? string_len(raw.data + i, raw.len - i) : 1;
        (void)buf_append(out, raw.data + from, i - from);
    }
    return ERR_OK;
}

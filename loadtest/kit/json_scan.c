#include "loadtest/kit/json_scan.h"

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* `p` at the opening quote; answers the place after the closing one. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end;) {
        const char *quote = memchr(p, '"', (size_t)(end - p));
        if (!quote)
            return end;
        unsigned backslashes = 0;
        while (quote - backslashes > p && quote[-1 - (int)backslashes] == '\\')
            backslashes++;
        p = quote + 1;
        if (backslashes % 2 == 0)
            return p;
    }
    return end;
}

static const char *skip_container(const char *p, const char *end)
{
    unsigned depth = 0;
    while (p < end) {
        char c = *p;
        if (c == '"') {
            p = skip_string(p, end);
            continue;
        }
        p++;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return p;
    }
    return end;
}

static const char *skip_value(const char *p, const char *end)
{
    if (p == end)
        return end;
    if (*p == '"')
        return skip_string(p, end);
    if (*p == '{' || *p == '[')
        return skip_container(p, end);
    while (p < end && !memchr(",]} \n\r\t", *p, 8))
        p++;
    return p;
}

/* The place after the comma that follows, or NULL at the end of the container. */
static const char *after_comma(const char *p, const char *end)
{
    p = skip_space(p, end);
    return p < end && *p == ',' ? skip_space(p + 1, end) : NULL;
}

static bool member_n(struct bytes object, struct bytes key, struct bytes *ret_value)
{
    const char *p = object.data, *end = p + object.len;
    p = object.len ? skip_space(p, end) : end;
    if (p == end || *p != '{')
        return false;
    for (p = skip_space(p + 1, end); p && p < end && *p == '"';) {
        const char *name = p + 1;
        p = skip_string(p, end);
        bool match = (size_t)(p - name) == key.len + 1 && memcmp(name, key.data, key.len) == 0;
        p = skip_space(p, end);
        if (p == end || *p != ':')
            return false;
        const char *value = skip_space(p + 1, end);
        p = skip_value(value, end);
        if (match) {
            *ret_value = bytes_of(value, (size_t)(p - value));
            return true;
        }
        p = after_comma(p, end);
    }
    return false;
}

bool jscan_member(struct bytes object, const char *key, struct bytes *ret_value)
{
    return member_n(object, bytes_cstr(key), ret_value);
}

bool jscan_element(struct bytes array, unsigned index, struct bytes *ret_value)
{
    const char *p = array.data, *end = p + array.len;
    p = array.len ? skip_space(p, end) : end;
    if (p == end || *p != '[')
        return false;
    p = skip_space(p + 1, end);
    if (p < end && *p == ']')
        return false;
    for (; p && p < end; p = after_comma(p, end)) {
        const char *value = p;
        p = skip_value(p, end);
        if (index-- == 0) {
            *ret_value = bytes_of(value, (size_t)(p - value));
            return true;
        }
    }
    return false;
}

bool jscan_path(struct bytes object, const char *path, struct bytes *ret_value)
{
    struct bytes at = object;
    while (*path) {
        size_t len = strcspn(path, ".");
        bool found;
        if (path[0] >= '0' && path[0] <= '9')
            found = jscan_element(at, (unsigned)(path[0] - '0'), &at);
        else
            found = member_n(at, bytes_of(path, len), &at);
        if (!found)
            return false;
        path += len + (path[len] == '.');
    }
    *ret_value = at;
    return true;
}

bool jscan_string(struct bytes value, struct bytes *ret_inner)
{
    if (value.len < 2 || value.data[0] != '"' || value.data[value.len - 1] != '"')
        return false;
    *ret_inner = bytes_of(value.data + 1, value.len - 2);
    return true;
}

bool jscan_u32(struct bytes value, uint32_t *ret_number)
{
    uint64_t n = 0;
    if (value.len == 0 || value.len > 10)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(value.data[i] - '0');
    }
    if (n > UINT32_MAX)
        return false;
    *ret_number = (uint32_t)n;
    return true;
}

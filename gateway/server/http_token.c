/* Where a request carries its key. */
#include "gateway/server/http_conn.h"
#include <stdio.h>

/* `written` means `name`, each of whose characters may stand as %XX. */
static bool query_name_is(struct bytes written, const char *name)
{
    char escape[4];
    for (; *name; name++) {
        snprintf(escape, sizeof(escape), "%%%02x", (unsigned char)*name);
        bool plain = written.len > 0 && written.data[0] == *name;
        if (!plain && !bytes_eq_nocase(bytes_of(written.data, MIN(written.len, 3)), bytes_cstr(escape)))
            return false;
        written = bytes_skip(written, plain ? 1 : 3);
    }
    return written.len == 0;
}

bool token_in_query(struct bytes query)
{
    static const char *const names[] = {"api_key", "token", "access_token", "key"};
    while (query.len > 0) {
        const char *end = memchr(query.data, '&', query.len);
        size_t len = end ? (size_t)(end - query.data) : query.len;
        const char *equals = memchr(query.data, '=', len);
        for (size_t i = 0; equals && i < ARRAY_LEN(names); i++)
            if (query_name_is(bytes_of(query.data, (size_t)(equals - query.data)), names[i]))
                return true;
        query = bytes_skip(query, len + 1);
    }
    return false;
}

/* Authorization: Bearer TOKEN (RFC 6750, 2.1). */
static struct bytes bearer_token(const struct http1_request *req)
{
    struct bytes value;
    size_t count;
    if (!http1_find(req, "authorization", &value, &count) || count > 1 || value.len < 7 ||
        !bytes_eq_nocase(bytes_of(value.data, 7), BYTES("Bearer ")))
        return (struct bytes){NULL, 0};
    return bytes_trim_ows(bytes_skip(value, 7));
}

struct bytes token_in_headers(const struct http1_request *req)
{
    struct bytes token = bearer_token(req);
    size_t count;
    if (token.len == 0 && (!http1_find(req, "x-api-key", &token, &count) || count > 1))
        return (struct bytes){NULL, 0};
    return token;
}

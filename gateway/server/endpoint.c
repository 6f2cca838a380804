#include "gateway/server/endpoint.h"
#include "gateway/server/http_conn.h"
#include <stdio.h>

static enum err get_models(const struct conn *c, struct bytes name UNUSED, struct buf *out,
                           struct api_error *ret_error UNUSED)
{
    session_models(c->server->o.env, c->http->who, out);
    return ERR_OK;
}

static enum err get_model(const struct conn *c, struct bytes name, struct buf *out,
                          struct api_error *ret_error)
{
    return session_model(c->server->o.env, c->http->who, name, out, ret_error);
}

static enum err get_health(const struct conn *c UNUSED, struct bytes name UNUSED, struct buf *out,
                           struct api_error *ret_error UNUSED)
{
    return buf_append_bytes(out, BYTES("{\"status\":\"ok\"}"));
}

static enum err get_ready(const struct conn *c, struct bytes name UNUSED, struct buf *out,
                          struct api_error *ret_error)
{
    if (server_phase(c->server) == PHASE_SERVING)
        return buf_append_bytes(out, BYTES("{\"status\":\"ready\"}"));
    api_error_set(ret_error, 503, API_SERVER, "server_draining", NULL, "This server is going away.");
    return ERR_CLOSED;
}

const struct endpoint client_endpoints[] = {
#define PROVIDER_DIALECT(name)
#define DIALECT(name) {.dialect = &dialect_##name},
#include "protocols/dialects.def"
    {.path = "/v1/responses", .websocket = &ws_responses},
    {.path = "/v1/models", .get = get_models},
    {.path = "/v1/models/", .get = get_model},
    {.path = "/healthz", .get = get_health, .open_to_all = true},
    {.path = "/readyz", .get = get_ready, .open_to_all = true},
    {.path = "/echo", .websocket = &ws_echo, .for_tests = true},
    {0},
};

const char *endpoint_path(const struct endpoint *e)
{
    return e->path || !e->dialect ? e->path : e->dialect->endpoint;
}

void server_each_endpoint(void (*see)(void *ctx, const char *path), void *ctx)
{
    for (const struct endpoint *e = client_endpoints; endpoint_path(e); e++)
        if (e->dialect || (e->websocket && !e->for_tests))
            see(ctx, endpoint_path(e));
}

/* *ret_name: what lies below. */
static bool is_at(const struct endpoint *e, struct bytes path, struct bytes *ret_name)
{
    const struct bytes own = bytes_cstr(endpoint_path(e));
    if (path.len == own.len)
        return own.data[own.len - 1] != '/' && memcmp(path.data, own.data, own.len) == 0;
    if (path.len < own.len || own.data[own.len - 1] != '/' || memcmp(path.data, own.data, own.len) != 0)
        return false;
    if (memchr(path.data + own.len, '/', path.len - own.len))
        return false;
    *ret_name = bytes_skip(path, own.len);
    return true;
}

bool endpoint_find(const struct endpoint *table, struct bytes path, bool tests, struct endpoints_at *ret)
{
    struct endpoints_at at = {.get = NULL};
    struct bytes name = {NULL, 0};
    for (const struct endpoint *e = table; endpoint_path(e); e++) {
        if ((e->for_tests && !tests) || !is_at(e, path, &name))
            continue;
        at.name = name;
        if (e->dialect)
            at.post = e;
        else if (e->websocket)
            at.websocket = e;
        else
            at.get = e;
    }
    if (!at.get && !at.post && !at.websocket)
        return false;
    *ret = at;
    return true;
}

void endpoint_methods(const struct endpoints_at *at, char ret[ENDPOINT_ALLOW_MAX])
{
    snprintf(ret, ENDPOINT_ALLOW_MAX, "%s%sOPTIONS",
             at->get         ? "GET, HEAD, "
             : at->websocket ? "GET, "
                             : "",
             at->post ? "POST, " : "");
}

/* `path` as it was perhaps meant: one "/v1" in front, no slash twice or at the end. False: it is
 * too long for that. */
static bool straighten(struct bytes path, char ret[ENDPOINT_HINT_MAX])
{
    const struct bytes version = BYTES("/v1");
    size_t len = version.len;
    memcpy(ret, version.data, version.len);
    for (size_t i = 0; i < path.len; i++) {
        char c = path.data[i];
        const struct bytes rest = bytes_skip(path, i);
        bool again =
            bytes_starts(rest, version) && (rest.len == version.len || rest.data[version.len] == '/');
        if (again)
            i += version.len - 1;
        if (again || (c == '/' && (rest.len == 1 || rest.data[1] == '/')))
            continue;
        if (len + 2 > ENDPOINT_HINT_MAX)
            return false;
        ret[len++] = c;
    }
    ret[len] = '\0';
    return true;
}

/* "POST /v1/responses, GET /v1/models": the paths that a client has use for. */
static void list_all(const struct endpoint *table, char *ret, size_t size)
{
    size_t len = 0;
    for (const struct endpoint *e = table; endpoint_path(e); e++) {
        if (e->for_tests || e->open_to_all)
            continue;
        const char *path = endpoint_path(e);
        const bool below = path[strlen(path) - 1] == '/';
        int n = snprintf(ret + len, size - len, "%s%s %s%s", len > 0 ? ", " : "",
                         e->dialect     ? "POST"
                         : e->websocket ? "WebSocket"
                                        : "GET",
                         path, below ? "NAME" : "");
        if (n < 0 || (size_t)n >= size - len)
            break;
        len += (size_t)n;
    }
    ret[len] = '\0';
}

void endpoint_hint(const struct endpoint *table, struct bytes path, char ret[ENDPOINT_HINT_MAX])
{
    char meant[ENDPOINT_HINT_MAX], all[ENDPOINT_HINT_MAX - 40];
    struct endpoints_at at;
    if (straighten(path, meant) && endpoint_find(table, bytes_cstr(meant), false, &at)) {
        snprintf(ret, ENDPOINT_HINT_MAX, "Did you mean %.200s?", meant);
        return;
    }
    list_all(table, all, sizeof(all));
    snprintf(ret, ENDPOINT_HINT_MAX, "What there is: %s.", all);
}

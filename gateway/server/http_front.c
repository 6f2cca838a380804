/* What HTTP requests ask for: the routes, and what a request must fulfil before it is heard. */
#include "common/clock.h"
#include "common/log.h"
#include "gateway/server/http_conn.h"
#include "gateway/server/ws_conn.h"
#include "gateway/server/ws_upgrade.h"
#include <stdlib.h>

enum { MAX_ORIGIN = 256, MAX_REQUEST_HEADERS = 512, RETRY_CAP_S = 5 };

struct route {
    const char *path;
    const char *methods;           /* for Allow */
    bool get, post, websocket;     /* what is there */
    const struct dialect *dialect; /* post */
};

static const struct route routes[] = {
    {"/v1/models", "GET, HEAD, OPTIONS", .get = true},
    {"/v1/chat/completions", "POST, OPTIONS", .post = true, .dialect = &dialect_chat_completions},
    {"/v1/responses", "GET, POST, OPTIONS", .post = true, .websocket = true, .dialect = &dialect_responses},
};
static const struct route echo_route = {"/echo", "GET", .websocket = true};
static const char asset_methods[] = "GET, HEAD, OPTIONS";

const struct dialect *http_dialect(const struct http_conn *h)
{
    return h->route && h->route->dialect ? h->route->dialect : &dialect_responses;
}

void front_refuse(struct conn *c, const struct api_error *e)
{
    struct http_conn *h = c->http;
    if (!h->refusal)
        h->refusal = malloc(sizeof(*h->refusal));
    if (!h->refusal) {
        conn_doom(c);
        return;
    }
    *h->refusal = *e;
}

static bool refuse(struct conn *c, int status, const char *type, const char *code, const char *message)
{
    struct api_error e;
    api_error_set(&e, status, type, code, NULL, "%s", message);
    front_refuse(c, &e);
    return false;
}

static void add_header(struct http_conn *h, const char *name, struct bytes value)
{
    buf_printf(&h->headers, "%s: %.*s\r\n", name, BYTES_FMT(value));
}

/* The client's own identifier is taken over when it is one: short, and without anything that a log would
 * stumble over. */
static void choose_request_id(struct http_conn *h, const struct http1_request *req)
{
    struct bytes id = {NULL, 0};
    size_t count, i = 0;
    http1_find(req, "x-request-id", &id, &count);
    while (i < id.len && (http1_is_word(id.data[i]) || strchr("._:-", id.data[i])))
        i++;
    h->client_id = count == 1 && id.len > 0 && id.len < sizeof(h->request_id) && i == id.len;
    if (h->client_id) {
        memcpy(h->request_id, id.data, id.len);
        h->request_id[id.len] = 0;
    } else {
        id_make("req_", h->request_id, sizeof(h->request_id));
    }
}

/* Answers carry CORS headers for the origins that may read them. False: a browser's page that may not talk to
 * us. */
static bool check_origin(struct conn *c, const struct http1_request *req)
{
    struct http_conn *h = c->http;
    struct bytes origin;
    size_t count;
    if (!http1_find(req, "origin", &origin, &count))
        return true;
    buf_append_bytes(&h->headers, BYTES("Vary: Origin\r\n"));
    if (count > 1 || origin.len > MAX_ORIGIN ||
        !pipeline_origin_allowed(c->server->o.env->pipeline, origin, req->host, c->tls))
        return false;
    add_header(h, "Access-Control-Allow-Origin", origin);
    buf_append_bytes(&h->headers, BYTES("Access-Control-Expose-Headers: x-request-id, retry-after\r\n"));
    return true;
}

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

static bool has_query_token(struct bytes query)
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

static bool authenticate(struct conn *c, const struct http1_request *req, struct bytes token)
{
    struct api_error e;
    if (has_query_token(req->query))
        return refuse(c, 401, API_AUTH, "token_in_url",
                      "Keys are not taken from the URL, where they end up in logs. Send 'Authorization: "
                      "Bearer KEY', or, from a "
                      "browser's WebSocket, the subprotocol 'openai-insecure-api-key.KEY'.");
    if (pipeline_authenticate(c->server->o.env->pipeline, token, c->listener->cfg->loopback, &c->http->key,
                              &e) == ERR_OK) {
        conn_known(c);
        return true;
    }
    front_refuse(c, &e);
    return false;
}

static bool check_content_type(struct conn *c, const struct http1_request *req)
{
    struct bytes value = {NULL, 0};
    http1_find(req, "content-type", &value, NULL);
    const char *end = value.len > 0 ? memchr(value.data, ';', value.len) : NULL;
    if (end)
        value = bytes_trim_ows(bytes_of(value.data, (size_t)(end - value.data)));
    if (bytes_eq_nocase(value, BYTES("application/json")))
        return true;
    return refuse(c, 415, API_INVALID, "unsupported_content_type",
                  "The body must be 'Content-Type: application/json'.");
}

static void accept_websocket(struct conn *c, const char *accept, bool responses)
{
    struct http_conn *h = c->http;
    const struct answer a = {.status = 101};
    const struct config_key *key = h->key;
    conn_known(c); /* the echo, which asks for no key, is for tests on loopback */
    if (ws_open(c, key) != ERR_OK) {
        conn_doom(c);
        return;
    }
    buf_printf(&h->headers, "Sec-WebSocket-Accept: %s\r\n%s", accept,
               responses ? "Sec-WebSocket-Protocol: responses\r\n" : "");
    http_answer_begin(c);
    http_answer_send(c, &a);
    if (!conn_dead(c))
        conn_move(c, CONN_OPEN);
}

static void upgrade(struct conn *c, const struct http1_request *req, bool origin_ok)
{
    struct http_conn *h = c->http;
    char accept[WS_ACCEPT_SIZE];
    const char *reason;
    bool responses;
    struct bytes token;
    int status = ws_upgrade_check(req, accept, &reason);
    if (status != 0) {
        if (status == 426)
            buf_append_bytes(&h->headers, BYTES("Sec-WebSocket-Version: 13\r\n"));
        refuse(c, status, API_INVALID, status == 426 ? "upgrade_required" : "bad_request", reason);
        return;
    }
    if (!origin_ok) {
        refuse(c, 403, API_PERMISSION, "origin_not_allowed", "Pages of this origin may not connect here.");
        return;
    }
    ws_upgrade_protocols(req, &responses, &token);
    if (h->route != &echo_route) {
        struct bytes bearer = bearer_token(req);
        if (!authenticate(c, req, bearer.len > 0 ? bearer : token))
            return;
        if (server_phase(c->server) != PHASE_SERVING) {
            refuse(c, 503, API_SERVER, "server_draining", "This server is going away. Connect again.");
            if (h->refusal)
                h->refusal->retry_after_s = 1;
            return;
        }
    }
    accept_websocket(c, accept, responses && h->route != &echo_route);
}

static const struct route *find_route(const struct conn *c, struct bytes path)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (bytes_is(path, routes[i].path))
            return &routes[i];
    if (c->server->cfg->echo && c->listener->cfg->loopback && bytes_is(path, echo_route.path))
        return &echo_route;
    return NULL;
}

/* A CORS preflight, or a plain question for the methods. Answered without a key, as browsers ask without one.
 */
static void on_options(struct conn *c, const struct http1_request *req, const char *methods)
{
    struct http_conn *h = c->http;
    struct bytes wanted, origin;
    bool plain = true;
    h->options = true;
    add_header(h, "Allow", bytes_cstr(methods));
    if (!http1_find(req, "access-control-request-method", &wanted, NULL) ||
        !http1_find(req, "origin", &origin, NULL))
        return;
    add_header(h, "Access-Control-Allow-Methods", bytes_cstr(methods));
    wanted = (struct bytes){NULL, 0};
    http1_find(req, "access-control-request-headers", &wanted, NULL);
    for (size_t i = 0; i < wanted.len; i++)
        plain = plain && (http1_is_word(wanted.data[i]) || strchr("-_, ", wanted.data[i]));
    if (wanted.len == 0 || wanted.len > MAX_REQUEST_HEADERS || !plain)
        wanted = BYTES("authorization, content-type");
    add_header(h, "Access-Control-Allow-Headers", wanted);
    buf_append_bytes(&h->headers, BYTES("Access-Control-Max-Age: 600\r\n"));
}

static void not_allowed(struct conn *c, const char *methods)
{
    add_header(c->http, "Allow", bytes_cstr(methods));
    refuse(c, 405, API_INVALID, "method_not_allowed",
           "This path does not have that method; see the Allow header.");
}

static void head_of_route(struct conn *c, const struct http1_request *req, bool origin_ok)
{
    struct http_conn *h = c->http;
    const struct route *r = h->route;
    const bool is_get = bytes_is(req->method, "GET");
    if (bytes_is(req->method, "OPTIONS") && r != &echo_route) {
        if (origin_ok)
            on_options(c, req, r->methods);
    } else if (is_get && r->websocket) {
        upgrade(c, req, origin_ok);
        return;
    } else if (!(r->post && bytes_is(req->method, "POST")) && !(r->get && (is_get || h->head_only))) {
        not_allowed(c, r->methods);
        return;
    }
    if (!origin_ok) {
        refuse(c, 403, API_PERMISSION, "origin_not_allowed",
               "Pages of this origin may not talk to this server.");
        return;
    }
    if (!h->options && authenticate(c, req, bearer_token(req)) && r->post)
        check_content_type(c, req);
}

static bool etag_matches(const struct http1_request *req, const char *etag)
{
    return http1_lists(req, "if-none-match", etag) || http1_lists(req, "if-none-match", "*");
}

static void head_of_asset(struct conn *c, const struct http1_request *req)
{
    struct http_conn *h = c->http;
    if (bytes_is(req->method, "OPTIONS")) {
        on_options(c, req, asset_methods);
        return;
    }
    if (!bytes_is(req->method, "GET") && !h->head_only) {
        not_allowed(c, asset_methods);
        return;
    }
    add_header(h, "ETag", bytes_cstr(h->asset->etag));
    add_header(h, "Content-Security-Policy", bytes_cstr(web_csp));
    buf_append_bytes(&h->headers, BYTES("Cache-Control: no-cache\r\nReferrer-Policy: no-referrer\r\n"));
    h->not_modified = etag_matches(req, h->asset->etag);
}

static void past_cap(struct conn *c)
{
    c->http->keep_alive = false;
    if (c->refusal == 429)
        refuse(c, 429, API_RATE, "connection_limit_reached", "Too many connections from this address.");
    else
        refuse(c, 503, API_SERVER, "server_overloaded",
               "The server has all the connections that it can hold.");
    if (c->http->refusal)
        c->http->refusal->retry_after_s = RETRY_CAP_S;
}

void front_head(struct conn *c, const struct http1_request *req)
{
    struct http_conn *h = c->http;
    h->keep_alive = req->keep_alive;
    h->http10 = req->http10;
    h->head_only = bytes_is(req->method, "HEAD");
    h->expecting = req->expect_continue;
    choose_request_id(h, req);
    c->ids.request = h->request_id;
    /* Not on loopback, where other programs may serve the same name without TLS (RFC 6797, 7.2: only over
     * TLS). */
    if (c->tls && !c->listener->cfg->loopback)
        buf_append_bytes(&h->headers, BYTES("Strict-Transport-Security: max-age=31536000\r\n"));
    LOG_DEBUG_OF(&c->ids, "http request method=%.*s path=%.*s", BYTES_FMT(req->method),
                 (int)MIN(req->path.len, 200), req->path.data);
    if (c->refusal != 0) {
        past_cap(c);
        return;
    }
    bool origin_ok = check_origin(c, req);
    h->route = find_route(c, req->path);
    h->asset = h->route ? NULL : web_find(req->path);
    if (h->route)
        head_of_route(c, req, origin_ok);
    else if (h->asset)
        head_of_asset(c, req);
    else if (bytes_is(req->path, "*"))
        on_options(c, req, "GET, HEAD, POST, OPTIONS");
    else
        refuse(c, 404, API_INVALID, "unknown_url", "There is nothing at this path.");
}

static void start_exchange(struct conn *c, struct bytes body)
{
    struct http_conn *h = c->http;
    struct api_error e;
    h->exchange = exchange_start(c->server->o.env, h->key, h->route->dialect, body, clock_unix_s(),
                                 &conn_carrier, c, &e);
    if (!h->exchange) {
        front_refuse(c, &e);
        return;
    }
    const char *id = exchange_request_id(h->exchange);
    LOG_DEBUG_OF(&c->ids, "http exchange upstream_request=%s", id);
    if (!h->client_id)
        memcpy(h->request_id, id, strlen(id) + 1);
    conn_arm(c);
}

void front_body(struct conn *c, struct bytes body)
{
    struct http_conn *h = c->http;
    struct answer a = {.status = 200, .content_type = "application/json"};
    if (h->options) {
        a = (struct answer){.status = 204};
        http_answer_begin(c);
    } else if (h->asset) {
        a.content_type = h->asset->content_type;
        if (h->not_modified)
            a = (struct answer){.status = 304};
        buf_append_bytes(http_answer_begin(c), h->asset->body);
    } else if (h->route->post) {
        start_exchange(c, body);
        return;
    } else {
        pipeline_models(c->server->o.env->pipeline, h->key, http_answer_begin(c));
    }
    http_answer_send(c, &a);
}

/* What HTTP requests ask for: the listener's endpoints, and what a request must fulfil before it is heard. */
#include "common/clock.h"
#include "common/log.h"
#include "common/utf8.h"
#include "gateway/server/http_conn.h"
#include "gateway/server/ws_conn.h"
#include "gateway/server/ws_upgrade.h"
#include <stdlib.h>

enum { RETRY_CAP_S = 5 };

static const char asset_methods[] = "GET, HEAD, OPTIONS";

const struct dialect *http_dialect(const struct http_conn *h)
{
    return h->endpoint && h->endpoint->dialect ? h->endpoint->dialect : &dialect_responses;
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

void http_add_header(struct http_conn *h, const char *name, struct bytes value)
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
    const bool own = count == 1 && id.len > 0 && id.len < sizeof(h->request_id) && i == id.len;
    if (own) {
        memcpy(h->request_id, id.data, id.len);
        h->request_id[id.len] = 0;
    } else {
        id_make("req_", h->request_id, sizeof(h->request_id));
    }
}

static bool authenticate(struct conn *c, const struct http1_request *req, struct bytes token)
{
    const struct peer peer = {.loopback = c->local};
    struct api_error e;
    if (token_in_query(req->query))
        return refuse(c, 401, API_AUTH, "token_in_url",
                      "Keys are not taken from the URL, where they end up in logs. Send 'Authorization: "
                      "Bearer KEY', or, from a "
                      "browser's WebSocket, the subprotocol 'openai-insecure-api-key.KEY'.");
    if (session_authenticate(c->server->o.env, token, &peer, &c->http->who, &e) == ERR_OK) {
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

/* RFC 9110, 8.4: a coding that we do not undo. */
static bool check_content_encoding(struct conn *c, const struct http1_request *req)
{
    struct bytes value;
    struct api_error e;
    if (!http1_find(req, "content-encoding", &value, NULL) || bytes_eq_nocase(value, BYTES("identity")))
        return true;
    http_add_header(c->http, "Accept-Encoding", BYTES("identity"));
    api_error_set(&e, 415, API_INVALID, "unsupported_content_encoding", NULL,
                  "The body must come as it is, without a 'Content-Encoding' header: no coding, such as "
                  "gzip, is undone "
                  "here.");
    front_refuse(c, &e);
    return false;
}

static void accept_websocket(struct conn *c, const char *accept, const char *protocol)
{
    struct http_conn *h = c->http;
    const struct answer a = {.status = 101};
    conn_known(c); /* an endpoint that asks for no key is for tests on loopback */
    if (ws_open(c, h->endpoint, h->who) != ERR_OK) {
        conn_doom(c);
        return;
    }
    http_add_header(h, "Sec-WebSocket-Accept", bytes_cstr(accept));
    if (protocol)
        http_add_header(h, "Sec-WebSocket-Protocol", bytes_cstr(protocol));
    http_answer_begin(c);
    http_answer_send(c, &a);
    if (!conn_dead(c))
        conn_move(c, CONN_OPEN);
}

static void upgrade(struct conn *c, const struct http1_request *req, bool origin_ok)
{
    struct http_conn *h = c->http;
    const struct ws_endpoint *e = h->endpoint->websocket;
    char accept[WS_ACCEPT_SIZE];
    const char *reason;
    struct bytes token;
    int status = ws_upgrade_check(req, accept, &reason);
    if (status != 0) {
        if (status == 426)
            buf_append_bytes(&h->headers, BYTES("Sec-WebSocket-Version: 13\r\n"));
        refuse(c, status, API_INVALID, status == 426 ? "upgrade_required" : "bad_request", reason);
        return;
    }
    if (!origin_ok) {
        cors_refuse(c, req);
        return;
    }
    const bool offered = ws_upgrade_protocols(req, e->protocol, &token);
    if (!e->open_to_all) {
        struct bytes header = token_in_headers(req);
        if (!authenticate(c, req, header.len > 0 ? header : token))
            return;
        if (server_phase(c->server) != PHASE_SERVING) {
            refuse(c, 503, API_SERVER, "server_draining", "This server is going away. Connect again.");
            if (h->refusal)
                h->refusal->retry_after_s = 1;
            return;
        }
    }
    accept_websocket(c, accept, offered ? e->protocol : NULL);
}

static void not_allowed(struct conn *c, const struct http1_request *req, const char *methods)
{
    struct api_error e;
    http_add_header(c->http, "Allow", bytes_cstr(methods));
    api_error_set(&e, 405, API_INVALID, "method_not_allowed", NULL,
                  "%.*s is not for %.*s. What there is: %s.", (int)MIN(req->path.len, (size_t)150),
                  req->path.data, (int)MIN(req->method.len, (size_t)20), req->method.data, methods);
    front_refuse(c, &e);
}

static void not_found(struct conn *c, const struct http1_request *req)
{
    char hint[ENDPOINT_HINT_MAX];
    struct api_error e;
    endpoint_hint(c->listener->endpoints, req->path, hint);
    api_error_set(&e, 404, API_INVALID, "unknown_url", NULL, "There is nothing at %.*s. %s",
                  (int)MIN(req->path.len, (size_t)80), req->path.data, hint);
    front_refuse(c, &e);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* %XX (RFC 3986, 2.1) but %00, which stays as it is written. NULL: no memory. */
static char *percent_decoded(struct bytes s)
{
    char *out = malloc(s.len + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < s.len; i++) {
        int high = s.data[i] == '%' && i + 2 < s.len ? hex_digit(s.data[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s.data[i + 2]) : -1;
        const unsigned code = low >= 0 ? (unsigned)(high * 16 + low) : 0;
        out[n] = s.data[i];
        if (code > 0)
            out[n] = (char)code;
        n++;
        i += code > 0 ? 2 : 0;
    }
    if (out)
        out[n] = '\0';
    return out;
}

/* False: refused, or no memory for it. */
static bool keep_name(struct conn *c, struct bytes name)
{
    struct http_conn *h = c->http;
    if (name.len == 0)
        return true;
    h->name = percent_decoded(name);
    if (!h->name) {
        conn_doom(c);
        return false;
    }
    if (utf8_valid(bytes_cstr(h->name)))
        return true;
    return refuse(c, 400, API_INVALID, "bad_request", "The name in the path is not UTF-8.");
}

/* What of a path the method asks for; NULL: nothing. */
static const struct endpoint *choose(const struct endpoints_at *at, const struct http1_request *req)
{
    const bool is_get = bytes_is(req->method, "GET");
    if (bytes_is(req->method, "POST"))
        return at->post;
    if (is_get && at->websocket && (req->upgrade || !at->get))
        return at->websocket;
    return is_get || bytes_is(req->method, "HEAD") ? at->get : NULL;
}

/* No method of the path's: the question which there are, or a mistake. */
static void head_of_methods(struct conn *c, const struct http1_request *req, const struct endpoints_at *at,
                            bool origin_ok)
{
    char methods[ENDPOINT_ALLOW_MAX];
    endpoint_methods(at, methods);
    if (!bytes_is(req->method, "OPTIONS"))
        not_allowed(c, req, methods);
    else if (origin_ok)
        cors_options(c, req, methods);
    else
        cors_refuse(c, req);
}

static void head_of_endpoint(struct conn *c, const struct http1_request *req, const struct endpoints_at *at,
                             bool origin_ok)
{
    struct http_conn *h = c->http;
    const struct endpoint *e = choose(at, req);
    h->endpoint = e ? e : at->post;
    if (!e) {
        head_of_methods(c, req, at, origin_ok);
        return;
    }
    if (e->websocket)
        upgrade(c, req, origin_ok);
    else if (!origin_ok)
        cors_refuse(c, req);
    else if ((e->open_to_all || authenticate(c, req, token_in_headers(req))) && keep_name(c, at->name) &&
             e->dialect && check_content_encoding(c, req))
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
        cors_options(c, req, asset_methods);
        return;
    }
    if (!bytes_is(req->method, "GET") && !h->head_only) {
        not_allowed(c, req, asset_methods);
        return;
    }
    http_add_header(h, "ETag", bytes_cstr(h->asset->etag));
    http_add_header(h, "Content-Security-Policy", bytes_cstr(web_csp));
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
    h->began_ms = server_now(c->server);
    choose_request_id(h, req);
    c->ids.request = h->request_id;
    /* Not on loopback, where other programs may serve the same name without TLS (RFC 6797, 7.2: only over
     * TLS). */
    if (c->tls && !c->listener->cfg->loopback)
        buf_append_bytes(&h->headers, BYTES("Strict-Transport-Security: max-age=31536000\r\n"));
    LOG_DEBUG_OF(&c->ids, "http request method=%.*s path=%.*s", BYTES_FMT(req->method),
                 (int)MIN(req->path.len, 200), req->path.data);
    if (c->refusal != 0 || !peer_take(c, req)) {
        past_cap(c);
        return;
    }
    if (!host_allowed(c, &req->host)) {
        host_refuse(c, &req->host);
        return;
    }
    struct endpoints_at at;
    const bool origin_ok = cors_origin(c, req);
    const bool tests = c->server->cfg->echo && c->local;
    const bool found = endpoint_find(c->listener->endpoints, req->path, tests, &at);
    h->asset = found || c->listener->cfg->admin ? NULL : web_find(req->path);
    if (found)
        head_of_endpoint(c, req, &at, origin_ok);
    else if (h->asset)
        head_of_asset(c, req);
    else if (bytes_is(req->path, "*"))
        cors_options(c, req, "GET, HEAD, POST, OPTIONS");
    else
        not_found(c, req);
}

static void start_exchange(struct conn *c, struct bytes body)
{
    struct http_conn *h = c->http;
    struct api_error e;
    h->exchange = exchange_start(c->server->o.env, h->who, h->endpoint->dialect, body, clock_unix_s(),
                                 &conn_carrier, c, &e);
    if (!h->exchange) {
        h->accounted = true;
        front_refuse(c, &e);
        return;
    }
    conn_arm(c);
}

/* False: refused. */
static bool get(struct conn *c)
{
    const struct http_conn *h = c->http;
    struct api_error e;
    if (h->endpoint->get(c, bytes_cstr(h->name), http_answer_begin(c), &e) == ERR_OK)
        return true;
    front_refuse(c, &e);
    return false;
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
    } else if (h->endpoint->dialect) {
        start_exchange(c, body);
        return;
    } else if (get(c)) {
        if (h->endpoint->content_type)
            a.content_type = h->endpoint->content_type;
    } else {
        return;
    }
    http_answer_send(c, &a);
}

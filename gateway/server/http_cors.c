/* Browsers' pages: which may talk to us, and what they are told of it (Fetch, "HTTP-CORS protocol"). */
#include "gateway/server/http_conn.h"

enum { MAX_ORIGIN = 256, MAX_REQUEST_HEADERS = 1024 };

/* What the official clients send; a preflight names those that it wants. */
static const char known_headers[] =
    "authorization, content-type, x-api-key, anthropic-version, anthropic-beta, "
    "anthropic-dangerous-direct-browser-access, openai-beta, openai-organization, openai-project, "
    "x-request-id, "
    "idempotency-key, last-event-id, x-stainless-arch, x-stainless-lang, x-stainless-os, "
    "x-stainless-package-version, x-stainless-retry-count, x-stainless-runtime, x-stainless-runtime-version, "
    "x-stainless-timeout, x-stainless-helper-method";

/* As browsers write it: SCHEME://HOST[:PORT], the port only where it is not the scheme's own; a Host may name
 * that, too. */
static bool same_origin(const struct conn *c, struct bytes origin, const struct http1_host *host)
{
    const struct bytes scheme = c->secure ? BYTES("https://") : BYTES("http://");
    const uint16_t own = c->secure ? 443 : 80;
    struct http1_host from;
    if (!bytes_starts(origin, scheme) || !http1_host_parse(bytes_skip(origin, scheme.len), &from))
        return false;
    return from.name.len > 0 && bytes_eq_nocase(from.name, host->name) &&
           (from.port ? from.port : own) == (host->port ? host->port : own);
}

bool cors_origin(struct conn *c, const struct http1_request *req)
{
    struct http_conn *h = c->http;
    struct bytes origin;
    size_t count;
    if (!http1_find(req, "origin", &origin, &count))
        return true;
    buf_append_bytes(&h->headers, BYTES("Vary: Origin\r\n"));
    if (count > 1 || origin.len > MAX_ORIGIN ||
        !(same_origin(c, origin, &req->host) || session_origin_listed(c->server->o.env, origin)))
        return false;
    http_add_header(h, "Access-Control-Allow-Origin", origin);
    buf_append_bytes(&h->headers, BYTES("Access-Control-Expose-Headers: x-request-id, retry-after, "
                                        "openai-processing-ms\r\n"));
    return true;
}

/* As an error may show it: browsers send ASCII. */
static struct bytes shown(struct bytes origin)
{
    for (size_t i = 0; i < origin.len; i++)
        if (origin.data[i] <= ' ' || origin.data[i] > '~')
            return BYTES("(not one)");
    return bytes_of(origin.data, MIN(origin.len, (size_t)100));
}

void cors_refuse(struct conn *c, const struct http1_request *req)
{
    struct bytes origin = {NULL, 0};
    struct api_error e;
    http1_find(req, "origin", &origin, NULL);
    api_error_set(&e, 403, API_PERMISSION, "origin_not_allowed", NULL,
                  "Pages of the origin '%.*s' may not talk to this server. If they should, list it under "
                  "'origins' in the gateway's configuration.",
                  BYTES_FMT(shown(origin)));
    front_refuse(c, &e);
}

void cors_options(struct conn *c, const struct http1_request *req, const char *methods)
{
    struct http_conn *h = c->http;
    struct bytes wanted, origin;
    bool plain = true;
    h->options = true;
    http_add_header(h, "Allow", bytes_cstr(methods));
    if (!http1_find(req, "access-control-request-method", &wanted, NULL) ||
        !http1_find(req, "origin", &origin, NULL))
        return;
    http_add_header(h, "Access-Control-Allow-Methods", bytes_cstr(methods));
    wanted = (struct bytes){NULL, 0};
    http1_find(req, "access-control-request-headers", &wanted, NULL);
    for (size_t i = 0; i < wanted.len; i++)
        plain = plain && (http1_is_word(wanted.data[i]) || strchr("-_, ", wanted.data[i]));
    if (wanted.len == 0 || wanted.len > MAX_REQUEST_HEADERS || !plain)
        wanted = bytes_cstr(known_headers);
    http_add_header(h, "Access-Control-Allow-Headers", wanted);
    buf_append_bytes(&h->headers, BYTES("Access-Control-Max-Age: 600\r\n"));
}

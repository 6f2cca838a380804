/* A provider: what all its requests have in common, and the transport that carries them. */
#include "gateway/upstream/internal.h"
#include <stdlib.h>

void origin_init(struct origin *o, struct upstream *u, const struct config_provider *p)
{
    *o = (struct origin){.u = u, .provider = p};
    o->tls = p->base_url && strncmp(p->base_url, "https://", 8) == 0;
}

static bool add_header(struct origin *o, const char *line)
{
    struct curl_slist *longer = curl_slist_append(o->headers, line);
    if (longer)
        o->headers = longer;
    return longer != NULL;
}

/* The only place that looks at a provider's key. */
static bool add_authorization(struct origin *o)
{
    const struct bytes name = bytes_cstr(o->provider->dialect->authorization);
    bool ok;
    if (!secret_is_set(&o->provider->api_key))
        return true;
    struct bytes key = secret_reveal(&o->provider->api_key);
    size_t size = name.len + key.len + 1;
    char *line = malloc(size);
    if (!line)
        return false;
    memcpy(line, name.data, name.len);
    memcpy(line + name.len, key.data, key.len);
    line[size - 1] = '\0';
    ok = add_header(o, line);
    explicit_bzero(line, size);
    free(line);
    return ok;
}

static void free_headers(struct origin *o)
{
    for (struct curl_slist *h = o->headers; h; h = h->next)
        explicit_bzero(h->data, strlen(h->data));
    curl_slist_free_all(o->headers);
    o->headers = NULL;
}

static bool add_dialect_headers(struct origin *o)
{
    static const char *const accept[] = {[DIALECT_SSE] = "Accept: text/event-stream"};
    const struct dialect *d = o->provider->dialect;
    for (const char *const *line = d->headers; line && *line; line++)
        if (!add_header(o, *line))
            return false;
    return add_header(o, accept[d->framing]);
}

/* A path that differs by model is each transfer's own (transfer.url). */
static bool make_request_line(struct origin *o)
{
    const char *path = o->provider->dialect->encode_path ? "" : o->provider->dialect->path;
    size_t base = strlen(o->provider->base_url), n = strlen(path);
    o->url = malloc(base + n + 1);
    if (!o->url)
        return false;
    memcpy(o->url, o->provider->base_url, base);
    memcpy(o->url + base, path, n + 1);
    return add_header(o, "Content-Type: application/json") && add_header(o, "Expect:") &&
           add_dialect_headers(o) && add_authorization(o);
}

static void forget(struct origin *o)
{
    plain_close(o);
    free_headers(o);
    free(o->url);
    o->url = NULL;
}

/* False: no memory. A path that differs by model is for curl, too: the other transport has one head for all.
 */
static bool choose_transport(struct origin *o)
{
    bool only_curl = o->tls || o->provider->dialect->encode_path;
    CURLcode rc = only_curl ? CURLE_URL_MALFORMAT : plain_open(o, o->url);
    o->transport = rc == CURLE_OK ? &plain_transport : &curl_transport;
    return rc != CURLE_OUT_OF_MEMORY;
}

static bool origin_open(struct origin *o)
{
    if (o->multi)
        return true;
    o->version = o->limited = 0;
    if (make_request_line(o) && choose_transport(o) && curl_loop_open(o))
        return true;
    forget(o);
    return false;
}

void origin_limit(struct origin *o)
{
    if (!o->tls || o->version == o->limited)
        return;
    o->limited = o->version;
    curl_loop_limit(o);
}

CURLcode origin_add(struct origin *o, struct transfer *t)
{
    if (!origin_open(o))
        return CURLE_OUT_OF_MEMORY;
    fsm_move(&t->carriage, CARRIAGE_UNDER_WAY);
    CURLcode rc = o->transport->add(o, t);
    if (rc != CURLE_OK)
        fsm_move(&t->carriage, CARRIAGE_NONE);
    return rc;
}

void origin_remove(struct origin *o, struct transfer *t)
{
    o->transport->remove(o, t);
    fsm_move(&t->carriage, CARRIAGE_NONE);
}

void origin_close(struct origin *o)
{
    if (!o->multi)
        return;
    forget(o);
    curl_loop_close(o);
}

/* curl on the worker's loop: one multi handle a provider, so that its connections, their limit and its TLS
 * are its own. */
#include "common/log.h"
#include "gateway/upstream/internal.h"
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

/* One socket of curl's, watched. */
struct watch {
    uv_poll_t poll;
    struct origin *origin;
    curl_socket_t fd;
    int events;
};

void origin_init(struct origin *o, struct upstream *u, const struct config_provider *p)
{
    *o = (struct origin){.u = u, .provider = p};
    o->tls = p->base_url && strncmp(p->base_url, "https://", 8) == 0;
}

/* Takes note of the transfers that curl is done with. Needed after every run of curl, timeouts included. */
static void collect_ended(struct origin *o)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(o->multi, &left)) != NULL) {
        struct transfer *t = NULL;
        curl_socket_t fd = CURL_SOCKET_BAD;
        CURLcode result = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        if (t->connection) {
            curl_easy_getinfo(m->easy_handle, CURLINFO_ACTIVESOCKET, &fd);
            plain_connected(t, result, fd);
            continue;
        }
        transfer_over(t, result);
    }
}

static void run(struct origin *o, curl_socket_t fd, int events)
{
    int running;
    CURLMcode rc = curl_multi_socket_action(o->multi, fd, events, &running);
    if (rc != CURLM_OK)
        LOG_ERROR("curl failed provider=%s code=%d", o->provider->name, (int)rc);
    collect_ended(o);
}

static void on_socket_event(uv_poll_t *h, int status, int events)
{
    struct watch *w = CONTAINER_OF(h, struct watch, poll);
    struct origin *o = w->origin;
    /* A reset socket may still hold the end of an answer: curl shall read until it meets the error itself.
     * libuv has stopped watching it by then. */
    int mask = status < 0 ? CURL_CSELECT_IN | CURL_CSELECT_OUT : 0;
    if (events & UV_READABLE)
        mask |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        mask |= CURL_CSELECT_OUT;
    run(o, w->fd, mask);
    if (status < 0 && !uv_is_closing((uv_handle_t *)h))
        uv_poll_start(h, w->events, on_socket_event);
    upstream_event_over(o->u);
}

static void on_timer(uv_timer_t *h)
{
    struct origin *o = CONTAINER_OF(h, struct origin, timer);
    run(o, CURL_SOCKET_TIMEOUT, 0);
    upstream_event_over(o->u);
}

/* Called by curl. 0 means now, but not from in here. */
static int on_want_timer(CURLM *multi, long ms, void *ctx)
{
    struct origin *o = ctx;
    (void)multi;
    if (ms == 0)
        o->kick = o->u->wishes = true;
    if (ms < 0)
        uv_timer_stop(&o->timer);
    else
        uv_timer_start(&o->timer, on_timer, ms > 0 ? (uint64_t)ms : 1, 0);
    return 0;
}

static long port_of(CURL *e)
{
    long port = 0;
    curl_easy_getinfo(e, CURLINFO_LOCAL_PORT, &port);
    return port;
}

/* Makes curl send what it holds back on those connections, by the one call that leads there: one stream of
 * each is paused and goes on at once. */
static void flush_connections(struct origin *o)
{
    LIST_EACH(&o->u->live, node)
    {
        struct transfer *t = CONTAINER_OF(node, struct transfer, node);
        long port =
            t->origin == o && t->easy && t->carriage.state == CARRIAGE_UNDER_WAY ? port_of(t->easy) : 0;
        for (unsigned i = 0; port > 0 && i < o->n_held; i++) {
            if (o->held[i] != port || curl_easy_pause(t->easy, CURLPAUSE_RECV) != CURLE_OK)
                continue;
            curl_easy_pause(t->easy, CURLPAUSE_CONT);
            o->held[i] = o->held[--o->n_held];
            break;
        }
    }
    o->n_held = 0;
}

void origin_grant_wishes(struct upstream *u)
{
    if (!u->wishes)
        return;
    u->wishes = false;
    for (size_t i = 0; i < u->cfg->n_providers; i++) {
        struct origin *o = &u->origins[i];
        bool kick = o->kick;
        o->kick = false;
        if (kick)
            run(o, CURL_SOCKET_TIMEOUT, 0);
        if (o->n_held > 0)
            flush_connections(o);
        /* Should it want more at once, its timer is armed: one millisecond is better than a loop here. */
        o->kick = false;
    }
}

static void on_watch_closed(uv_handle_t *h)
{
    struct watch *w = CONTAINER_OF((uv_poll_t *)h, struct watch, poll);
    upstream_handle_closed(h, w->origin->u);
    free(w);
}

static struct watch *watch_new(struct origin *o, curl_socket_t fd)
{
    struct watch *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->origin = o;
    w->fd = fd;
    if (uv_poll_init_socket(&o->u->loop->uv, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    o->u->n_handles++;
    return w;
}

/* Called by curl: what it waits for on a socket. */
static int on_want_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct origin *o = ctx;
    struct watch *w = socket_ctx;
    int events = 0;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            curl_multi_assign(o->multi, fd, NULL);
            uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        }
        return 0;
    }
    if (!w) {
        w = watch_new(o, fd);
        if (!w)
            return -1;
        curl_multi_assign(o->multi, fd, w);
    }
    if (what != CURL_POLL_OUT)
        events |= UV_READABLE;
    if (what != CURL_POLL_IN)
        events |= UV_WRITABLE;
    w->events = events;
    return uv_poll_start(&w->poll, events, on_socket_event) == 0 ? 0 : -1;
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
    if (o->multi)
        curl_multi_cleanup(o->multi);
    o->multi = NULL;
}

static const struct transport_ops curl_transport;

/* False: no memory. A path that differs by model is for curl, too: the other transport has one head for all.
 */
static bool choose_transport(struct origin *o)
{
    bool only_curl = o->tls || o->provider->dialect->encode_path;
    CURLcode rc = only_curl ? CURLE_URL_MALFORMAT : plain_open(o, o->url);
    o->transport = rc == CURLE_OK ? &plain_transport : &curl_transport;
    return rc != CURLE_OUT_OF_MEMORY;
}

/* Over TLS it may speak HTTP/2 until it is known not to. */
static void set_limit(struct origin *o)
{
    const struct config_provider *p = o->provider;
    bool http2 = o->tls && o->version != 1;
    unsigned most = http2 ? MIN(p->max_connections, p->max_http2_connections) : p->max_connections;
    curl_multi_setopt(o->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)most);
}

static bool origin_open(struct origin *o)
{
    if (o->multi)
        return true;
    o->multi = curl_multi_init();
    if (!o->multi || !make_request_line(o) || !choose_transport(o)) {
        forget(o);
        return false;
    }
    uv_timer_init(&o->u->loop->uv, &o->timer);
    o->u->n_handles++;
    curl_multi_setopt(o->multi, CURLMOPT_SOCKETFUNCTION, on_want_socket);
    curl_multi_setopt(o->multi, CURLMOPT_SOCKETDATA, o);
    curl_multi_setopt(o->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
    curl_multi_setopt(o->multi, CURLMOPT_TIMERDATA, o);
    curl_multi_setopt(o->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    curl_multi_setopt(o->multi, CURLMOPT_MAXCONNECTS, (long)o->provider->max_idle_connections);
    o->version = o->limited = 0;
    set_limit(o);
    return true;
}

void origin_limit(struct origin *o)
{
    if (!o->tls || o->version == o->limited)
        return;
    o->limited = o->version;
    set_limit(o);
}

/* Whom to trust: the file that SSL_CERT_FILE names, as OpenSSL's own programs read it, else curl's. curl
 * keeps a parsed bundle only where no directory of certificates stands beside it; parsing one anew costs 50
 * ms a connection. */
static bool trust(CURL *e)
{
    char *bundle = getenv("SSL_CERT_FILE");
    if (bundle && *bundle == '\0')
        bundle = NULL;
    if (bundle && curl_easy_setopt(e, CURLOPT_CAINFO, bundle) != CURLE_OK)
        return false;
    if (!bundle)
        curl_easy_getinfo(e, CURLINFO_CAINFO, &bundle);
    if (bundle && access(bundle, R_OK) == 0)
        curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    return true;
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
    return transfer_header(ctx, bytes_of(data, size * n)) ? size * n : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    transfer_body(ctx, bytes_of(data, size * n));
    return size * n;
}

/* What is the same for every request to this provider. */
static CURL *easy_new(const struct origin *o)
{
    CURL *e = curl_easy_init();
    if (!e)
        return NULL;
    bool ok = curl_easy_setopt(e, CURLOPT_URL, o->url) == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR,
                               o->provider->allow_plaintext ? "https,http" : "https") == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION) == CURLE_OK && trust(e);
    if (!ok) {
        curl_easy_cleanup(e);
        return NULL;
    }
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
                     (long)(o->tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(e, CURLOPT_PIPEWAIT, o->tls ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* a cancelled look-up must not be waited for */
    curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_GAP_S);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)o->u->cfg->timeouts.connect);
    /* Whole seconds, and 0 means for ever. */
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)((o->u->cfg->timeouts.upstream_idle + 999) / 1000));
    curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, o->transport == &plain_transport ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_POST, 1L);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    return e;
}

static void easy_release(struct origin *o, CURL *e)
{
    if (o->n_idle < ORIGIN_IDLE_EASIES)
        o->idle[o->n_idle++] = e;
    else
        curl_easy_cleanup(e);
}

static CURLcode set_request(struct origin *o, struct transfer *t, CURL *e)
{
    struct curl_slist *headers = o->headers;
    if (t->id_line) {
        t->id_header = (struct curl_slist){.data = t->id_line, .next = o->headers};
        headers = &t->id_header;
    }
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body.len);
    if (t->url && curl_easy_setopt(e, CURLOPT_URL, t->url) != CURLE_OK)
        return CURLE_OUT_OF_MEMORY;
    return curl_easy_setopt(e, CURLOPT_POSTFIELDS, t->body.data);
}

/* Takes an easy handle, and gives it to the multi handle. */
static CURLcode start(struct origin *o, struct transfer *t,
                      CURLcode (*set)(struct origin *, struct transfer *, CURL *))
{
    CURL *e = o->n_idle > 0 ? o->idle[--o->n_idle] : easy_new(o);
    if (!e)
        return CURLE_OUT_OF_MEMORY;
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->detail);
    if ((set && set(o, t, e) != CURLE_OK) || curl_multi_add_handle(o->multi, e) != CURLM_OK) {
        curl_easy_cleanup(e);
        return CURLE_OUT_OF_MEMORY;
    }
    t->easy = e;
    return CURLE_OK;
}

CURLcode origin_connect(struct origin *o, struct transfer *t)
{
    return start(o, t, NULL);
}

static CURLcode curl_add(struct origin *o, struct transfer *t)
{
    return start(o, t, set_request);
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

/* An HTTP/2 stream's reset stays in curl's buffer until something else happens on its connection. If nobody
 * else uses it, closing it tells the provider; else it is flushed, once for all that a tick removes. */
static void remove_unfinished(struct origin *o, CURL *e)
{
    long port = port_of(e);
    bool known = port <= 0 || !o->tls;
    for (unsigned i = 0; i < o->n_held; i++)
        known |= o->held[i] == port;
    if (!known && o->n_held < ARRAY_LEN(o->held))
        o->held[o->n_held++] = (uint16_t)port;
    o->u->wishes |= o->n_held > 0;
    curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
    curl_multi_remove_handle(o->multi, e);
    curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 0L);
}

static void give_back(struct origin *o, struct transfer *t)
{
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, NULL);
    easy_release(o, t->easy);
    t->easy = NULL;
}

void origin_connect_end(struct origin *o, struct transfer *t)
{
    curl_multi_remove_handle(o->multi, t->easy);
    give_back(o, t);
}

static void curl_remove(struct origin *o, struct transfer *t)
{
    if (t->carriage.state == CARRIAGE_OVER)
        curl_multi_remove_handle(o->multi, t->easy);
    else
        remove_unfinished(o, t->easy);
    give_back(o, t);
}

/* curl does not read the body again once all is sent and an answer has begun. */
static bool curl_sent(const struct transfer *t)
{
    curl_off_t sent = 0;
    return curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK &&
           (size_t)sent == t->body.len;
}

static const struct transport_ops curl_transport = {
    .add = curl_add, .remove = curl_remove, .sent = curl_sent};

static void on_timer_closed(uv_handle_t *h)
{
    struct origin *o = CONTAINER_OF((uv_timer_t *)h, struct origin, timer);
    upstream_handle_closed(h, o->u);
}

void origin_close(struct origin *o)
{
    if (!o->multi)
        return;
    while (o->n_idle > 0)
        curl_easy_cleanup(o->idle[--o->n_idle]);
    forget(o);
    uv_close((uv_handle_t *)&o->timer, on_timer_closed);
}

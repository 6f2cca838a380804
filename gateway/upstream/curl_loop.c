/* curl on the worker's loop: one multi handle a provider, so that its connections, their limit and its TLS
 * are its own; its sockets, its timer, and easy handles to use again. */
#include "common/log.h"
#include "gateway/upstream/internal.h"
#include <stdlib.h>
#include <unistd.h>

/* One socket of curl's, watched. */
struct watch {
    uv_poll_t poll;
    struct origin *origin;
    curl_socket_t fd;
    int events;
};

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
        curl_easy_getinfo(m->easy_handle, CURLINFO_ACTIVESOCKET, &fd);
        t->curl_done(t, result, fd);
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
        o->run_soon = o->u->curl_pending = true;
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
        for (unsigned i = 0; port > 0 && i < o->n_reset_ports; i++) {
            if (o->reset_ports[i] != port || curl_easy_pause(t->easy, CURLPAUSE_RECV) != CURLE_OK)
                continue;
            curl_easy_pause(t->easy, CURLPAUSE_CONT);
            o->reset_ports[i] = o->reset_ports[--o->n_reset_ports];
            break;
        }
    }
    o->n_reset_ports = 0;
}

void curl_loop_run_pending(struct upstream *u)
{
    if (!u->curl_pending)
        return;
    u->curl_pending = false;
    for (size_t i = 0; i < u->cfg->n_providers; i++) {
        struct origin *o = &u->origins[i];
        bool run_now = o->run_soon;
        o->run_soon = false;
        if (run_now)
            run(o, CURL_SOCKET_TIMEOUT, 0);
        if (o->n_reset_ports > 0)
            flush_connections(o);
        /* Should it want more at once, its timer is armed: one millisecond is better than a loop here. */
        o->run_soon = false;
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
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)CURL_BUFFER);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)o->u->cfg->timeouts.connect);
    /* Whole seconds, and 0 means for ever. */
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)((o->u->cfg->timeouts.upstream_idle + 999) / 1000));
    curl_easy_setopt(e, CURLOPT_POST, 1L);
    return e;
}

static void easy_release(struct origin *o, CURL *e)
{
    if (o->n_idle < ORIGIN_IDLE_EASIES)
        o->idle[o->n_idle++] = e;
    else
        curl_easy_cleanup(e);
}

CURLcode curl_loop_start(struct origin *o, struct transfer *t,
                         CURLcode (*set)(struct origin *o, struct transfer *t, CURL *e),
                         void (*done)(struct transfer *t, CURLcode result, curl_socket_t fd))
{
    CURL *e = o->n_idle > 0 ? o->idle[--o->n_idle] : easy_new(o);
    if (!e)
        return CURLE_OUT_OF_MEMORY;
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->detail);
    if (set(o, t, e) != CURLE_OK || curl_multi_add_handle(o->multi, e) != CURLM_OK) {
        curl_easy_cleanup(e);
        return CURLE_OUT_OF_MEMORY;
    }
    t->curl_done = done;
    t->easy = e;
    return CURLE_OK;
}

/* An HTTP/2 stream's reset stays in curl's buffer until something else happens on its connection. If nobody
 * else uses it, closing it tells the provider; else it is flushed, once for all that a tick removes. */
static void remove_unfinished(struct origin *o, CURL *e)
{
    long port = port_of(e);
    bool known = port <= 0 || !o->tls;
    for (unsigned i = 0; i < o->n_reset_ports; i++)
        known |= o->reset_ports[i] == port;
    if (!known && o->n_reset_ports < ARRAY_LEN(o->reset_ports))
        o->reset_ports[o->n_reset_ports++] = (uint16_t)port;
    o->u->curl_pending |= o->n_reset_ports > 0;
    curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
    curl_multi_remove_handle(o->multi, e);
    curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 0L);
}

void curl_loop_stop(struct origin *o, struct transfer *t, bool finished)
{
    if (finished)
        curl_multi_remove_handle(o->multi, t->easy);
    else
        remove_unfinished(o, t->easy);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, NULL);
    easy_release(o, t->easy);
    t->easy = NULL;
}

/* Over TLS it may speak HTTP/2 until it is known not to. */
void curl_loop_limit(struct origin *o)
{
    const struct config_provider *p = o->provider;
    bool http2 = o->tls && o->version != 1;
    unsigned most = http2 ? MIN(p->max_connections, p->max_http2_connections) : p->max_connections;
    curl_multi_setopt(o->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)most);
}

bool curl_loop_open(struct origin *o)
{
    o->multi = curl_multi_init();
    if (!o->multi)
        return false;
    uv_timer_init(&o->u->loop->uv, &o->timer);
    o->u->n_handles++;
    curl_multi_setopt(o->multi, CURLMOPT_SOCKETFUNCTION, on_want_socket);
    curl_multi_setopt(o->multi, CURLMOPT_SOCKETDATA, o);
    curl_multi_setopt(o->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
    curl_multi_setopt(o->multi, CURLMOPT_TIMERDATA, o);
    curl_multi_setopt(o->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    curl_multi_setopt(o->multi, CURLMOPT_MAXCONNECTS, (long)o->provider->max_idle_connections);
    curl_loop_limit(o);
    return true;
}

static void on_timer_closed(uv_handle_t *h)
{
    struct origin *o = CONTAINER_OF((uv_timer_t *)h, struct origin, timer);
    upstream_handle_closed(h, o->u);
}

void curl_loop_close(struct origin *o)
{
    while (o->n_idle > 0)
        curl_easy_cleanup(o->idle[--o->n_idle]);
    curl_multi_cleanup(o->multi);
    o->multi = NULL;
    uv_close((uv_handle_t *)&o->timer, on_timer_closed);
}

/* The acceptor. */
#include "common/log.h"
#include "gateway/ops/metrics.h"
#include "gateway/server/conn.h"
#include "gateway/server/preface.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* What counts against max_sessions_per_address; empty for a Unix peer. */
static struct bytes peer_address(const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET)
        return bytes_of(&((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
    if (peer->ss_family != AF_INET6)
        return (struct bytes){NULL, 0};
    const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
    return IN6_IS_ADDR_V4MAPPED(a) ? bytes_of((const char *)a + 12, 4) : bytes_of(a, 16);
}

/* Not left to be inherited from the listening socket: connections may have queued there before we had a say.
 */
static void set_options(const struct listener *l, int fd)
{
    const int on = 1, size = SEND_BUFFER;
    if (l->cfg->host)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* Who looks after the gateway gets in when strangers have filled it. */
static enum door_verdict enter(struct listener *l, struct bytes address, uint8_t *ret_held,
                               const char **ret_key)
{
    const struct server *s = l->server;
    if (!l->cfg->admin)
        return door_enter(s->o.door, s->o.door_slot, address, l->cfg->tls, server_now(s), ret_held, ret_key);
    *ret_held = 0;
    *ret_key = NULL;
    return s->n_admin < ADMIN_MAX ? DOOR_OPEN : DOOR_CUT;
}

/* A proxy's own address counts for nobody: its clients' do, once `head` or their requests (http_peer.c) tell
 * them. `head`: the PROXY protocol's, or NULL. */
static void take(struct listener *l, int fd, struct bytes peer, const struct proxy_v2 *head)
{
    const bool told = head && !head->own;
    if (told)
        peer = address_bytes(&head->client);
    const bool proxied = !(told && peer.len == 0) && peer_is_trusted(l->server->cfg, peer);
    const struct bytes address = proxied ? (struct bytes){NULL, 0} : peer;
    static const unsigned statuses[] = {[DOOR_OPEN] = 0, [DOOR_ADDRESS] = 429, [DOOR_FULL] = 503};
    struct server *s = l->server;
    uint8_t held;
    const char *key;
    enum door_verdict verdict = enter(l, address, &held, &key);
    if (verdict != DOOR_OPEN && key)
        refusal_of_connection(s, address, key);
    const bool heard = verdict == DOOR_OPEN || (verdict != DOOR_CUT && s->n_refused < REFUSED_MAX);
    struct conn *c = heard ? conn_new(l, address, statuses[verdict], held) : NULL;
    if (!c) {
        door_leave(s->o.door, s->o.door_slot, address, &held, held);
        close(fd);
        return;
    }
    c->proxied = proxied;
    if (told)
        conn_told(c, &head->client, head->tls);
    set_options(l, fd);
    if (l->ops->adopt(l, c, fd) != ERR_OK)
        conn_closed(c);
    else
        conn_arm(c);
}

static void on_readable(uv_poll_t *p, int status, int events);

static void start_all(struct server *s)
{
    LIST_EACH(&s->acceptors, node)
    {
        uv_poll_start(&CONTAINER_OF(node, struct acceptor, node)->poll, UV_READABLE, on_readable);
    }
}

static void stop_all(struct server *s)
{
    LIST_EACH(&s->acceptors, node)
    {
        uv_poll_stop(&CONTAINER_OF(node, struct acceptor, node)->poll);
    }
}

static void on_pause_over(struct wheel_timer *t)
{
    struct server *s = CONTAINER_OF(t, struct server, accept_pause);
    if (server_phase(s) == PHASE_SERVING)
        start_all(s);
}

/* Out of descriptors, but for those that providers need, or of memory: the sockets stay readable, so looking
 * at them again at once would only burn the CPU. */
static void pause_accepting(struct server *s)
{
    if (!s->accept_warned)
        LOG_WARN("accept error=%s pause_ms=%d", strerror(errno), ACCEPT_PAUSE_MS);
    s->accept_warned = true;
    stop_all(s);
    s->accept_pause.fire = on_pause_over;
    loop_arm(s->o.loop, &s->accept_pause, ACCEPT_PAUSE_MS);
}

static void on_readable(uv_poll_t *p, int status, int events UNUSED)
{
    const struct acceptor *a = p->data;
    struct listener *l = a->listener;
    if (status < 0)
        return;
    for (int i = 0; i < ACCEPT_BURST; i++) {
        if (l->server->n_conns + l->server->n_prefaces >= l->server->room) {
            errno = EMFILE;
            pause_accepting(l->server);
            return;
        }
        struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof(peer);
        int fd = accept4(a->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            l->server->accept_warned = false;
            if (l->cfg->proxy_protocol)
                preface_read(l, fd, peer_address(&peer), take);
            else
                take(l, fd, peer_address(&peer), NULL);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(l->server);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static struct acceptor *open_one(struct listener *l, int fd)
{
    struct server *s = l->server;
    struct acceptor *a = calloc(1, sizeof(*a));
    if (!a || uv_poll_init(&s->o.loop->uv, &a->poll, fd) != 0) {
        free(a);
        return NULL;
    }
    a->poll.data = a;
    list_init(&a->node);
    a->listener = l;
    a->fd = fd;
    list_append(&s->acceptors, &a->node);
    if (!wheel_armed(&s->accept_pause))
        uv_poll_start(&a->poll, UV_READABLE, on_readable);
    return a;
}

static void on_closed(uv_handle_t *h)
{
    struct acceptor *a = h->data;
    if (a->borrowed)
        (void)close(a->fd);
    free(a);
}

static void close_one(struct acceptor *a)
{
    list_remove(&a->node);
    uv_close((uv_handle_t *)&a->poll, on_closed);
}

enum err accept_open(struct server *s)
{
    for (size_t i = 0; i < s->n_listeners; i++)
        if (!open_one(&s->listeners[i], s->listeners[i].fd))
            return ERR_NOMEM;
    return ERR_OK;
}

void accept_stop(struct server *s)
{
    loop_cancel(s->o.loop, &s->accept_pause);
    stop_all(s);
}

void accept_close(struct server *s)
{
    preface_close_all(s);
    LIST_EACH(&s->acceptors, node)
    {
        close_one(CONTAINER_OF(node, struct acceptor, node));
    }
}

void server_cover(struct server *s, unsigned slot, const int *fds)
{
    for (size_t i = 0; i < s->n_listeners; i++) {
        /* A Unix socket is everybody's already. */
        const bool wanted = server_phase(s) == PHASE_SERVING && s->listeners[i].cfg->host;
        struct acceptor *a = wanted ? open_one(&s->listeners[i], fds[i]) : NULL;
        if (a) {
            a->borrowed = true;
            a->slot = slot;
        } else {
            (void)close(fds[i]);
        }
    }
}

void server_uncover(struct server *s, unsigned slot)
{
    LIST_EACH(&s->acceptors, node)
    {
        struct acceptor *a = CONTAINER_OF(node, struct acceptor, node);
        if (a->borrowed && a->slot == slot)
            close_one(a);
    }
}

/* The acceptor. */
#include "common/log.h"
#include "gateway/server/conn.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

static void take(struct listener *l, int fd, struct bytes address)
{
    struct server *s = l->server;
    enum caps_verdict verdict = caps_acquire(s->o.caps, s->o.caps_slot, address);
    unsigned refusal = verdict == CAPS_OK ? 0 : verdict == CAPS_ADDRESS ? 429 : 503;
    if (refusal != 0 && s->n_refused >= REFUSED_MAX) {
        close(fd);
        return;
    }
    struct conn *c = conn_new(l, address, refusal);
    if (!c) {
        if (refusal == 0)
            caps_release(s->o.caps, s->o.caps_slot, address);
        close(fd);
        return;
    }
    set_options(l, fd);
    if (l->ops->adopt(l, c, fd) != ERR_OK)
        conn_closed(c);
    else
        conn_arm(c);
}

static void on_pause_over(struct wheel_timer *t)
{
    struct server *s = CONTAINER_OF(t, struct server, accept_pause);
    for (size_t i = 0; s->phase == SERVER_SERVING && i < s->n_listeners; i++)
        accept_start(&s->listeners[i]);
}

/* Out of descriptors or memory: the sockets stay readable, so looking at them again at once would only burn
 * the CPU. */
static void pause_accepting(struct server *s)
{
    if (!s->accept_warned)
        LOG_WARN("accept error=\"%s\" pause_ms=%d", strerror(errno), ACCEPT_PAUSE_MS);
    s->accept_warned = true;
    for (size_t i = 0; i < s->n_listeners; i++)
        uv_poll_stop(&s->listeners[i].poll);
    s->accept_pause.fire = on_pause_over;
    wheel_arm(s->o.wheel, &s->accept_pause, server_now(s), ACCEPT_PAUSE_MS);
    s->timer_armed = true;
}

static void on_readable(uv_poll_t *p, int status, int events UNUSED)
{
    struct listener *l = p->data;
    if (status < 0)
        return;
    for (int i = 0; i < ACCEPT_BURST; i++) {
        struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof(peer);
        int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            l->server->accept_warned = false;
            take(l, fd, peer_address(&peer));
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(l->server);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

void accept_start(struct listener *l)
{
    uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

void accept_stop(struct server *s)
{
    wheel_cancel(s->o.wheel, &s->accept_pause);
    for (size_t i = 0; i < s->n_listeners; i++)
        uv_poll_stop(&s->listeners[i].poll);
}

/* The acceptor. */
#include "common/log.h"
#include "gateway/server/conn.h"
#include <arpa/inet.h>
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

static void note_refusal(struct server *s, struct bytes address, const char *key)
{
    char text[INET6_ADDRSTRLEN] = "unix";
    unsigned suppressed;
    s->refusals++;
    if (!log_gate_pass(&s->refused, server_now(s), &suppressed))
        return;
    if (address.len > 0)
        (void)inet_ntop(address.len == 4 ? AF_INET : AF_INET6, address.data, text, sizeof(text));
    LOG_WARN("connection refused key=limits.%s address=%s suppressed=%u", key, text, suppressed);
}

static void take(struct listener *l, int fd, struct bytes address)
{
    static const unsigned statuses[] = {[DOOR_OPEN] = 0, [DOOR_ADDRESS] = 429, [DOOR_FULL] = 503};
    struct server *s = l->server;
    uint8_t held;
    const char *key;
    enum door_verdict verdict =
        door_enter(s->o.door, s->o.door_slot, address, l->cfg->tls, server_now(s), &held, &key);
    if (verdict != DOOR_OPEN)
        note_refusal(s, address, key);
    bool told = verdict == DOOR_OPEN || (verdict != DOOR_CUT && s->n_refused < REFUSED_MAX);
    struct conn *c = told ? conn_new(l, address, statuses[verdict], held) : NULL;
    if (!c) {
        door_leave(s->o.door, s->o.door_slot, address, &held, held);
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

/* Out of descriptors, but for those that providers need, or of memory: the sockets stay readable, so looking
 * at them again at once would only burn the CPU. */
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
        if (l->server->n_conns >= l->server->room) {
            errno = EMFILE;
            pause_accepting(l->server);
            return;
        }
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

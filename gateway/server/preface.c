#include "gateway/server/preface.h"
#include "common/log.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct preface {
    struct list node; /* server.prefaces */
    struct listener *listener;
    uv_poll_t poll;
    struct wheel_timer timer;
    int fd;
    struct address peer;
    void (*taken)(struct listener *l, int fd, struct bytes peer, const struct proxy_v2 *head);
    size_t got;
    char head[PROXY_V2_MAX];
};

static void on_freed(uv_handle_t *h)
{
    free(CONTAINER_OF((uv_poll_t *)h, struct preface, poll));
}

/* The descriptor is the caller's from here on. */
static void leave(struct preface *p)
{
    struct server *s = p->listener->server;
    loop_cancel(s->o.loop, &p->timer);
    list_remove(&p->node);
    s->n_prefaces--;
    uv_close((uv_handle_t *)&p->poll, on_freed);
}

static void drop(struct preface *p, const char *why)
{
    struct server *s = p->listener->server;
    unsigned suppressed;
    if (why && log_gate_pass(&s->refused, server_now(s), &suppressed))
        LOG_WARN("connection refused reason=\"%s\" suppressed=%u", why, suppressed);
    leave(p);
    (void)close(p->fd);
}

static void on_time(struct wheel_timer *t)
{
    drop(CONTAINER_OF(t, struct preface, timer), "no PROXY protocol head in time");
}

/* Of the socket's bytes no more than the head's are taken: what follows is for TLS or HTTP to read. */
static void on_readable(uv_poll_t *h, int status, int events UNUSED)
{
    struct preface *p = CONTAINER_OF(h, struct preface, poll);
    struct proxy_v2 head;
    size_t size;
    enum proxy_result r;
    while ((r = proxy_v2_parse(bytes_of(p->head, p->got), &head, &size)) == PROXY_MORE) {
        ssize_t n = status < 0 ? 0 : recv(p->fd, p->head + p->got, size - p->got, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return;
        if (n <= 0) {
            drop(p, NULL);
            return;
        }
        p->got += (size_t)n;
    }
    if (r == PROXY_BAD) {
        drop(p, "no PROXY protocol head, version 2");
        return;
    }
    leave(p);
    p->taken(p->listener, p->fd, address_bytes(&p->peer), &head);
}

void preface_read(struct listener *l, int fd, struct bytes peer,
                  void (*taken)(struct listener *l, int fd, struct bytes peer, const struct proxy_v2 *head))
{
    struct server *s = l->server;
    struct preface *p = calloc(1, sizeof(*p));
    if (!p || uv_poll_init_socket(&s->o.loop->uv, &p->poll, fd) != 0) {
        free(p);
        (void)close(fd);
        return;
    }
    list_init(&p->node);
    list_append(&s->prefaces, &p->node);
    s->n_prefaces++;
    p->listener = l;
    p->fd = fd;
    p->peer = address_of(peer);
    p->taken = taken;
    wheel_timer_init(&p->timer, on_time);
    if (!peer_is_trusted(s->cfg, peer)) {
        drop(p, "a PROXY protocol head is believed of trusted_proxies only");
        return;
    }
    loop_arm(s->o.loop, &p->timer, s->cfg->timeouts.handshake);
    uv_poll_start(&p->poll, UV_READABLE, on_readable);
}

void preface_close_all(struct server *s)
{
    while (!list_empty(&s->prefaces))
        drop(LIST_FIRST(&s->prefaces, struct preface, node), NULL);
}

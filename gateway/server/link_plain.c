/* A socket without TLS, on libuv alone. */
#include "gateway/server/conn.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct plain {
    int fd;
    bool waiting; /* for the socket to be writable: each change of what is polled for costs system calls */
    struct conn *conn;
    uv_poll_t poll;
};

static void on_event(uv_poll_t *h, int status, int events);

static void on_freed(uv_handle_t *h)
{
    free(CONTAINER_OF(h, struct plain, poll));
}

static void drop(struct plain *p)
{
    uv_close((uv_handle_t *)&p->poll, on_freed);
    close(p->fd);
    conn_closed(p->conn);
}

static void on_readable(struct plain *p)
{
    struct conn *c = p->conn;
    ssize_t n = recv(p->fd, c->server->input, RECEIVE_BUFFER, MSG_DONTWAIT);
    if (n > 0)
        conn_input(c, c->server->input, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        drop(p);
}

static void on_event(uv_poll_t *h, int status, int events)
{
    struct plain *p = CONTAINER_OF(h, struct plain, poll);
    struct conn *c = p->conn;
    if (status < 0) {
        drop(p);
        return;
    }
    if (events & UV_WRITABLE) {
        conn_writable(c);
        if (!conn_blocked(c)) {
            p->waiting = false;
            uv_poll_start(h, UV_READABLE, on_event);
        }
    }
    if ((events & UV_READABLE) && !conn_dead(c))
        on_readable(p);
}

static enum err adopt(struct listener *l, struct conn *c, int fd)
{
    struct plain *p = malloc(sizeof(*p));
    if (!p || uv_poll_init_socket(&l->server->o.loop->uv, &p->poll, fd) != 0) {
        free(p);
        close(fd);
        return ERR_NOMEM;
    }
    p->conn = c;
    p->fd = fd;
    p->waiting = false;
    c->link = p;
    uv_poll_start(&p->poll, UV_READABLE, on_event);
    return ERR_OK;
}

static enum err plain_write(void *link, struct bytes data, size_t *ret_written)
{
    const struct plain *p = link;
    ssize_t n;
    do
        n = send(p->fd, data.data, data.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        return ERR_CLOSED;
    *ret_written = n < 0 ? 0 : (size_t)n;
    return ERR_OK;
}

static void want_write(void *link)
{
    struct plain *p = link;
    if (p->waiting)
        return;
    p->waiting = true;
    uv_poll_start(&p->poll, UV_READABLE | UV_WRITABLE, on_event);
}

static void shut(void *link)
{
    const struct plain *p = link;
    shutdown(p->fd, SHUT_WR);
}

static void give_up(void *link)
{
    const struct linger none = {.l_onoff = 1};
    const struct plain *p = link;
    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

static void kill_now(void *link)
{
    drop(link);
}

const struct link_ops link_plain = {adopt, plain_write, want_write, shut, give_up, kill_now};

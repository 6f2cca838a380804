#include "loadtest/mock.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MAX_IN = 64 << 20, MAX_OUT = 256 << 20, EVENTS = 512 };

double mock_random(struct mock_loop *l)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return (double)(l->random >> 11) / 9007199254740992.0;
}

void conn_update(struct mock_conn *c)
{
    uint32_t events = EPOLLIN | (stream_wants_write(&c->stream) ? (uint32_t)EPOLLOUT : 0);
    if (events == c->events)
        return;
    struct epoll_event e = {.events = events, .data.ptr = c};
    int op = c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(c->loop->epoll, op, c->stream.fd, &e) == 0)
        c->events = events;
}

void conn_close(struct mock_conn *c)
{
    if (c->h2)
        http2_free(c);
    answer_abandon(&c->answer);
    list_remove(&c->dirty);
    list_remove(&c->node);
    stream_close(&c->stream);
    buf_free(&c->in);
    free(c);
}

static void accept_all(struct mock_loop *l)
{
    for (int fd; (fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        struct mock_conn *c = calloc(1, sizeof(*c));
        if (!c) {
            close(fd);
            return;
        }
        if (stream_open(&c->stream, fd, l->tls, true, MAX_OUT) != ERR_OK) {
            free(c);
            continue;
        }
        c->loop = l;
        buf_init(&c->in, MAX_IN);
        answer_init(&c->answer, l, &http1_out);
        list_init(&c->dirty);
        list_init(&c->node);
        list_append(&l->conns, &c->node);
        l->stats.connections++;
        conn_update(c);
    }
}

static bool handshake(struct mock_conn *c)
{
    const unsigned char *protocol = NULL;
    unsigned len = 0;
    enum err e = stream_handshake(&c->stream);
    if (e != ERR_OK)
        return e == ERR_AGAIN;
    SSL_get0_alpn_selected(c->stream.ssl, &protocol, &len);
    return len != 2 || memcmp(protocol, "h2", 2) != 0 || http2_start(c);
}

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* Plain HTTP/2 announces itself by its preface. */
static bool feed(struct mock_conn *c, const char *data, size_t len)
{
    if (!c->h2 && c->in.len == 0 && !c->answer.script && len >= sizeof(preface) - 1 &&
        memcmp(data, preface, sizeof(preface) - 1) == 0 && !http2_start(c))
        return false;
    if (c->h2)
        return http2_input(c, data, len);
    return buf_append(&c->in, data, len) == ERR_OK && http1_input(c);
}

/* False: close it. */
static bool readable(struct mock_conn *c)
{
    struct mock_loop *l = c->loop;
    if (c->stream.handshaking) {
        if (!handshake(c))
            return false;
        if (c->stream.handshaking)
            return true;
    }
    for (;;) {
        size_t n = 0;
        enum err e = stream_read(&c->stream, l->read_room, sizeof(l->read_room), &n);
        if (e == ERR_AGAIN)
            return true;
        if (e != ERR_OK || !feed(c, l->read_room, n))
            return false;
        if (!c->stream.ssl && n < sizeof(l->read_room))
            return true;
    }
}

static void on_event(struct mock_conn *c, uint32_t events)
{
    bool ok = true;
    if ((events & EPOLLOUT) && !c->stream.handshaking) {
        ok = stream_flush(&c->stream) == ERR_OK;
        if (ok && c->h2)
            http2_writable(c);
        else if (ok)
            http1_writable(c);
    }
    if (ok && (events & (EPOLLIN | EPOLLHUP | EPOLLERR) || c->stream.tls_wants_write))
        ok = readable(c);
    if (ok)
        conn_update(c);
    else
        conn_close(c);
}

enum err mock_loop_init(struct mock_loop *l)
{
    struct epoll_event listener = {.events = EPOLLIN, .data.ptr = &l->listener};
    struct epoll_event stop = {.events = EPOLLIN, .data.ptr = &l->stop_fd};
    list_init(&l->conns);
    list_init(&l->dirty);
    list_init(&l->scripts);
    buf_init(&l->scratch, SCRIPT_MAX_BYTES);
    ticks_init(&l->ticks, now_ns() / 1000000);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->listener, &listener) < 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->stop_fd, &stop) < 0)
        return ERR_IO;
    return ERR_OK;
}

/* Until the next millisecond in which something is due. */
static int wait_events(struct mock_loop *l, struct epoll_event *events)
{
    uint64_t next = ticks_next_ms(&l->ticks);
    struct timespec wait = {0, 0};
    if (next == UINT64_MAX)
        return epoll_wait(l->epoll, events, EVENTS, -1);
    uint64_t now = now_ns(), due = next * 1000000;
    if (due > now)
        wait = (struct timespec){(time_t)((due - now) / 1000000000), (long)((due - now) % 1000000000)};
    return epoll_pwait2(l->epoll, events, EVENTS, &wait, NULL);
}

void mock_loop_run(struct mock_loop *l)
{
    struct epoll_event events[EVENTS];
    for (bool stopping = false; !stopping;) {
        int n = wait_events(l, events);
        if (n < 0 && errno != EINTR)
            return;
        ticks_advance(&l->ticks, now_ns() / 1000000);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &l->listener)
                accept_all(l);
            else if (events[i].data.ptr == &l->stop_fd)
                stopping = true;
            else
                on_event(events[i].data.ptr, events[i].events);
        }
        http2_flush_all(l);
    }
}

void mock_loop_free(struct mock_loop *l)
{
    LIST_EACH(&l->conns, node)
    {
        conn_close(CONTAINER_OF(node, struct mock_conn, node));
    }
    scripts_free(l);
    buf_free(&l->scratch);
    close(l->epoll);
    close(l->listener);
}

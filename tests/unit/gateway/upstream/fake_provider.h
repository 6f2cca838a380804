#pragma once
/* A provider on loopback, on the test's own loop: answers each request with the bytes that the test gives it,
 * cut, reset or held where the test says. */
#include "common/attr.h"
#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { FAKE_MAX_REQUEST = 64 * 1024 };

/* What is sent for one request. */
struct fake_reply {
    const char *bytes;
    size_t len;  /* 0: strlen(bytes) */
    size_t drip; /* so many bytes at a time, one write a loop turn; 0: all at once */
    bool close;  /* then the connection ends, */
    bool reset;  /* by RST */
};

struct fake;

struct fake_conn {
    uv_tcp_t tcp;
    uv_idle_t drip;
    struct fake *fake;
    struct fake_conn *next;
    struct fake_reply reply;
    size_t sent, len;
    char request[FAKE_MAX_REQUEST]; /* no more of a longer one is kept */
    size_t got;                     /* all of it */
    uint64_t body_hash;
    bool closing;
    unsigned open_handles;
};

struct fake {
    uv_loop_t *loop;
    uv_tcp_t listener;
    int port;
    unsigned connections, requests, peer_closed;
    struct fake_conn *conns;
    char last_request[FAKE_MAX_REQUEST];
    uint64_t last_body_hash;
    char rest[FAKE_MAX_REQUEST];
    /* NULL: the request is only noted. `n`: 0 for the first. */
    const struct fake_reply *(*reply)(struct fake *f, unsigned n);
    const struct fake_reply *every; /* when `reply` is NULL */
    void *ctx;
};

static void fake_conn_freed(uv_handle_t *h)
{
    struct fake_conn *c = h->data;
    struct fake_conn **at = &c->fake->conns;
    if (--c->open_handles > 0)
        return;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    free(c);
}

static void fake_conn_close(struct fake_conn *c, bool reset)
{
    if (c->closing)
        return;
    c->closing = true;
    uv_close((uv_handle_t *)&c->drip, fake_conn_freed);
    if (!reset || uv_tcp_close_reset(&c->tcp, fake_conn_freed) != 0)
        uv_close((uv_handle_t *)&c->tcp, fake_conn_freed);
}

struct fake_write {
    uv_write_t req;
    bool last;
};

static void fake_written(uv_write_t *req, int status)
{
    struct fake_write *w = req->data;
    struct fake_conn *c = req->handle->data;
    if (status == 0 && w->last && c->reply.close)
        fake_conn_close(c, c->reply.reset);
    free(w);
}

static void fake_send(struct fake_conn *c, const char *data, size_t len, bool last)
{
    struct fake_write *w = malloc(sizeof(*w));
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)data, (unsigned)len);
    w->req.data = w;
    w->last = last;
    ck_assert_int_eq(uv_write(&w->req, (uv_stream_t *)&c->tcp, &b, 1, fake_written), 0);
}

static void fake_drip(uv_idle_t *h)
{
    struct fake_conn *c = h->data;
    size_t n = c->reply.len - c->sent < c->reply.drip ? c->reply.len - c->sent : c->reply.drip;
    c->sent += n;
    if (c->sent == c->reply.len)
        uv_idle_stop(h);
    fake_send(c, c->reply.bytes + c->sent - n, n, c->sent == c->reply.len);
}

/* Sends more on the connection that was opened last. */
static inline void fake_push(struct fake *f, const char *text)
{
    ck_assert_ptr_nonnull(f->conns);
    fake_send(f->conns, text, strlen(text), false);
}

static void fake_answer(struct fake_conn *c)
{
    struct fake *f = c->fake;
    const struct fake_reply *r = f->reply ? f->reply(f, f->requests) : f->every;
    memcpy(f->last_request, c->request, c->len + 1);
    f->last_body_hash = c->body_hash;
    c->len = c->got = 0;
    c->body_hash = 0;
    f->requests++;
    if (!r)
        return;
    c->reply = *r;
    if (c->reply.len == 0 && c->reply.bytes)
        c->reply.len = strlen(c->reply.bytes);
    c->sent = 0;
    if (c->reply.len == 0)
        fake_conn_close(c, c->reply.reset);
    else if (c->reply.drip)
        uv_idle_start(&c->drip, fake_drip);
    else
        fake_send(c, c->reply.bytes, c->reply.len, true);
}

static void fake_room(uv_handle_t *h, size_t hint, uv_buf_t *ret)
{
    struct fake_conn *c = h->data;
    size_t left = sizeof(c->request) - 1 - c->len;
    (void)hint;
    *ret = left > 0 ? uv_buf_init(c->request + c->len, (unsigned)left)
                    : uv_buf_init(c->fake->rest, sizeof(c->fake->rest));
}

static inline uint64_t fake_hash(uint64_t hash, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = hash * 31 + (unsigned char)data[i];
    return hash;
}

static void fake_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct fake_conn *c = s->data;
    if (n < 0) {
        c->fake->peer_closed++;
        fake_conn_close(c, false);
        return;
    }
    size_t before = c->got;
    c->got += (size_t)n;
    if (b->base != c->fake->rest)
        c->len += (size_t)n;
    c->request[c->len] = '\0';
    const char *end = strstr(c->request, "\r\n\r\n"), *length = strstr(c->request, "Content-Length: ");
    if (!end || !length)
        return;
    size_t head = (size_t)(end + 4 - c->request), skip = before < head ? head - before : 0;
    c->body_hash = fake_hash(c->body_hash, b->base + skip, (size_t)n - skip);
    if (c->got >= head + strtoul(length + 16, NULL, 10))
        fake_answer(c);
}

static void fake_accept(uv_stream_t *s, int status)
{
    struct fake *f = s->data;
    ck_assert_int_eq(status, 0);
    struct fake_conn *c = calloc(1, sizeof(*c));
    c->fake = f;
    c->next = f->conns;
    f->conns = c;
    f->connections++;
    uv_tcp_init(f->loop, &c->tcp);
    uv_idle_init(f->loop, &c->drip);
    c->tcp.data = c->drip.data = c;
    c->open_handles = 2;
    ck_assert_int_eq(uv_accept(s, (uv_stream_t *)&c->tcp), 0);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start((uv_stream_t *)&c->tcp, fake_room, fake_read);
}

static inline void fake_open(struct fake *f, uv_loop_t *loop)
{
    struct sockaddr_in a;
    int len = sizeof(a);
    *f = (struct fake){.loop = loop};
    uv_tcp_init(loop, &f->listener);
    f->listener.data = f;
    uv_ip4_addr("127.0.0.1", 0, &a);
    ck_assert_int_eq(uv_tcp_bind(&f->listener, (struct sockaddr *)&a, 0), 0);
    ck_assert_int_eq(uv_listen((uv_stream_t *)&f->listener, 128, fake_accept), 0);
    uv_tcp_getsockname(&f->listener, (struct sockaddr *)&a, &len);
    f->port = ntohs(a.sin_port);
}

/* All connections; the listener stays. */
static inline void fake_hang_up(struct fake *f)
{
    for (struct fake_conn *c = f->conns; c; c = c->next)
        fake_conn_close(c, false);
}

static inline void fake_close(struct fake *f)
{
    fake_hang_up(f);
    uv_close((uv_handle_t *)&f->listener, NULL);
}

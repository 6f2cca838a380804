/* Answers over plain HTTP/1.1. curl finds the provider and connects; from then on the socket is ours: one
 * recv a token, and nothing else. libuv watches it for reading from its first to its last day, so that
 * nothing is re-armed between tokens and an idle connection that its provider closes is known at once. For a
 * minute further connections go straight to where curl's led. */
#include "common/log.h"
#include "gateway/upstream/internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

enum { TAIL_SIZE = UPSTREAM_REQUEST_ID_MAX + 128 };

enum plain_state {
    PLAIN_AT_CURL,    /* curl connects it; no descriptor of ours yet */
    PLAIN_CONNECTING, /* we do; `timer` is its deadline */
    PLAIN_ASKING,     /* the request goes out, or has gone; nothing has come back */
    PLAIN_ANSWERING,
    PLAIN_ANSWERED, /* the answer is over, and the next request may follow it */
    PLAIN_IDLE,     /* no transfer has it; `timer` is its end */
    PLAIN_CLOSED,
};
static const char *const state_names[] = {"at curl",  "connecting", "asking", "answering",
                                          "answered", "idle",       "closed"};
static const uint32_t allowed_moves[] = {
    [PLAIN_AT_CURL] = FSM_TO(PLAIN_ASKING) | FSM_TO(PLAIN_CLOSED),
    [PLAIN_CONNECTING] = FSM_TO(PLAIN_ASKING) | FSM_TO(PLAIN_CLOSED),
    [PLAIN_ASKING] = FSM_TO(PLAIN_ANSWERING) | FSM_TO(PLAIN_CLOSED),
    [PLAIN_ANSWERING] = FSM_TO(PLAIN_ANSWERED) | FSM_TO(PLAIN_CLOSED),
    [PLAIN_ANSWERED] = FSM_TO(PLAIN_IDLE) | FSM_TO(PLAIN_CLOSED),
    [PLAIN_IDLE] = FSM_TO(PLAIN_ASKING) | FSM_TO(PLAIN_CLOSED),
    [PLAIN_CLOSED] = 0,
};
static const struct fsm_def connection_fsm = {"provider connection", state_names, allowed_moves,
                                              ARRAY_LEN(state_names)};

/* The request on it, which an answer may overtake. */
enum request_state {
    REQUEST_SENT, /* or there is none */
    REQUEST_SENDING,
    REQUEST_BLOCKED, /* the socket takes no more: it is watched for writing */
    REQUEST_BROKEN,  /* nothing more can be sent; an answer may still be there to read */
};
static const char *const request_names[] = {"sent", "sending", "blocked", "broken"};
static const uint32_t request_moves[] = {
    [REQUEST_SENT] = FSM_TO(REQUEST_SENDING),
    [REQUEST_SENDING] = FSM_TO(REQUEST_SENT) | FSM_TO(REQUEST_BLOCKED) | FSM_TO(REQUEST_BROKEN),
    [REQUEST_BLOCKED] = FSM_TO(REQUEST_SENDING),
    [REQUEST_BROKEN] = 0,
};
static const struct fsm_def request_fsm = {"provider request", request_names, request_moves,
                                           ARRAY_LEN(request_names)};

struct plain_connection {
    uv_poll_t poll;
    struct origin *origin;
    struct transfer *transfer; /* NULL: idle */
    struct http1_response response;
    struct fsm state, request;
    int fd;                   /* -1: none yet; else `poll` watches it */
    unsigned answers;         /* carried before this one */
    const void *touched[5];   /* by a token; see prefetch */
    size_t sent, total;       /* of the request */
    struct list idle;         /* in plain_pool.idle */
    struct wheel_timer timer; /* see enum plain_state */
    size_t tail_len;
    char tail[TAIL_SIZE]; /* of the request's head */
};

/* ---- Connections ---- */

static void on_closed(uv_handle_t *h)
{
    struct plain_connection *c = CONTAINER_OF((uv_poll_t *)h, struct plain_connection, poll);
    upstream_handle_closed(h, c->origin->u);
    free(c);
}

static void close_connection(struct plain_connection *c)
{
    struct plain_pool *p = &c->origin->plain;
    if (c->state.state == PLAIN_IDLE)
        p->n_idle--;
    list_remove(&c->idle);
    loop_cancel(c->origin->u->loop, &c->timer);
    http1_response_free(&c->response);
    p->n_connections--;
    fsm_move(&c->state, PLAIN_CLOSED);
    if (c->fd < 0) {
        free(c);
        return;
    }
    uv_close((uv_handle_t *)&c->poll, on_closed);
    close(c->fd);
}

/* Nobody has used it for long, or nobody answers at the other end. */
static void on_timer(struct wheel_timer *timer)
{
    struct plain_connection *c = CONTAINER_OF(timer, struct plain_connection, timer);
    if (c->state.state == PLAIN_IDLE) {
        close_connection(c);
        return;
    }
    c->origin->plain.peer_until = 0;
    snprintf(c->transfer->detail, sizeof(c->transfer->detail), "%s", strerror(ETIMEDOUT));
    transfer_over(c->transfer, CURLE_OPERATION_TIMEDOUT);
}

static void make_idle(struct plain_connection *c)
{
    struct origin *o = c->origin;
    fsm_move(&c->state, PLAIN_IDLE);
    c->answers++;
    http1_response_reset(&c->response);
    list_append(&o->plain.idle, &c->idle);
    loop_arm(o->u->loop, &c->timer, o->u->cfg->timeouts.upstream_idle);
    if (++o->plain.n_idle > o->provider->max_idle_connections)
        close_connection(LIST_FIRST(&o->plain.idle, struct plain_connection, idle));
}

/* The one that was used last: the others may grow old and go. */
static struct plain_connection *take_idle(struct plain_pool *p)
{
    struct plain_connection *c = CONTAINER_OF(p->idle.prev, struct plain_connection, idle);
    list_remove(&c->idle);
    p->n_idle--;
    loop_cancel(c->origin->u->loop, &c->timer);
    return c;
}

static void on_socket_event(uv_poll_t *h, int status, int events);
static void begin(struct plain_connection *c);

/* False: no memory; the descriptor is closed. */
static bool watch_socket(struct plain_connection *c, int fd, int events)
{
    struct upstream *u = c->origin->u;
    if (uv_poll_init_socket(&u->loop->uv, &c->poll, fd) != 0) {
        close(fd);
        return false;
    }
    c->fd = fd;
    u->n_handles++;
    return uv_poll_start(&c->poll, events, on_socket_event) == 0;
}

static void set_options(int fd)
{
    static const int on = 1, idle = KEEPALIVE_IDLE_S, gap = KEEPALIVE_GAP_S;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &gap, sizeof(gap));
}

/* Begins to connect to where curl's last connection led; -1: curl shall do it. A provider on this machine is
 * connected at once. */
static int connect_to_peer(struct origin *o, bool *ret_connecting)
{
    struct plain_pool *p = &o->plain;
    if (loop_now(o->u->loop) >= p->peer_until)
        return -1;
    int fd = socket(p->peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_options(fd);
    struct pollfd now = {.fd = fd, .events = POLLOUT};
    if ((connect(fd, (const struct sockaddr *)&p->peer, p->peer_len) != 0 && errno != EINPROGRESS) ||
        poll(&now, 1, 0) < 0 || (now.revents & (POLLERR | POLLHUP))) {
        p->peer_until = 0;
        close(fd);
        return -1;
    }
    *ret_connecting = now.revents == 0;
    return fd;
}

static CURLcode set_connect_only(struct origin *o UNUSED, struct transfer *t UNUSED, CURL *e)
{
    return curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
}

static void on_curl_connected(struct transfer *t, CURLcode result, curl_socket_t fd);

static CURLcode go_on_with(struct plain_connection *c, int fd, bool connecting)
{
    struct upstream *u = c->origin->u;
    if (!watch_socket(c, fd, connecting ? UV_WRITABLE : UV_READABLE))
        return CURLE_OUT_OF_MEMORY;
    if (connecting)
        loop_arm(u->loop, &c->timer, u->cfg->timeouts.connect);
    else
        begin(c);
    return CURLE_OK;
}

static CURLcode connect_anew(struct origin *o, struct transfer *t)
{
    bool connecting = false;
    struct plain_connection *c = calloc(1, sizeof(*c));
    if (!c)
        return CURLE_OUT_OF_MEMORY;
    int fd = connect_to_peer(o, &connecting);
    c->origin = o;
    c->transfer = t;
    c->fd = -1;
    fsm_init(&c->state, &connection_fsm, fd < 0 ? PLAIN_AT_CURL : PLAIN_CONNECTING);
    fsm_init(&c->request, &request_fsm, REQUEST_SENT);
    list_init(&c->idle);
    wheel_timer_init(&c->timer, on_timer);
    http1_response_init(&c->response, MAX_HEAD);
    o->plain.n_connections++;
    t->connection = c;
    CURLcode rc =
        fd < 0 ? curl_loop_start(o, t, set_connect_only, on_curl_connected) : go_on_with(c, fd, connecting);
    if (rc != CURLE_OK) {
        t->connection = NULL;
        close_connection(c);
    }
    return rc;
}

/* ---- The request ---- */

/* What is left of the request, of its three parts. */
static size_t what_to_send(const struct plain_connection *c, struct iovec out[3])
{
    const struct plain_pool *p = &c->origin->plain;
    const struct bytes parts[] = {
        {p->head, p->head_len}, {c->tail, c->tail_len}, buf_bytes(&c->transfer->body)};
    size_t skip = c->sent, n = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        size_t over = MIN(skip, parts[i].len);
        skip -= over;
        if (over < parts[i].len)
            out[n++] = (struct iovec){(void *)(uintptr_t)(parts[i].data + over), parts[i].len - over};
    }
    return n;
}

static void move_request(struct plain_connection *c, enum request_state to)
{
    const bool watched = c->request.state == REQUEST_BLOCKED;
    fsm_move(&c->request, to);
    if (watched || to == REQUEST_BLOCKED)
        uv_poll_start(&c->poll, to == REQUEST_BLOCKED ? UV_READABLE | UV_WRITABLE : UV_READABLE,
                      on_socket_event);
}

/* REQUEST_SENDING: on to its end, or as far as the socket takes it. */
static void send_request(struct plain_connection *c)
{
    while (c->sent < c->total) {
        struct iovec parts[3];
        struct msghdr m = {.msg_iov = parts, .msg_iovlen = what_to_send(c, parts)};
        ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
        if (n >= 0) {
            c->sent += (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            move_request(c, REQUEST_BLOCKED);
            return;
        } else if (errno != EINTR) {
            move_request(c,
                         REQUEST_BROKEN); /* reading meets the cause, behind what the provider still said */
            return;
        }
    }
    move_request(c, REQUEST_SENT);
}

static void add_to_tail(struct plain_connection *c, struct bytes text)
{
    assert(text.len <= sizeof(c->tail) - c->tail_len);
    memcpy(c->tail + c->tail_len, text.data, text.len);
    c->tail_len += text.len;
}

static void begin(struct plain_connection *c)
{
    struct transfer *t = c->transfer;
    char room[BYTES_U64_ROOM];
    c->tail_len = 0;
    if (t->id_line) {
        add_to_tail(c, bytes_cstr(t->id_line));
        add_to_tail(c, BYTES("\r\n"));
    }
    add_to_tail(c, BYTES("Content-Length: "));
    add_to_tail(c, bytes_from_u64(t->body.len, 10, room));
    add_to_tail(c, BYTES("\r\n\r\n"));
    memcpy(c->touched, (const void *[]){t, t->decoder, t->ctx, t->hints[0], t->hints[1]}, sizeof(c->touched));
    c->sent = 0;
    c->total = c->origin->plain.head_len + c->tail_len + t->body.len;
    fsm_move(&c->state, PLAIN_ASKING);
    fsm_move(&c->request, REQUEST_SENDING);
    send_request(c);
}

/* ---- The answer ---- */

static void feed(struct plain_connection *c, struct bytes in)
{
    struct transfer *t = c->transfer;
    struct bytes part;
    for (;;) {
        switch (http1_response_next(&c->response, &in, &part)) {
        case RESPONSE_MORE:
            return;
        case RESPONSE_HEAD_LINE:
            if (transfer_header(t, part))
                break;
            transfer_over(t, CURLE_WRITE_ERROR);
            return;
        case RESPONSE_BODY:
            transfer_body(t, part);
            break;
        case RESPONSE_END:
            if (http1_response_keeps(&c->response) && in.len == 0 && c->request.state == REQUEST_SENT)
                fsm_move(&c->state, PLAIN_ANSWERED);
            transfer_over(t, CURLE_OK);
            return;
        default:
            transfer_over(t, CURLE_WEIRD_SERVER_REPLY);
            return;
        }
    }
}

/* A provider may close an idle connection just when it is used again. Nothing has come back: once, on a new
 * connection, the request is sent again. */
static void try_again(struct plain_connection *c)
{
    struct transfer *t = c->transfer;
    t->connection = NULL;
    close_connection(c);
    CURLcode rc = connect_anew(t->origin, t);
    if (rc != CURLE_OK)
        transfer_over(t, rc);
}

/* The connection has ended; error: errno, or 0. */
static void on_end(struct plain_connection *c, int error)
{
    struct transfer *t = c->transfer;
    const bool silent = c->state.state == PLAIN_ASKING;
    if (c->answers > 0 && silent && transfer_owned(t)) {
        try_again(c);
        return;
    }
    if (error)
        snprintf(t->detail, sizeof(t->detail), "%s", strerror(error));
    if (!error && http1_response_whole_at_close(&c->response))
        transfer_over(t, CURLE_OK);
    else if (c->request.state == REQUEST_BROKEN && silent)
        transfer_over(t, CURLE_SEND_ERROR);
    else if (error)
        transfer_over(t, CURLE_RECV_ERROR);
    else
        transfer_over(t, t->state.state > TRANSFER_ASKED ? CURLE_PARTIAL_FILE : CURLE_GOT_NOTHING);
}

/* With many streams nothing of this one is in the processor's caches any more. It comes while the kernel is
 * busy with the socket. Always inline: gcc takes a function that only prefetches for one that does nothing.
 */
__attribute__((always_inline)) static inline void prefetch(const struct plain_connection *c)
{
    enum { LINE = 64 };
    static const uint8_t lines[ARRAY_LEN(c->touched)] = {6, 5, 4, 3, 3}; /* that tokens touch, of each */
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        for (size_t k = 0; k < lines[i]; k++)
            __builtin_prefetch((const char *)c->touched[i] + k * LINE);
}

/* `to_the_end`: the socket has failed; what came before that is still there to be read. */
static void receive(struct plain_connection *c, bool to_the_end)
{
    struct transfer *t = c->transfer;
    char *inbox = c->origin->u->inbox;
    prefetch(c);
    for (int round = 0; to_the_end || round < INBOX_ROUNDS; round++) {
        ssize_t n = recv(c->fd, inbox, INBOX_SIZE, 0);
        if (n <= 0) {
            int error = n < 0 ? errno : 0;
            if (error == EINTR)
                continue;
            if (to_the_end || (error != EAGAIN && error != EWOULDBLOCK))
                on_end(c, error);
            return;
        }
        if (c->state.state == PLAIN_ASKING)
            fsm_move(&c->state, PLAIN_ANSWERING);
        feed(c, bytes_of(inbox, (size_t)n));
        if (t->carriage.state == CARRIAGE_OVER || (n < INBOX_SIZE && !to_the_end))
            return;
    }
}

/* Ours is connected, or curl shall look for another way. */
static void on_connected(struct plain_connection *c, bool failed)
{
    int error = 0;
    socklen_t len = sizeof(error);
    loop_cancel(c->origin->u->loop, &c->timer);
    if (failed || getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0 ||
        uv_poll_start(&c->poll, UV_READABLE, on_socket_event) != 0) {
        c->origin->plain.peer_until = 0;
        try_again(c);
        return;
    }
    begin(c);
}

static void on_socket_event(uv_poll_t *h, int status, int events)
{
    struct plain_connection *c = CONTAINER_OF(h, struct plain_connection, poll);
    struct upstream *u = c->origin->u;
    if (!c->transfer) {
        close_connection(c); /* closed by its provider, or it speaks without being asked */
        return;
    }
    if (c->state.state == PLAIN_CONNECTING) {
        on_connected(c, status < 0);
    } else {
        if ((events & UV_WRITABLE) && c->request.state == REQUEST_BLOCKED) {
            move_request(c, REQUEST_SENDING);
            send_request(c);
        }
        if (status < 0 || (events & UV_READABLE))
            receive(c, status < 0);
    }
    upstream_event_over(u);
}

/* curl's descriptor goes with its handle; a second one keeps the connection. */
static CURLcode take_socket(struct plain_connection *c, curl_socket_t fd)
{
    struct plain_pool *p = &c->origin->plain;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return CURLE_COULDNT_CONNECT;
    p->peer_len = sizeof(p->peer);
    if (getpeername(own, (struct sockaddr *)&p->peer, &p->peer_len) == 0)
        p->peer_until = loop_now(c->origin->u->loop) + PEER_MS;
    return watch_socket(c, own, UV_READABLE) ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

static void on_curl_connected(struct transfer *t, CURLcode result, curl_socket_t fd)
{
    if (result == CURLE_OK)
        result = take_socket(t->connection, fd);
    curl_loop_stop(t->origin, t, true);
    if (result == CURLE_OK)
        begin(t->connection);
    else
        transfer_over(t, result);
}

/* ---- The transport ---- */

static CURLcode plain_add(struct origin *o, struct transfer *t)
{
    struct plain_pool *p = &o->plain;
    if (p->n_idle == 0 && p->n_connections >= o->provider->max_connections) {
        list_append(&p->waiting, &t->waiting);
        return CURLE_OK;
    }
    if (p->n_idle == 0)
        return connect_anew(o, t);
    t->connection = take_idle(p);
    t->connection->transfer = t;
    begin(t->connection);
    return CURLE_OK;
}

/* A connection has become free, or has gone. */
static void serve_waiting(struct origin *o)
{
    struct plain_pool *p = &o->plain;
    while (!list_empty(&p->waiting) && (p->n_idle > 0 || p->n_connections < o->provider->max_connections)) {
        struct transfer *t = LIST_FIRST(&p->waiting, struct transfer, waiting);
        list_remove(&t->waiting);
        CURLcode rc = t->state.state == TRANSFER_CLOSING ? CURLE_OK : plain_add(o, t);
        if (rc == CURLE_OK)
            continue;
        transfer_over(t, rc);
        transfer_schedule(t);
    }
}

static void plain_remove(struct origin *o, struct transfer *t)
{
    struct plain_connection *c = t->connection;
    list_remove(&t->waiting);
    if (t->easy)
        curl_loop_stop(o, t, true);
    if (!c)
        return;
    t->connection = NULL;
    c->transfer = NULL;
    if (c->state.state == PLAIN_ANSWERED)
        make_idle(c);
    else
        close_connection(c);
    serve_waiting(o);
}

static bool plain_sent(const struct transfer *t)
{
    const struct plain_connection *c = t->connection;
    return c && c->request.state == REQUEST_SENT &&
           (c->state.state == PLAIN_ANSWERING || c->state.state == PLAIN_ANSWERED);
}

CURLcode plain_open(struct origin *o, const char *url)
{
    list_init(&o->plain.idle);
    list_init(&o->plain.waiting);
    return plain_make_head(o, url);
}

void plain_close(struct origin *o)
{
    struct plain_pool *p = &o->plain;
    if (!p->head)
        return;
    LIST_EACH(&p->idle, node)
    {
        close_connection(CONTAINER_OF(node, struct plain_connection, idle));
    }
    explicit_bzero(p->head, p->head_len);
    free(p->head);
    p->head = NULL;
}

const struct transport_ops plain_transport = {.add = plain_add, .remove = plain_remove, .sent = plain_sent};

#include "loadtest/load.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MAX_IN = 64 << 20, MAX_OUT = 16 << 20, SLOW_RCVBUF = 4096 };

void session_update(struct session *s)
{
    bool reading = !s->slow || s->state != SESSION_READY;
    uint32_t events = reading ? EPOLLIN : EPOLLRDHUP | EPOLLET; /* never 0, which stands for not added */
    if (s->state == SESSION_CONNECTING || stream_wants_write(&s->stream))
        events |= EPOLLOUT;
    if (events == s->events)
        return;
    struct epoll_event e = {.events = events, .data.ptr = s};
    if (epoll_ctl(s->load->epoll, s->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->stream.fd, &e) == 0)
        s->events = events;
}

static bool settled_state(enum session_state state)
{
    return state == SESSION_READY || state == SESSION_CLOSED;
}

void session_close(struct session *s)
{
    stream_close(&s->stream);
    buf_free(&s->in);
    buf_free(&s->body);
    ticks_cancel(&s->slow_timer);
    s->state = SESSION_CLOSED;
    s->events = 0;
    s->epoch++;
}

void session_drop(struct session *s, const char *why)
{
    bool was_opening = !settled_state(s->state);
    struct load *l = s->load;
    if (s->state == SESSION_CLOSED)
        return;
    session_close(s);
    if (why && s->running == 0 && (was_opening || l->mode == MODE_WS || l->o.idle))
        load_error(l, why);
    if (!was_opening && l->o.idle)
        l->ready--;
    if (was_opening)
        drive_settled(s);
    for (uint64_t i = 0; i < l->o.lanes && s->running; i++) {
        struct lane *n = &s->lanes[i];
        if (!n->running)
            continue;
        if (!why)
            n->leave_at = 0; /* leaving takes all lanes along */
        answer_over(n, why);
    }
}

/* Beyond the ephemeral ports of one address: 127.0.0.1, 127.0.0.2, ... in turn. */
static bool bind_source(struct session *s, int fd)
{
    struct load *l = s->load;
    struct sockaddr_in to;
    int on = 1;
    memcpy(&to, &l->target.address, sizeof(to));
    if (l->o.sources < 2 || to.sin_family != AF_INET || ntohl(to.sin_addr.s_addr) >> 24 != 127)
        return true;
    uint32_t host = 0x7f000001u + (uint32_t)(l->connections_tried % l->o.sources);
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    return bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0;
}

void session_connect(struct session *s)
{
    struct load *l = s->load;
    int size = SLOW_RCVBUF;
    int fd = socket(l->target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    s->connect_start = now_ns();
    s->state = SESSION_CONNECTING;
    s->http = HTTP_HEAD;
    s->close_after = false;
    l->connecting++;
    if (s->slow && fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (fd < 0 || !bind_source(s, fd) || stream_open(&s->stream, fd, l->tls, false, MAX_OUT) != ERR_OK) {
        s->stream.fd = -1;
        session_drop(s, "connect:no_socket");
        return;
    }
    buf_init(&s->in, MAX_IN);
    buf_init(&s->body, MAX_IN);
    l->connections_tried++;
    if (connect(fd, (struct sockaddr *)&l->target.address, l->target.address_len) < 0 &&
        errno != EINPROGRESS) {
        session_drop(s, errno == EADDRNOTAVAIL ? "connect:no_port" : "connect:refused");
        return;
    }
    session_update(s);
}

void session_ready(struct session *s)
{
    struct load *l = s->load;
    s->state = SESSION_READY;
    l->stats.connects++;
    l->last_news = l->now;
    hist_record(&l->stats.connect, l->now - s->connect_start);
    session_update(s);
    if (s->slow)
        ticks_arm(&l->ticks, &s->slow_timer, l->ticks.now_ms + l->o.slow_every_ms);
    for (uint64_t i = 0; i < l->o.lanes && s->state == SESSION_READY; i++)
        if (s->lanes[i].running && !s->lanes[i].sent)
            lane_start(&s->lanes[i], s->lanes[i].intended);
    drive_settled(s);
}

bool session_send(struct session *s, const void *data, size_t len)
{
    struct iovec part = {(void *)data, len};
    if (stream_write(&s->stream, &part, 1) != ERR_OK) {
        session_drop(s, "closed:while_sending");
        return false;
    }
    session_update(s);
    return true;
}

void lane_start(struct lane *n, uint64_t intended)
{
    struct session *s = n->session;
    struct load *l = s->load;
    if (!n->running) {
        n->running = true;
        n->sent = false;
        n->intended = intended;
        s->running++;
        l->running++;
        l->stats.started++;
        l->last_news = l->now;
        answer_begin(n);
    }
    if (s->state == SESSION_CLOSED)
        session_connect(s);
    if (s->state != SESSION_READY || n->sent)
        return;
    n->sent = true;
    if (l->mode == MODE_WS)
        (void)ws_send(s, 1, buf_bytes(&l->ws_texts[n->number]));
    else
        (void)session_send(s, l->http_request.data, l->http_request.len);
}

/* Input goes straight from the common room to the parser; only what is no whole message yet is kept. False:
 * dropped. */
static bool feed(struct session *s, size_t len)
{
    struct load *l = s->load;
    size_t used = 0;
    bool kept = s->in.len > 0;
    uint32_t epoch = s->epoch;
    l->stats.bytes_in += len;
    l->last_news = l->now;
    if (kept && buf_append(&s->in, l->room, len) != ERR_OK) {
        session_drop(s, "message:too_big");
        return false;
    }
    struct bytes in = kept ? buf_bytes(&s->in) : bytes_of(l->room, len);
    if (!(l->mode == MODE_WS ? ws_feed(s, in, &used) : http_feed(s, in, &used)))
        return false;
    if (!kept)
        return s->epoch == epoch && (used == len || buf_append(&s->in, l->room + used, len - used) == ERR_OK);
    buf_consume(&s->in, used);
    if (s->in.len == 0)
        buf_free(&s->in);
    return true;
}

static void closed(struct session *s)
{
    bool opening = !settled_state(s->state);
    if (s->load->mode != MODE_WS && s->state == SESSION_READY && http_closed_is_end(s))
        return;
    session_drop(s, opening ? "connect:closed" : "closed:by_server");
}

/* Up to `limit` bytes; false: the session has been dropped. */
static bool read_some(struct session *s, size_t limit)
{
    for (size_t total = 0; total < limit;) {
        size_t n = 0, room = MIN(sizeof(s->load->room), limit - total);
        enum err e = stream_read(&s->stream, s->load->room, room, &n);
        s->load->now = now_ns();
        if (e == ERR_AGAIN)
            return true;
        if (e != ERR_OK) {
            closed(s);
            return false;
        }
        total += n;
        if (!feed(s, n))
            return false;
        if (!s->stream.ssl && n < room)
            return true;
    }
    return true;
}

static void on_slow_timer(struct tick_timer *t)
{
    struct session *s = CONTAINER_OF(t, struct session, slow_timer);
    if (!read_some(s, s->load->o.slow_bytes))
        return;
    session_update(s);
    if (!list_linked(&t->node_))
        ticks_arm(&s->load->ticks, t, s->load->ticks.now_ms + s->load->o.slow_every_ms);
}

/* TCP, and TLS if wanted, stand. */
static void opened(struct session *s)
{
    s->state = SESSION_UPGRADING;
    if (s->load->mode == MODE_WS)
        ws_upgrade(s);
    else
        session_ready(s);
}

static void connected(struct session *s)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(s->stream.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error)
        session_drop(s, error == ECONNREFUSED ? "connect:refused" : "connect:failed");
    else if (s->stream.ssl)
        s->state = SESSION_TLS;
    else
        opened(s);
}

static void handshake(struct session *s)
{
    enum err e = stream_handshake(&s->stream);
    if (e == ERR_OK)
        opened(s);
    else if (e != ERR_AGAIN)
        session_drop(s, "connect:tls");
}

void session_event(struct session *s, uint32_t events)
{
    uint32_t epoch = s->epoch;
    s->load->now = now_ns();
    if (s->state == SESSION_CONNECTING)
        connected(s);
    else if (s->state != SESSION_TLS && (events & EPOLLOUT) && stream_flush(&s->stream) != ERR_OK)
        closed(s);
    if (s->epoch == epoch && s->state == SESSION_TLS)
        handshake(s);
    if (s->epoch != epoch || s->state == SESSION_CLOSED)
        return;
    bool slow = s->slow && s->state == SESSION_READY;
    if (slow && (events & (EPOLLHUP | EPOLLERR))) {
        closed(s);
        return;
    }
    if (!slow && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && s->state >= SESSION_UPGRADING &&
        !read_some(s, SIZE_MAX))
        return;
    session_update(s);
}

bool sessions_init(struct load *l)
{
    const struct load_opts *o = &l->o;
    l->sessions = calloc(o->sessions, sizeof(*l->sessions));
    l->lanes = calloc(o->sessions * o->lanes, sizeof(*l->lanes));
    if (!l->sessions || !l->lanes)
        return false;
    for (uint64_t i = 0; i < o->sessions; i++) {
        struct session *s = &l->sessions[i];
        double at = (double)i;
        s->load = l;
        s->index = (uint32_t)i;
        s->stream.fd = -1;
        s->slow = (uint64_t)((at + 1) * o->slow) > (uint64_t)(at * o->slow);
        s->leaver = (uint64_t)((at + 1) * o->leavers) > (uint64_t)(at * o->leavers);
        s->lanes = &l->lanes[i * o->lanes];
        tick_timer_init(&s->slow_timer, on_slow_timer);
        for (uint64_t k = 0; k < o->lanes; k++) {
            s->lanes[k].session = s;
            s->lanes[k].number = (uint16_t)k;
        }
    }
    return true;
}

void sessions_free(struct load *l)
{
    for (uint64_t i = 0; l->sessions && i < l->o.sessions; i++) {
        stream_close(&l->sessions[i].stream);
        buf_free(&l->sessions[i].in);
        buf_free(&l->sessions[i].body);
    }
    free(l->sessions);
    free(l->lanes);
}

#include "gateway/server/ws_conn.h"
#include "common/clock.h"
#include "common/log.h"
#include "gateway/server/http_conn.h"
#include "gateway/server/sinks.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    CLOSE_ROOM = 256,  /* of the queue, for the close frame */
    MAX_UNANSWERED = 2 /* pings in a row */
};

static void wake(void *conn)
{
    conn_mark(conn);
}

static void close_later(void *conn, unsigned code, const char *reason)
{
    ws_close_later(conn, code, reason);
}

static void describe(void *conn, struct asker *ret)
{
    const struct conn *c = conn;
    const struct http_conn *h = c->http;
    ret->ids = c->ids;
    ret->address = bytes_of(c->address, c->address_len);
    ret->websocket = c->ws != NULL;
    ret->endpoint = c->ws ? endpoint_path(c->ws->at) : h && h->endpoint ? endpoint_path(h->endpoint) : NULL;
}

const struct carrier conn_carrier = {wake, close_later, describe};

enum err ws_open(struct conn *c, const struct endpoint *at, const struct principal *who)
{
    const struct ws_endpoint *e = at->websocket;
    const struct config *cfg = c->server->cfg;
    struct ws_conn *w = calloc(1, sizeof(*w));
    if (!w)
        return ERR_NOMEM;
    w->at = at;
    w->endpoint = e;
    w->principal = who ? who->name : NULL;
    ws_init(&w->receiver, (size_t)cfg->limits.max_message_bytes);
    buf_init(&w->queue, CONTROL_MAX);
    w->live_ms = w->ping_ms = server_now(c->server);
    w->session = e->open(c->server->o.env, who, &conn_carrier, c);
    if (!w->session) {
        free(w);
        return ERR_NOMEM;
    }
    c->ids.session = ++c->server->session_number;
    c->server->n_sessions++;
    char address[CONN_ADDRESS_TEXT];
    LOG_DEBUG_OF(&c->ids, "websocket opened principal=%s client=%s endpoint=%s",
                 w->principal ? w->principal : "",
                 conn_address_text(bytes_of(c->address, c->address_len), address), endpoint_path(at));
    c->ws = w;
    return ERR_OK;
}

void ws_log_end(const struct conn *c)
{
    const struct ws_conn *w = c->ws;
    char address[CONN_ADDRESS_TEXT];
    const struct log_ids ids = {.conn = c->ids.conn, .session = c->ids.session};
    log_write(LOG_LEVEL_INFO, &ids,
              "websocket closed principal=%s client=%s endpoint=%s by=%s code=%u total_ms=%llu",
              w->principal ? w->principal : "",
              conn_address_text(bytes_of(c->address, c->address_len), address), endpoint_path(w->at),
              w->end_code == 0 || w->by_peer ? "client" : "gateway", w->end_code ? w->end_code : WS_ABNORMAL,
              (unsigned long long)(server_now(c->server) - c->accepted_ms));
}

void ws_abandon(struct ws_conn *w)
{
    if (!w)
        return;
    w->endpoint->free(w->session);
    w->session = NULL;
}

void ws_conn_free(struct ws_conn *w)
{
    if (!w)
        return;
    ws_abandon(w);
    ws_free(&w->receiver);
    buf_free(&w->queue);
    free(w);
}

void ws_close_later(struct conn *c, unsigned code, const char *reason)
{
    struct ws_conn *w = c->ws;
    if (conn_state(c) != CONN_OPEN || w->close_code != 0)
        return;
    w->close_code = (uint16_t)code;
    snprintf(w->close_reason, sizeof(w->close_reason), "%s", reason ? reason : "");
    conn_mark(c);
}

void ws_close_now(struct conn *c, unsigned code, const char *reason)
{
    struct ws_conn *w = c->ws;
    if (conn_state(c) != CONN_OPEN)
        return;
    LOG_DEBUG_OF(&c->ids, "ws closing code=%u reason=%s", code, reason);
    w->end_code = (uint16_t)code;
    ws_append_close(&w->queue, code, bytes_cstr(reason));
    conn_move(c, CONN_CLOSING);
    ws_abandon(w);
    conn_mark(c);
}

/* Every ping has its pong, in order; but a client that sends pings and does not read gets one for the last of
 * them. */
static void queue_pong(struct conn *c, struct bytes payload)
{
    struct ws_conn *w = c->ws;
    if (w->queue.len + WS_MAX_HEADER + payload.len + CLOSE_ROOM > w->queue.max) {
        if (!w->pong_last)
            return;
        w->queue.len = w->pong_at_;
    }
    w->pong_at_ = w->queue.len;
    w->pong_last = true;
    ws_append(&w->queue, WS_OP_PONG, payload);
    conn_mark(c);
}

static void on_message(struct conn *c, enum ws_event e, struct bytes data)
{
    const struct ws_endpoint *endpoint = c->ws->endpoint;
    if (e == WS_TEXT || endpoint->binary)
        endpoint->message(c->ws->session, data, e != WS_TEXT, clock_unix_s());
    else
        ws_close_now(c, WS_UNSUPPORTED, "messages are text");
}

/* The peer's close frame answers ours, or is answered with its own code, behind what was there to be said;
 * then the server is the first to end the stream. */
static void on_close(struct conn *c, const struct ws_incoming *in)
{
    if (c->ws->session && !conn_blocked(c))
        ws_flush(c);
    c->ws->by_peer = conn_state(c) == CONN_OPEN;
    ws_close_now(c, in->code, "");
    c->ws->hang_up = true;
    conn_mark(c);
}

void ws_input(struct conn *c, char *data, size_t len)
{
    struct ws_conn *w = c->ws;
    struct ws_incoming in;
    enum ws_event e;
    while (!conn_dead(c) && !w->hang_up && (e = ws_feed(&w->receiver, &data, &len, &in)) != WS_MORE) {
        w->live_ms = c->rx_ms;
        if (e == WS_FAIL) {
            ws_close_now(c, in.code, in.data.data);
            w->hang_up = true;
            conn_mark(c);
        } else if (e == WS_CLOSE) {
            on_close(c, &in);
        } else if (conn_state(c) != CONN_OPEN || e == WS_PONG) {
            continue;
        } else if (e == WS_PING) {
            queue_pong(c, in.data);
        } else {
            on_message(c, e, in.data);
        }
    }
    if (w->hang_up)
        ws_free(&w->receiver);
}

static void take_queue(struct ws_conn *w, struct buf *out)
{
    if (w->queue.len == 0)
        return;
    buf_append_bytes(out, buf_bytes(&w->queue));
    buf_free(&w->queue);
    w->pong_last = false;
}

/* What the session has to say, up to the budget; true when there is more. */
static bool pull(struct conn *c, struct buf *out)
{
    struct ws_conn *w = c->ws;
    struct event_sink sink = ws_sink(out);
    bool more = w->endpoint->pull(w->session, &sink, FLUSH_BUDGET);
    if (out->failed) {
        LOG_WARN("ws an event does not fit into memory");
        buf_reset(out);
        ws_close_now(c, WS_INTERNAL_ERROR, "out of memory");
        return false;
    }
    if (more)
        return true;
    if (w->close_code == 0 && server_phase(c->server) != PHASE_SERVING && !w->endpoint->busy(w->session))
        ws_close_now(c, WS_RESTART, "going away");
    else if (w->close_code != 0)
        ws_close_now(c, w->close_code, w->close_reason);
    return false;
}

void ws_flush(struct conn *c)
{
    struct ws_conn *w = c->ws;
    struct buf *out = &c->server->out;
    bool more = false;
    buf_reset(out);
    take_queue(w, out);
    if (w->session)
        more = pull(c, out);
    take_queue(w, out);
    conn_send(c, buf_bytes(out));
    if (more && !conn_blocked(c))
        conn_mark(c);
    if (w->hang_up && !conn_dead(c))
        conn_finish(c);
}

void ws_drain(struct conn *c)
{
    struct ws_conn *w = c->ws;
    if (w->session)
        w->endpoint->going_away(w->session, c->server->drain_ms);
    conn_mark(c);
}

static uint64_t ping_due(const struct conn *c)
{
    const struct ws_conn *w = c->ws;
    return conn_blocked(c) ? UINT64_MAX : MAX(c->rx_ms, w->ping_ms) + c->server->cfg->timeouts.ping;
}

uint64_t ws_due(const struct conn *c)
{
    uint64_t ping;
    if (conn_state(c) == CONN_CLOSING)
        return c->since_ms + CLOSING_MS;
    ping = ping_due(c);
    return MIN(ping, c->ws->live_ms + c->server->cfg->timeouts.idle);
}

/* A peer that is gone without a word answers no pings. */
static void ping(struct conn *c, uint64_t now)
{
    struct ws_conn *w = c->ws;
    w->unanswered = (uint8_t)(w->ping_ms > c->rx_ms ? w->unanswered + 1 : 0);
    if (w->unanswered >= MAX_UNANSWERED) {
        LOG_DEBUG_OF(&c->ids, "conn closed reason=\"pings are not answered\"");
        conn_doom(c);
        return;
    }
    w->ping_ms = now;
    w->pong_last = false;
    if (w->queue.len + CLOSE_ROOM <= w->queue.max)
        ws_append(&w->queue, WS_OP_PING, (struct bytes){NULL, 0});
    conn_mark(c);
}

void ws_timer(struct conn *c, uint64_t now)
{
    struct ws_conn *w = c->ws;
    if (conn_state(c) == CONN_CLOSING) {
        conn_finish(c);
    } else if (now >= w->live_ms + c->server->cfg->timeouts.idle) {
        ws_close_now(c, WS_NORMAL, "idle");
    } else if (now >= ping_due(c)) {
        ping(c, now);
    }
}

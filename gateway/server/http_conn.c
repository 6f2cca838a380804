#include "gateway/server/http_conn.h"
#include "common/log.h"
#include "gateway/server/sinks.h"
#include "gateway/server/ws_conn.h"
#include <stdlib.h>

static struct http_conn *http_conn_new(const struct conn *c)
{
    const struct config *cfg = c->server->cfg;
    struct http_conn *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    http1_init(&h->parser, (size_t)cfg->limits.max_header_bytes, (size_t)cfg->limits.max_message_bytes);
    buf_init(&h->held, HELD_MAX);
    buf_init(&h->headers, HTTP_HEADERS_MAX);
    return h;
}

void http_abandon(struct http_conn *h)
{
    if (!h)
        return;
    exchange_free(h->exchange);
    h->exchange = NULL;
}

/* What belongs to one request alone. */
static void forget_request(struct http_conn *h)
{
    http_abandon(h);
    free(h->refusal);
    buf_reset(&h->headers);
    h->refusal = NULL;
    free(h->name);
    h->endpoint = NULL;
    h->name = NULL;
    h->asset = NULL;
    h->who = NULL;
    h->request_id[0] = 0;
    h->accounted = h->head_only = h->expecting = h->options = h->not_modified = h->streaming = false;
}

void http_conn_free(struct http_conn *h)
{
    if (!h)
        return;
    forget_request(h);
    http1_free(&h->parser);
    buf_free(&h->held);
    buf_free(&h->headers);
    free(h);
}

/* The request has been answered: the next one, or the end. */
static void done(struct conn *c)
{
    struct http_conn *h = c->http;
    if (conn_dead(c))
        return;
    forget_request(h);
    if (h->keep_alive && peer_leave(c) && server_phase(c->server) == PHASE_SERVING) {
        conn_move(c, CONN_IDLE);
        if (h->held.len > 0)
            conn_mark(c);
    } else {
        conn_finish(c);
    }
}

static void answer_refusal(struct conn *c)
{
    if (!c->http->accounted)
        refusal_of_request(c, c->http->refusal);
    http_answer_error(c, c->http->refusal);
    done(c);
}

static void on_bad(struct conn *c)
{
    static const struct {
        int status;
        const char *code;
    } codes[] = {{408, "request_timeout"},           {413, "request_too_large"}, {431, "headers_too_large"},
                 {417, "expectation_failed"},        {501, "not_implemented"},   {503, "server_overloaded"},
                 {505, "http_version_not_supported"}};
    struct http_conn *h = c->http;
    const char *code = "bad_request";
    struct api_error e;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].status == h->parser.status)
            code = codes[i].code;
    api_error_set(&e, h->parser.status, h->parser.status >= 500 ? API_SERVER : API_INVALID, code, NULL,
                  "The HTTP request was refused: %s.", h->parser.reason);
    if (!h->request_id[0])
        id_make("req_", h->request_id, sizeof(h->request_id));
    h->keep_alive = false;
    conn_move(c, CONN_ANSWER);
    refusal_of_request(c, &e);
    http_answer_error(c, &e);
    done(c);
}

/* 100 invites a body; a refusal that is known already spares it. */
static void on_expectation(struct conn *c)
{
    struct http_conn *h = c->http;
    if (!h->refusal) {
        conn_send(c, BYTES("HTTP/1.1 100 Continue\r\n\r\n"));
        return;
    }
    h->keep_alive = false;
    conn_move(c, CONN_ANSWER);
    answer_refusal(c);
}

static void on_head(struct conn *c)
{
    struct http_conn *h = c->http;
    front_head(c, &c->server->request);
    if (conn_state(c) != CONN_REQUEST)
        return;
    h->parser.drop = h->refusal != NULL;
    if (h->expecting)
        on_expectation(c);
}

static void on_complete(struct conn *c)
{
    struct http_conn *h = c->http;
    conn_move(c, CONN_ANSWER);
    h->event_ms = server_now(c->server);
    if (!h->refusal)
        front_body(c, h->parser.body);
    /* An exchange that was started has its first event a turn from here at least. */
    if (h->refusal)
        answer_refusal(c);
    else if (!h->exchange)
        done(c);
}

static bool may_go_on(const struct conn *c)
{
    return !conn_dead(c) && !conn_blocked(c) && (conn_state(c) == CONN_IDLE || conn_state(c) == CONN_REQUEST);
}

static void hold(struct conn *c, struct bytes rest)
{
    if (buf_append_bytes(&c->http->held, rest) != ERR_OK) {
        LOG_DEBUG_OF(&c->ids, "conn closed reason=\"too much pipelined\"");
        conn_doom(c);
    }
}

/* The first request's time runs from accept, later ones' from their first byte. */
static void begin_request(struct conn *c)
{
    const uint64_t since = c->since_ms;
    conn_move(c, CONN_REQUEST);
    if (!c->served) {
        c->since_ms = since;
        conn_arm(c);
    }
}

static void process(struct conn *c, struct bytes in)
{
    struct http_conn *h = c->http;
    enum http1_result r = HTTP1_HEAD;
    while (r != HTTP1_MORE && may_go_on(c)) {
        if (conn_state(c) == CONN_IDLE) {
            if (in.len == 0)
                break;
            begin_request(c);
        }
        r = http1_feed(&h->parser, &in, &c->server->request);
        if (r == HTTP1_HEAD)
            on_head(c);
        else if (r == HTTP1_COMPLETE)
            on_complete(c);
        else if (r == HTTP1_BAD)
            on_bad(c);
    }
    if (conn_dead(c) || c->finishing_)
        return;
    if (conn_state(c) == CONN_OPEN) {
        c->http = NULL;
        c->ids.request = NULL;
        ws_input(c, (char *)(uintptr_t)in.data, in.len);
        http_conn_free(h);
    } else if (in.len > 0) {
        hold(c, in);
    }
}

/* Between requests a connection needs nothing of this. */
static void settle(struct conn *c)
{
    struct http_conn *h = c->http;
    if (h && conn_state(c) == CONN_IDLE && h->held.len == 0) {
        c->http = NULL;
        c->ids.request = NULL;
        http_conn_free(h);
    }
}

void http_input(struct conn *c, char *data, size_t len)
{
    if (!c->http)
        c->http = http_conn_new(c);
    if (!c->http)
        conn_doom(c);
    else if (c->http->held.len > 0 || !may_go_on(c))
        hold(c, bytes_of(data, len));
    else
        process(c, bytes_of(data, len));
    settle(c);
}

static void flush_stream(struct conn *c)
{
    struct http_conn *h = c->http;
    struct event_sink sink = sse_sink(http_stream_begin(c));
    bool more = exchange_pull(h->exchange, &sink, HTTP_HEAD_ROOM + FLUSH_BUDGET);
    bool last = exchange_done(h->exchange);
    if (h->streaming && !last && sink.out->len == HTTP_HEAD_ROOM)
        return;
    http_stream_send(c, last);
    h->event_ms = server_now(c->server);
    if (last)
        done(c);
    else if (more && !conn_blocked(c))
        conn_mark(c);
    conn_arm(c);
}

static void flush_answer(struct conn *c)
{
    struct answer a = {.content_type = "application/json"};
    a.status = exchange_answer(c->http->exchange, http_answer_begin(c), &a.retry_after_s);
    http_answer_send(c, &a);
    done(c);
}

static void flush_held(struct conn *c)
{
    struct http_conn *h = c->http;
    struct buf held = h->held;
    buf_init(&h->held, HELD_MAX);
    process(c, buf_bytes(&held));
    buf_free(&held);
}

void http_flush(struct conn *c)
{
    struct http_conn *h = c->http;
    if (!h)
        return;
    if (conn_state(c) == CONN_ANSWER && h->exchange) {
        enum exchange_state state = exchange_state(h->exchange);
        if (state == EXCHANGE_STREAMING)
            flush_stream(c);
        else if (state == EXCHANGE_ANSWER)
            flush_answer(c);
    } else if (h->held.len > 0 && may_go_on(c)) {
        flush_held(c);
    }
    settle(c);
}

uint64_t http_due(const struct conn *c)
{
    const struct http_conn *h = c->http;
    if (!h || !h->exchange || !exchange_may_stream(h->exchange) || conn_blocked(c))
        return UINT64_MAX;
    return h->event_ms + c->server->cfg->timeouts.heartbeat;
}

/* A comment: proxies and clients see that the stream lives, and we see it when the client does not. */
static void heartbeat(struct conn *c, uint64_t now)
{
    struct http_conn *h = c->http;
    exchange_commit_stream(h->exchange);
    buf_append_bytes(http_stream_begin(c), BYTES(": keep-alive\n\n"));
    http_stream_send(c, false);
    h->event_ms = now;
}

void http_timer(struct conn *c, uint64_t now)
{
    if (conn_state(c) == CONN_REQUEST) {
        c->http->parser.status = 408;
        c->http->parser.reason = "it took too long to arrive";
        on_bad(c);
    } else if (http_due(c) <= now) {
        heartbeat(c, now);
    }
}

#include "gateway/session/account.h"
#include "gateway/session/lane.h"
#include "gateway/session/ws_endpoint.h"
#include "protocols/responses/client_event.h"
#include "protocols/responses/server_event.h"
#include <stdlib.h>

/* A client that sends rubbish and does not read the answers is let go. The answers to all that fits into one
 * read fit in. */
enum { MAX_NOTICE_BYTES = 512 * 1024 };

struct session *session_open(struct session_env *env, const struct principal *who,
                             const struct carrier *carrier, void *conn)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->env = env;
    s->who = who;
    s->carrier = carrier;
    s->conn = conn;
    list_init(&s->lanes);
    list_init(&s->answering);
    list_init(&s->notices);
    return s;
}

/* The oldest notice, now the caller's to free; NULL: none waits. */
static struct notice *take_notice(struct session *s)
{
    struct list *node = list_take(&s->notices);
    if (!node)
        return NULL;
    struct notice *n = CONTAINER_OF(node, struct notice, node);
    s->notice_bytes -= n->len;
    return n;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    while (!list_empty(&s->lanes))
        lane_free(LIST_FIRST(&s->lanes, struct lane, node));
    for (struct notice *n; (n = take_notice(s));)
        free(n);
    free(s);
}

static void close_session(struct session *s, unsigned code, const char *reason)
{
    if (s->closing)
        return;
    s->closing = true;
    s->carrier->close(s->conn, code, reason);
}

static void notify(struct session *s, const struct buf *text)
{
    struct notice *n = NULL;
    if (!text->failed && s->notice_bytes + text->len <= MAX_NOTICE_BYTES)
        n = calloc(1, sizeof(*n) + text->len);
    if (!n) {
        close_session(s, 1008, "too many unread answers");
        return;
    }
    n->len = text->len;
    memcpy(n->text, text->data, text->len);
    list_init(&n->node);
    list_append(&s->notices, &n->node);
    s->notice_bytes += n->len;
    s->carrier->wake(s->conn);
}

void session_error(struct session *s, struct bytes stream_id, const struct api_error *e)
{
    struct buf text;
    buf_init(&text, MAX_NOTICE_BYTES);
    server_event_error(e, stream_id, &text);
    notify(s, &text);
    buf_free(&text);
}

void session_refuse(struct session *s, struct bytes stream_id, const struct call *c,
                    const struct api_error *e)
{
    account_refused(s->env, s->carrier, s->conn, s->who, c, e);
    session_error(s, stream_id, e);
}

void session_going_away(struct session *s, uint64_t deadline_ms)
{
    struct buf text;
    buf_init(&text, MAX_NOTICE_BYTES);
    server_event_going_away(deadline_ms, &text);
    notify(s, &text);
    buf_free(&text);
}

static void on_create(struct session *s, struct call *c)
{
    struct api_error e;
    struct bytes stream_id = {NULL, 0};
    account_begin(s->env, s->carrier, s->conn);
    enum err err = call_decode(c, &dialect_responses, &e);
    if (err == ERR_OK) {
        stream_id = c->request.stream_id;
        struct lane *l = NULL;
        if (!phase_serving(s->env->phase)) {
            error_draining(&e);
        } else {
            l = lane_get(s, stream_id, &e);
        }
        if (l) {
            lane_submit(l, c);
            return;
        }
    } else {
        stream_id = client_event_stream_id(&c->doc, &c->arena);
    }
    session_refuse(s, stream_id, c, &e);
    call_free(c);
}

static struct lane_turn *find_answering(struct session *s, struct bytes response_id)
{
    LIST_EACH(&s->answering, node)
    {
        struct lane_turn *f = CONTAINER_OF(node, struct lane_turn, turn.node);
        if (bytes_is(response_id, f->turn.cursor.response->id))
            return f;
    }
    return NULL;
}

static void on_cancel(struct session *s, const struct client_event *ev)
{
    struct api_error e;
    struct lane_turn *f;
    if (ev->response_id.len > 0) {
        f = find_answering(s, ev->response_id);
        if (!f)
            api_error_set(&e, 404, API_INVALID, "response_not_found", "response_id",
                          "No response '%.*s' is in flight on this connection.",
                          (int)MIN(ev->response_id.len, 80), ev->response_id.data);
    } else {
        const struct lane *l = lane_find(s, ev->stream_id);
        f = l ? l->current : NULL;
        if (!f)
            api_error_set(&e, 404, API_INVALID, "response_not_found", "stream_id",
                          "No response is in flight in this lane.");
    }
    if (f)
        turn_cancel(&f->turn);
    else
        session_error(s, ev->stream_id, &e);
}

static void on_ping(struct session *s, const struct client_event *ev)
{
    struct buf text;
    buf_init(&text, MAX_NOTICE_BYTES);
    server_event_pong(ev, &text);
    notify(s, &text);
    buf_free(&text);
}

void session_message(struct session *s, struct bytes text, int64_t now_s)
{
    struct call *c = NULL;
    struct api_error e;
    struct client_event ev;
    if (s->closing)
        return;
    enum err err = call_new(s->env->cfg, s->who, text, &c, &e);
    if (err == ERR_OK)
        err = client_event_decode(&c->doc, &c->arena, &ev, &e);
    if (err != ERR_OK) {
        account_begin(s->env, s->carrier, s->conn);
        session_refuse(s, c ? client_event_stream_id(&c->doc, &c->arena) : (struct bytes){NULL, 0}, c, &e);
        call_free(c);
        return;
    }
    c->now_s = now_s;
    if (ev.type == CLIENT_RESPONSE_CREATE) {
        on_create(s, c);
        return;
    }
    if (ev.type == CLIENT_RESPONSE_CANCEL)
        on_cancel(s, &ev);
    else
        on_ping(s, &ev);
    call_free(c);
}

static void pull_notices(struct session *s, struct event_sink *sink, size_t budget)
{
    while (!list_empty(&s->notices) && sink->out->len < budget) {
        struct notice *n = take_notice(s);
        sink->begin(sink, NULL);
        buf_append(sink->out, n->text, n->len);
        sink->end(sink);
        free(n);
    }
}

bool session_pull(struct session *s, struct event_sink *sink, size_t budget)
{
    pull_notices(s, sink, budget);
    /* A turn may have been refused after it had to wait. */
    session_start_queued(s);
    /* Each answer once, beginning with the one that waited longest. */
    for (unsigned turns = s->n_answering; turns > 0 && sink->out->len < budget; turns--) {
        struct lane_turn *f = LIST_FIRST(&s->answering, struct lane_turn, turn.node);
        cursor_encode(&f->turn.cursor, sink, budget);
        if (s->n_answering > 1) {
            list_remove(&f->turn.node);
            list_append(&s->answering, &f->turn.node);
        }
        if (cursor_done(&f->turn.cursor))
            lane_finish(f);
    }
    if (!list_empty(&s->notices))
        return true;
    LIST_EACH(&s->answering, node)
    {
        if (!cursor_at_end(&CONTAINER_OF(node, struct lane_turn, turn.node)->turn.cursor))
            return true;
    }
    return false;
}

bool session_busy(const struct session *s)
{
    return s->n_active > 0 || s->n_queued > 0 || !list_empty(&s->notices);
}

static void *open_object(struct session_env *env, const struct principal *who, const struct carrier *carrier,
                         void *conn)
{
    return session_open(env, who, carrier, conn);
}

static void free_object(void *s)
{
    session_free(s);
}

static void object_message(void *s, struct bytes text, bool binary UNUSED, int64_t now_s)
{
    session_message(s, text, now_s);
}

static bool object_pull(void *s, struct event_sink *sink, size_t budget)
{
    return session_pull(s, sink, budget);
}

static bool object_busy(const void *s)
{
    return session_busy(s);
}

static void object_going_away(void *s, uint64_t deadline_ms)
{
    session_going_away(s, deadline_ms);
}

const struct ws_endpoint ws_responses = {
    .protocol = "responses",
    .open = open_object,
    .free = free_object,
    .message = object_message,
    .pull = object_pull,
    .busy = object_busy,
    .going_away = object_going_away,
};

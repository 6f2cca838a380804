#include "gateway/session/exchange.h"
#include "gateway/session/account.h"
#include "gateway/session/lane.h"
#include "gateway/session/turn.h"
#include <stdio.h>
#include <stdlib.h>

/* created and in_progress: what is in a log before its provider has said anything. */
enum { EVENTS_BEFORE_FIRST = 2 };

struct exchange {
    struct turn turn;
    bool stream;    /* the client asked for it */
    bool committed; /* the head of the stream has been sent */
};

static void on_answering(struct turn *t)
{
    t->cursor.encoder.include_usage = t->call->request.include_usage;
}

/* At once, which exchange_start sees, or later, which exchange_state tells. */
static void on_refused(struct turn *t)
{
    t->carrier->wake(t->conn);
}

static const struct turn_ops exchange_ops = {.answering = on_answering, .refused = on_refused};

static enum err check(const struct call *c, struct api_error *ret_error)
{
    if (c->request.previous_response_id.len == 0)
        return ERR_OK;
    api_error_set(ret_error, 400, API_INVALID, "previous_response_not_found", "previous_response_id",
                  "No response is stored here: over HTTP, send the conversation as input; over WebSocket, a "
                  "connection remembers its own.");
    return ERR_NOT_FOUND;
}

/* The HTTP request's: the client and the provider hear the same one. */
static void take_request_id(struct call *c, const struct carrier *carrier, void *conn)
{
    struct asker client = {.endpoint = NULL};
    if (carrier->describe)
        carrier->describe(conn, &client);
    if (client.ids.request)
        (void)snprintf(c->request_id, sizeof(c->request_id), "%s", client.ids.request);
}

struct exchange *exchange_start(struct session_env *env, const struct principal *who, const struct dialect *d,
                                struct bytes body, int64_t now_s, const struct carrier *carrier, void *conn,
                                struct api_error *ret_error)
{
    struct call *c = NULL;
    account_begin(env, carrier, conn);
    if (call_new(env->cfg, who, body, &c, ret_error) != ERR_OK)
        goto refused;
    c->now_s = now_s;
    take_request_id(c, carrier, conn);
    if (call_decode(c, d, ret_error) != ERR_OK)
        goto refused;
    struct exchange *x = calloc(1, sizeof(*x));
    if (!x) {
        api_error_no_memory(ret_error);
        goto refused;
    }
    x->stream = c->request.stream;
    turn_init(&x->turn, &exchange_ops, env, carrier, conn, d, c);
    if (phase_serving(env->phase) && check(c, &c->error) != ERR_OK)
        turn_refuse(&x->turn);
    else
        turn_begin(&x->turn);
    if (x->turn.state.state != TURN_REFUSED)
        return x;
    *ret_error = *turn_error(&x->turn);
    exchange_free(x);
    return NULL;
refused:
    account_refused(env, carrier, conn, who, c, ret_error);
    call_free(c);
    return NULL;
}

void exchange_free(struct exchange *x)
{
    if (!x)
        return;
    turn_end(&x->turn);
    free(x);
}

enum exchange_state exchange_state(const struct exchange *x)
{
    if (x->turn.state.state == TURN_REFUSED)
        return EXCHANGE_ANSWER;
    if (!turn_answering(&x->turn))
        return EXCHANGE_WAITING;
    const struct llm_log *log = &x->turn.cursor.response->log;
    if (x->committed)
        return EXCHANGE_STREAMING;
    if (log->ended &&
        (!x->stream || (log->terminal == LLM_EV_FAILED && log->count <= EVENTS_BEFORE_FIRST + 1)))
        return EXCHANGE_ANSWER;
    if (x->stream && log->count > EVENTS_BEFORE_FIRST)
        return EXCHANGE_STREAMING;
    return EXCHANGE_WAITING;
}

bool exchange_may_stream(const struct exchange *x)
{
    return x->stream && turn_answering(&x->turn);
}

void exchange_commit_stream(struct exchange *x)
{
    x->committed = true;
    x->turn.status = 200;
}

bool exchange_pull(struct exchange *x, struct event_sink *sink, size_t budget)
{
    exchange_commit_stream(x);
    cursor_encode(&x->turn.cursor, sink, budget);
    return !cursor_at_end(&x->turn.cursor);
}

bool exchange_done(const struct exchange *x)
{
    return cursor_done(&x->turn.cursor);
}

static int answer_error(struct exchange *x, const struct api_error *e, struct buf *out,
                        int *ret_retry_after_s)
{
    x->turn.dialect->encode_error(e, out);
    *ret_retry_after_s = e->retry_after_s;
    x->turn.whole = true;
    return x->turn.status = e->status;
}

int exchange_answer(struct exchange *x, struct buf *out, int *ret_retry_after_s)
{
    if (!turn_answering(&x->turn))
        return answer_error(x, turn_error(&x->turn), out, ret_retry_after_s);
    const struct llm_log *log = &x->turn.cursor.response->log;
    if (log->terminal == LLM_EV_FAILED)
        return answer_error(x, &log->end.error, out, ret_retry_after_s);
    x->turn.dialect->encode_answer(&x->turn.cursor.response->head, log, out);
    *ret_retry_after_s = 0;
    x->turn.whole = true;
    return x->turn.status = 200;
}

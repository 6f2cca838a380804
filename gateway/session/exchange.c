#include "gateway/session/exchange.h"
#include "gateway/session/lane.h"
#include <stdlib.h>

/* created and in_progress: what is in a log before its provider has said anything. */
enum { EVENTS_BEFORE_FIRST = 2 };

struct exchange {
    struct call *call;
    struct cursor cursor;
    bool stream;    /* the client asked for it */
    bool committed; /* the head of the stream has been sent */
};

static enum err check(struct session_env *env, const struct call *c, struct api_error *ret_error)
{
    if (!phase_serving(env->phase)) {
        error_draining(ret_error);
        return ERR_CLOSED;
    }
    if (c->request.previous_response_id.len > 0) {
        api_error_set(ret_error, 400, API_INVALID, "previous_response_not_found", "previous_response_id",
                      "No response is stored here: over HTTP, send the conversation as input; over "
                      "WebSocket, a connection "
                      "remembers its own.");
        return ERR_NOT_FOUND;
    }
    return ERR_OK;
}

static enum err run(struct session_env *env, struct call *c, const struct dialect *d,
                    struct api_error *ret_error)
{
    enum err err = call_decode(c, d, ret_error);
    if (err == ERR_OK)
        err = check(env, c, ret_error);
    if (err != ERR_OK)
        return err;
    if (pipeline_run(env->pipeline, c) != STAGE_DONE) {
        *ret_error = c->error;
        return ERR_INVALID;
    }
    return ERR_OK;
}

struct exchange *exchange_start(struct session_env *env, const struct principal *who, const struct dialect *d,
                                struct bytes body, int64_t now_s, const struct carrier *carrier, void *conn,
                                struct api_error *ret_error)
{
    struct call *c = NULL;
    struct exchange *x = NULL;
    if (call_new(env->cfg, who, body, &c, ret_error) != ERR_OK)
        return NULL;
    c->now_s = now_s;
    if (run(env, c, d, ret_error) != ERR_OK)
        goto fail;
    x = calloc(1, sizeof(*x));
    if (!x || cursor_attach(&x->cursor, c->response, d, 0, carrier->wake, conn) != ERR_OK) {
        api_error_no_memory(ret_error);
        goto fail;
    }
    x->cursor.encoder.include_usage = c->request.include_usage;
    x->stream = c->request.stream;
    x->call = c;
    response_unref(c->response);
    c->response = NULL;
    carrier->wake(conn);
    return x;
fail:
    free(x);
    call_free(c);
    return NULL;
}

void exchange_free(struct exchange *x)
{
    if (!x)
        return;
    response_forget_request(x->cursor.response);
    cursor_detach(&x->cursor);
    call_free(x->call);
    free(x);
}

enum exchange_state exchange_state(const struct exchange *x)
{
    const struct llm_log *log = &x->cursor.response->log;
    if (x->committed)
        return EXCHANGE_STREAMING;
    if (log->ended &&
        (!x->stream || (log->terminal == LLM_EV_FAILED && log->count <= EVENTS_BEFORE_FIRST + 1)))
        return EXCHANGE_ANSWER;
    if (x->stream && log->count > EVENTS_BEFORE_FIRST)
        return EXCHANGE_STREAMING;
    return EXCHANGE_WAITING;
}

bool exchange_wants_stream(const struct exchange *x)
{
    return x->stream;
}

void exchange_commit_stream(struct exchange *x)
{
    x->committed = true;
}

bool exchange_pull(struct exchange *x, struct event_sink *sink, size_t budget)
{
    cursor_encode(&x->cursor, sink, budget);
    return !cursor_at_end(&x->cursor);
}

bool exchange_done(const struct exchange *x)
{
    return cursor_done(&x->cursor);
}

int exchange_answer(struct exchange *x, struct buf *out, int *ret_retry_after_s)
{
    const struct llm_log *log = &x->cursor.response->log;
    if (log->terminal == LLM_EV_FAILED) {
        const struct api_error *e = &log->end.error;
        x->cursor.dialect->encode_error(e, out);
        *ret_retry_after_s = e->retry_after_s;
        return e->status;
    }
    x->cursor.dialect->encode_answer(&x->cursor.response->head, log, out);
    *ret_retry_after_s = 0;
    return 200;
}

const char *exchange_request_id(const struct exchange *x)
{
    return x->call->request_id;
}

#pragma once
/* One HTTP request for an answer: the same pipeline, log and cursor as a session's, once. */
#include "gateway/session/session.h"

struct exchange;

enum exchange_state {
    EXCHANGE_WAITING,   /* nothing to say yet */
    EXCHANGE_STREAMING, /* stream: exchange_pull has events, or will have */
    EXCHANGE_ANSWER,    /* ended: exchange_answer gives the object, or the error with its status */
};

/* Refused at once: NULL, with *ret_error. One that is refused later, by a stage that had to wait, is
 * EXCHANGE_ANSWER. */
struct exchange *exchange_start(struct session_env *env, const struct principal *who, const struct dialect *d,
                                struct bytes body, int64_t now_s, const struct carrier *carrier, void *conn,
                                struct api_error *ret_error);
/* Cancels if unfinished; frees. */
void exchange_free(struct exchange *x);
/* A failure before the first token is EXCHANGE_ANSWER also for a streaming request, so that it can have its
 * HTTP status. */
enum exchange_state exchange_state(const struct exchange *x);
/* It is to be a stream, and nothing but an answer will come any more. */
bool exchange_may_stream(const struct exchange *x);
/* From now on stream, whatever comes: the head has been sent (heartbeat on a silent provider). */
void exchange_commit_stream(struct exchange *x);
/* As session_pull. */
bool exchange_pull(struct exchange *x, struct event_sink *sink, size_t budget);
/* The stream has been pulled to its end. */
bool exchange_done(const struct exchange *x);
/* The body, and its HTTP status; *ret_retry_after_s > 0: the header. */
int exchange_answer(struct exchange *x, struct buf *out, int *ret_retry_after_s);

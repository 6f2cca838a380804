#pragma once
/* An answer is a log, a client is a cursor. See "The one idea" of the design.
 *
 * A response owns its log and its upstream transfer. Cursors read. Nothing is queued for a client. */
#include "common/ids.h"
#include "common/list.h"
#include "gateway/response/attempt.h"

/* All responses of a worker: the memory budget, and the reap list. */
struct response_pool {
    struct upstream *upstream;
    size_t bytes;     /* held by all logs */
    size_t max_bytes; /* limits.max_responses_bytes */
    size_t max_response_bytes;
    struct list live;
    struct list reap;
    unsigned n_live;
};

struct response {
    struct list cursors;
    struct response_pool *pool;
    size_t accounted_;
    unsigned refs;
    struct llm_builder builder;
    struct llm_log log;
    struct attempts attempts;
    struct list node_; /* in pool->live or pool->reap */
    const struct config_key *owner;
    char id[ID_MAX];
};

struct cursor {
    struct list node_;
    struct response *response; /* NULL when detached */
    struct llm_encoder encoder;
    const struct dialect *dialect;
    void (*wake)(void *ctx); /* the log has grown or ended; must only mark, not read */
    void *ctx;
};

void response_pool_init(struct response_pool *p, struct upstream *u, const struct config *cfg);
/* Frees what was released since the last call. Once a loop turn, never from inside a callback of a response.
 */
void response_pool_reap(struct response_pool *p);
/* True past the high-water mark: shed new requests. */
bool response_pool_full(const struct response_pool *p);

/* A new response with a fresh id ("resp_" + 128 random bits) and one reference. head->id is ignored. NULL: no
 * memory. */
struct response *response_new(struct response_pool *p, const struct config_key *owner,
                              const struct llm_log_head *head);
void response_ref(struct response *r);
/* Dropping the last reference cancels what still runs; the memory goes in the next reap. NULL-safe. */
void response_unref(struct response *r);
/* Logs created and in_progress, and begins the first attempt. What of the plan must be kept: attempt.h. */
void response_start(struct response *r, const struct attempt_plan *plan);
/* Another attempt may still read the request. */
static inline bool response_needs_request(const struct response *r)
{
    return r->attempts.plan != NULL;
}
/* The request goes now: no further attempt. */
void response_forget_request(struct response *r);
/* Ends the log as completed with no output (warm-up). */
void response_complete_empty(struct response *r);
/* Ends the log as cancelled and closes the transfer; harmless when it has ended. */
void response_cancel(struct response *r);
static inline bool response_ended(const struct response *r)
{
    return r->log.ended;
}

/* Attaches at event `starting_at` (0: the beginning; takes a reference). ERR_INVALID past the end of the log.
 */
enum err cursor_attach(struct cursor *c, struct response *r, const struct dialect *d, uint32_t starting_at,
                       void (*wake)(void *ctx), void *ctx) MUST_USE;
/* Harmless when detached. When the last cursor of an unfinished response goes, the response is cancelled. */
void cursor_detach(struct cursor *c);
/* Encodes what is new, until `budget` bytes are in sink->out. True if anything was written. */
bool cursor_encode(struct cursor *c, struct event_sink *s, size_t budget);
/* Nothing to encode now. */
bool cursor_at_end(const struct cursor *c);
/* The terminal has been encoded. */
bool cursor_done(const struct cursor *c);

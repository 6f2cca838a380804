#pragma once
/* An answer is a log, a client is a cursor. See "The one idea" of the design.
 *
 * A response owns its log and its upstream transfer. Cursors read. Nothing is queued for a client. */
#include "common/fsm.h"
#include "common/ids.h"
#include "common/list.h"
#include "gateway/response/attempt.h"
#include "gateway/response/pool.h"

enum response_state {
    RESPONSE_RUNNING,  /* an attempt is under way, or about to be; somebody waits for it */
    RESPONSE_UNREAD,   /* the same, but nobody reads it: until somebody comes back, its term or its end */
    RESPONSE_ENDED,    /* its terminal is logged; somebody holds it */
    RESPONSE_RETAINED, /* ended, nobody holds it: until somebody comes back or its term */
    RESPONSE_GONE,     /* not found any more; its memory goes with the next reap */
};

struct response {
    struct list cursors;
    struct response_pool *pool;
    size_t accounted_;
    unsigned refs;
    struct llm_builder builder;
    struct llm_log log;
    struct llm_head head; /* its strings lie in head_text_ */
    char *head_text_;
    struct attempts attempts;
    struct list node_; /* in one of the pool's lists */
    struct response *next_in_bucket_;
    uint64_t term_ms_; /* unread, retained: until when; 0: not known yet */
    struct fsm state;
    bool resumable; /* its client can come back by its id: kept for a while after its end */
    const struct owner *owner;
    struct log_ids ids;
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

/* A new response with a fresh id ("resp_" + 128 random bits) and one reference. head->id is ignored, the
 * rest copied. NULL: no memory. */
struct response *response_new(struct response_pool *p, const struct owner *owner,
                              const struct llm_head *head);
void response_ref(struct response *r);
/* Without the last reference, what still runs is cancelled unless it is RESPONSE_UNREAD; what is over and
 * resumable is retained. NULL-safe. */
void response_unref(struct response *r);
/* Its memory, for the pool: nothing knows of it any more. */
void response_free(struct response *r);
/* Of one that nobody reads: cancels it if it runs, and does not retain it. */
void response_drop(struct response *r);
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

/* Attaches at event `starting_at` (0: the beginning; takes a reference), whether the response runs, has ended
 * or is kept. ERR_INVALID past the end of the log. */
enum err cursor_attach(struct cursor *c, struct response *r, const struct dialect *d, uint32_t starting_at,
                       void (*wake)(void *ctx), void *ctx) MUST_USE;
/* Harmless when detached. When the last cursor of an unfinished response goes, its owner's on_disconnect
 * decides. */
void cursor_detach(struct cursor *c);
/* Encodes what is new, until `budget` bytes are in sink->out. True if anything was written. */
bool cursor_encode(struct cursor *c, struct event_sink *s, size_t budget);
/* Nothing to encode now. */
bool cursor_at_end(const struct cursor *c);
/* The terminal has been encoded. */
bool cursor_done(const struct cursor *c);

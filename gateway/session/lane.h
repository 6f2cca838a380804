#pragma once
/* Private to session/: the session's parts. Requests of one lane run in order; lanes run side by side. */
#include "gateway/session/context.h"
#include "gateway/session/turn.h"

enum { STREAM_ID_MAX = 256 };

/* An answer of the session itself (an error, a pong), waiting to be pulled. */
struct notice {
    struct list node;
    size_t len;
    char text[];
};

/* A request of a lane. */
struct lane_turn {
    struct turn turn; /* its node: in lane.queue, then in session.answering */
    struct lane *lane;
    struct context *continued; /* what the request borrows; NULL: it begins a conversation, or has let go */
    struct context *context; /* what the lane will remember, begun when the request lets go; NULL: not yet */
};

struct lane {
    struct list node; /* session.lanes */
    struct session *session;
    struct lane_turn *current; /* begun, and not over */
    struct list queue;
    struct context *context;
    struct bytes stream_id; /* empty: the default lane; its bytes follow the struct */
};

struct session {
    const struct carrier *carrier;
    void *conn;
    struct list answering; /* turns with an answer, the next to be pulled first */
    struct list notices;
    unsigned n_named, n_active, n_answering, n_queued; /* active: begun, and not over */
    bool closing;
    struct session_env *env;
    const struct principal *who;
    struct list lanes;
    size_t notice_bytes, queued_bytes;
};

/* The lane of that id, made when it is new. NULL with *ret_error: too many lanes, no memory. */
struct lane *lane_get(struct session *s, struct bytes stream_id, struct api_error *ret_error);
struct lane *lane_find(struct session *s, struct bytes stream_id);
void lane_free(struct lane *l);
/* Runs the request now or after those before it; takes the call. Refusals are answered as notices. */
void lane_submit(struct lane *l, struct call *c);
/* The answer's terminal has been pulled: keeps its context, frees it, and starts what waits. */
void lane_finish(struct lane_turn *f);
/* Starts queued requests, in this lane or others, as far as the session's limit goes. */
void session_start_queued(struct session *s);
/* Queues an error message for the client. */
void session_error(struct session *s, struct bytes stream_id, const struct api_error *e);
/* The same for a request, which ends with it. `c` NULL: its text could not be read. */
void session_refuse(struct session *s, struct bytes stream_id, const struct call *c,
                    const struct api_error *e);

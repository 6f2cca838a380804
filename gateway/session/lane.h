#pragma once
/* Private to session/: the session's parts. Requests of one lane run in order; lanes run side by side. */
#include "gateway/session/context.h"
#include "gateway/session/session.h"

enum { STREAM_ID_MAX = 256 };

/* An answer of the session itself (an error, a pong), waiting to be pulled. */
struct notice {
    struct list node;
    size_t len;
    char text[];
};

/* A request whose answer is on its way. Owns its call: the answer's context is made of both. */
struct in_flight {
    struct list node; /* session.active */
    struct cursor cursor;
    struct lane *lane;
    struct call *call;
    struct context *continued; /* NULL: it begins a conversation */
};

struct queued {
    struct list node; /* lane.queue */
    struct call *call;
};

struct lane {
    struct list node; /* session.lanes */
    struct session *session;
    struct in_flight *current;
    struct list queue;
    struct context *context;
    struct bytes stream_id; /* empty: the default lane; its bytes follow the struct */
};

struct session {
    const struct carrier *carrier;
    void *conn;
    struct list active; /* in-flight answers, the next to be pulled first */
    struct list notices;
    unsigned n_named, n_active, n_queued;
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
void lane_finish(struct in_flight *f);
/* Starts queued requests, in this lane or others, as far as the session's limit goes. */
void session_start_queued(struct session *s);
/* What a new request is told during a drain. */
void error_draining(struct api_error *ret);
/* Queues an error message for the client. */
void session_error(struct session *s, struct bytes stream_id, const struct api_error *e);

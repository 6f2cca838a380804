#pragma once
/* Private to session/. One request on its way and its answer's reader: the same for a lane's request and for
 * an HTTP exchange. It holds the call, which says who asks and has the request id, and the cursor.
 *
 *     waiting -> running -+-> answering -> over
 *                         +-> suspended -> running      a stage keeps the call, and resumes it later
 *                         +-> refused -> over
 *
 * `over` is reached from every state but running: whoever owns the turn may end it whenever its client
 * leaves.
 *
 * The request's own memory goes as soon as no attempt needs it; see `let_go` below. */
#include "common/fsm.h"
#include "gateway/session/session.h"

enum turn_state { TURN_WAITING, TURN_RUNNING, TURN_SUSPENDED, TURN_ANSWERING, TURN_REFUSED, TURN_OVER };

struct turn;

/* What an owner (a lane, an exchange) is told. Each may end and free the turn, but for let_go. */
struct turn_ops {
    /* The cursor is attached; the request is still whole. */
    void (*answering)(struct turn *t);
    /* turn_error says why. */
    void (*refused)(struct turn *t);
    /* The request's memory goes when this returns: the last chance to keep something of it. Once, while
     * answering. NULL: nothing is kept. */
    void (*let_go)(struct turn *t);
};

struct turn {
    struct list node; /* the owner's */
    struct cursor cursor;
    struct fsm state;
    const struct turn_ops *ops;
    struct session_env *env;
    const struct carrier *carrier;
    void *conn;
    const struct dialect *dialect; /* the client's */
    struct call *call;
    int status; /* what the client was told over HTTP; 0: nothing yet */
    bool whole; /* ... in one piece: there is nothing to be pulled */
    struct log_ids ids;
};

/* Takes the call, which has been decoded, after account_begin. The address must not change. */
void turn_init(struct turn *t, const struct turn_ops *ops, struct session_env *env,
               const struct carrier *carrier, void *conn, const struct dialect *d, struct call *c);
/* Walks the pipeline; during a drain it refuses. Its owner hears before this returns, or, when a stage waits,
 * in a later turn of the loop. A turn that has begun before a drain goes on. */
void turn_begin(struct turn *t);
/* Of a waiting one: call->error says why. */
void turn_refuse(struct turn *t);
/* At the client's word: what answers ends as cancelled; what a stage keeps is answered so, and nobody is
 * asked. */
void turn_cancel(struct turn *t);
/* Calls let_go, if it has not been called. */
void turn_let_go(struct turn *t);
/* Gives account of it, cancels what is unfinished, as the principal's policy has it, and frees what it holds.
 */
void turn_end(struct turn *t);

/* What a new request is told during a drain. */
void error_draining(struct api_error *ret);

static inline bool turn_answering(const struct turn *t)
{
    return t->state.state == TURN_ANSWERING;
}
static inline const struct api_error *turn_error(const struct turn *t)
{
    return &t->call->error;
}

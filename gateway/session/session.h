#pragma once
/* One authenticated WebSocket: lanes, in-flight responses, continuation. Plain C: no socket, no clock but
 * what it is told; the connection below feeds it messages and pulls events out of it. */
#include "gateway/loop/phase.h"
#include "gateway/pipeline/pipeline.h"

struct session;
struct metrics;

/* Who asks, and where. */
struct asker {
    struct log_ids ids;   /* request: the HTTP request's; NULL: it has none of its own */
    struct bytes address; /* 4 or 16 bytes; none: a Unix socket's */
    const char *endpoint; /* the path */
    bool websocket;
};

/* What a session or an exchange may ask of the connection that carries it. */
struct carrier {
    void (*wake)(void *conn);                                     /* there is something to pull: marks only */
    void (*close)(void *conn, unsigned code, const char *reason); /* after what is queued has been pulled */
    void (*describe)(void *conn, struct asker *ret); /* NULL: nothing is known. Fills what it knows */
};

/* What all sessions of a worker share. */
struct session_env {
    const struct config *cfg;
    struct pipeline *pipeline;
    const struct phase
        *phase; /* not serving: requests that have not begun are refused (server_draining, 503) */
    struct metrics *metrics; /* NULL: nothing is counted */
};

/* NULL: no memory. */
struct session *session_open(struct session_env *env, const struct principal *who,
                             const struct carrier *carrier, void *conn);
/* Cancels what is in flight and frees. Never called from inside session_message or session_pull. */
void session_free(struct session *s);
/* One whole text message. Whatever is wrong with it is answered, typed; the session lives on. `now_s`: unix
 * seconds. */
void session_message(struct session *s, struct bytes text, int64_t now_s);
/* Encodes what waits (first answers of the session itself, then the lanes in turn) until `budget` bytes are
 * in sink->out. True when more is left. */
bool session_pull(struct session *s, struct event_sink *sink, size_t budget);
/* Responses in flight or queued, or something to pull. */
bool session_busy(const struct session *s);
/* Tells the client of the drain (session.going_away). */
void session_going_away(struct session *s, uint64_t deadline_ms);

/* front.c: what is asked before there is a session or an exchange. */
/* Whose token is it? ERR_INVALID with 401 missing_api_key or invalid_api_key. */
enum err session_authenticate(const struct session_env *env, struct bytes token, const struct peer *peer,
                              const struct principal **ret, struct api_error *ret_error) MUST_USE;
/* A browser's Origin is on the exact-match list. */
bool session_origin_listed(const struct session_env *env, struct bytes origin);
/* The body of GET /v1/models for this principal, and of GET /v1/models/ID. ERR_NOT_FOUND with 404
 * model_not_found.
 */
void session_models(const struct session_env *env, const struct principal *who, struct buf *out);
enum err session_model(const struct session_env *env, const struct principal *who, struct bytes id,
                       struct buf *out, struct api_error *ret_error) MUST_USE;

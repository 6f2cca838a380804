#pragma once
/* A connection that speaks WebSocket: frames to the session and back, pings, the closing handshake. */
#include "gateway/server/conn.h"
#include "gateway/server/endpoint.h"
#include "gateway/server/ws.h"
#include "gateway/session/ws_endpoint.h"

struct ws_conn {
    const struct ws_endpoint *endpoint;
    const struct endpoint *at;
    const char *principal; /* NULL: nobody was asked for a key */
    void *session;         /* the endpoint's; NULL: closing */
    struct buf queue;      /* framed control frames */
    uint16_t close_code;   /* we want to close, when all is said; 0: no */
    uint16_t end_code;     /* of the close frame that was sent; 0: none */
    uint8_t unanswered;    /* pings in a row */
    bool by_peer;          /* it was the first to close */
    bool pong_last;
    bool hang_up;     /* nothing more is expected from the peer: end the stream once all is written */
    size_t pong_at_;  /* where the pong at the end of the queue begins, if pong_last */
    uint64_t live_ms; /* last whole frame from the client */
    uint64_t ping_ms; /* our last ping */
    struct ws_receiver receiver;
    char close_reason[64];
};

/* Turns the connection into a WebSocket of that kind. `who` NULL: it asks for none. ERR_NOMEM. */
enum err ws_open(struct conn *c, const struct endpoint *at, const struct principal *who) MUST_USE;
void ws_input(struct conn *c, char *data, size_t len);
void ws_flush(struct conn *c);
uint64_t ws_due(const struct conn *c);
void ws_timer(struct conn *c, uint64_t now);
/* Closes with that code once everything queued has been pulled. */
void ws_close_later(struct conn *c, unsigned code, const char *reason);
/* The close frame goes now, behind what has been framed already. */
void ws_close_now(struct conn *c, unsigned code, const char *reason);
void ws_drain(struct conn *c);
/* The connection's line in the log, at its end. */
void ws_log_end(const struct conn *c);
/* Ends the session. NULL-safe, as the next. */
void ws_abandon(struct ws_conn *w);
void ws_conn_free(struct ws_conn *w);

/* What sessions and exchanges call back. */
extern const struct carrier conn_carrier;

#pragma once
/* One accepted socket, from its first byte to its last: the state, the one timer, what could not be written
 * yet. What the bytes mean is http_conn.c's and ws_conn.c's. */
#include "gateway/server/server_internal.h"

enum conn_state {
    CONN_IDLE,    /* HTTP: no byte of a request yet */
    CONN_REQUEST, /* HTTP: a request is coming in */
    CONN_ANSWER,  /* HTTP: it is being answered */
    CONN_OPEN,    /* WebSocket */
    CONN_CLOSING, /* WebSocket: our close frame is under way; waiting for the peer's */
    CONN_LINGER, /* our half is shut; reading until the peer shuts its own, so that no reset eats what we sent
                    last */
    CONN_DEAD,   /* to be closed at the end of the turn, or closed */
};

extern const struct fsm_def conn_fsm;

/* What every token touches comes first. */
struct conn {
    struct list dirty_;
    struct fsm fsm;
    struct server *server;
    struct ws_conn *ws;
    const struct link_ops *ops;
    void *link;             /* NULL once closed */
    struct http_conn *http; /* while a request is in hand */
    struct buf unsent_;     /* what the socket did not take, from unsent_at_ on */
    bool finishing_;        /* our half is shut, or will be when all is written; what comes in is dropped */
    bool closed_;
    struct list all_, fate_; /* fate_: in server->doomed or server->gone */
    struct wheel_timer timer_;
    const struct listener *listener;
    size_t unsent_at_;
    uint64_t armed_ms_; /* what the timer is armed for */
    uint64_t since_ms;  /* when the state, or the request, began */
    uint64_t accepted_ms;
    uint64_t rx_ms;        /* last byte from the client */
    uint64_t progress_ms_; /* last byte that the socket took, while there is something unsent */
    uint16_t refusal;      /* 429 or 503: came past a cap, and will be told so */
    bool served;           /* has had an answer: keep_alive counts, not handshake */
    bool tls;
    bool peer_local;    /* the one at its other end is on this machine */
    bool peer_secure;   /* and has come over TLS */
    bool proxied;       /* and is a trusted proxy: who asks is told by each request, */
    bool local, secure; /* and these two are of that one */
    uint8_t held;       /* parts of the door */
    uint8_t address_len;
    uint8_t address[16];
    struct log_ids ids; /* request: while one is in hand */
};

static inline enum conn_state conn_state(const struct conn *c)
{
    return (enum conn_state)c->fsm.state;
}
static inline bool conn_dead(const struct conn *c)
{
    return c->fsm.state == CONN_DEAD;
}
/* Something of it waits for the socket. */
static inline bool conn_blocked(const struct conn *c)
{
    return c->unsent_.len > 0;
}

/* `held`: what it holds at the door, and gives back. */
struct conn *conn_new(struct listener *l, struct bytes address, unsigned refusal, uint8_t held);
/* Sessions and exchanges included. Only from the reap, or when it was never adopted. */
void conn_free(struct conn *c);
/* Puts it among those that the end of this turn looks at. */
void conn_mark(struct conn *c);
/* Moves, notes the time and looks at the timer. */
void conn_move(struct conn *c, enum conn_state to);
/* Makes sure that the timer fires in time for what is due next. */
void conn_arm(struct conn *c);
/* Writes, and keeps what the socket does not take. */
void conn_send(struct conn *c, struct bytes data);
/* No more will be sent: shuts our half down once all is written. What still comes in is dropped. */
void conn_finish(struct conn *c);
/* Closes at the end of the turn, without more ado. */
void conn_doom(struct conn *c);

/* The proxy at its other end has told who asks, once for all: `client`, over TLS or not. */
void conn_told(struct conn *c, const struct address *client, bool tls);
/* Another one asks through the proxy that is at its other end: the door counts it for that address from now
 * on. False: that one has too many, or there are too many in all; c->refusal says which. */
bool conn_readdress(struct conn *c, struct bytes address) MUST_USE;
/* "unix" where there is none; else in `room`. */
enum { CONN_ADDRESS_TEXT = 46 };
const char *conn_address_text(struct bytes address, char room[static CONN_ADDRESS_TEXT]);

/* Somebody has authenticated on it: it is no stranger any more. */
void conn_known(struct conn *c);

/* Called by the link. */
void conn_secured(struct conn *c); /* the TLS handshake is done */
void conn_input(struct conn *c, char *data, size_t len);
void conn_writable(struct conn *c);
void conn_closed(struct conn *c);
/* Called by flush.c for a marked connection. */
void conn_flush(struct conn *c);
/* Called by server.c, once: tells the client of a drain, and closes what is idle. */
void conn_drain(struct conn *c);
/* Called by server.c at the very end: says goodbye, and ends the session or the exchange before it returns.
 */
void conn_shut(struct conn *c);

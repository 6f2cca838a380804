#pragma once
/* What the files of this room share. */
#include "common/fsm.h"
#include "common/log.h"
#include "gateway/server/server.h"
#include "gateway/web/web.h"
#include "protocols/http1/http1_request.h"

struct lws_context;
struct lws_vhost;
struct tls_names;
struct conn;

enum {
    FLUSH_CROWD = 8,            /* connections with something to write that do not wait for the turn's end */
    FLUSH_BUDGET = 64 * 1024,   /* of one connection, a loop turn */
    OUT_KEEP = 256 * 1024,      /* the shared output buffer is given back when it has grown past this */
    HELD_MAX = 64 * 1024,       /* of pipelined requests, while one is being answered */
    CONTROL_MAX = 16 * 1024,    /* of pongs that wait for a slow socket */
    ADMIN_MAX = 64,             /* connections of the admin listener, which no other ceiling counts */
    REFUSED_MAX = 64,           /* connections past the caps that are kept long enough to be told so */
    ACCEPT_BURST = 64,          /* accepted a listener, a loop turn */
    ACCEPT_PAUSE_MS = 100,      /* when the process is out of descriptors */
    CLOSING_MS = 5000,          /* for the peer's close frame */
    LINGER_MS = 2000,           /* for the peer's end of the stream, after ours */
    DRAIN_GRACE_MS = 2000,      /* for the first bytes on a connection that a drain found without any */
    LAST_MS = 500,              /* server_close: for the last close frames */
    SEND_BUFFER = 128 * 1024,   /* SO_SNDBUF: without it the kernel hides megabytes of a slow client */
    RECEIVE_BUFFER = 32 * 1024, /* one a worker: what one read can bring */
};

struct listener {
    struct server *server;
    const struct config_listener *cfg;
    const struct link_ops *ops;
    const struct endpoint *endpoints; /* what its paths do */
    struct lws_vhost *vhost;          /* TLS */
    void *ssl_ctx;                    /* the vhost's */
    struct tls_names *names;          /* its further certificates */
    int fd;                           /* this worker's listening socket */
};

/* A listening socket that is looked at: a listener's own, or another worker's that is covered for. */
struct acceptor {
    struct list node; /* in server->acceptors */
    struct listener *listener;
    uv_poll_t poll;
    int fd;
    bool borrowed; /* another slot's: closed here */
    unsigned slot; /* whose, when borrowed */
};

struct server {
    struct server_opts o;
    const struct config *cfg;
    uint64_t drain_ms; /* what clients are told */
    uint64_t drain_since_ms;
    struct lws_context *context; /* NULL without TLS */
    struct listener *listeners;
    size_t n_listeners;
    struct list acceptors;
    uv_timer_t last; /* server_close's deadline */
    struct wheel_timer accept_pause;
    bool accept_warned;
    struct list prefaces; /* connections that have not said yet who asks (preface.c) */
    unsigned n_prefaces;
    struct list conns;
    struct list dirty;  /* have something to write or to go on with */
    struct list doomed; /* to be closed at the end of the turn */
    struct list gone;   /* socket closed: to be freed at the beginning of the next */
    size_t n_conns;
    size_t n_sessions;
    unsigned n_admin;                     /* connections of the admin listener */
    unsigned conn_number, session_number; /* the last one's, for the log */
    uint64_t room;                        /* for so many there are descriptors */
    unsigned n_marked;                    /* put into `dirty` since the last flush */
    unsigned n_refused;                   /* that are being told so */
    struct log_gate refused, refused_requests;
    struct buf out;               /* where every connection encodes, one at a time */
    struct http1_request request; /* the head being looked at */
    char *input;                  /* RECEIVE_BUFFER bytes, for sockets without TLS */
    char date[32];
    int64_t date_s;
};

static inline uint64_t server_now(const struct server *s)
{
    return loop_now(s->o.loop);
}
static inline enum worker_phase server_phase(const struct server *s)
{
    return phase_of(&s->o.loop->phase);
}
/* A log of the room's own size is encoded into one message at worst: this bounds it, framing and escapes
 * included. */
size_t server_out_max(const struct config *cfg);

/* refusals.c: who was not let in, or not heard: a line in the log, of so many a second, and a number. */
void refusal_of_connection(struct server *s, struct bytes address, const char *key);
void refusal_of_request(struct conn *c, const struct api_error *e);

/* server.c: all that is left, at once: the library's context, and our handles. */
void server_take_down(uv_timer_t *t);

/* accept.c */
/* Opens each listener's own. ERR_NOMEM. */
enum err accept_open(struct server *s) MUST_USE;
/* One of trusted_proxies; no address: a Unix socket's peer. */
bool peer_is_trusted(const struct config *cfg, struct bytes address);
void accept_stop(struct server *s);
/* Closes all. */
void accept_close(struct server *s);

/* What a connection stands on: a socket of libuv's, or TLS in libwebsockets' hands. Each calls conn_input,
 * conn_writable and conn_closed. */
struct link_ops {
    /* Takes the accepted socket, whatever the result; sets c->link. */
    enum err (*adopt)(struct listener *l, struct conn *c, int fd) MUST_USE;
    /* Writes what the socket takes. ERR_CLOSED: it is broken. */
    enum err (*write)(void *link, struct bytes data, size_t *ret_written) MUST_USE;
    /* conn_writable will be called when the socket takes more. */
    void (*want_write)(void *link);
    /* Ends our half of the stream, politely. */
    void (*shutdown)(void *link);
    /* What the kernel holds for a peer that does not read is thrown away with the socket, not sent on for
     * minutes. */
    void (*give_up)(void *link);
    /* Closes now, and calls conn_closed. Never from inside one of the link's own calls. */
    void (*kill)(void *link);
};

extern const struct link_ops link_plain; /* link_plain.c */
extern const struct link_ops link_tls;   /* link_tls.c: all of libwebsockets */
/* Nothing when no listener has TLS. */
enum err link_tls_open(struct server *s) MUST_USE;
void link_tls_close(struct server *s);

/* tls.c */
/* Protocols, groups, ciphers and modes of an SSL_CTX. False: this OpenSSL cannot have them. */
bool tls_tune(void *ssl_ctx) MUST_USE;
/* *ret_what on failure: "certificate" or "key"; OpenSSL's error queue says more. */
bool tls_use(void *ssl_ctx, const struct config_certificate *c, const char **ret_what) MUST_USE;
/* Has `ssl_ctx` choose among the listener's certificates. *ret is to be closed also on failure. */
bool tls_open_names(void *ssl_ctx, const struct config_listener *l, struct tls_tickets *t,
                    struct tls_names **ret) MUST_USE;
void tls_close_names(struct tls_names *names);

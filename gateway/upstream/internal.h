#pragma once
/* What the files of this room share. From above: upstream.c: lives and the tick; transfer.c: one answer's
 * bytes to its decoder; deadline.c: its four timeouts; fault.c: what went wrong, in words; origin.c: a
 * provider; by_curl.c and plain.c: the two transports; curl_loop.c: curl on the loop; retry_after.c; demo*.c.
 */
#include "common/fsm.h"
#include "common/list.h"
#include "common/log.h"
#include "gateway/loop/loop.h"
#include "gateway/upstream/demo.h"
#include "gateway/upstream/retry_after.h"
#include "gateway/upstream/upstream.h"
#include "protocols/http1/http1_response.h"
#include "protocols/sse/sse.h"
#include <curl/curl.h>
#include <sys/socket.h>
#include <uv.h>

enum {
    ORIGIN_IDLE_EASIES = 64,    /* easy handles kept for the next transfer */
    CURL_BUFFER = 4096,         /* bytes a transfer: tokens are small */
    MAX_HEAD = 64 * 1024,       /* bytes of response headers */
    MAX_ERROR_BODY = 64 * 1024, /* of an answer with an error status */
    MAX_URL = 8 * 1024,         /* of one request, where the path differs by model */
    REQUEST_SLACK = 64 * 1024,  /* of a request's body, beside what the client sent */
    DRAIN_MS = 1000, /* how long the rest of a finished answer may take before its connection is given up */
    INBOX_SIZE = 32 * 1024, /* where all sockets of ours are read */
    INBOX_ROUNDS = 4,       /* full inboxes from one socket before others have their turn */
    PEER_MS = 60000,        /* how long an address is good for: as long as curl keeps a name's */
    KEEPALIVE_IDLE_S = 30,  /* TCP's probes of a silent connection: after so long */
    KEEPALIVE_GAP_S = 10,   /* and that far apart */
};

struct origin;
struct transfer;
struct plain_connection;

/* What brings a transfer's request to its provider and the answer back. `t->result` speaks curl's words
 * whoever carries it. */
struct transport_ops {
    /* Anything but CURLE_OK: it is over already. */
    CURLcode (*add)(struct origin *o, struct transfer *t);
    /* Takes it back; an unfinished one has its connection closed, or its HTTP/2 stream reset. */
    void (*remove)(struct origin *o, struct transfer *t);
    /* All of the request is sent, and will not be sent again: its body is not needed any more. */
    bool (*sent)(const struct transfer *t);
};

/* plain.c's part of an origin. */
struct plain_pool {
    char *head; /* of each request, without what differs; holds the key */
    size_t head_len;
    struct list idle; /* connections, the one used last at the end */
    unsigned n_idle, n_connections;
    struct list waiting;          /* transfers for which there is no connection left */
    struct sockaddr_storage peer; /* where curl's last connection leads, trusted until peer_until */
    socklen_t peer_len;
    uint64_t peer_until;
};

/* A provider as the network sees it: made at the first request to it. */
struct origin {
    struct upstream *u;
    const struct config_provider *provider;
    CURLM *multi; /* NULL: not open */
    uv_timer_t timer;
    struct curl_slist *headers; /* shared by all its requests */
    char *url;
    CURL *idle[ORIGIN_IDLE_EASIES];
    unsigned n_idle;
    bool tls;
    int version;                           /* HTTP's, of its last answer; 0: none yet */
    int limited;                           /* the version that its limit of connections is made for */
    const struct transport_ops *transport; /* chosen when it is opened */
    struct plain_pool plain;
    struct log_gate failures; /* of its transfers */
    bool run_soon;            /* curl wants to run at once */
    /* Local ports of the connections on which a stream was reset in this tick. */
    uint16_t reset_ports[CONFIG_MOST_HTTP2_CONNECTIONS];
    unsigned n_reset_ports;
};

struct upstream {
    struct loop *loop;
    const struct config *cfg;
    struct origin *origins; /* one for each of cfg->providers */
    struct list live;       /* all transfers */
    struct list work;       /* those that the next tick must look at */
    size_t n_live;
    struct demo demo;
    char *inbox;                   /* of plain.c: for the time of one event */
    unsigned n_handles;            /* libuv handles not yet closed */
    void (*after_each)(void *ctx); /* upstream_after_each */
    void *after_each_ctx;
    bool curl_pending; /* curl is to be run for an origin, or to be made to send */
    bool ticking;
};

/* What has come of the answer. */
enum transfer_state {
    TRANSFER_WAITING,  /* for the next tick to open it */
    TRANSFER_ASKED,    /* its transport (or the demo) has it; its head is not complete */
    TRANSFER_HEAD,     /* the blank line has come; what the body is, is not known */
    TRANSFER_EVENTS,   /* a stream of events: no token yet */
    TRANSFER_TOKENS,   /* the same: something of the answer has been logged */
    TRANSFER_JSON,     /* the answer is one object, being collected */
    TRANSFER_ERROR,    /* an error's body is being collected */
    TRANSFER_DRAINING, /* the owner has heard of a finished answer; the rest of the body is read so that the
                          connection can be used again */
    TRANSFER_CLOSING,  /* the owner has heard, or has cancelled: the tick takes it down */
    TRANSFER_GONE,     /* about to be freed */
};

/* Whether its transport has it. */
enum carriage_state {
    CARRIAGE_NONE,
    CARRIAGE_UNDER_WAY,
    CARRIAGE_OVER, /* no more bytes will come; `result` says why. Still to be taken back */
};

/* What every token touches comes first: with thousands of streams a token costs as much in cache misses as in
 * instructions. */
struct transfer {
    struct list work; /* in upstream.work */
    struct upstream *u;
    struct llm_builder *builder;
    void (*progress)(void *ctx);
    void *ctx;
    struct upstream_report *report;
    const struct dialect *dialect;
    struct llm_decoder *decoder;
    struct fsm state;
    struct fsm carriage;
    uint32_t told;     /* events in the log that the owner has been told of */
    int status;        /* 0: no head yet */
    uint64_t alive_ms; /* the last sign of life; see deadline.c */
    struct origin *origin;
    struct buf body; /* the request's, until it is sent */
    struct sse_parser sse;

    struct list node;         /* in upstream.live */
    struct wheel_timer timer; /* the deadlines */
    uint64_t started_ms;
    uint64_t total_ms;     /* when timeouts.total goes by */
    struct fault *refusal; /* it cannot even be sent */
    CURL *easy;            /* while curl has it */
    void (*curl_done)(struct transfer *t, CURLcode result, curl_socket_t fd);
    struct plain_connection *connection; /* plain.c */
    struct list waiting;                 /* in plain.waiting */
    struct curl_slist id_header;         /* x-request-id, in front of the origin's shared headers */
    char *id_line;
    char *url;          /* NULL: the origin's */
    struct log_ids ids; /* the call's, while it is owned */
    char content_type[64];
    struct retry_after retry_after; /* of an error */
    size_t head_bytes;
    struct buf collected; /* a JSON body, an error's body */
    CURLcode result;
    char detail[CURL_ERROR_SIZE]; /* curl's own words, for the log */
    const void *hints[2];         /* upstream_hint */
    struct demo_stream *demo;     /* NULL: a real provider */
};

/* Until then the builder, the report, progress and ctx are ours to use. */
static inline bool transfer_owned(const struct transfer *t)
{
    return t->state.state < TRANSFER_DRAINING;
}
/* The owner has something to hear. */
static inline bool transfer_has_news(const struct transfer *t)
{
    return t->builder->log->count != t->told || llm_builder_ended(t->builder);
}
/* No more bytes will come. Marks. */
void transfer_over(struct transfer *t, CURLcode result);
/* Not worth reading on: to be taken down. Marks. */
void transfer_close(struct transfer *t);
/* Links the transfer for the tick that follows in this same call from the loop. */
void transfer_mark(struct transfer *t);
/* The same when no tick follows: one comes on the next loop turn. */
void transfer_schedule(struct transfer *t);
/* What ends each callback from a provider's socket: the tick, and the owner's turn. */
void upstream_event_over(struct upstream *u);
void upstream_handle_closed(uv_handle_t *h, struct upstream *u);
/* The attempt has failed. */
void transfer_fail(struct transfer *t, const struct fault *f);

/* origin.c */
void origin_init(struct origin *o, struct upstream *u, const struct config_provider *p);
/* Hands the transfer to the origin's transport, which it makes ready when need be. */
CURLcode origin_add(struct origin *o, struct transfer *t) MUST_USE;
void origin_remove(struct origin *o, struct transfer *t);
/* What a provider speaks decides how many connections it may have. */
void origin_limit(struct origin *o);
void origin_close(struct origin *o);

/* The two transports. Each calls curl_loop.c below it, and reports by transfer_header, transfer_body and
 * transfer_over. */
extern const struct transport_ops curl_transport;  /* by_curl.c */
extern const struct transport_ops plain_transport; /* plain.c */
/* CURLE_URL_MALFORMAT: the base URL is for curl to carry, or to complain of. */
CURLcode plain_open(struct origin *o, const char *url) MUST_USE;
void plain_close(struct origin *o);
/* plain_head.c; the same errors. */
CURLcode plain_make_head(struct origin *o, const char *url) MUST_USE;

/* curl_loop.c */
bool curl_loop_open(struct origin *o) MUST_USE; /* false: no memory */
void curl_loop_close(struct origin *o);
void curl_loop_limit(struct origin *o);
/* Gives curl a handle for the transfer (t->easy), made ready by `set`. `done`, once, is called when curl is
 * done with it, never from inside curl; `fd`: its socket, curl's own. */
CURLcode curl_loop_start(struct origin *o, struct transfer *t,
                         CURLcode (*set)(struct origin *o, struct transfer *t, CURL *e),
                         void (*done)(struct transfer *t, CURLcode result, curl_socket_t fd)) MUST_USE;
/* Takes the handle back. Not finished: its connection is closed, or its HTTP/2 stream reset. */
void curl_loop_stop(struct origin *o, struct transfer *t, bool finished);
/* Runs curl where it asked for a run at once, or must be made to send. */
void curl_loop_run_pending(struct upstream *u);

/* transfer.c */
/* A line of the head with its line end, the blank one included; also of interim heads and of trailers. False:
 * too many of them. */
bool transfer_header(struct transfer *t, struct bytes line) MUST_USE;
/* Appends and marks. */
void transfer_body(struct transfer *t, struct bytes part);
/* The body is over: makes sure that there is an outcome. */
void transfer_end(struct transfer *t);
/* The line in the log that a failed attempt leaves. */
void transfer_log_fault(struct transfer *t);

/* deadline.c */
void deadline_start(struct transfer *t);
void deadline_drain(struct transfer *t);
void deadline_stop(struct transfer *t);
/* An event or a comment has come. */
void deadline_alive(struct transfer *t);

/* fault.c */
void fault_of_curl(const struct transfer *t, struct fault *ret);
/* `ms`: the timeout that went by. */
void fault_timeout(const struct transfer *t, enum fault_kind kind, uint64_t ms, struct fault *ret);
void fault_invalid(const struct transfer *t, const char *what, struct fault *ret);
void fault_too_large(const struct transfer *t, struct fault *ret);
/* The request cannot even be sent: ERR_LIMIT (too large), ERR_INVALID (its dialect cannot say it,
 * and has set ret->error), ERR_IO (plain HTTP, which is not allowed). */
void fault_unsendable(const struct transfer *t, enum err err, struct fault *ret);

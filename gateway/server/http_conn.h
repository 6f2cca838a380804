#pragma once
/* A connection that speaks HTTP: its requests, one after the other, and their answers. */
#include "gateway/server/conn.h"
#include "gateway/server/endpoint.h"

struct http_conn {
    struct http1 parser;
    struct buf held; /* what came in behind the request that is being answered */
    /* Of the request in hand. */
    const struct endpoint *endpoint;
    char *name; /* below the endpoint's path, decoded; NULL: nothing is there */
    const struct web_asset *asset;
    const struct principal *who;
    struct exchange *exchange;
    struct api_error *refusal; /* it is refused, as soon as its body has been read and forgotten */
    struct buf headers;        /* whole header lines that its answer will have, whatever it is */
    uint64_t began_ms;
    uint64_t event_ms; /* when its stream last carried something */
    char request_id[ID_MAX];
    bool accounted; /* its refusal has a line in the log already */
    bool keep_alive, http10, head_only, expecting;
    bool options;      /* only the question what is allowed */
    bool not_modified; /* the client has the file */
    bool streaming;    /* the head of a stream has been sent */
};

/* Bytes from the client; may end with the connection being a WebSocket. */
void http_input(struct conn *c, char *data, size_t len);
/* Goes on with an exchange, or with held requests. */
void http_flush(struct conn *c);
/* When something is due; UINT64_MAX: nothing. And does it. */
uint64_t http_due(const struct conn *c);
void http_timer(struct conn *c, uint64_t now);
/* Ends the exchange. NULL-safe, as the next. */
void http_abandon(struct http_conn *h);
void http_conn_free(struct http_conn *h);

/* http_cors.c: browsers' pages. */
/* Answers carry CORS headers for the origins that may read them. False: a page that may not talk to us. */
bool cors_origin(struct conn *c, const struct http1_request *req);
void cors_refuse(struct conn *c, const struct http1_request *req);
/* A preflight, or a plain question for the methods. Answered without a key, as browsers ask without one. */
void cors_options(struct conn *c, const struct http1_request *req, const char *methods);

/* http_peer.c: whose request it is. */
/* False: past a cap, and refused as c->refusal says. */
bool peer_take(struct conn *c, const struct http1_request *req) MUST_USE;
/* It has been answered: the proxy's connection is nobody's. False: past a cap. */
bool peer_leave(struct conn *c) MUST_USE;

/* http_host.c: whom a request addresses. */
bool host_allowed(const struct conn *c, const struct http1_host *host);
void host_refuse(struct conn *c, const struct http1_host *host);

/* http_token.c: where a request carries its key. */
/* Authorization: Bearer, or x-api-key; empty: neither. */
struct bytes token_in_headers(const struct http1_request *req);
bool token_in_query(struct bytes query);

/* http_front.c: what a request asks for. Called with the head: routes, refuses (sets `refusal`) or upgrades.
 */
void front_head(struct conn *c, const struct http1_request *req);
/* Called with the whole body, in CONN_ANSWER: answers, or starts an exchange. */
void front_body(struct conn *c, struct bytes body);
void http_add_header(struct http_conn *h, const char *name, struct bytes value);
/* In whose words errors are told. */
const struct dialect *http_dialect(const struct http_conn *h);
/* Sets the refusal. The last word counts. */
void front_refuse(struct conn *c, const struct api_error *e);

/* http_answer.c: answers on the wire. */
enum { HTTP_HEAD_ROOM = 4096, HTTP_HEADERS_MAX = 2560 };

struct answer {
    int status;
    const char *content_type; /* NULL: no body, and no Content-Length */
    int retry_after_s;
};
/* The body is appended to what this returns; then http_answer_send. */
struct buf *http_answer_begin(struct conn *c);
void http_answer_send(struct conn *c, const struct answer *a);
/* In the words of the endpoint's dialect. */
void http_answer_error(struct conn *c, const struct api_error *e);
/* A stream: its pieces are appended to what this returns, each then sent, the first one with the head, `last`
 * with the end. */
struct buf *http_stream_begin(struct conn *c);
void http_stream_send(struct conn *c, bool last);

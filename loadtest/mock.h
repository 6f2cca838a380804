#pragma once
/* mock-llm from the inside: a script is the bytes of an answer, prebuilt; an answer is a timer that walks a
 * script; a transport (HTTP/1.1 or HTTP/2) carries it. Each thread has its own loop, scripts and counters,
 * and shares nothing. */
#include "loadtest/kit/stream.h"
#include "loadtest/kit/ticks.h"
#include <nghttp2/nghttp2.h>

/* How an answer shall be: the command line's defaults, changed by the request's model name
 * ("mock:tokens=64+gap=20"; commas do as well, but proxies take them for lists of models). */
struct answer_spec {
    uint32_t tokens, size; /* size: bytes of a token's text */
    uint32_t latency_ms, gap_ms, jitter_ms;
    double error_rate, cut_rate;
    bool stamped; /* each token carries the time at which it was sent */
};

enum mock_format { MOCK_CHAT, MOCK_RESPONSES };

struct mock_request {
    struct answer_spec spec;
    enum mock_format format;
    bool stream, include_usage;
};

/* mock_request.c: reads "model", "stream" and "stream_options" of the body into *r, whose spec holds the
 * defaults. False with a reason to show the client. */
bool mock_request_parse(struct bytes body, struct mock_request *r, const char **ret_reason) MUST_USE;
bool mock_spec_parse(struct bytes list, struct answer_spec *spec) MUST_USE;

struct script_key {
    uint32_t tokens, size;
    uint8_t format, stream, chunked, include_usage, stamped, error, pad_[2];
};

/* The bytes of an answer in parts: one for each token; what comes before the first and after the last rides
 * with it. */
struct script {
    struct list node;
    struct script_key key;
    unsigned refs;
    struct buf bytes; /* the body; HTTP/1.1 chunk framing included when chunked */
    uint32_t n_parts;
    uint32_t *ends;   /* offset of the end of each part */
    uint32_t *stamps; /* offset of each part's stamp; NULL when not stamped */
};

enum { SCRIPT_MAX_BYTES = 256 << 20, SCRIPTS_KEPT = 64 };

struct mock_loop;
/* A borrowed reference, to be given back; NULL: too big, or no memory. */
struct script *script_get(struct mock_loop *l, const struct script_key *key);
void script_put(struct mock_loop *l, struct script *s);
void scripts_free(struct mock_loop *l);
/* mock_frames.c: the text of the frames. */
void frames_prefix(struct buf *out, const struct script_key *k);
void frames_token(struct buf *out, const struct script_key *k, uint32_t number);
void frames_suffix(struct buf *out, const struct script_key *k);
void frames_whole(struct buf *out, const struct script_key *k);
void frames_error(struct buf *out);

struct answer;
struct answer_out {
    /* Sends bytes [from, to) of the script; the first call comes with from == 0, the last one with to == the
     * end. */
    void (*send)(struct answer *a, size_t from, size_t to);
    bool (*full)(const struct answer *a); /* nothing more now: answer_continue is called when there is room */
    void (*cut)(struct answer *a);        /* breaks off */
    void (*done)(struct answer *a);       /* all was sent; may free the answer's owner */
};

struct answer {
    struct tick_timer timer;
    struct mock_loop *loop;
    const struct answer_out *out;
    struct script *script; /* NULL: none is running */
    struct answer_spec spec;
    uint64_t due_ms; /* of part `next` */
    uint32_t next;   /* the part to send next */
    uint32_t cut_at; /* the part before which to break off; UINT32_MAX: never */
    bool blocked;    /* waits for answer_continue */
};

void answer_init(struct answer *a, struct mock_loop *l, const struct answer_out *out);
/* Begins, at once or by timer. False: the answer would be too big. */
bool answer_start(struct answer *a, const struct mock_request *r, bool chunked) MUST_USE;
void answer_continue(struct answer *a);
/* The client has gone: forgets it, and counts. Harmless when none is running. */
void answer_abandon(struct answer *a);
/* Copies bytes [from, to) and puts the present time in their stamps; NULL: no memory. Valid until the next
 * call. */
const char *answer_stamped(struct answer *a, size_t from, size_t to);
bool answer_is_error(const struct answer *a);
const char *answer_content_type(const struct answer *a);

struct mock_conn {
    struct stream stream;
    struct mock_loop *loop;
    struct list node; /* in loop->conns */
    uint32_t events;
    struct buf in;
    struct h2 *h2;        /* HTTP/2 has been chosen */
    struct answer answer; /* HTTP/1.1: one at a time */
    struct list dirty;    /* HTTP/2: in loop->dirty when it has something to send */
    bool close_after;     /* the answer's end is the connection's */
    bool parsing;         /* http1_input is at work */
};

struct mock_stats {
    uint64_t connections, requests, refused, finished, abandoned, cut, errors, tokens;
};

struct mock_opts {
    const char *listen, *tls_cert, *tls_key, *model;
    uint64_t latency, tokens, gap, size, jitter, threads, seed, max_streams;
    double error_rate, cut_rate;
    bool stamped;
};

struct mock_loop {
    struct ticks ticks;
    struct mock_stats stats;
    struct answer_spec defaults;
    SSL_CTX *tls;
    uint64_t random;
    uint32_t max_streams;
    int epoll, listener, stop_fd;
    struct list conns, dirty, scripts;
    unsigned n_scripts;
    struct buf scratch; /* stamped copies, HTTP/2 output */
    char read_room[65536];
};

/* mock_loop.c */
enum err mock_loop_init(struct mock_loop *l) MUST_USE;
void mock_loop_run(struct mock_loop *l);
void mock_loop_free(struct mock_loop *l);
void conn_close(struct mock_conn *c);
/* Asks epoll for what the stream waits for. */
void conn_update(struct mock_conn *c);
double mock_random(struct mock_loop *l); /* [0, 1) */

/* mock_http1.c; false: close the connection. */
bool http1_input(struct mock_conn *c) MUST_USE;
void http1_writable(struct mock_conn *c);
extern const struct answer_out http1_out;

/* mock_http2.c */
bool http2_start(struct mock_conn *c) MUST_USE;
bool http2_input(struct mock_conn *c, const char *data, size_t len) MUST_USE;
/* Sends what all dirty connections hold: once a loop turn. */
void http2_flush_all(struct mock_loop *l);
/* The socket took what it was given: more may follow. */
void http2_writable(struct mock_conn *c);
void http2_free(struct mock_conn *c);

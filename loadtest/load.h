#pragma once
/* sluice-load from the inside. A session is one connection; a lane is one sequence of requests on it (HTTP
 * has one lane).
 *
 *   load_drive.c   when requests start: phases, closed and open loop, steps
 *   load_session.c connections: opening, reading, writing, leaving
 *   load_http.c    HTTP/1.1 answers        load_ws.c    WebSocket
 *   load_answer.c  what an answer says: tokens, usage, the end; and its times
 *   load_report.c  numbers out
 *
 * All times are nanoseconds of CLOCK_MONOTONIC. */
#include "loadtest/kit/hist.h"
#include "loadtest/kit/proc.h"
#include "loadtest/kit/stream.h"
#include "loadtest/kit/ticks.h"
#include "loadtest/kit/tokens.h"
#include <stdio.h>

enum load_mode { MODE_WS, MODE_CHAT_SSE, MODE_RESPONSES_SSE, MODE_CHAT_JSON, MODE_RESPONSES_JSON };

struct load_opts {
    const char *url, *mode, *key, *model, *body, *json;
    uint64_t sessions, lanes, requests, warmup, expect_tokens, prompt_bytes, sources, steps, seed, server_pid;
    uint64_t slow_bytes, slow_every_ms;
    uint64_t ramp_ms, think_ms, duration_ms, hold_ms, drain_ms;
    double rate, slow, leavers;
    bool idle, touch, churn, poisson, steady, syscalls, allow_errors, quiet;
};

struct load_target {
    bool tls;
    char host[128], path[256];
    struct sockaddr_storage address;
    socklen_t address_len;
};

enum { MAX_ERROR_KINDS = 32, ERROR_NAME = 48, MAX_STEPS = 64 };

struct error_count {
    char name[ERROR_NAME];
    uint64_t count;
};

struct load_stats {
    struct hist connect, first, gap, whole, transit;
    uint64_t started, ok, failed, left, tokens, deltas, slow_ok, connects, bytes_in;
    uint64_t lost, doubled, reordered, malformed, extra;
    struct error_count errors[MAX_ERROR_KINDS];
    unsigned n_errors;
};

struct load;
struct session;

struct lane {
    struct tick_timer timer; /* think time, or the first start */
    struct list idle_node;   /* open loop: in load->idle_lanes */
    struct session *session;
    uint16_t number;
    bool running, sent, ended, broken, usage_known;
    uint32_t usage_tokens, leave_at;
    int64_t sequence;
    uint64_t intended, last, end_time;
    struct token_check check;
};

enum session_state { SESSION_CLOSED, SESSION_CONNECTING, SESSION_TLS, SESSION_UPGRADING, SESSION_READY };
enum http_state {
    HTTP_HEAD,
    HTTP_SIZED,
    HTTP_UNTIL_CLOSE,
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK,
    HTTP_CHUNK_END,
    HTTP_TRAILER
};

struct session {
    struct stream stream;
    struct load *load;
    enum session_state state;
    uint32_t index, events;
    uint32_t epoch; /* of the connection: who calls out looks whether it is still the same */
    bool slow, leaver;
    struct tick_timer slow_timer;
    uint64_t connect_start;
    struct buf in;   /* input that is no whole message yet */
    struct buf body; /* HTTP: an unfinished SSE line or a JSON body; WebSocket: fragments of a message */
    enum http_state http;
    unsigned status;
    bool close_after;
    uint64_t body_left;
    unsigned running;
    struct lane *lanes;
};

enum load_phase { PHASE_CONNECT, PHASE_WARMUP, PHASE_RUN, PHASE_OVER };

struct step {
    uint64_t sessions;
    struct proc_sample server;
};

/* Where the server's costs begin or end to count, and what had been answered by then. */
struct mark {
    struct proc_sample server;
    uint64_t tokens, answers, at;
    bool set;
};

struct load {
    struct load_opts o;
    struct load_target target;
    SSL_CTX *tls;
    struct ticks ticks;
    uint64_t now;
    uint64_t random, arrival_random;
    enum load_mode mode;
    enum load_phase phase;
    int epoll;
    uint32_t expected; /* tokens an answer must have; 0: as its usage says */
    struct session *sessions;
    struct lane *lanes;
    /* what is sent */
    struct buf http_request, *ws_texts, scratch;
    char ws_key[25], ws_accept[29];
    /* driving */
    uint64_t opened, settled, ready, connecting, open_goal, running, quota, run_start, run_end, last_end,
        connections_tried;
    double next_arrival;
    struct list idle_lanes;
    uint64_t *backlog, backlog_head, backlog_len;
    struct tick_timer tick, hold;
    /* measuring */
    struct load_stats stats;
    struct proc_sample at_first, at_connected, last_good, peak, self_start, self_end;
    struct mark begin, end;
    struct proc_tree server, self;
    struct syscall_counter counter;
    uint64_t syscalls;
    struct step steps[MAX_STEPS];
    unsigned n_steps;
    bool stop_starting, no_arrivals, counting;
    unsigned interrupted; /* signals */
    uint64_t last_tokens, last_progress, last_news;
    char room[65536];
};

/* load_drive.c */
void drive_start(struct load *l);
/* When the loop must turn next: ns, UINT64_MAX for never. */
uint64_t drive_next(struct load *l);
void drive_turn(struct load *l);
/* A session has become ready, or could not. */
void drive_settled(struct session *s);
/* A lane's request is over. */
void drive_lane_over(struct lane *n, bool ok);
/* [0, 1). Arrivals have a state of their own, so that they are the same whatever the mode. */
double load_random(uint64_t *state);

/* load_session.c */
bool sessions_init(struct load *l) MUST_USE;
void sessions_free(struct load *l);
void session_connect(struct session *s);
/* Closes, and nothing else. */
void session_close(struct session *s);
/* Closes; requests that run on it end as failures of that kind, or as `left` when it is NULL. */
void session_drop(struct session *s, const char *why);
void session_event(struct session *s, uint32_t events);
void session_update(struct session *s);
/* Ready, or the WebSocket upgrade is done: what waits is sent. */
void session_ready(struct session *s);
bool session_send(struct session *s, const void *data, size_t len);
void lane_start(struct lane *n, uint64_t intended);

/* load_http.c and load_ws.c: eat what they can of `in`; false: the session has been dropped. */
bool http_build(struct load *l) MUST_USE;
bool http_feed(struct session *s, struct bytes in, size_t *ret_used) MUST_USE;
bool http_closed_is_end(struct session *s);
bool ws_build(struct load *l) MUST_USE;
void ws_upgrade(struct session *s);
bool ws_feed(struct session *s, struct bytes in, size_t *ret_used) MUST_USE;
bool ws_send(struct session *s, unsigned opcode, struct bytes payload);

/* load_answer.c */
void answer_begin(struct lane *n);
/* One SSE data line, or one WebSocket message; or a whole JSON body. */
void answer_event(struct session *s, struct lane *n, struct bytes data);
void answer_body(struct lane *n, struct bytes body);
/* The answer is over: checks it and tells the driver. `why`: a failure already known. */
void answer_over(struct lane *n, const char *why);
void load_error(struct load *l, const char *kind);

/* load_report.c */
void report_progress(struct load *l);
bool report_json(const struct load *l, FILE *f) MUST_USE;
void report_text(const struct load *l, FILE *f);
bool load_correct(const struct load *l); /* no token lost, doubled, reordered, garbled or invented */

/* load_body.c: the request bodies. */
bool body_build(const struct load *l, const char *stream_id, struct buf *out) MUST_USE;

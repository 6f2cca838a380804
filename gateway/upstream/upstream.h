#pragma once
/* Transfers to providers: the only code that knows curl. One `struct upstream` a worker.
 *
 * A transfer is one attempt. It appends to the builder that it was given and knows nothing of who reads.
 * Whatever happens (HTTP error, timeout, truncation, reset) gives the builder exactly one outcome; then, and
 * after every batch of appends, `progress` is called, from upstream_tick or a timer, never from inside
 * upstream_start. A transfer logs no terminal, and no created. */
#include "gateway/config/config.h"

struct loop;
struct upstream;
struct transfer;

/* A longer one is not sent. */
enum { UPSTREAM_REQUEST_ID_MAX = 128 };

/* What is known of an attempt beside its outcome: filled as it becomes known. All zero at first. */
struct upstream_report {
    int status;              /* HTTP's; 0: no answer */
    bool begun;              /* first_token_ms counts */
    uint32_t first_token_ms; /* from upstream_start to the first event of the answer */
    char request_id[72];     /* the provider's own: x-request-id or request-id, cut to fit; "": none */
};

struct upstream_call {
    const struct config_provider *provider;
    struct bytes model;                /* the provider's name for it */
    const struct llm_request *request; /* read during upstream_start only */
    /* These four must live until the outcome's call of progress or upstream_cancel. */
    const char *request_id;  /* sent as x-request-id when it is fit for a header; in the log */
    const char *response_id; /* in the log */
    struct llm_builder *builder;
    struct upstream_report *report;
    uint64_t since_ms;           /* when timeouts.total began, as uv_now tells the time; 0: now */
    void (*progress)(void *ctx); /* after the outcome's call the transfer is gone: forget the pointer */
    void *ctx;
};

struct upstream *upstream_new(struct loop *loop, const struct config *cfg);
/* `call` after the work of each event of a provider's socket: clients need not wait until all sockets that
 * are ready in this loop turn have been read. */
void upstream_after_each(struct upstream *u, void (*call)(void *ctx), void *ctx);
/* Opens, tells of and takes down the transfers that want it: at the end of each turn of the loop. What comes
 * up meanwhile waits for the next one. */
void upstream_tick(struct upstream *u);
/* Cancels all; closes its handles: run the loop until they are gone, then upstream_free. */
void upstream_close(struct upstream *u);
void upstream_free(struct upstream *u);
/* Never NULL but for want of memory: what cannot be sent fails on a later turn. */
struct transfer *upstream_start(struct upstream *u, const struct upstream_call *call);
/* The loop's time, for upstream_call.since_ms. */
uint64_t upstream_now(const struct upstream *u);
/* No more appends and no more calls of progress from here on; the connection to the provider is closed
 * (HTTP/2: the stream is reset) on this or the next loop turn. Allowed anywhere, also inside progress.
 * NULL-safe. */
void upstream_cancel(struct transfer *t);
/* What progress will touch beside ctx, when there are thousands of transfers: fetched while a socket is read,
 * never looked into, and allowed to be gone. NULL-safe. */
void upstream_hint(struct transfer *t, const void *first, const void *second);
size_t upstream_in_flight(const struct upstream *u);

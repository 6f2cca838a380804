#pragma once
/* Transfers to providers: the only code that knows curl. One `struct upstream` a worker, on the worker's
 * libuv loop.
 *
 * A transfer appends to the builder that it was given and knows nothing of who reads. Whatever happens (HTTP
 * error, timeout, truncation, reset) ends in exactly one terminal in the log; then, and after every batch of
 * appends, `progress` is called, from upstream_tick or a timer, never from inside upstream_start. */
#include "gateway/config/config.h"
#include <uv.h>

struct upstream;
struct transfer;

struct upstream_call {
    const struct config_provider *provider;
    struct bytes model;                /* the provider's name for it */
    const struct llm_request *request; /* read during upstream_start only */
    struct bytes request_id;           /* sent as x-request-id; copied */
    struct llm_builder *builder;       /* must live until the terminal or upstream_cancel */
    void (*progress)(void *ctx); /* after the terminal's call the transfer is gone: forget the pointer */
    void *ctx;
};

struct upstream *upstream_new(uv_loop_t *loop, const struct config *cfg);
/* `call` after the work of each event of a provider's socket: clients need not wait until all sockets that
 * are ready in this loop turn have been read. */
void upstream_after_each(struct upstream *u, void (*call)(void *ctx), void *ctx);
/* Cancels all; closes its handles: run the loop until they are gone, then upstream_free. */
void upstream_close(struct upstream *u);
void upstream_free(struct upstream *u);
/* Never NULL but for ERR_NOMEM: what cannot be sent fails in the log on a later turn. */
struct transfer *upstream_start(struct upstream *u, const struct upstream_call *call);
/* No more appends and no more calls of progress from here on; the connection to the provider is closed
 * (HTTP/2: the stream is reset) on this or the next loop turn. Allowed anywhere, also inside progress.
 * NULL-safe. */
void upstream_cancel(struct transfer *t);
/* What progress will touch beside ctx, when there are thousands of transfers: fetched while a socket is read,
 * never looked into, and allowed to be gone. NULL-safe. */
void upstream_hint(struct transfer *t, const void *first, const void *second);
size_t upstream_in_flight(const struct upstream *u);

#pragma once
/* All responses of a worker: found by their ids, held against one memory budget, and kept for a while when
 * nobody reads them.
 *
 * Time comes from response_pool_reap alone, once a turn of the loop: what was left in a turn has its term set
 * at the end of that turn. */
#include "common/wheel.h"
#include "gateway/response/owner.h"

struct response;
struct upstream;

struct response_pool {
    struct upstream *upstream;
    size_t bytes;     /* held by all responses */
    size_t max_bytes; /* limits.max_responses_bytes */
    size_t max_response_bytes;
    uint64_t resume_ttl; /* timeouts.resume_ttl; 0: nothing is kept */
    unsigned n_live;     /* being made or read */
    unsigned n_retained; /* over, and kept for those who come back */
    struct list live;
    struct list unread;   /* running, until their term; the oldest first */
    struct list retained; /* the oldest first */
    struct list reap;
    bool closing;          /* nothing is kept any more */
    uint64_t next_term_ms; /* no term is over before it; UINT64_MAX: there is none */
    bool untimed;          /* some at the ends of the lists have no term yet */
    struct wheel *wheel;
    struct wheel_timer timer; /* wakes the loop for the earliest term */
    /* By id: chains, each linked through its responses. */
    struct response **buckets_;
    size_t n_buckets_, n_indexed_;
};

/* `wheel`: told the same time as response_pool_reap. */
void response_pool_init(struct response_pool *p, struct upstream *u, const struct config *cfg,
                        struct wheel *wheel);
/* Ends what is kept: before the upstream is closed. */
void response_pool_close(struct response_pool *p);
/* After the last reap. */
void response_pool_free(struct response_pool *p);
/* Frees what was released since the last call, and what is kept past its term or past the budget. Once a loop
 * turn, never from inside a callback of a response. */
void response_pool_reap(struct response_pool *p, uint64_t now_ms);
/* True past the high-water mark, with nothing left that is only kept: shed new requests. */
bool response_pool_full(struct response_pool *p);
/* The response of that id, if it is the owner's: somebody else's does not exist. Borrowed: attach a cursor,
 * or take a reference. */
struct response *response_find(const struct response_pool *p, const struct owner *owner, struct bytes id);

/* ---- for response.c ---- */

/* False: no memory. */
bool pool_add(struct response_pool *p, struct response *r) MUST_USE;
/* Into one of the lists, out of the one that it is in. */
void pool_to_live(struct response_pool *p, struct response *r);
void pool_to_unread(struct response_pool *p, struct response *r, bool has_term);
void pool_to_retained(struct response_pool *p, struct response *r);
/* Not found any more, not counted any more; freed by the next reap. */
void pool_to_reap(struct response_pool *p, struct response *r);

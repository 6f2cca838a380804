#pragma once
/* Counters of all workers, in memory that they share: the master creates it, each process writes a slot of
 * its own and nobody else's, and whoever is asked adds up all. No lock, no pointer, no atomic
 * read-modify-write: a slot has one writer.
 *
 * Counters never go back: a worker's slot is taken over by the next one as it stands; only what tells a
 * present state is cleared by the master when a worker has died. What is read from there is a number or a
 * name and never an index or a size: a worker gone wrong can make figures wrong, and nothing else.
 *
 * Labels are names of the configuration. The master learns them before it forks; a name beyond the room
 * below, and what no name is configured for, counts as "other". */
#include "common/buf.h"
#include "gateway/ops/request.h"

enum { METRICS_ROUTES = 512, METRICS_PRINCIPALS = 1024, METRICS_ENDPOINTS = 32, METRICS_NAME_MAX = 256 };

struct metrics;

/* What a worker is at present. */
struct metrics_state {
    uint64_t connections, sessions;
    uint64_t responses, retained;       /* being made or read; kept for those who come back */
    uint64_t budget_used, budget_limit; /* bytes of all answers */
    bool serving;
};

/* `slots`: processes at once, the master's own included. NULL: no memory. */
struct metrics *metrics_create(unsigned slots);
void metrics_destroy(struct metrics *m); /* NULL-safe */

/* Master, before it forks those who shall know the name. Names known already cost nothing. */
void metrics_learn_endpoint(struct metrics *m, const char *path);
void metrics_learn_principal(struct metrics *m, const char *name);
/* `entry`: a configured model name or pattern; NULL: PROVIDER/MODEL, which needs no entry. */
void metrics_learn_route(struct metrics *m, const char *entry, const char *provider);
/* Master: the process of that slot has ended. */
void metrics_slot_ended(struct metrics *m, unsigned slot);

/* In each process, first: which slot is its own. */
void metrics_attach(struct metrics *m, unsigned slot, unsigned generation);
void metrics_state(struct metrics *m, const struct metrics_state *now);
/* A request begins; each is followed by one metrics_request. */
void metrics_begin(struct metrics *m, const char *endpoint, bool websocket);
/* It has ended. */
void metrics_request(struct metrics *m, const struct request_record *r);
/* Refused before it was one. */
void metrics_refusal(struct metrics *m, enum refusal why);

/* All of it in Prometheus' text format, version 0.0.4. */
void metrics_write(const struct metrics *m, struct buf *out);

/* Workers of this one's generation that serve, itself included. */
unsigned metrics_serving(const struct metrics *m);
/* Of these, those that shed new requests for want of memory. */
unsigned metrics_over_budget(const struct metrics *m);

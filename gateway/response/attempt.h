#pragma once
/* An attempt is one try at one target. A response has a plan of targets, in the order in which they may be
 * tried. While nothing of the answer has been logged, an attempt's fault may be followed by one at the next
 * target at which it may help (fault_may_retry); from the first logged event on, the outcome stands.
 *
 * Who keeps what: the plan, its targets with their models, and the request belong to the caller, who keeps
 * them as long as response_needs_request says so. With one target that is over when response_start returns;
 * else it ends when the first event is logged, when no target is left, or when the response has ended. */
#include "gateway/upstream/upstream.h"

struct response;

struct attempt_target {
    const struct config_provider *provider;
    struct bytes model; /* the provider's name for it */
};

struct attempt_plan {
    const struct attempt_target *targets;
    unsigned n_targets; /* >= 1; the same target twice: it may be asked again */
    const struct llm_request *request;
    struct bytes request_id;
    /* The request is not needed any more. At most once, never from inside a call of the owner's into this
     * room; must not free the response. NULL: nobody wants to know. */
    void (*request_done)(void *ctx);
    void *ctx;
};

enum { ATTEMPT_MODEL_MAX = 95 };

/* A response's attempts: what logs tell of the one that runs or was the last. */
struct attempts {
    const struct attempt_plan *plan;        /* NULL: no further attempt, and the request is not needed */
    struct transfer *transfer;              /* NULL: none runs */
    unsigned target;                        /* in the plan */
    unsigned count;                         /* attempts so far */
    uint64_t since_ms;                      /* when the first began */
    const struct config_provider *provider; /* NULL: none yet */
    struct upstream_report report;
    char model[ATTEMPT_MODEL_MAX + 1]; /* the target's, cut to fit */
    char request_id[UPSTREAM_REQUEST_ID_MAX + 1];
};

/* Begins with the plan's first target. */
void attempts_start(struct response *r, const struct attempt_plan *plan, void (*progress)(void *ctx));
/* After each progress of an attempt. True: it has ended, and another one has taken its place; false: it goes
 * on, or its outcome stands. */
bool attempts_progress(struct response *r, void (*progress)(void *ctx));
/* Ends the one that runs, and the plan. */
void attempts_stop(struct response *r);

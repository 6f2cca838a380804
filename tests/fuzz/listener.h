#pragma once
/* A client that reads a log, and writes down what it was told in a form that does not depend on how deltas
 * were gathered into events. */
#include "tests/fuzz/fuzz.h"

struct listener {
    struct event_sink sink; /* first: the sink's functions know the listener by it */
    struct llm_encoder encoder;
    const struct dialect *dialect;
    struct buf out, told;
    struct buf run; /* which text the last delta belonged to */
    int64_t sequence;
};

/* Under which the logs are shown. */
extern const struct llm_head fuzz_head;

void listener_init(struct listener *l, const struct dialect *d);
void listener_free(struct listener *l);
/* Reads on until `budget` bytes have come, or all that there is with SIZE_MAX. */
void listener_read(struct listener *l, const struct llm_log *log, size_t budget);

#pragma once
/* What a lane remembers of its latest response, so that `previous_response_id` can continue it: the
 * conversation, deep-copied into one arena bounded by limits.max_context_bytes. */
#include "gateway/pipeline/pipeline.h"

struct context {
    unsigned refs; /* the lane's, and that of each answer that continues it: its request borrows the items */
    char response_id[ID_MAX];
    bool too_large; /* met the ceiling: known, but cannot be continued */
    struct arena arena;
    struct llm_item *items;
    size_t n_items;
};

/* The request's items (which hold what it continued) and the answer's. NULL: no memory. */
struct context *context_new(const struct llm_request *r, struct bytes response_id, const struct llm_log *log,
                            size_t max_bytes);
struct context *context_ref(struct context *c); /* NULL-safe, as the next */
void context_free(struct context *c);           /* drops a reference; the last one frees */

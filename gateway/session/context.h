#pragma once
/* What a lane remembers of its latest response, so that `previous_response_id` can continue it: the
 * conversation, deep-copied into one arena bounded by limits.max_context_bytes. */
#include "gateway/pipeline/pipeline.h"

struct context {
    unsigned refs; /* the lane's, and that of each request that continues it: it borrows the items */
    char response_id[ID_MAX]; /* "" until it is finished */
    bool too_large;           /* met the ceiling, or no memory: known, but cannot be continued */
    size_t max_bytes;
    struct arena arena;
    struct llm_item *items; /* on the heap; counted against max_bytes like the arena */
    size_t n_items;
};

/* The request's items, which hold what it continued. NULL: no memory. */
struct context *context_begin(const struct llm_request *r, size_t max_bytes);
/* And the answer's. */
void context_finish(struct context *c, struct bytes response_id, const struct llm_log *log);
/* Memory that it holds. */
size_t context_bytes(const struct context *c);
struct context *context_ref(struct context *c); /* NULL-safe, as the next */
void context_free(struct context *c);           /* drops a reference; the last one frees */

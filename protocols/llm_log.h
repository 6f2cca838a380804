#pragma once
/* How a log is written. Only the builder includes this; everyone else reads logs through llm_event.h.
 *
 * Events are records in a list of chunks that never move. Every chunk keeps room at its end for what it takes
 * to close all that is open, so that a log can always end properly, also when it has met its ceiling or the
 * allocator says no. */
#include "protocols/llm_event.h"

/* Bytes that an event without data takes. */
enum { LLM_RECORD_SIZE = 8 };

/* Appends one event; afterwards `reserve` bytes of the last chunk are still free. ERR_LIMIT (max_bytes),
 * ERR_NOMEM: the log is as it was. With reserve 0 and no data it cannot fail, as long as what earlier appends
 * reserved is not used up. */
enum err llm_log_append(struct llm_log *l, const struct llm_event *e, size_t reserve);
/* Appends ITEM_ADDED and the item, whose strings are copied; an empty id (and a function call's empty
 * call_id) is made from the log's seed. ERR_LIMIT, ERR_NOMEM. */
enum err llm_log_append_item(struct llm_log *l, enum llm_output_kind kind, struct bytes id,
                             struct bytes call_id, struct bytes name, size_t reserve) MUST_USE;
/* Appends ITEM_DONE; `extra` becomes the item's. ERR_LIMIT, ERR_NOMEM. */
enum err llm_log_append_item_done(struct llm_log *l, unsigned item, struct bytes extra, size_t reserve);
/* The item, for its counters. */
struct llm_output_item *llm_log_item_at(struct llm_log *l, unsigned item);

#pragma once
/* The objects of the Responses dialect that hold text: content parts, output items and the Response itself,
 * folded out of a log. The text of a part is written straight from the log's deltas; nothing is gathered
 * first. */
#include "protocols/llm_event.h"

/* A part's text, or a call's arguments, in the log: everything of (item, part, kind) from `pos` on. */
struct part_ref {
    struct llm_pos pos;
    unsigned item, part;
    enum llm_part_kind kind;
};

/* False when the log has no such part. */
bool part_find(const struct llm_log *l, unsigned item, unsigned part, enum llm_part_kind kind,
               struct part_ref *ret);
/* All of its text as one JSON string. */
void part_write_text(struct json_writer *w, const struct llm_log *l, const struct part_ref *p);
/* The array of its token log probabilities, [] when the provider's words for them are not ours. */
void part_write_logprobs(struct json_writer *w, const struct llm_log *l, const struct part_ref *p);
/* The part object, {"type":"output_text",...}; `empty`: as it is announced, before its first delta. */
void part_write(struct json_writer *w, const struct llm_log *l, const struct part_ref *p, bool empty);

/* How many annotations it has before event `index`. */
unsigned part_count_annotations(const struct llm_log *l, const struct part_ref *p, uint32_t index);

/* An output item; `empty`: as it is announced, in progress and without content. */
void object_write_item(struct json_writer *w, const struct llm_log *l, unsigned item, bool empty);

/* The Response object. A `terminal` one has the output, the usage and the end of the log; any other is in
 * progress. */
void object_write_response(struct json_writer *w, const struct llm_head *h, const struct llm_log *l,
                           bool terminal);

/* True when the raw members that this log remembers are in our words. */
bool object_extras_ours(const struct llm_log *l);

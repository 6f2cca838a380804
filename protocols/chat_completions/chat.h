#pragma once
/* OpenAI Chat Completions (platform.openai.com/docs/api-reference/chat), facing clients and providers. Inside
 * this folder. */
#include "protocols/dialect.h"
#include "protocols/fields.h"

/* chat_tables.c: what a request may hold. */
extern const struct field_shape chat_request_shape;
extern const struct field_object chat_request_object, chat_message_members, chat_part_members;

/* chat_decode_request.c */
enum err chat_decode_request(const struct json_doc *doc, json_ref root, struct llm_request *r,
                             struct api_error *ret_error) MUST_USE;

/* chat_encode_request.c */
enum err chat_encode_request(const struct llm_request *r, struct bytes model, struct buf *out,
                             struct api_error *ret_error) MUST_USE;

/* chat_decoder.c */
struct llm_decoder *chat_decoder_new(struct llm_builder *b);
void chat_decoder_free(struct llm_decoder *d);
void chat_decode_event(struct llm_decoder *d, struct bytes name, struct bytes data);
void chat_decode_end(struct llm_decoder *d);
void chat_decode_answer(struct llm_decoder *d, struct bytes body);

/* chat_encoder.c */
bool chat_encode_events(struct llm_encoder *e, const struct llm_log *l, struct event_sink *s, size_t budget);
/* chat_answer.c */
void chat_encode_answer(const struct llm_head *h, const struct llm_log *l, struct buf *out);

/* chat_annotation.c */
/* Adds a message's `annotations` to the open text part. */
void chat_read_annotations(struct llm_builder *b, const struct json_doc *doc, json_ref list,
                           struct buf *scratch);
/* One of the log's, as an element of `annotations`; false, and nothing written, when it has no words here.
 * `w` may be NULL. */
bool chat_write_annotation(struct bytes raw, struct json_writer *w);

/* What both encoders say alike. */
/* The hex digits of "resp_<hex>". */
struct bytes chat_id_tail(const struct llm_head *h);
const char *chat_finish_reason(const struct llm_log *l);
void chat_write_usage(const struct llm_usage *u, struct json_writer *w);
/* How many function calls come before `item`: the tool call's index. */
unsigned chat_call_index(const struct llm_log *l, unsigned item);

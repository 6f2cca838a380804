#pragma once
/* The OpenAI Responses dialect, inside of its own folder: what its table (responses.c) is made of. Everybody
 * else goes through dialect_responses, client_event.h, server_event.h and object.h. Wire format: the npm
 * package openai 6.49, resources/responses/responses.d.ts. */
#include "protocols/dialect.h"

/* request_decode.c */
enum err responses_decode_request(const struct json_doc *doc, json_ref root, struct llm_request *r,
                                  struct api_error *ret_error) MUST_USE;
/* echo.c */
void responses_encode_echo(const struct llm_request *r, struct buf *out);
/* event_encode.c */
bool responses_encode_events(struct llm_encoder *e, const struct llm_log *l, struct event_sink *s,
                             size_t budget);
void responses_encode_answer(const struct llm_head *h, const struct llm_log *l, struct buf *out);
/* request_encode.c */
enum err responses_encode_request(const struct llm_request *r, struct bytes model, struct buf *out,
                                  struct api_error *ret_error) MUST_USE;
/* decoder.c */
struct llm_decoder *responses_decoder_new(struct llm_builder *b);
void responses_decoder_free(struct llm_decoder *d);
void responses_decode_event(struct llm_decoder *d, struct bytes name, struct bytes data);
void responses_decode_end(struct llm_decoder *d);
void responses_decode_answer(struct llm_decoder *d, struct bytes body);

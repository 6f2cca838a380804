#pragma once
/* Anthropic Messages (docs.anthropic.com/en/api/messages, version 2023-06-01), facing providers. Inside this
 * folder. */
#include "protocols/dialect.h"
#include "protocols/fields.h"

/* What a request asks for that names no ceiling of its own: Messages has no request without one. */
enum { MESSAGES_MAX_TOKENS = 8192 };

/* messages_encode_request.c */
enum err messages_encode_request(const struct llm_request *r, struct bytes model, struct buf *out,
                                 struct api_error *ret_error) MUST_USE;

/* messages_error.c: as provider_error_decode, and what is told by words alone. */
void messages_decode_error(int http_status, struct bytes body, struct fault *ret);

/* messages_decoder.c */
struct llm_decoder *messages_decoder_new(struct llm_builder *b);
void messages_decoder_free(struct llm_decoder *d);
void messages_decode_event(struct llm_decoder *d, struct bytes name, struct bytes data);
void messages_decode_end(struct llm_decoder *d);
void messages_decode_answer(struct llm_decoder *d, struct bytes body);

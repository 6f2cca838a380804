#include "protocols/chat_completions/chat.h"
#include "protocols/provider_error.h"

const struct dialect dialect_chat_completions = {
    .name = "chat_completions",
    .endpoint = "/v1/chat/completions",
    .encode_error = api_error_body,
    .decode_request = chat_decode_request,
    .encode_events = chat_encode_events,
    .encode_answer = chat_encode_answer,
    .path = "/chat/completions",
    .authorization = "Authorization: Bearer ",
    .framing = DIALECT_SSE,
    .encode_request = chat_encode_request,
    .decoder_new = chat_decoder_new,
    .decoder_free = chat_decoder_free,
    .decode_event = chat_decode_event,
    .decode_end = chat_decode_end,
    .decode_answer = chat_decode_answer,
    .decode_error = provider_error_decode,
};

#include "protocols/messages/messages.h"

static const char *const headers[] = {"anthropic-version: 2023-06-01", NULL};

const struct dialect dialect_messages = {
    .name = "messages",
    .path = "/messages",
    .authorization = "x-api-key: ",
    .headers = headers,
    .framing = DIALECT_SSE,
    .encode_request = messages_encode_request,
    .decoder_new = messages_decoder_new,
    .decoder_free = messages_decoder_free,
    .decode_event = messages_decode_event,
    .decode_end = messages_decode_end,
    .decode_answer = messages_decode_answer,
    .decode_error = messages_decode_error,
};

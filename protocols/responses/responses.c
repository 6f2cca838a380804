#include "protocols/responses/responses.h"
#include "protocols/provider_error.h"

const struct dialect dialect_responses = {
    .name = "responses",
    .endpoint = "/v1/responses",
    .encode_error = api_error_body,
    .resumable = true,
    .decode_request = responses_decode_request,
    .encode_echo = responses_encode_echo,
    .encode_events = responses_encode_events,
    .encode_answer = responses_encode_answer,
    .path = "/responses",
    .authorization = "Authorization: Bearer ",
    .framing = DIALECT_SSE,
    .encode_request = responses_encode_request,
    .decoder_new = responses_decoder_new,
    .decoder_free = responses_decoder_free,
    .decode_event = responses_decode_event,
    .decode_end = responses_decode_end,
    .decode_answer = responses_decode_answer,
    .decode_error = provider_error_decode,
};

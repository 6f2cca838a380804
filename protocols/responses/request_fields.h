#pragma once
/* What a request may look like: the tables behind protocols/schema/responses_request.json and
 * response_create.json. */
#include "protocols/fields.h"

extern const struct field_shape responses_create_shape;
/* The members of a request that the neutral form has a place for; all others ride along as extras. */
extern const struct field_object responses_named_members;
/* Of an input item and of a content part, the members that are decoded; what else there is rides along with
 * it. */
extern const struct field_object responses_named_message, responses_named_call, responses_named_output,
    responses_named_text_part, responses_named_image_part;
/* Of `reasoning` and `text`. */
extern const struct field_object responses_named_reasoning, responses_named_text;

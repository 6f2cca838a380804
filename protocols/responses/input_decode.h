#pragma once
/* The `input` of a request: a string, or a list of items. */
#include "protocols/fields.h"

/* Over a document that has passed responses_create_shape. `input` may be JSON_NONE. ERR_INVALID: what no
 * table can say (item_reference, an image without a source). ERR_NOMEM. */
enum err input_decode(const struct json_doc *d, json_ref input, struct llm_request *r,
                      struct api_error *ret_error) MUST_USE;

/* The members of `obj` that `named` does not name, as raw JSON members on one line; empty when there are
 * none. */
enum err members_left(const struct json_doc *d, json_ref obj, const struct field_object *named,
                      struct arena *a, struct bytes *ret) MUST_USE;

#pragma once
/* For those who keep an answer as input of the next request. */
#include "protocols/llm_event.h"

/* One finished output item as a JSON object in Responses form: what a client would feed back as an input
 * item. */
void responses_write_output_item(const struct llm_log *l, unsigned item, struct json_writer *w);

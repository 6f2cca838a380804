#pragma once
/* Request members that are written twice: into the request for a provider, and into the Response that repeats
 * them. */
#include "protocols/json/json.h"
#include "protocols/llm_request.h"

/* The request came in our own words: what has no neutral name may go out again. */
bool params_own(const struct llm_request *r);
/* An extra of a request in our own words; NULL: none. */
const struct llm_extra *params_extra(const struct llm_request *r, const char *key);
/* The array of tools; those of another dialect that are no functions are left out. */
void params_write_tools(struct json_writer *w, const struct llm_request *r);
/* "auto" when absent. */
void params_write_tool_choice(struct json_writer *w, const struct llm_request *r);
void params_write_format(struct json_writer *w, const struct llm_format *f);
/* A number as it came. */
void params_write_number(struct json_writer *w, const struct llm_number *n);

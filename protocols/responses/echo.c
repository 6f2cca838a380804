/* The members that a Response repeats from its request. All that the official type promises is there, with
 * the API's own defaults for what was absent; they may stand in a line of an event stream, so the raw ones
 * lose their line ends. */
#include "protocols/responses/params.h"
#include "protocols/responses/responses.h"

static void write_string_or_null(struct json_writer *w, const char *key, struct bytes s)
{
    jw_key(w, key);
    if (s.len > 0)
        jw_string(w, s);
    else
        jw_null(w);
}

static void write_number_or(struct json_writer *w, const char *key, const struct llm_number *n,
                            const char *otherwise)
{
    jw_key(w, key);
    if (n->set)
        params_write_number(w, n);
    else
        jw_raw(w, bytes_cstr(otherwise));
}

static void write_reasoning(struct json_writer *w, const struct llm_request *r)
{
    const struct llm_extra *whole = params_extra(r, "reasoning");
    jw_key(w, "reasoning");
    if (whole) {
        jw_raw(w, whole->raw);
        return;
    }
    jw_object(w);
    write_string_or_null(w, "effort", r->reasoning_effort);
    write_string_or_null(w, "summary", r->reasoning_summary);
    jw_object_end(w);
}

static void write_text(struct json_writer *w, const struct llm_request *r)
{
    const struct llm_extra *whole = params_extra(r, "text");
    jw_key(w, "text");
    if (whole) {
        jw_raw(w, whole->raw);
        return;
    }
    jw_object(w);
    jw_key(w, "format");
    params_write_format(w, &r->format);
    jw_kstring(w, "verbosity", r->verbosity.len > 0 ? r->verbosity : BYTES("medium"));
    jw_object_end(w);
}

/* Extras that the Response repeats; `otherwise`: when the request has none, NULL: nothing then. */
static void write_repeated(struct json_writer *w, const struct llm_request *r)
{
    static const struct {
        const char *key, *otherwise;
    } repeated[] = {
        {"truncation", "\"disabled\""}, {"service_tier", "null"},     {"top_logprobs", "0"},
        {"max_tool_calls", "null"},     {"prompt_cache_key", "null"}, {"safety_identifier", "null"},
    };
    for (size_t i = 0; i < ARRAY_LEN(repeated); i++) {
        const struct llm_extra *x = params_extra(r, repeated[i].key);
        jw_kraw(w, repeated[i].key, x ? x->raw : bytes_cstr(repeated[i].otherwise));
    }
}

static void write_members(struct json_writer *w, const struct llm_request *r)
{
    write_string_or_null(w, "instructions", r->instructions);
    jw_key(w, "max_output_tokens");
    if (r->max_output_tokens > 0)
        jw_int(w, r->max_output_tokens);
    else
        jw_null(w);
    jw_kraw(w, "metadata", r->metadata.len > 0 ? r->metadata : BYTES("{}"));
    jw_kbool(w, "parallel_tool_calls", r->parallel_tool_calls != 0);
    write_number_or(w, "temperature", &r->temperature, "1");
    write_number_or(w, "top_p", &r->top_p, "1");
    jw_key(w, "tool_choice");
    params_write_tool_choice(w, r);
    jw_key(w, "tools");
    params_write_tools(w, r);
    write_reasoning(w, r);
    write_text(w, r);
    jw_kbool(w, "store", r->store != 0);
    if (r->user.len > 0)
        jw_kstring(w, "user", r->user);
    write_repeated(w, r);
}

void responses_encode_echo(const struct llm_request *r, struct buf *out)
{
    struct buf members;
    struct json_writer w;
    buf_init(&members, out->max);
    jw_init(&w, &members);
    write_members(&w, r);
    if (members.failed || json_compact(buf_bytes(&members), out) != ERR_OK)
        out->failed = true;
    buf_free(&members);
}

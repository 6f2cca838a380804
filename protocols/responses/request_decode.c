#include "protocols/responses/client_event.h"
#include "protocols/responses/input_decode.h"
#include "protocols/responses/request_fields.h"
#include "protocols/responses/responses.h"

static enum err no_memory(struct api_error *e)
{
    api_error_no_memory(e);
    return ERR_NOMEM;
}

/* ---- what no table can say ---- */

static enum err check_input_given(const struct json_doc *d, json_ref root, struct api_error *ret_error)
{
    if (json_get(d, root, "input") != JSON_NONE ||
        json_is(d, json_get(d, root, "previous_response_id"), JSON_STRING) ||
        json_is(d, json_get(d, root, "prompt"), JSON_OBJECT) ||
        json_is(d, json_get(d, root, "generate"), JSON_FALSE))
        return ERR_OK;
    api_error_set(ret_error, 400, API_INVALID, "missing_required_parameter", "input",
                  "Missing required parameter: input (or previous_response_id, or generate: false).");
    return ERR_INVALID;
}

static enum err check_unsupported(const struct json_doc *d, json_ref root, struct api_error *ret_error)
{
    static const struct {
        const char *key, *why;
    } refused[] = {
        {"conversation", "this gateway keeps no conversations; use previous_response_id, or send the items"},
        {"idempotency_key", "this gateway does not recognize repeats yet, and does not pretend to"},
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        json_ref r = json_get(d, root, refused[i].key);
        if (r == JSON_NONE || json_is(d, r, JSON_NULL))
            continue;
        api_error_set(ret_error, 400, API_INVALID, "unsupported_parameter", refused[i].key,
                      "Unsupported parameter: %s: %s.", refused[i].key, refused[i].why);
        return ERR_INVALID;
    }
    return ERR_OK;
}

static enum err decode_stream_id(const struct json_doc *d, json_ref root, struct llm_request *r,
                                 struct api_error *ret_error)
{
    json_ref id = json_get(d, root, "stream_id");
    if (id == JSON_NONE)
        return ERR_OK;
    if (!json_string(d, id, r->arena, &r->stream_id))
        return no_memory(ret_error);
    r->set_stream_id = true;
    if (client_stream_id_valid(r->stream_id))
        return ERR_OK;
    client_stream_id_error(ret_error);
    return ERR_INVALID;
}

/* ---- tools ---- */

static enum err decode_tool(const struct json_doc *d, json_ref tool, struct arena *a, struct llm_tool *t)
{
    t->raw = json_raw(d, tool);
    t->strict = -1;
    if (!field_is(d, json_get(d, tool, "type"), a, "function"))
        return ERR_OK;
    field_raw(d, tool, "parameters", &t->parameters);
    field_tristate(d, tool, "strict", &t->strict);
    enum err err = field_string(d, tool, "name", a, &t->name);
    return err == ERR_OK ? field_string(d, tool, "description", a, &t->description) : err;
}

static enum err decode_tools(const struct json_doc *d, json_ref root, struct llm_request *r)
{
    json_ref tools = json_get(d, root, "tools");
    size_t n = tools == JSON_NONE ? 0 : d->nodes[tools].count;
    if (n == 0)
        return ERR_OK;
    r->tools = arena_array(r->arena, n, sizeof(*r->tools));
    if (!r->tools)
        return ERR_NOMEM;
    for (json_ref t = json_first(d, tools); t != JSON_NONE; t = json_next(d, t)) {
        enum err err = decode_tool(d, t, r->arena, &r->tools[r->n_tools++]);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err decode_tool_choice(const struct json_doc *d, json_ref root, struct llm_request *r)
{
    json_ref choice = json_get(d, root, "tool_choice");
    if (choice == JSON_NONE)
        return ERR_OK;
    if (json_is(d, choice, JSON_STRING)) {
        r->tool_choice = field_is(d, choice, r->arena, "none")   ? LLM_TOOLS_NONE
                         : field_is(d, choice, r->arena, "auto") ? LLM_TOOLS_AUTO
                                                                 : LLM_TOOLS_REQUIRED;
        return ERR_OK;
    }
    if (field_is(d, json_get(d, choice, "type"), r->arena, "function")) {
        r->tool_choice = LLM_TOOLS_FUNCTION;
        return field_string(d, choice, "name", r->arena, &r->tool_choice_name);
    }
    r->tool_choice = LLM_TOOLS_OPAQUE;
    r->tool_choice_raw = json_raw(d, choice);
    return ERR_OK;
}

/* ---- text, reasoning ---- */

static enum err decode_format(const struct json_doc *d, json_ref format, struct llm_request *r)
{
    struct llm_format *f = &r->format;
    json_ref type = json_get(d, format, "type");
    if (type == JSON_NONE)
        return ERR_OK;
    if (field_is(d, type, r->arena, "text")) {
        f->kind = LLM_FORMAT_TEXT;
        return ERR_OK;
    }
    if (field_is(d, type, r->arena, "json_object")) {
        f->kind = LLM_FORMAT_JSON_OBJECT;
        return ERR_OK;
    }
    f->kind = LLM_FORMAT_JSON_SCHEMA;
    field_raw(d, format, "schema", &f->schema);
    field_tristate(d, format, "strict", &f->strict);
    enum err err = field_string(d, format, "name", r->arena, &f->name);
    return err == ERR_OK ? field_string(d, format, "description", r->arena, &f->description) : err;
}

static enum err decode_text(const struct json_doc *d, json_ref root, struct llm_request *r)
{
    json_ref text = json_get(d, root, "text"), reasoning = json_get(d, root, "reasoning");
    enum err err = decode_format(d, json_get(d, text, "format"), r);
    if (err == ERR_OK)
        err = field_string(d, text, "verbosity", r->arena, &r->verbosity);
    if (err == ERR_OK)
        err = field_string(d, reasoning, "effort", r->arena, &r->reasoning_effort);
    if (err == ERR_OK)
        err = field_string(d, reasoning, "summary", r->arena, &r->reasoning_summary);
    return err;
}

/* ---- extras ---- */

/* `text` or `reasoning` with members that we do not know rides along whole; what was decoded of it still
 * counts elsewhere. */
static enum err keep_whole(const struct json_doc *d, json_ref root, const char *key,
                           const struct field_object *named, struct llm_request *r)
{
    json_ref obj = json_get(d, root, key);
    struct bytes left = {NULL, 0};
    if (!json_is(d, obj, JSON_OBJECT))
        return ERR_OK;
    enum err err = members_left(d, obj, named, r->arena, &left);
    if (err == ERR_OK && left.len > 0)
        r->extras[r->n_extras++] = (struct llm_extra){json_raw_key(d, obj), json_raw(d, obj)};
    return err;
}

static bool is_null(const struct llm_extra *x)
{
    return bytes_is(x->raw, "null");
}

static enum err decode_extras(const struct json_doc *d, json_ref root, struct llm_request *r)
{
    struct llm_extra *unnamed;
    size_t n;
    enum err err = fields_extras(d, root, &responses_named_members, r->arena, &unnamed, &n);
    if (err != ERR_OK)
        return err;
    r->extras = arena_array(r->arena, n + 2, sizeof(*r->extras));
    if (!r->extras)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        if (!is_null(&unnamed[i]))
            r->extras[r->n_extras++] = unnamed[i];
    err = keep_whole(d, root, "text", &responses_named_text, r);
    return err == ERR_OK ? keep_whole(d, root, "reasoning", &responses_named_reasoning, r) : err;
}

/* ---- the request ---- */

static enum err decode_scalars(const struct json_doc *d, json_ref root, struct llm_request *r)
{
    bool generate = true;
    field_number(d, root, "temperature", &r->temperature);
    field_number(d, root, "top_p", &r->top_p);
    field_int(d, root, "max_output_tokens", &r->max_output_tokens);
    field_tristate(d, root, "parallel_tool_calls", &r->parallel_tool_calls);
    field_tristate(d, root, "store", &r->store);
    field_bool(d, root, "stream", &r->stream);
    field_bool(d, root, "generate", &generate);
    field_raw(d, root, "metadata", &r->metadata);
    r->warm_up = !generate;
    enum err err = field_string(d, root, "model", r->arena, &r->model);
    if (err == ERR_OK)
        err = field_string(d, root, "instructions", r->arena, &r->instructions);
    if (err == ERR_OK)
        err = field_string(d, root, "user", r->arena, &r->user);
    if (err == ERR_OK)
        err = field_string(d, root, "previous_response_id", r->arena, &r->previous_response_id);
    return err;
}

enum err responses_decode_request(const struct json_doc *d, json_ref root, struct llm_request *r,
                                  struct api_error *ret_error)
{
    enum err err = fields_check(d, root, &responses_create_shape, r->arena, ret_error);
    if (err == ERR_OK)
        err = check_unsupported(d, root, ret_error);
    if (err == ERR_OK)
        err = check_input_given(d, root, ret_error);
    if (err == ERR_OK)
        err = decode_stream_id(d, root, r, ret_error);
    if (err == ERR_OK)
        err = input_decode(d, json_get(d, root, "input"), r, ret_error);
    if (err != ERR_OK)
        return err;
    err = decode_scalars(d, root, r);
    if (err == ERR_OK)
        err = decode_tools(d, root, r);
    if (err == ERR_OK)
        err = decode_tool_choice(d, root, r);
    if (err == ERR_OK)
        err = decode_text(d, root, r);
    if (err == ERR_OK)
        err = decode_extras(d, root, r);
    return err == ERR_OK ? ERR_OK : no_memory(ret_error);
}

#include "protocols/responses/params.h"
#include "protocols/responses/responses.h"
#include <stdio.h>

struct request_writer {
    const struct llm_request *r;
    struct json_writer w;
    struct api_error *error;
    bool own; /* the request came in our words: raw members may go out again */
};

static enum err cannot(struct request_writer *x, const char *param, const char *what)
{
    api_error_set(x->error, 400, API_INVALID, "unsupported_by_provider", param,
                  "The provider of this model cannot take %s.", what);
    return ERR_INVALID;
}

static void own_members(struct request_writer *x, struct bytes raw)
{
    if (x->own)
        jw_raw_members(&x->w, raw);
}

/* ---- content ---- */

static enum err write_part(struct request_writer *x, const struct llm_content *c, bool output)
{
    struct json_writer *w = &x->w;
    if (c->kind == LLM_CONTENT_OPAQUE) {
        if (!x->own)
            return cannot(x, "messages", "a content part of this type");
        jw_raw(w, c->raw);
        return ERR_OK;
    }
    jw_object(w);
    if (c->kind == LLM_CONTENT_TEXT) {
        jw_kcstr(w, "type", output ? "output_text" : "input_text");
        jw_kstring(w, "text", c->text);
        if (output)
            jw_kraw(w, "annotations", BYTES("[]"));
    } else if (c->kind == LLM_CONTENT_REFUSAL) {
        jw_kcstr(w, "type", "refusal");
        jw_kstring(w, "refusal", c->text);
    } else {
        jw_kcstr(w, "type", "input_image");
        jw_kstring(w, "image_url", c->text);
        jw_kstring(w, "detail", c->detail.len > 0 ? c->detail : BYTES("auto"));
    }
    own_members(x, c->raw);
    jw_object_end(w);
    return ERR_OK;
}

/* One plain text as a string, which every server takes; else an array of parts. */
static enum err write_contents(struct request_writer *x, const char *key, const struct llm_item *it,
                               bool output)
{
    jw_key(&x->w, key);
    if (it->n_contents == 1 && it->contents[0].kind == LLM_CONTENT_TEXT &&
        (it->contents[0].raw.len == 0 || !x->own)) {
        jw_string(&x->w, it->contents[0].text);
        return ERR_OK;
    }
    jw_array(&x->w);
    for (size_t i = 0; i < it->n_contents; i++) {
        enum err err = write_part(x, &it->contents[i], output);
        if (err != ERR_OK)
            return err;
    }
    jw_array_end(&x->w);
    return ERR_OK;
}

/* ---- items ---- */

static enum err write_message(struct request_writer *x, const struct llm_item *it)
{
    static const char *const roles[] = {[LLM_ROLE_SYSTEM] = "system",
                                        [LLM_ROLE_DEVELOPER] = "developer",
                                        [LLM_ROLE_USER] = "user",
                                        [LLM_ROLE_ASSISTANT] = "assistant"};
    jw_object(&x->w);
    jw_kcstr(&x->w, "type", "message");
    jw_kcstr(&x->w, "role", roles[it->role]);
    enum err err = write_contents(x, "content", it, it->role == LLM_ROLE_ASSISTANT);
    own_members(x, it->raw);
    jw_object_end(&x->w);
    return err;
}

static enum err write_call(struct request_writer *x, const struct llm_item *it)
{
    jw_object(&x->w);
    jw_kcstr(&x->w, "type", "function_call");
    jw_kstring(&x->w, "call_id", it->call_id);
    jw_kstring(&x->w, "name", it->name);
    jw_kstring(&x->w, "arguments", it->text);
    own_members(x, it->raw);
    jw_object_end(&x->w);
    return ERR_OK;
}

static enum err write_output(struct request_writer *x, const struct llm_item *it)
{
    enum err err = ERR_OK;
    jw_object(&x->w);
    jw_kcstr(&x->w, "type", "function_call_output");
    jw_kstring(&x->w, "call_id", it->call_id);
    if (it->n_contents > 0)
        err = write_contents(x, "output", it, false);
    else
        jw_kstring(&x->w, "output", it->text);
    own_members(x, it->raw);
    jw_object_end(&x->w);
    return err;
}

/* True when the item carries the reasoning itself. One with an id and a summary only is looked up by that id
 * in the provider's store, where we keep nothing, and refused: better to leave it out. */
static bool reasoning_travels(struct bytes raw)
{
    static const struct json_limits limits = {.max_depth = 64, .max_nodes = 1 << 20};
    struct json_doc d;
    bool travels = false;
    json_doc_init(&d);
    if (json_parse(&d, raw, &limits, NULL) == ERR_OK) {
        json_ref sealed = json_get(&d, 0, "encrypted_content");
        travels = (json_is(&d, sealed, JSON_STRING) && json_raw_string(&d, sealed).len > 0) ||
                  json_first(&d, json_get(&d, 0, "content")) != JSON_NONE;
    }
    json_doc_free(&d);
    return travels;
}

static enum err write_item(struct request_writer *x, const struct llm_item *it)
{
    switch (it->kind) {
    case LLM_ITEM_MESSAGE:
        return write_message(x, it);
    case LLM_ITEM_FUNCTION_CALL:
        return write_call(x, it);
    case LLM_ITEM_FUNCTION_OUTPUT:
        return write_output(x, it);
    case LLM_ITEM_REASONING:
        if (x->own && it->raw.len > 0 && reasoning_travels(it->raw))
            jw_raw(&x->w, it->raw);
        return ERR_OK;
    case LLM_ITEM_OPAQUE:
        if (!x->own)
            return cannot(x, "messages", "a message of this form");
        jw_raw(&x->w, it->raw);
        return ERR_OK;
    }
    return ERR_OK;
}

static enum err write_input(struct request_writer *x)
{
    jw_key(&x->w, "input");
    jw_array(&x->w);
    for (size_t i = 0; i < x->r->n_items; i++) {
        enum err err = write_item(x, &x->r->items[i]);
        if (err != ERR_OK)
            return err;
    }
    jw_array_end(&x->w);
    return ERR_OK;
}

/* ---- settings ---- */

static enum err check_settings(struct request_writer *x)
{
    const struct llm_request *r = x->r;
    if (r->n_stop > 0)
        return cannot(x, "stop", "stop sequences");
    if (r->tool_choice == LLM_TOOLS_OPAQUE && !x->own)
        return cannot(x, "tool_choice", "a tool choice of this form");
    for (size_t i = 0; i < r->n_tools; i++) {
        if (r->tools[i].name.len == 0 && !x->own) {
            char param[48];
            snprintf(param, sizeof(param), "tools[%zu].type", i);
            return cannot(x, param, "a tool of this type");
        }
    }
    return ERR_OK;
}

static void write_tools(struct request_writer *x)
{
    const struct llm_request *r = x->r;
    if (r->n_tools > 0) {
        jw_key(&x->w, "tools");
        params_write_tools(&x->w, r);
    }
    if (r->tool_choice != LLM_TOOLS_ABSENT) {
        jw_key(&x->w, "tool_choice");
        params_write_tool_choice(&x->w, r);
    }
    if (r->parallel_tool_calls >= 0)
        jw_kbool(&x->w, "parallel_tool_calls", r->parallel_tool_calls == 1);
}

static void write_text(struct request_writer *x)
{
    const struct llm_request *r = x->r;
    if (params_extra(r, "text") || (r->format.kind == LLM_FORMAT_ABSENT && r->verbosity.len == 0))
        return;
    jw_key(&x->w, "text");
    jw_object(&x->w);
    if (r->format.kind != LLM_FORMAT_ABSENT) {
        jw_key(&x->w, "format");
        params_write_format(&x->w, &r->format);
    }
    if (r->verbosity.len > 0)
        jw_kstring(&x->w, "verbosity", r->verbosity);
    jw_object_end(&x->w);
}

static void write_reasoning(struct request_writer *x)
{
    const struct llm_request *r = x->r;
    if (params_extra(r, "reasoning") || (r->reasoning_effort.len == 0 && r->reasoning_summary.len == 0))
        return;
    jw_key(&x->w, "reasoning");
    jw_object(&x->w);
    if (r->reasoning_effort.len > 0)
        jw_kstring(&x->w, "effort", r->reasoning_effort);
    if (r->reasoning_summary.len > 0)
        jw_kstring(&x->w, "summary", r->reasoning_summary);
    jw_object_end(&x->w);
}

static void write_settings(struct request_writer *x)
{
    const struct llm_request *r = x->r;
    struct json_writer *w = &x->w;
    if (r->temperature.set) {
        jw_key(w, "temperature");
        params_write_number(w, &r->temperature);
    }
    if (r->top_p.set) {
        jw_key(w, "top_p");
        params_write_number(w, &r->top_p);
    }
    if (r->max_output_tokens > 0)
        jw_kint(w, "max_output_tokens", r->max_output_tokens);
    if (r->user.len > 0)
        jw_kstring(w, "user", r->user);
    /* What is kept at the provider is the client's choice only when it speaks of it in the provider's words;
     * we never rely on it: a conversation is sent whole, and previous_response_id is ours. */
    jw_kbool(w, "store", x->own && r->store == 1);
    if (x->own && r->metadata.len > 0)
        jw_kraw(w, "metadata", r->metadata);
}

static void write_extras(struct request_writer *x)
{
    for (size_t i = 0; x->own && i < x->r->n_extras; i++) {
        const struct llm_extra *extra = &x->r->extras[i];
        jw_raw(&x->w, BYTES("\""));
        buf_append_bytes(x->w.out, extra->key);
        buf_append_bytes(x->w.out, BYTES("\":"));
        buf_append_bytes(x->w.out, extra->raw);
    }
}

static enum err no_room(const struct buf *out, struct api_error *ret_error)
{
    bool too_large = out->len + 1 >= out->max / 2;
    if (too_large)
        api_error_set(ret_error, 413, API_INVALID, "request_too_large", NULL,
                      "The request is larger than the gateway sends to a provider (%zu bytes).", out->max);
    else
        api_error_no_memory(ret_error);
    return too_large ? ERR_LIMIT : ERR_NOMEM;
}

enum err responses_encode_request(const struct llm_request *r, struct bytes model, struct buf *out,
                                  struct api_error *ret_error)
{
    struct request_writer x = {.r = r, .error = ret_error, .own = params_own(r)};
    enum err err = check_settings(&x);
    if (err != ERR_OK)
        return err;
    jw_init(&x.w, out);
    jw_object(&x.w);
    jw_kstring(&x.w, "model", model);
    jw_kbool(&x.w, "stream", true);
    if (r->instructions.len > 0)
        jw_kstring(&x.w, "instructions", r->instructions);
    err = write_input(&x);
    if (err != ERR_OK)
        return err;
    write_tools(&x);
    write_text(&x);
    write_reasoning(&x);
    write_settings(&x);
    write_extras(&x);
    jw_object_end(&x.w);
    return out->failed ? no_room(out, ret_error) : ERR_OK;
}

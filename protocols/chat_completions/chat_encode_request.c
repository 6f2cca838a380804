#include "protocols/chat_completions/chat.h"
#include <stdio.h>

/* How the neutral conversation becomes messages: an assistant's text and the calls that follow it are one
 * message; reasoning joins it as `reasoning_content` when it came in these words, and is dropped else:
 * providers do not take each other's. */

struct writer {
    const struct llm_request *r;
    struct json_writer w;
    struct api_error *error;
    bool own; /* the request came in these words: what has no neutral name may go out again */
};

static struct bytes type_of_raw(struct bytes raw, struct json_doc *doc)
{
    static const struct json_limits limits = {.max_depth = 128, .max_nodes = 1 << 20};
    if (json_parse(doc, raw, &limits, NULL) != ERR_OK)
        return BYTES("unknown");
    json_ref type = json_get(doc, 0, "type");
    return json_is(doc, type, JSON_STRING) ? json_raw_string(doc, type) : BYTES("unknown");
}

static enum err cannot(struct writer *x, const char *what, const char *param, struct bytes raw)
{
    struct json_doc doc;
    json_doc_init(&doc);
    struct bytes type = type_of_raw(raw, &doc);
    api_error_set(x->error, 400, API_INVALID, "unsupported_by_provider", param,
                  "The provider of this model cannot take %s of type '%.*s'.", what,
                  (int)MIN(type.len, (size_t)64), type.data);
    json_doc_free(&doc);
    return ERR_INVALID;
}

static void own_members(struct writer *x, struct bytes raw)
{
    if (x->own && raw.len)
        jw_raw_members(&x->w, raw);
}

/* ---- content ---- */

static enum err write_part(struct writer *x, const struct llm_content *c)
{
    struct json_writer *w = &x->w;
    if (c->kind == LLM_CONTENT_OPAQUE) {
        if (!x->own)
            return cannot(x, "a content part", "input", c->raw);
        jw_raw(w, c->raw);
        return ERR_OK;
    }
    jw_object(w);
    if (c->kind == LLM_CONTENT_TEXT) {
        jw_kcstr(w, "type", "text");
        jw_kstring(w, "text", c->text);
    } else if (c->kind == LLM_CONTENT_REFUSAL) {
        jw_kcstr(w, "type", "refusal");
        jw_kstring(w, "refusal", c->text);
    } else {
        jw_kcstr(w, "type", "image_url");
        jw_key(w, "image_url");
        jw_object(w);
        jw_kstring(w, "url", c->text);
        if (c->detail.len)
            jw_kstring(w, "detail", c->detail);
        jw_object_end(w);
    }
    own_members(x, c->raw);
    jw_object_end(w);
    return ERR_OK;
}

/* The contents of items [from, to): one text as a string, which every server takes; else an array of parts.
 */
static enum err write_contents(struct writer *x, size_t from, size_t to)
{
    const struct llm_content *only = NULL;
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        if (x->r->items[i].kind != LLM_ITEM_FUNCTION_CALL && x->r->items[i].n_contents) {
            only = x->r->items[i].contents;
            n += x->r->items[i].n_contents;
        }
    jw_key(&x->w, "content");
    if (n == 0) {
        jw_cstr(&x->w, "");
        return ERR_OK;
    }
    if (n == 1 && only->kind == LLM_CONTENT_TEXT && (only->raw.len == 0 || !x->own)) {
        jw_string(&x->w, only->text);
        return ERR_OK;
    }
    jw_array(&x->w);
    for (size_t i = from; i < to; i++)
        for (size_t k = 0; k < x->r->items[i].n_contents; k++) {
            enum err err = write_part(x, &x->r->items[i].contents[k]);
            if (err != ERR_OK)
                return err;
        }
    jw_array_end(&x->w);
    return ERR_OK;
}

/* ---- messages ---- */

static enum err write_message(struct writer *x, size_t i)
{
    static const char *const roles[] = {[LLM_ROLE_SYSTEM] = "system",
                                        [LLM_ROLE_DEVELOPER] = "developer",
                                        [LLM_ROLE_USER] = "user",
                                        [LLM_ROLE_ASSISTANT] = "assistant"};
    const struct llm_item *item = &x->r->items[i];
    jw_object(&x->w);
    jw_kcstr(&x->w, "role", roles[item->role]);
    if (item->name.len)
        jw_kstring(&x->w, "name", item->name);
    enum err err = write_contents(x, i, i + 1);
    own_members(x, item->raw);
    jw_object_end(&x->w);
    return err;
}

static enum err write_tool_message(struct writer *x, size_t i)
{
    const struct llm_item *item = &x->r->items[i];
    enum err err = ERR_OK;
    jw_object(&x->w);
    jw_kcstr(&x->w, "role", "tool");
    jw_kstring(&x->w, "tool_call_id", item->call_id);
    if (item->n_contents)
        err = write_contents(x, i, i + 1);
    else
        jw_kstring(&x->w, "content", item->text);
    own_members(x, item->raw);
    jw_object_end(&x->w);
    return err;
}

static bool is_assistant(const struct llm_item *item)
{
    return item->kind == LLM_ITEM_FUNCTION_CALL || item->kind == LLM_ITEM_REASONING ||
           (item->kind == LLM_ITEM_MESSAGE && item->role == LLM_ROLE_ASSISTANT);
}

/* Where the assistant's message that begins at item `i` ends. A second text begins a new message, unless
 * calls have been made: their outputs must follow them at once. */
static size_t group_end(const struct llm_request *r, size_t i)
{
    bool text = false, calls = false;
    for (; i < r->n_items && is_assistant(&r->items[i]); i++) {
        const struct llm_item *item = &r->items[i];
        if (text && !calls && item->kind != LLM_ITEM_FUNCTION_CALL)
            break;
        text = text || item->kind == LLM_ITEM_MESSAGE;
        calls = calls || item->kind == LLM_ITEM_FUNCTION_CALL;
    }
    return i;
}

static void write_call(struct writer *x, const struct llm_item *call)
{
    struct json_writer *w = &x->w;
    jw_object(w);
    jw_kstring(w, "id", call->call_id);
    jw_kcstr(w, "type", "function");
    jw_key(w, "function");
    jw_object(w);
    jw_kstring(w, "name", call->name);
    jw_kstring(w, "arguments", call->text);
    jw_object_end(w);
    own_members(x, call->raw);
    jw_object_end(w);
}

static void write_reasoning(struct writer *x, size_t from, size_t to)
{
    bool begun = false;
    for (size_t i = from; i < to && x->own; i++) {
        const struct llm_item *item = &x->r->items[i];
        if (item->kind != LLM_ITEM_REASONING || item->text.len == 0)
            continue;
        if (!begun) {
            jw_key(&x->w, "reasoning_content");
            jw_string_begin(&x->w);
        }
        begun = true;
        jw_string_piece(&x->w, item->text);
    }
    if (begun)
        jw_string_end(&x->w);
}

static enum err write_assistant(struct writer *x, size_t from, size_t to)
{
    const struct llm_item *items = x->r->items;
    size_t n_messages = 0, n_calls = 0, first = from;
    for (size_t i = from; i < to; i++) {
        if (items[i].kind == LLM_ITEM_MESSAGE && n_messages++ == 0)
            first = i;
        n_calls += items[i].kind == LLM_ITEM_FUNCTION_CALL ? 1 : 0;
    }
    if (n_messages + n_calls == 0)
        return ERR_OK; /* reasoning alone */
    struct json_writer *w = &x->w;
    enum err err = ERR_OK;
    jw_object(w);
    jw_kcstr(w, "role", "assistant");
    write_reasoning(x, from, to);
    if (n_messages && items[first].name.len)
        jw_kstring(w, "name", items[first].name);
    if (n_messages && (items[first].n_contents || n_messages > 1))
        err = write_contents(x, from, to);
    else
        jw_knull(w, "content");
    if (n_calls) {
        jw_key(w, "tool_calls");
        jw_array(w);
        for (size_t i = from; i < to; i++)
            if (items[i].kind == LLM_ITEM_FUNCTION_CALL)
                write_call(x, &items[i]);
        jw_array_end(w);
    }
    if (n_messages)
        own_members(x, items[first].raw);
    jw_object_end(w);
    return err;
}

static enum err write_messages(struct writer *x)
{
    const struct llm_request *r = x->r;
    enum err err = ERR_OK;
    jw_key(&x->w, "messages");
    jw_array(&x->w);
    if (r->instructions.len) {
        jw_object(&x->w);
        jw_kcstr(&x->w, "role", "system");
        jw_kstring(&x->w, "content", r->instructions);
        jw_object_end(&x->w);
    }
    for (size_t i = 0; err == ERR_OK && i < r->n_items;) {
        const struct llm_item *item = &r->items[i];
        if (is_assistant(item)) {
            size_t end = group_end(r, i);
            err = write_assistant(x, i, end);
            i = end;
            continue;
        }
        if (item->kind == LLM_ITEM_FUNCTION_OUTPUT)
            err = write_tool_message(x, i);
        else if (item->kind == LLM_ITEM_MESSAGE)
            err = write_message(x, i);
        else if (x->own)
            jw_raw(&x->w, item->raw);
        else
            err = cannot(x, "an input item", "input", item->raw);
        i++;
    }
    jw_array_end(&x->w);
    return err;
}

/* ---- tools and the answer's form ---- */

static void write_tool(struct writer *x, const struct llm_tool *t)
{
    struct json_writer *w = &x->w;
    if (x->own && t->raw.len) {
        jw_raw(w, t->raw);
        return;
    }
    jw_object(w);
    jw_kcstr(w, "type", "function");
    jw_key(w, "function");
    jw_object(w);
    jw_kstring(w, "name", t->name);
    if (t->description.len)
        jw_kstring(w, "description", t->description);
    if (t->parameters.len)
        jw_kraw(w, "parameters", t->parameters);
    if (t->strict >= 0)
        jw_kbool(w, "strict", t->strict == 1);
    jw_object_end(w);
    jw_object_end(w);
}

static enum err write_tools(struct writer *x)
{
    const struct llm_request *r = x->r;
    if (r->n_tools == 0)
        return ERR_OK;
    jw_key(&x->w, "tools");
    jw_array(&x->w);
    for (size_t i = 0; i < r->n_tools; i++) {
        if (r->tools[i].name.len == 0 && !x->own)
            return cannot(x, "a tool", "tools", r->tools[i].raw);
        write_tool(x, &r->tools[i]);
    }
    jw_array_end(&x->w);
    return ERR_OK;
}

static enum err write_tool_choice(struct writer *x)
{
    const struct llm_request *r = x->r;
    struct json_writer *w = &x->w;
    switch (r->tool_choice) {
    case LLM_TOOLS_ABSENT:
        return ERR_OK;
    case LLM_TOOLS_AUTO:
        jw_kcstr(w, "tool_choice", "auto");
        return ERR_OK;
    case LLM_TOOLS_NONE:
        jw_kcstr(w, "tool_choice", "none");
        return ERR_OK;
    case LLM_TOOLS_REQUIRED:
        jw_kcstr(w, "tool_choice", "required");
        return ERR_OK;
    case LLM_TOOLS_OPAQUE:
        if (!x->own)
            return cannot(x, "a tool choice", "tool_choice", r->tool_choice_raw);
        jw_kraw(w, "tool_choice", r->tool_choice_raw);
        return ERR_OK;
    case LLM_TOOLS_FUNCTION:
        break;
    }
    jw_key(w, "tool_choice");
    jw_object(w);
    jw_kcstr(w, "type", "function");
    jw_key(w, "function");
    jw_object(w);
    jw_kstring(w, "name", r->tool_choice_name);
    jw_object_end(w);
    jw_object_end(w);
    return ERR_OK;
}

static void write_format(struct writer *x)
{
    const struct llm_format *f = &x->r->format;
    struct json_writer *w = &x->w;
    if (f->kind == LLM_FORMAT_ABSENT || (f->kind == LLM_FORMAT_TEXT && !x->own))
        return;
    jw_key(w, "response_format");
    jw_object(w);
    if (f->kind == LLM_FORMAT_JSON_SCHEMA) {
        jw_kcstr(w, "type", "json_schema");
        jw_key(w, "json_schema");
        jw_object(w);
        jw_kstring(w, "name", f->name);
        if (f->description.len)
            jw_kstring(w, "description", f->description);
        if (f->schema.len)
            jw_kraw(w, "schema", f->schema);
        if (f->strict >= 0)
            jw_kbool(w, "strict", f->strict == 1);
        jw_object_end(w);
    } else {
        jw_kcstr(w, "type", f->kind == LLM_FORMAT_TEXT ? "text" : "json_object");
    }
    jw_object_end(w);
}

/* ---- the rest ---- */

static bool has_extra(const struct writer *x, const char *key)
{
    for (size_t i = 0; x->own && i < x->r->n_extras; i++)
        if (bytes_is(x->r->extras[i].key, key))
            return true;
    return false;
}

static void write_extras(struct writer *x)
{
    for (size_t i = 0; x->own && i < x->r->n_extras; i++) {
        char key[256];
        struct bytes k = x->r->extras[i].key;
        if (k.len >= sizeof key) /* longer than any parameter's name */
            continue;
        memcpy(key, k.data, k.len);
        key[k.len] = 0;
        jw_kraw(&x->w, key, x->r->extras[i].raw);
    }
}

static void write_number(struct json_writer *w, const char *key, const struct llm_number *n)
{
    if (!n->set)
        return;
    jw_key(w, key);
    if (n->raw.len)
        jw_raw(w, n->raw);
    else
        jw_double(w, n->value);
}

static void write_stop(struct writer *x)
{
    if (x->r->n_stop == 0)
        return;
    jw_key(&x->w, "stop");
    jw_array(&x->w);
    for (size_t i = 0; i < x->r->n_stop; i++)
        jw_string(&x->w, x->r->stop[i]);
    jw_array_end(&x->w);
}

static void write_settings(struct writer *x)
{
    const struct llm_request *r = x->r;
    struct json_writer *w = &x->w;
    write_number(w, "temperature", &r->temperature);
    write_number(w, "top_p", &r->top_p);
    if (r->max_output_tokens > 0 && !has_extra(x, "max_tokens"))
        jw_kint(w, "max_completion_tokens", r->max_output_tokens);
    if (r->parallel_tool_calls >= 0 && r->n_tools)
        jw_kbool(w, "parallel_tool_calls", r->parallel_tool_calls == 1);
    if (!has_extra(x, "response_format"))
        write_format(x);
    if (r->verbosity.len)
        jw_kstring(w, "verbosity", r->verbosity);
    if (r->reasoning_effort.len)
        jw_kstring(w, "reasoning_effort", r->reasoning_effort);
    if (r->user.len)
        jw_kstring(w, "user", r->user);
    write_stop(x);
    /* Both concern what the provider keeps: the other dialect means the gateway by them. */
    if (x->own && r->store >= 0)
        jw_kbool(w, "store", r->store == 1);
    if (x->own && r->metadata.len)
        jw_kraw(w, "metadata", r->metadata);
}

enum err chat_encode_request(const struct llm_request *r, struct bytes model, struct buf *out,
                             struct api_error *ret_error)
{
    struct writer x = {.r = r, .error = ret_error, .own = r->dialect == &dialect_chat_completions};
    struct json_writer *w = &x.w;
    jw_init(w, out);
    jw_object(w);
    jw_kstring(w, "model", model);
    enum err err = write_messages(&x);
    if (err != ERR_OK)
        return err;
    jw_kbool(w, "stream", true);
    jw_key(w, "stream_options");
    jw_object(w);
    jw_kbool(w, "include_usage", true);
    jw_object_end(w);
    err = write_tools(&x);
    if (err == ERR_OK)
        err = write_tool_choice(&x);
    if (err != ERR_OK)
        return err;
    write_settings(&x);
    write_extras(&x);
    jw_object_end(w);
    if (!out->failed)
        return ERR_OK;
    api_error_set(ret_error, 413, API_INVALID, "request_too_large", NULL,
                  "The request is larger than the gateway can send to a provider (%zu bytes).", out->max);
    return ERR_LIMIT;
}

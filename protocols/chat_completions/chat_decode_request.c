#include "protocols/chat_completions/chat.h"
#include <stdio.h>

struct reader {
    const struct json_doc *doc;
    struct llm_request *r;
    struct arena *arena;
    struct api_error *error;
};

static enum err no_memory(struct reader *x)
{
    api_error_no_memory(x->error);
    return ERR_NOMEM;
}

static enum err unsupported(struct reader *x, const char *param, const char *instead)
{
    api_error_set(x->error, 400, API_INVALID, "unsupported_parameter", param,
                  "Unsupported parameter: %s is deprecated; use %s.", param, instead);
    return ERR_INVALID;
}

static bool is_set(const struct json_doc *d, json_ref obj, const char *key)
{
    json_ref r = json_get(d, obj, key);
    return r != JSON_NONE && !json_is(d, r, JSON_NULL);
}

/* The members that `known` does not name, as one run of raw members. */
static enum err unnamed(struct reader *x, json_ref obj, const struct field_object *known, struct bytes *ret)
{
    struct llm_extra *extras;
    size_t n, len = 0;
    if (fields_extras(x->doc, obj, known, x->arena, &extras, &n) != ERR_OK)
        return no_memory(x);
    if (n == 0)
        return ERR_OK;
    for (size_t i = 0; i < n; i++)
        len += extras[i].key.len + extras[i].raw.len + 4;
    char *text = arena_alloc(x->arena, len);
    if (!text)
        return no_memory(x);
    char *at = text;
    for (size_t i = 0; i < n; i++) {
        if (i)
            *at++ = ',';
        *at++ = '"';
        memcpy(at, extras[i].key.data, extras[i].key.len);
        at += extras[i].key.len;
        *at++ = '"';
        *at++ = ':';
        memcpy(at, extras[i].raw.data, extras[i].raw.len);
        at += extras[i].raw.len;
    }
    *ret = bytes_of(text, (size_t)(at - text));
    return ERR_OK;
}

/* ---- content ---- */

static enum err read_part(struct reader *x, json_ref part, struct llm_content *c)
{
    const struct json_doc *d = x->doc;
    json_ref type = json_get(d, part, "type");
    enum err err = ERR_OK;
    if (field_is(d, type, x->arena, "text")) {
        c->kind = LLM_CONTENT_TEXT;
        err = field_string(d, part, "text", x->arena, &c->text);
    } else if (field_is(d, type, x->arena, "refusal")) {
        c->kind = LLM_CONTENT_REFUSAL;
        err = field_string(d, part, "refusal", x->arena, &c->text);
    } else if (field_is(d, type, x->arena, "image_url")) {
        json_ref image = json_get(d, part, "image_url");
        c->kind = LLM_CONTENT_IMAGE;
        err = field_string(d, image, "url", x->arena, &c->text);
        if (err == ERR_OK)
            err = field_string(d, image, "detail", x->arena, &c->detail);
    } else {
        c->kind = LLM_CONTENT_OPAQUE;
        c->raw = json_raw(d, part);
        return ERR_OK;
    }
    return err == ERR_OK ? unnamed(x, part, &chat_part_members, &c->raw) : no_memory(x);
}

/* A string, or an array of parts; `more`: room for so many contents after these. */
static enum err read_contents(struct reader *x, json_ref content, size_t more, struct llm_item *item)
{
    bool string = json_is(x->doc, content, JSON_STRING);
    size_t n = string ? 1 : 0;
    for (json_ref p = string ? JSON_NONE : json_first(x->doc, content); p != JSON_NONE;
         p = json_next(x->doc, p))
        n++;
    if (n + more == 0)
        return ERR_OK;
    item->contents = arena_array(x->arena, n + more, sizeof *item->contents);
    if (!item->contents)
        return no_memory(x);
    item->n_contents = n;
    if (string)
        return json_string(x->doc, content, x->arena, &item->contents[0].text) ? ERR_OK : no_memory(x);
    size_t i = 0;
    enum err err = ERR_OK;
    for (json_ref p = json_first(x->doc, content); err == ERR_OK && p != JSON_NONE; p = json_next(x->doc, p))
        err = read_part(x, p, &item->contents[i++]);
    return err;
}

/* ---- messages ---- */

static enum err read_message(struct reader *x, json_ref m, enum llm_role role, struct llm_item *item)
{
    *item = (struct llm_item){.kind = LLM_ITEM_MESSAGE, .role = role};
    if (field_string(x->doc, m, "name", x->arena, &item->name) != ERR_OK)
        return no_memory(x);
    enum err err = unnamed(x, m, &chat_message_members, &item->raw);
    return err == ERR_OK ? read_contents(x, json_get(x->doc, m, "content"), role == LLM_ROLE_ASSISTANT, item)
                         : err;
}

static enum err read_tool_message(struct reader *x, json_ref m, struct llm_item *item)
{
    *item = (struct llm_item){.kind = LLM_ITEM_FUNCTION_OUTPUT, .role = LLM_ROLE_USER};
    json_ref content = json_get(x->doc, m, "content");
    if (field_string(x->doc, m, "tool_call_id", x->arena, &item->call_id) != ERR_OK)
        return no_memory(x);
    enum err err = unnamed(x, m, &chat_message_members, &item->raw);
    if (err != ERR_OK || !json_is(x->doc, content, JSON_STRING))
        return err == ERR_OK ? read_contents(x, content, 0, item) : err;
    return json_string(x->doc, content, x->arena, &item->text) ? ERR_OK : no_memory(x);
}

static const struct field call_member_fields[] = {{"id", false, {.types = FIELD_ANY}},
                                                  {"type", false, {.types = FIELD_ANY}},
                                                  {"function", false, {.types = FIELD_ANY}}};
static const struct field_object call_members = {FIELD_OBJECT_OF(call_member_fields)};

static enum err read_call(struct reader *x, json_ref call, struct llm_item *item)
{
    json_ref function = json_get(x->doc, call, "function");
    *item = (struct llm_item){.kind = LLM_ITEM_FUNCTION_CALL, .role = LLM_ROLE_ASSISTANT};
    if (field_string(x->doc, call, "id", x->arena, &item->call_id) != ERR_OK ||
        field_string(x->doc, function, "name", x->arena, &item->name) != ERR_OK ||
        field_string(x->doc, function, "arguments", x->arena, &item->text) != ERR_OK)
        return no_memory(x);
    return unnamed(x, call, &call_members, &item->raw);
}

static bool has_opaque_call(struct reader *x, json_ref calls)
{
    for (json_ref c = json_first(x->doc, calls); c != JSON_NONE; c = json_next(x->doc, c)) {
        json_ref type = json_get(x->doc, c, "type");
        if (type != JSON_NONE && !field_is(x->doc, type, x->arena, "function"))
            return true;
    }
    return false;
}

/* Into at most: its reasoning, its message, its calls. A message that holds what the neutral form cannot say
 * (audio, custom tool calls) stays whole. */
static enum err read_assistant(struct reader *x, json_ref m, const char *path, struct llm_item *items,
                               size_t *n)
{
    const struct json_doc *d = x->doc;
    json_ref calls = json_get(d, m, "tool_calls");
    json_ref content = json_get(d, m, "content");
    char param[64];
    snprintf(param, sizeof param, "%s.function_call", path);
    if (is_set(d, m, "function_call"))
        return unsupported(x, param, "tool_calls");
    if (is_set(d, m, "audio") || has_opaque_call(x, calls)) {
        items[(*n)++] =
            (struct llm_item){.kind = LLM_ITEM_OPAQUE, .role = LLM_ROLE_ASSISTANT, .raw = json_raw(d, m)};
        return ERR_OK;
    }
    struct llm_item reasoning = {.kind = LLM_ITEM_REASONING, .role = LLM_ROLE_ASSISTANT};
    if (field_string(d, m, "reasoning_content", x->arena, &reasoning.text) != ERR_OK)
        return no_memory(x);
    if (reasoning.text.len)
        items[(*n)++] = reasoning;
    bool has_calls = json_first(d, calls) != JSON_NONE;
    if (content == JSON_NONE && !has_calls && !is_set(d, m, "refusal")) {
        snprintf(param, sizeof param, "%s.content", path);
        api_error_set(x->error, 400, API_INVALID, "missing_required_parameter", param,
                      "Missing required parameter: %s (an assistant message without tool_calls).", param);
        return ERR_INVALID;
    }
    struct llm_item *message = &items[*n];
    enum err err = read_message(x, m, LLM_ROLE_ASSISTANT, message);
    if (err != ERR_OK)
        return err;
    struct bytes refusal = {NULL, 0};
    if (field_string(d, m, "refusal", x->arena, &refusal) != ERR_OK)
        return no_memory(x);
    if (refusal.len)
        message->contents[message->n_contents++] =
            (struct llm_content){.kind = LLM_CONTENT_REFUSAL, .text = refusal};
    if (message->n_contents || message->raw.len || !has_calls)
        ++*n;
    for (json_ref c = json_first(d, calls); err == ERR_OK && c != JSON_NONE; c = json_next(d, c))
        err = read_call(x, c, &items[(*n)++]);
    return err;
}

static size_t items_needed(const struct json_doc *d, json_ref messages)
{
    size_t n = 0;
    for (json_ref m = json_first(d, messages); m != JSON_NONE; m = json_next(d, m)) {
        n += 2;
        for (json_ref c = json_first(d, json_get(d, m, "tool_calls")); c != JSON_NONE; c = json_next(d, c))
            n++;
    }
    return n;
}

static enum err read_messages(struct reader *x, json_ref messages)
{
    static const struct {
        const char *name;
        enum llm_role role;
    } roles[] = {{"user", LLM_ROLE_USER}, {"system", LLM_ROLE_SYSTEM}, {"developer", LLM_ROLE_DEVELOPER}};
    struct llm_item *items = arena_array(x->arena, items_needed(x->doc, messages), sizeof *items);
    if (!items)
        return no_memory(x);
    size_t n = 0, index = 0;
    enum err err = ERR_OK;
    for (json_ref m = json_first(x->doc, messages); err == ERR_OK && m != JSON_NONE;
         m = json_next(x->doc, m), index++) {
        json_ref role = json_get(x->doc, m, "role");
        if (field_is(x->doc, role, x->arena, "assistant")) {
            char path[40];
            snprintf(path, sizeof path, "messages[%zu]", index);
            err = read_assistant(x, m, path, items, &n);
            continue;
        }
        if (field_is(x->doc, role, x->arena, "tool")) {
            err = read_tool_message(x, m, &items[n++]);
            continue;
        }
        for (size_t i = 0; i < ARRAY_LEN(roles); i++)
            if (field_is(x->doc, role, x->arena, roles[i].name))
                err = read_message(x, m, roles[i].role, &items[n++]);
    }
    x->r->items = items;
    x->r->n_items = n;
    return err;
}

/* ---- tools and the answer's form ---- */

static enum err read_tool(struct reader *x, json_ref tool, struct llm_tool *t)
{
    const struct json_doc *d = x->doc;
    json_ref f = json_get(d, tool, "function");
    *t = (struct llm_tool){.strict = -1, .raw = json_raw(d, tool)};
    if (!field_is(d, json_get(d, tool, "type"), x->arena, "function"))
        return ERR_OK;
    if (field_string(d, f, "name", x->arena, &t->name) != ERR_OK ||
        field_string(d, f, "description", x->arena, &t->description) != ERR_OK)
        return no_memory(x);
    field_raw(d, f, "parameters", &t->parameters);
    field_tristate(d, f, "strict", &t->strict);
    return ERR_OK;
}

static enum err read_tools(struct reader *x, json_ref tools)
{
    size_t n = 0;
    for (json_ref t = json_first(x->doc, tools); t != JSON_NONE; t = json_next(x->doc, t))
        n++;
    if (n == 0)
        return ERR_OK;
    x->r->tools = arena_array(x->arena, n, sizeof *x->r->tools);
    if (!x->r->tools)
        return no_memory(x);
    enum err err = ERR_OK;
    for (json_ref t = json_first(x->doc, tools); err == ERR_OK && t != JSON_NONE; t = json_next(x->doc, t))
        err = read_tool(x, t, &x->r->tools[x->r->n_tools++]);
    return err;
}

static enum err read_tool_choice(struct reader *x, json_ref choice)
{
    static const struct {
        const char *name;
        enum llm_tool_choice choice;
    } words[] = {{"auto", LLM_TOOLS_AUTO}, {"none", LLM_TOOLS_NONE}, {"required", LLM_TOOLS_REQUIRED}};
    const struct json_doc *d = x->doc;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (field_is(d, choice, x->arena, words[i].name))
            x->r->tool_choice = words[i].choice;
    if (!json_is(d, choice, JSON_OBJECT))
        return ERR_OK;
    if (!field_is(d, json_get(d, choice, "type"), x->arena, "function")) {
        x->r->tool_choice = LLM_TOOLS_OPAQUE;
        x->r->tool_choice_raw = json_raw(d, choice);
        return ERR_OK;
    }
    x->r->tool_choice = LLM_TOOLS_FUNCTION;
    enum err err =
        field_string(d, json_get(d, choice, "function"), "name", x->arena, &x->r->tool_choice_name);
    return err == ERR_OK ? ERR_OK : no_memory(x);
}

static enum err read_format(struct reader *x, json_ref format)
{
    const struct json_doc *d = x->doc;
    struct llm_format *f = &x->r->format;
    if (!json_is(d, format, JSON_OBJECT))
        return ERR_OK;
    json_ref type = json_get(d, format, "type");
    if (field_is(d, type, x->arena, "text"))
        f->kind = LLM_FORMAT_TEXT;
    if (field_is(d, type, x->arena, "json_object"))
        f->kind = LLM_FORMAT_JSON_OBJECT;
    if (!field_is(d, type, x->arena, "json_schema"))
        return ERR_OK;
    json_ref schema = json_get(d, format, "json_schema");
    f->kind = LLM_FORMAT_JSON_SCHEMA;
    if (field_string(d, schema, "name", x->arena, &f->name) != ERR_OK ||
        field_string(d, schema, "description", x->arena, &f->description) != ERR_OK)
        return no_memory(x);
    field_raw(d, schema, "schema", &f->schema);
    field_tristate(d, schema, "strict", &f->strict);
    return ERR_OK;
}

/* ---- the rest ---- */

static enum err read_stop(struct reader *x, json_ref stop)
{
    struct bytes *all = arena_array(
        x->arena, 1 + (json_is(x->doc, stop, JSON_ARRAY) ? x->doc->nodes[stop].count : 0), sizeof *all);
    if (!all)
        return no_memory(x);
    x->r->stop = all;
    json_ref s = json_is(x->doc, stop, JSON_ARRAY) ? json_first(x->doc, stop) : stop;
    for (; json_is(x->doc, s, JSON_STRING); s = s == stop ? JSON_NONE : json_next(x->doc, s))
        if (!json_string(x->doc, s, x->arena, &all[x->r->n_stop++]))
            return no_memory(x);
    return ERR_OK;
}

/* The members that nobody named, and those whose own form the same words should hear again. */
static enum err read_extras(struct reader *x, json_ref root)
{
    static const char *const kept[] = {"max_tokens", "response_format"};
    struct llm_extra *named, *all;
    size_t n;
    if (fields_extras(x->doc, root, &chat_request_object, x->arena, &named, &n) != ERR_OK)
        return no_memory(x);
    all = arena_array(x->arena, n + ARRAY_LEN(kept), sizeof *all);
    if (!all)
        return no_memory(x);
    if (n)
        memcpy(all, named, n * sizeof *all);
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        bool newer = i == 0 && is_set(x->doc, root, "max_completion_tokens");
        if (is_set(x->doc, root, kept[i]) && !newer)
            all[n++] =
                (struct llm_extra){bytes_cstr(kept[i]), json_raw(x->doc, json_get(x->doc, root, kept[i]))};
    }
    x->r->extras = all;
    x->r->n_extras = n;
    return ERR_OK;
}

static enum err read_scalars(struct reader *x, json_ref root)
{
    const struct json_doc *d = x->doc;
    struct llm_request *r = x->r;
    if (field_string(d, root, "model", x->arena, &r->model) != ERR_OK ||
        field_string(d, root, "reasoning_effort", x->arena, &r->reasoning_effort) != ERR_OK ||
        field_string(d, root, "verbosity", x->arena, &r->verbosity) != ERR_OK ||
        field_string(d, root, "user", x->arena, &r->user) != ERR_OK)
        return no_memory(x);
    field_number(d, root, "temperature", &r->temperature);
    field_number(d, root, "top_p", &r->top_p);
    field_int(d, root, "max_tokens", &r->max_output_tokens);
    field_int(d, root, "max_completion_tokens", &r->max_output_tokens);
    field_tristate(d, root, "parallel_tool_calls", &r->parallel_tool_calls);
    field_tristate(d, root, "store", &r->store);
    field_raw(d, root, "metadata", &r->metadata);
    field_bool(d, root, "stream", &r->stream);
    field_bool(d, json_get(d, root, "stream_options"), "include_usage", &r->include_usage);
    return ERR_OK;
}

enum err chat_decode_request(const struct json_doc *doc, json_ref root, struct llm_request *r,
                             struct api_error *ret_error)
{
    struct reader x = {doc, r, r->arena, ret_error};
    enum err err = fields_check(doc, root, &chat_request_shape, r->arena, ret_error);
    if (err == ERR_OK && is_set(doc, root, "functions"))
        err = unsupported(&x, "functions", "tools");
    if (err == ERR_OK && is_set(doc, root, "function_call"))
        err = unsupported(&x, "function_call", "tool_choice");
    if (err == ERR_OK)
        err = read_scalars(&x, root);
    if (err == ERR_OK)
        err = read_messages(&x, json_get(doc, root, "messages"));
    if (err == ERR_OK)
        err = read_tools(&x, json_get(doc, root, "tools"));
    if (err == ERR_OK)
        err = read_tool_choice(&x, json_get(doc, root, "tool_choice"));
    if (err == ERR_OK)
        err = read_format(&x, json_get(doc, root, "response_format"));
    if (err == ERR_OK && is_set(doc, root, "stop"))
        err = read_stop(&x, json_get(doc, root, "stop"));
    return err == ERR_OK ? read_extras(&x, root) : err;
}

#include "protocols/messages/messages.h"
#include <stdio.h>

/* How the neutral conversation becomes messages: two roles in turns, so neighbours of one role are one
 * message; what systems and developers say is gathered in `system`; reasoning of other providers stays out,
 * as it has no signature that this one would take. */

struct writer {
    const struct llm_request *r;
    struct json_writer w;
    struct json_doc doc;
    struct api_error *error;
};

static enum err cannot(struct writer *x, const char *param, const char *what)
{
    api_error_set(x->error, 400, API_INVALID, "unsupported_by_provider", param,
                  "The provider of this model cannot take %s.", what);
    return ERR_INVALID;
}

static void type_member(struct writer *x, const char *type)
{
    jw_kcstr(&x->w, "type", type);
}

/* ---- content ---- */

static enum err write_image(struct writer *x, const struct llm_content *c)
{
    struct json_writer *w = &x->w;
    struct bytes data = c->text;
    jw_object(w);
    type_member(x, "image");
    jw_key(w, "source");
    jw_object(w);
    if (bytes_starts(c->text, BYTES("data:"))) {
        const char *comma = memchr(c->text.data, ',', c->text.len);
        static const char base64[] = ";base64";
        const size_t scheme = 5, mark = sizeof base64 - 1;
        size_t head = comma ? (size_t)(comma - c->text.data) : 0;
        if (head < scheme + mark || memcmp(comma - mark, base64, mark) != 0)
            return cannot(x, "input", "an image in a data: URL that is not base64");
        data = bytes_of(comma + 1, c->text.len - head - 1);
        type_member(x, "base64");
        jw_kstring(w, "media_type", bytes_of(c->text.data + scheme, head - scheme - mark));
        jw_kstring(w, "data", data);
    } else {
        type_member(x, "url");
        jw_kstring(w, "url", data);
    }
    jw_object_end(w);
    jw_object_end(w);
    return ERR_OK;
}

static void write_text(struct writer *x, struct bytes text)
{
    if (text.len == 0) /* refused there */
        return;
    jw_object(&x->w);
    type_member(x, "text");
    jw_kstring(&x->w, "text", text);
    jw_object_end(&x->w);
}

static enum err write_contents(struct writer *x, const struct llm_item *item)
{
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < item->n_contents; i++) {
        const struct llm_content *c = &item->contents[i];
        if (c->kind == LLM_CONTENT_OPAQUE)
            err = cannot(x, "input", "a content part that is neither text nor an image");
        else if (c->kind == LLM_CONTENT_IMAGE)
            err = write_image(x, c);
        else
            write_text(x, c->text);
    }
    return err;
}

static enum err write_call(struct writer *x, const struct llm_item *call)
{
    static const struct json_limits limits = {.max_depth = 128, .max_nodes = 1 << 20};
    struct json_writer *w = &x->w;
    struct bytes input = call->text.len ? call->text : BYTES("{}");
    enum err err = json_parse(&x->doc, input, &limits, NULL);
    if (err == ERR_NOMEM) {
        api_error_no_memory(x->error);
        return ERR_INVALID;
    }
    if (err != ERR_OK || !json_is(&x->doc, 0, JSON_OBJECT))
        return cannot(x, "input", "a function call whose arguments are no JSON object");
    jw_object(w);
    type_member(x, "tool_use");
    jw_kstring(w, "id", call->call_id);
    jw_kstring(w, "name", call->name);
    jw_kraw(w, "input", input);
    jw_object_end(w);
    return ERR_OK;
}

static enum err write_output(struct writer *x, const struct llm_item *item)
{
    struct json_writer *w = &x->w;
    enum err err = ERR_OK;
    jw_object(w);
    type_member(x, "tool_result");
    jw_kstring(w, "tool_use_id", item->call_id);
    if (item->n_contents) {
        jw_key(w, "content");
        jw_array(w);
        err = write_contents(x, item);
        jw_array_end(w);
    } else {
        jw_kstring(w, "content", item->text);
    }
    jw_object_end(w);
    return err;
}

/* ---- messages ---- */

static bool is_system(const struct llm_item *item)
{
    return item->kind == LLM_ITEM_MESSAGE &&
           (item->role == LLM_ROLE_SYSTEM || item->role == LLM_ROLE_DEVELOPER);
}

static bool is_assistant(const struct llm_item *item)
{
    return item->kind == LLM_ITEM_FUNCTION_CALL ||
           (item->kind == LLM_ITEM_MESSAGE && item->role == LLM_ROLE_ASSISTANT);
}

/* Has no block in a message. */
static bool says_nothing(const struct llm_item *item)
{
    if (item->kind == LLM_ITEM_REASONING || is_system(item))
        return true;
    if (item->kind != LLM_ITEM_MESSAGE)
        return false;
    for (size_t i = 0; i < item->n_contents; i++)
        if (item->contents[i].kind >= LLM_CONTENT_OPAQUE || item->contents[i].text.len)
            return false;
    return true;
}

/* The outputs of calls stand first in a message. */
static enum err write_blocks(struct writer *x, size_t from, size_t to, bool outputs)
{
    enum err err = ERR_OK;
    for (size_t i = from; err == ERR_OK && i < to; i++) {
        const struct llm_item *item = &x->r->items[i];
        if (says_nothing(item) || (item->kind == LLM_ITEM_FUNCTION_OUTPUT) != outputs)
            continue;
        if (item->kind == LLM_ITEM_FUNCTION_OUTPUT)
            err = write_output(x, item);
        else if (item->kind == LLM_ITEM_FUNCTION_CALL)
            err = write_call(x, item);
        else
            err = write_contents(x, item);
    }
    return err;
}

static enum err write_messages(struct writer *x)
{
    const struct llm_request *r = x->r;
    struct json_writer *w = &x->w;
    jw_key(w, "messages");
    jw_array(w);
    for (size_t i = 0, end; i < r->n_items; i = end) {
        end = i + 1;
        if (r->items[i].kind == LLM_ITEM_OPAQUE)
            return cannot(x, "input", "an input item of another dialect");
        if (says_nothing(&r->items[i]))
            continue;
        bool assistant = is_assistant(&r->items[i]);
        while (end < r->n_items && r->items[end].kind != LLM_ITEM_OPAQUE &&
               (says_nothing(&r->items[end]) || is_assistant(&r->items[end]) == assistant))
            end++;
        jw_object(w);
        jw_kcstr(w, "role", assistant ? "assistant" : "user");
        jw_key(w, "content");
        jw_array(w);
        enum err err = write_blocks(x, i, end, true);
        if (err == ERR_OK)
            err = write_blocks(x, i, end, false);
        if (err != ERR_OK)
            return err;
        jw_array_end(w);
        jw_object_end(w);
    }
    jw_array_end(w);
    return ERR_OK;
}

static enum err write_system(struct writer *x)
{
    const struct llm_request *r = x->r;
    bool any = r->instructions.len > 0;
    for (size_t i = 0; i < r->n_items && !any; i++)
        any = is_system(&r->items[i]) && r->items[i].n_contents > 0;
    if (!any)
        return ERR_OK;
    enum err err = ERR_OK;
    jw_key(&x->w, "system");
    jw_array(&x->w);
    write_text(x, r->instructions);
    for (size_t i = 0; err == ERR_OK && i < r->n_items; i++)
        for (size_t k = 0; err == ERR_OK && is_system(&r->items[i]) && k < r->items[i].n_contents; k++) {
            const struct llm_content *c = &r->items[i].contents[k];
            if (c->kind == LLM_CONTENT_TEXT)
                write_text(x, c->text);
            else
                err = cannot(x, "input", "anything but text in a system message");
        }
    jw_array_end(&x->w);
    return err;
}

/* ---- tools and the answer's form ---- */

static enum err write_tools(struct writer *x)
{
    const struct llm_request *r = x->r;
    struct json_writer *w = &x->w;
    if (r->n_tools == 0)
        return ERR_OK;
    jw_key(w, "tools");
    jw_array(w);
    for (size_t i = 0; i < r->n_tools; i++) {
        const struct llm_tool *t = &r->tools[i];
        char param[32];
        snprintf(param, sizeof param, "tools[%zu]", i);
        if (t->name.len == 0)
            return cannot(x, param, "a tool that is no function");
        jw_object(w);
        jw_kstring(w, "name", t->name);
        if (t->description.len)
            jw_kstring(w, "description", t->description);
        jw_kraw(w, "input_schema",
                t->parameters.len ? t->parameters : BYTES("{\"type\":\"object\",\"properties\":{}}"));
        if (t->strict == 1)
            jw_kbool(w, "strict", true);
        jw_object_end(w);
    }
    jw_array_end(w);
    return ERR_OK;
}

static enum err write_tool_choice(struct writer *x)
{
    static const char *const types[] = {[LLM_TOOLS_ABSENT] = "auto",
                                        [LLM_TOOLS_AUTO] = "auto",
                                        [LLM_TOOLS_NONE] = "none",
                                        [LLM_TOOLS_REQUIRED] = "any",
                                        [LLM_TOOLS_FUNCTION] = "tool"};
    const struct llm_request *r = x->r;
    struct json_writer *w = &x->w;
    bool one = r->parallel_tool_calls == 0 && r->tool_choice != LLM_TOOLS_NONE;
    if (r->tool_choice == LLM_TOOLS_OPAQUE)
        return cannot(x, "tool_choice", "this tool choice");
    if (r->n_tools == 0 || (r->tool_choice == LLM_TOOLS_ABSENT && !one))
        return ERR_OK;
    jw_key(w, "tool_choice");
    jw_object(w);
    type_member(x, types[r->tool_choice]);
    if (r->tool_choice == LLM_TOOLS_FUNCTION)
        jw_kstring(w, "name", r->tool_choice_name);
    if (one)
        jw_kbool(w, "disable_parallel_tool_use", true);
    jw_object_end(w);
    return ERR_OK;
}

static struct bytes effort(const struct llm_request *r)
{
    if (bytes_is(r->reasoning_effort, "minimal"))
        return BYTES("low");
    if (bytes_is(r->reasoning_effort, "none"))
        return (struct bytes){NULL, 0};
    return r->reasoning_effort;
}

/* `output_config`: how much the model may think, and the schema of what it says. */
static enum err write_output_config(struct writer *x)
{
    const struct llm_format *f = &x->r->format;
    struct json_writer *w = &x->w;
    struct bytes level = effort(x->r);
    const char *param = x->r->dialect == &dialect_responses ? "text.format" : "response_format";
    if (f->kind == LLM_FORMAT_JSON_OBJECT || (f->kind == LLM_FORMAT_JSON_SCHEMA && f->schema.len == 0))
        return cannot(x, param, "JSON output without a schema");
    if (f->kind != LLM_FORMAT_JSON_SCHEMA && level.len == 0)
        return ERR_OK;
    jw_key(w, "output_config");
    jw_object(w);
    if (level.len)
        jw_kstring(w, "effort", level);
    if (f->kind == LLM_FORMAT_JSON_SCHEMA) {
        jw_key(w, "format");
        jw_object(w);
        type_member(x, "json_schema");
        jw_kraw(w, "schema", f->schema);
        jw_object_end(w);
    }
    jw_object_end(w);
    return ERR_OK;
}

/* ---- the rest ---- */

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

static void write_settings(struct writer *x)
{
    const struct llm_request *r = x->r;
    struct json_writer *w = &x->w;
    jw_kint(w, "max_tokens", r->max_output_tokens > 0 ? r->max_output_tokens : MESSAGES_MAX_TOKENS);
    write_number(w, "temperature", &r->temperature);
    write_number(w, "top_p", &r->top_p);
    if (r->n_stop) {
        jw_key(w, "stop_sequences");
        jw_array(w);
        for (size_t i = 0; i < r->n_stop; i++)
            jw_string(w, r->stop[i]);
        jw_array_end(w);
    }
    if (r->user.len) {
        jw_key(w, "metadata");
        jw_object(w);
        jw_kstring(w, "user_id", r->user);
        jw_object_end(w);
    }
}

static enum err write_request(struct writer *x, struct bytes model)
{
    jw_object(&x->w);
    jw_kstring(&x->w, "model", model);
    write_settings(x);
    enum err err = write_system(x);
    if (err == ERR_OK)
        err = write_messages(x);
    if (err == ERR_OK)
        err = write_tools(x);
    if (err == ERR_OK)
        err = write_tool_choice(x);
    if (err == ERR_OK)
        err = write_output_config(x);
    jw_kbool(&x->w, "stream", true);
    jw_object_end(&x->w);
    return err;
}

enum err messages_encode_request(const struct llm_request *r, struct bytes model, struct buf *out,
                                 struct api_error *ret_error)
{
    struct writer x = {.r = r, .error = ret_error};
    jw_init(&x.w, out);
    json_doc_init(&x.doc);
    enum err err = write_request(&x, model);
    json_doc_free(&x.doc);
    if (err != ERR_OK || !out->failed)
        return err;
    api_error_set(ret_error, 413, API_INVALID, "request_too_large", NULL,
                  "The request is larger than the gateway can send to a provider (%zu bytes).", out->max);
    return ERR_LIMIT;
}

#include "protocols/responses/input_decode.h"
#include "protocols/responses/request_fields.h"
#include <stdio.h>

/* What all functions here work on; `path` is where they are. */
struct input {
    const struct json_doc *d;
    struct arena *a;
    struct api_error *error;
    char path[96];
};

static enum err no_memory(struct api_error *e)
{
    api_error_no_memory(e);
    return ERR_NOMEM;
}

enum err members_left(const struct json_doc *d, json_ref obj, const struct field_object *named,
                      struct arena *a, struct bytes *ret)
{
    struct llm_extra *extras;
    size_t n;
    enum err err = fields_extras(d, obj, named, a, &extras, &n);
    if (err != ERR_OK || n == 0)
        return err;
    struct buf text;
    struct json_writer w;
    buf_init(&text, json_raw(d, obj).len);
    jw_init(&w, &text);
    for (size_t i = 0; i < n; i++) {
        if (text.len > 0)
            buf_append_char(&text, ',');
        buf_append_char(&text, '"');
        buf_append_bytes(&text, extras[i].key);
        buf_append_bytes(&text, BYTES("\":"));
        (void)json_compact(extras[i].raw, &text);
    }
    bool ok = !text.failed && arena_dup(a, buf_bytes(&text), ret);
    buf_free(&text);
    return ok ? ERR_OK : ERR_NOMEM;
}

/* ---- content ---- */

static enum err decode_image(struct input *in, json_ref part, size_t index, struct llm_content *c)
{
    struct bytes file = {NULL, 0};
    if (field_string(in->d, part, "file_id", in->a, &file) != ERR_OK ||
        field_string(in->d, part, "image_url", in->a, &c->text) != ERR_OK ||
        field_string(in->d, part, "detail", in->a, &c->detail) != ERR_OK)
        return no_memory(in->error);
    if (file.len > 0) {
        *c = (struct llm_content){.kind = LLM_CONTENT_OPAQUE, .raw = json_raw(in->d, part)};
        return ERR_OK;
    }
    if (c->text.len == 0) {
        char param[160];
        snprintf(param, sizeof(param), "%s[%zu].image_url", in->path, index);
        api_error_set(in->error, 400, API_INVALID, "missing_required_parameter", param,
                      "Missing required parameter: %s (or file_id).", param);
        return ERR_INVALID;
    }
    c->kind = LLM_CONTENT_IMAGE;
    return members_left(in->d, part, &responses_named_image_part, in->a, &c->raw) == ERR_OK
               ? ERR_OK
               : no_memory(in->error);
}

static enum err decode_part(struct input *in, json_ref part, size_t index, struct llm_content *c)
{
    json_ref type = json_get(in->d, part, "type");
    const char *key = NULL;
    if (field_is(in->d, type, in->a, "input_text") || field_is(in->d, type, in->a, "output_text")) {
        c->kind = LLM_CONTENT_TEXT;
        key = "text";
    } else if (field_is(in->d, type, in->a, "refusal")) {
        c->kind = LLM_CONTENT_REFUSAL;
        key = "refusal";
    } else if (field_is(in->d, type, in->a, "input_image")) {
        return decode_image(in, part, index, c);
    } else {
        c->kind = LLM_CONTENT_OPAQUE;
        c->raw = json_raw(in->d, part);
        return ERR_OK;
    }
    if (field_string(in->d, part, key, in->a, &c->text) != ERR_OK)
        return no_memory(in->error);
    if (c->kind == LLM_CONTENT_TEXT &&
        members_left(in->d, part, &responses_named_text_part, in->a, &c->raw) != ERR_OK)
        return no_memory(in->error);
    return ERR_OK;
}

/* A string or an array of parts. */
static enum err decode_content(struct input *in, json_ref content, struct llm_item *it)
{
    bool whole = json_is(in->d, content, JSON_STRING);
    size_t n = whole ? 1 : in->d->nodes[content].count;
    it->contents = arena_array(in->a, MAX(n, (size_t)1), sizeof(*it->contents));
    if (!it->contents)
        return no_memory(in->error);
    it->n_contents = n;
    if (whole) {
        it->contents[0].kind = LLM_CONTENT_TEXT;
        return json_string(in->d, content, in->a, &it->contents[0].text) ? ERR_OK : no_memory(in->error);
    }
    size_t i = 0;
    for (json_ref part = json_first(in->d, content); part != JSON_NONE; part = json_next(in->d, part), i++) {
        enum err err = decode_part(in, part, i, &it->contents[i]);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* ---- items ---- */

static enum err decode_message(struct input *in, json_ref item, struct llm_item *it)
{
    static const struct {
        const char *name;
        enum llm_role role;
    } roles[] = {{"user", LLM_ROLE_USER},
                 {"assistant", LLM_ROLE_ASSISTANT},
                 {"system", LLM_ROLE_SYSTEM},
                 {"developer", LLM_ROLE_DEVELOPER}};
    json_ref role = json_get(in->d, item, "role");
    it->kind = LLM_ITEM_MESSAGE;
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (field_is(in->d, role, in->a, roles[i].name))
            it->role = roles[i].role;
    if (members_left(in->d, item, &responses_named_message, in->a, &it->raw) != ERR_OK)
        return no_memory(in->error);
    size_t at = strlen(in->path);
    snprintf(in->path + at, sizeof(in->path) - at, ".content");
    return decode_content(in, json_get(in->d, item, "content"), it);
}

static enum err decode_call(struct input *in, json_ref item, struct llm_item *it)
{
    it->kind = LLM_ITEM_FUNCTION_CALL;
    if (field_string(in->d, item, "call_id", in->a, &it->call_id) != ERR_OK ||
        field_string(in->d, item, "name", in->a, &it->name) != ERR_OK ||
        field_string(in->d, item, "arguments", in->a, &it->text) != ERR_OK ||
        members_left(in->d, item, &responses_named_call, in->a, &it->raw) != ERR_OK)
        return no_memory(in->error);
    return ERR_OK;
}

static enum err decode_output(struct input *in, json_ref item, struct llm_item *it)
{
    json_ref output = json_get(in->d, item, "output");
    it->kind = LLM_ITEM_FUNCTION_OUTPUT;
    if (field_string(in->d, item, "call_id", in->a, &it->call_id) != ERR_OK ||
        members_left(in->d, item, &responses_named_output, in->a, &it->raw) != ERR_OK)
        return no_memory(in->error);
    if (json_is(in->d, output, JSON_STRING))
        return json_string(in->d, output, in->a, &it->text) ? ERR_OK : no_memory(in->error);
    size_t at = strlen(in->path);
    snprintf(in->path + at, sizeof(in->path) - at, ".output");
    return decode_content(in, output, it);
}

static void append_texts(const struct json_doc *d, json_ref array, struct buf *out)
{
    for (json_ref e = json_first(d, array); e != JSON_NONE; e = json_next(d, e)) {
        if (out->len > 0)
            buf_append_char(out, '\n');
        if (json_string_append(d, json_get(d, e, "text"), out) != ERR_OK)
            out->failed = true;
    }
}

static enum err decode_reasoning(struct input *in, json_ref item, struct llm_item *it)
{
    json_ref content = json_get(in->d, item, "content");
    struct buf text;
    it->kind = LLM_ITEM_REASONING;
    it->raw = json_raw(in->d, item);
    buf_init(&text, it->raw.len);
    append_texts(in->d, json_is(in->d, content, JSON_ARRAY) ? content : json_get(in->d, item, "summary"),
                 &text);
    bool ok = !text.failed && arena_dup(in->a, buf_bytes(&text), &it->text);
    buf_free(&text);
    return ok ? ERR_OK : no_memory(in->error);
}

static enum err refuse_reference(struct input *in)
{
    char param[160];
    snprintf(param, sizeof(param), "%s.type", in->path);
    api_error_set(in->error, 400, API_INVALID, "unsupported_value", param,
                  "Invalid value for %s: 'item_reference' points to an item that was stored, and this "
                  "gateway stores none. "
                  "Send the item itself.",
                  param);
    return ERR_INVALID;
}

static enum err decode_item(struct input *in, json_ref item, struct llm_item *it)
{
    json_ref type = json_get(in->d, item, "type");
    if (field_string(in->d, item, "id", in->a, &it->id) != ERR_OK)
        return no_memory(in->error);
    if (type == JSON_NONE || field_is(in->d, type, in->a, "message"))
        return decode_message(in, item, it);
    if (field_is(in->d, type, in->a, "function_call"))
        return decode_call(in, item, it);
    if (field_is(in->d, type, in->a, "function_call_output"))
        return decode_output(in, item, it);
    if (field_is(in->d, type, in->a, "reasoning"))
        return decode_reasoning(in, item, it);
    if (field_is(in->d, type, in->a, "item_reference"))
        return refuse_reference(in);
    it->kind = LLM_ITEM_OPAQUE;
    it->raw = json_raw(in->d, item);
    return ERR_OK;
}

enum err input_decode(const struct json_doc *d, json_ref input, struct llm_request *r,
                      struct api_error *ret_error)
{
    struct input in = {.d = d, .a = r->arena, .error = ret_error, .path = "input"};
    if (input == JSON_NONE)
        return ERR_OK;
    bool whole = json_is(d, input, JSON_STRING);
    size_t n = whole ? 1 : d->nodes[input].count;
    if (n == 0)
        return ERR_OK;
    r->items = arena_array(r->arena, n, sizeof(*r->items));
    if (!r->items)
        return no_memory(ret_error);
    r->n_items = n;
    if (whole) {
        r->items[0].kind = LLM_ITEM_MESSAGE;
        r->items[0].role = LLM_ROLE_USER;
        return decode_content(&in, input, &r->items[0]);
    }
    size_t i = 0;
    for (json_ref item = json_first(d, input); item != JSON_NONE; item = json_next(d, item), i++) {
        snprintf(in.path, sizeof(in.path), "input[%zu]", i);
        enum err err = decode_item(&in, item, &r->items[i]);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

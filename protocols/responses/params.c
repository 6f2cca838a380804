#include "protocols/responses/params.h"
#include "protocols/dialect.h"

bool params_own(const struct llm_request *r)
{
    return r->dialect == &dialect_responses;
}

const struct llm_extra *params_extra(const struct llm_request *r, const char *key)
{
    for (size_t i = 0; params_own(r) && i < r->n_extras; i++)
        if (bytes_is(r->extras[i].key, key))
            return &r->extras[i];
    return NULL;
}

static void write_function(struct json_writer *w, const struct llm_tool *t)
{
    jw_object(w);
    jw_kcstr(w, "type", "function");
    jw_kstring(w, "name", t->name);
    if (t->description.len > 0)
        jw_kstring(w, "description", t->description);
    jw_key(w, "parameters");
    if (t->parameters.len > 0)
        jw_raw(w, t->parameters);
    else
        jw_null(w);
    /* Absent means false where these requests come from, and true to a Responses provider. */
    jw_kbool(w, "strict", t->strict == 1);
    jw_object_end(w);
}

void params_write_tools(struct json_writer *w, const struct llm_request *r)
{
    jw_array(w);
    for (size_t i = 0; i < r->n_tools; i++) {
        if (params_own(r))
            jw_raw(w, r->tools[i].raw);
        else if (r->tools[i].name.len > 0)
            write_function(w, &r->tools[i]);
    }
    jw_array_end(w);
}

void params_write_tool_choice(struct json_writer *w, const struct llm_request *r)
{
    switch (r->tool_choice) {
    case LLM_TOOLS_NONE:
        jw_cstr(w, "none");
        return;
    case LLM_TOOLS_REQUIRED:
        jw_cstr(w, "required");
        return;
    case LLM_TOOLS_FUNCTION:
        jw_object(w);
        jw_kcstr(w, "type", "function");
        jw_kstring(w, "name", r->tool_choice_name);
        jw_object_end(w);
        return;
    case LLM_TOOLS_OPAQUE:
        if (params_own(r)) {
            jw_raw(w, r->tool_choice_raw);
            return;
        }
        break;
    case LLM_TOOLS_ABSENT:
    case LLM_TOOLS_AUTO:
        break;
    }
    jw_cstr(w, "auto");
}

void params_write_format(struct json_writer *w, const struct llm_format *f)
{
    jw_object(w);
    if (f->kind != LLM_FORMAT_JSON_SCHEMA) {
        jw_kcstr(w, "type", f->kind == LLM_FORMAT_JSON_OBJECT ? "json_object" : "text");
        jw_object_end(w);
        return;
    }
    jw_kcstr(w, "type", "json_schema");
    jw_kstring(w, "name", f->name);
    if (f->description.len > 0)
        jw_kstring(w, "description", f->description);
    jw_key(w, "schema");
    if (f->schema.len > 0)
        jw_raw(w, f->schema);
    else
        jw_raw(w, BYTES("{}"));
    if (f->strict >= 0)
        jw_kbool(w, "strict", f->strict == 1);
    jw_object_end(w);
}

void params_write_number(struct json_writer *w, const struct llm_number *n)
{
    if (n->raw.len > 0)
        jw_raw(w, n->raw);
    else
        jw_double(w, n->value);
}

#include "protocols/responses/decoder.h"
#include "protocols/fields.h"
#include "protocols/provider_error.h"
#include "protocols/responses/responses.h"
#include <stdlib.h>

static const struct json_limits limits = {.max_depth = 128, .max_nodes = 1 << 20};

struct llm_decoder *responses_decoder_new(struct llm_builder *b)
{
    struct llm_decoder *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->b = b;
    d->current = -1;
    json_doc_init(&d->doc);
    buf_init(&d->text, 0);
    buf_init(&d->extra, 0);
    b->log->extra_dialect = &dialect_responses;
    return d;
}

void responses_decoder_free(struct llm_decoder *d)
{
    if (!d)
        return;
    json_doc_free(&d->doc);
    buf_free(&d->text);
    buf_free(&d->extra);
    free(d->entries);
    free(d);
}

void decoder_fail(struct llm_decoder *d, const char *what)
{
    struct fault f;
    provider_error_invalid(&f, what);
    llm_builder_fail(d->b, &f);
}

bool decoder_text(struct llm_decoder *d, json_ref r, struct bytes *ret)
{
    if (!json_is(&d->doc, r, JSON_STRING)) {
        decoder_fail(d, "a text that is no string");
        return false;
    }
    if (!d->doc.nodes[r].escaped) {
        *ret = json_raw_string(&d->doc, r);
        return true;
    }
    buf_reset(&d->text);
    if (json_string_append(&d->doc, r, &d->text) != ERR_OK) {
        struct fault f;
        fault_no_memory(&f);
        llm_builder_fail(d->b, &f);
        return false;
    }
    *ret = buf_bytes(&d->text);
    return true;
}

/* False: the log has ended. */
static bool parse(struct llm_decoder *d, struct bytes text)
{
    enum err err = json_parse(&d->doc, text, &limits, NULL);
    if (err == ERR_NOMEM) {
        struct fault f;
        fault_no_memory(&f);
        llm_builder_fail(d->b, &f);
        return false;
    }
    if (err != ERR_OK || !json_is(&d->doc, 0, JSON_OBJECT)) {
        decoder_fail(d, "an event that is no JSON object");
        return false;
    }
    /* Nothing that is taken out of the text is longer than the text, but for the names of members. */
    d->text.max = d->extra.max = text.len + 64;
    return true;
}

/* ---- ends ---- */

static void read_usage(struct llm_decoder *d, json_ref usage)
{
    struct llm_usage u = {.total_tokens = -1};
    json_ref in = json_get(&d->doc, usage, "input_tokens_details"),
             out = json_get(&d->doc, usage, "output_tokens_details");
    if (!json_is(&d->doc, usage, JSON_OBJECT))
        return;
    field_int(&d->doc, usage, "input_tokens", &u.input_tokens);
    field_int(&d->doc, usage, "output_tokens", &u.output_tokens);
    field_int(&d->doc, usage, "total_tokens", &u.total_tokens);
    field_int(&d->doc, in, "cached_tokens", &u.cached_tokens);
    field_int(&d->doc, in, "cache_write_tokens", &u.cache_write_tokens);
    field_int(&d->doc, out, "reasoning_tokens", &u.reasoning_tokens);
    llm_builder_usage(d->b, &u);
}

static bool has_calls(const struct llm_decoder *d)
{
    for (size_t i = 0; i < d->n_entries; i++)
        if (d->entries[i].state != ENTRY_UNSEEN && d->entries[i].kind == LLM_OUT_FUNCTION_CALL)
            return true;
    return false;
}

static void fail_with(struct llm_decoder *d, json_ref error)
{
    struct fault f;
    provider_error_decode_object(&d->doc, error, &f);
    llm_builder_fail(d->b, &f);
}

static bool string_is(const struct llm_decoder *d, json_ref r, const char *s)
{
    return json_is(&d->doc, r, JSON_STRING) && bytes_is(json_raw_string(&d->doc, r), s);
}

/* A response object that is whole; its own status counts, `status` when it has none. */
static void take_response(struct llm_decoder *d, json_ref response, const char *status)
{
    json_ref told = json_get(&d->doc, response, "status");
    struct bytes s =
        json_is(&d->doc, told, JSON_STRING) ? json_raw_string(&d->doc, told) : bytes_cstr(status);
    read_usage(d, json_get(&d->doc, response, "usage"));
    if (bytes_is(s, "failed")) {
        fail_with(d, json_get(&d->doc, response, "error"));
        return;
    }
    entries_take_output(d, json_get(&d->doc, response, "output"));
    if (bytes_is(s, "completed")) {
        llm_builder_finish(d->b, has_calls(d) ? LLM_FINISH_TOOL_CALLS : LLM_FINISH_STOP);
    } else if (bytes_is(s, "incomplete")) {
        json_ref reason = json_get(&d->doc, json_get(&d->doc, response, "incomplete_details"), "reason");
        llm_builder_finish(d->b, string_is(d, reason, "content_filter") ? LLM_FINISH_CONTENT_FILTER
                                                                        : LLM_FINISH_LENGTH);
    } else if (bytes_is(s, "cancelled")) {
        llm_builder_cancel(d->b);
    } else {
        decoder_fail(d, "a response that is not finished, as if it were");
    }
}

/* ---- events ---- */

enum event_kind {
    EV_START,
    EV_ITEM_ADDED,
    EV_ITEM_DONE,
    EV_DELTA,
    EV_TEXT_DONE,
    EV_PART_DONE,
    EV_ARGUMENTS,
    EV_ARGUMENTS_DONE,
    EV_ANNOTATION,
    EV_COMPLETED,
    EV_INCOMPLETE,
    EV_FAILED,
    EV_ERROR,
};

struct event_name {
    struct bytes name;
    enum event_kind kind;
    enum llm_part_kind part;
};

#define NAME(lit)                                                                                            \
    {                                                                                                        \
        lit, sizeof(lit) - 1                                                                                 \
    }

/* The most frequent first. */
static const struct event_name event_names[] = {
    {NAME("response.output_text.delta"), EV_DELTA, LLM_PART_TEXT},
    {NAME("response.reasoning_text.delta"), EV_DELTA, LLM_PART_REASONING},
    {NAME("response.reasoning_summary_text.delta"), EV_DELTA, LLM_PART_SUMMARY},
    {NAME("response.refusal.delta"), EV_DELTA, LLM_PART_REFUSAL},
    {NAME("response.function_call_arguments.delta"), EV_ARGUMENTS, LLM_PART_ARGUMENTS},
    {NAME("response.output_text.done"), EV_TEXT_DONE, LLM_PART_TEXT},
    {NAME("response.reasoning_text.done"), EV_TEXT_DONE, LLM_PART_REASONING},
    {NAME("response.reasoning_summary_text.done"), EV_TEXT_DONE, LLM_PART_SUMMARY},
    {NAME("response.refusal.done"), EV_TEXT_DONE, LLM_PART_REFUSAL},
    {NAME("response.function_call_arguments.done"), EV_ARGUMENTS_DONE, LLM_PART_ARGUMENTS},
    {NAME("response.content_part.done"), EV_PART_DONE, LLM_PART_TEXT},
    {NAME("response.reasoning_summary_part.done"), EV_PART_DONE, LLM_PART_SUMMARY},
    {NAME("response.output_text.annotation.added"), EV_ANNOTATION, LLM_PART_TEXT},
    {NAME("response.output_item.added"), EV_ITEM_ADDED, LLM_PART_TEXT},
    {NAME("response.output_item.done"), EV_ITEM_DONE, LLM_PART_TEXT},
    {NAME("response.created"), EV_START, LLM_PART_TEXT},
    {NAME("response.in_progress"), EV_START, LLM_PART_TEXT},
    {NAME("response.queued"), EV_START, LLM_PART_TEXT},
    {NAME("response.completed"), EV_COMPLETED, LLM_PART_TEXT},
    {NAME("response.incomplete"), EV_INCOMPLETE, LLM_PART_TEXT},
    {NAME("response.failed"), EV_FAILED, LLM_PART_TEXT},
    {NAME("error"), EV_ERROR, LLM_PART_TEXT},
};

static void on_item_event(struct llm_decoder *d, const struct event_name *n)
{
    struct entry *e = entry_of_event(d, 0);
    if (!e)
        return;
    switch (n->kind) {
    case EV_ITEM_ADDED:
        entry_added(d, e, json_get(&d->doc, 0, "item"));
        return;
    case EV_ITEM_DONE:
        entry_item_done(d, e, json_get(&d->doc, 0, "item"));
        return;
    case EV_DELTA:
        entry_delta(d, e, 0, n->part);
        return;
    case EV_TEXT_DONE:
        entry_text_done(d, e, 0, n->part);
        return;
    case EV_PART_DONE:
        entry_part_done(d, e, 0);
        return;
    case EV_ARGUMENTS:
        entry_arguments(d, e, 0);
        return;
    case EV_ARGUMENTS_DONE:
        entry_arguments_done(d, e, 0);
        return;
    default:
        entry_annotation(d, e, 0);
        return;
    }
}

static void on_event(struct llm_decoder *d, const struct event_name *n)
{
    json_ref response = json_get(&d->doc, 0, "response"), error = json_get(&d->doc, 0, "error");
    switch (n->kind) {
    case EV_START:
        return; /* ours have been told */
    case EV_COMPLETED:
        take_response(d, response, "completed");
        return;
    case EV_INCOMPLETE:
        take_response(d, response, "incomplete");
        return;
    case EV_FAILED:
        take_response(d, response, "failed");
        return;
    case EV_ERROR:
        fail_with(d, json_is(&d->doc, error, JSON_OBJECT) ? error : 0);
        return;
    default:
        on_item_event(d, n);
        return;
    }
}

void responses_decode_event(struct llm_decoder *d, struct bytes name, struct bytes data)
{
    if (llm_builder_ended(d->b) || data.len == 0 || bytes_is(data, "[DONE]") || !parse(d, data))
        return;
    json_ref type = json_get(&d->doc, 0, "type");
    if (json_is(&d->doc, type, JSON_STRING))
        name = json_raw_string(&d->doc, type);
    for (size_t i = 0; i < ARRAY_LEN(event_names); i++) {
        if (bytes_eq(name, event_names[i].name)) {
            on_event(d, &event_names[i]);
            return;
        }
    }
}

void responses_decode_end(struct llm_decoder *d)
{
    struct fault f;
    provider_error_truncated(&f);
    llm_builder_fail(d->b, &f); /* nothing happens when the log has ended */
}

void responses_decode_answer(struct llm_decoder *d, struct bytes body)
{
    if (llm_builder_ended(d->b) || !parse(d, body))
        return;
    json_ref error = json_get(&d->doc, 0, "error");
    if (json_get(&d->doc, 0, "output") == JSON_NONE && error != JSON_NONE &&
        !json_is(&d->doc, error, JSON_NULL))
        fail_with(d, error);
    else
        take_response(d, 0, "");
}

#include "protocols/messages/messages.h"
#include "protocols/provider_error.h"
#include <stdlib.h>

/* Reading what a provider streams: one message, whose blocks come one after the other, each begun, told in
 * deltas and ended. */

enum { PIECE_MAX = 64 * 1024 * 1024 };

enum block { BLOCK_NONE, BLOCK_TEXT, BLOCK_THINKING, BLOCK_TOOL, BLOCK_OTHER };

struct llm_decoder {
    struct llm_builder *builder;
    struct json_doc doc;
    struct buf text, name; /* unescaped pieces */
    enum block block;      /* the open one */
    int64_t index;         /* its number */
    int item;              /* BLOCK_TOOL: output index */
    bool arguments;        /* BLOCK_TOOL: some have come */
    bool finished;         /* a stop_reason came */
    enum llm_finish finish;
    int64_t input, cache_read, cache_creation, output, thinking; /* tokens told last */
};

struct llm_decoder *messages_decoder_new(struct llm_builder *b)
{
    struct llm_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->builder = b;
    json_doc_init(&d->doc);
    buf_init(&d->text, PIECE_MAX);
    buf_init(&d->name, PIECE_MAX);
    b->log->extra_dialect = &dialect_messages;
    return d;
}

void messages_decoder_free(struct llm_decoder *d)
{
    if (!d)
        return;
    buf_free(&d->text);
    buf_free(&d->name);
    json_doc_free(&d->doc);
    free(d);
}

static void fail_invalid(struct llm_decoder *d, const char *what)
{
    struct fault f;
    provider_error_invalid(&f, what);
    llm_builder_fail(d->builder, &f);
}

static void fail_memory(struct llm_decoder *d)
{
    struct fault f;
    fault_no_memory(&f);
    llm_builder_fail(d->builder, &f);
}

/* A string member's characters: a slice of the text, or in `scratch` when it had escapes. Empty when there is
 * none. */
static struct bytes text_of(struct llm_decoder *d, json_ref obj, const char *key, struct buf *scratch)
{
    json_ref r = json_get(&d->doc, obj, key);
    if (!json_is(&d->doc, r, JSON_STRING))
        return (struct bytes){NULL, 0};
    if (!d->doc.nodes[r].escaped)
        return json_raw_string(&d->doc, r);
    buf_reset(scratch);
    if (json_string_append(&d->doc, r, scratch) == ERR_OK)
        return buf_bytes(scratch);
    fail_memory(d);
    return (struct bytes){NULL, 0};
}

/* ---- blocks ---- */

static void add(struct llm_decoder *d, enum llm_part_kind kind, json_ref obj, const char *key)
{
    llm_builder_delta(d->builder, kind, text_of(d, obj, key, &d->text), (struct bytes){NULL, 0});
}

static void add_arguments(struct llm_decoder *d, struct bytes piece)
{
    if (piece.len == 0)
        return;
    d->arguments = true;
    llm_builder_arguments(d->builder, d->item, piece);
}

static void begin_tool(struct llm_decoder *d, json_ref block)
{
    struct bytes id = text_of(d, block, "id", &d->text), name = text_of(d, block, "name", &d->name);
    json_ref input = json_get(&d->doc, block, "input");
    if (id.len == 0 || name.len == 0) {
        fail_invalid(d, "a tool_use block without an id or a name");
        return;
    }
    d->item = llm_builder_item(d->builder, LLM_OUT_FUNCTION_CALL, (struct bytes){NULL, 0}, id, name);
    d->arguments = false;
    if (json_is(&d->doc, input, JSON_OBJECT) && json_first(&d->doc, input) != JSON_NONE)
        add_arguments(d, json_raw(&d->doc, input));
}

static void begin_block(struct llm_decoder *d, json_ref block, int64_t index)
{
    struct bytes type = text_of(d, block, "type", &d->name);
    if (d->block != BLOCK_NONE) {
        fail_invalid(d, "a block that begins inside of another one");
        return;
    }
    d->index = index;
    d->block = BLOCK_OTHER;
    if (bytes_is(type, "text")) {
        d->block = BLOCK_TEXT;
        add(d, LLM_PART_TEXT, block, "text");
    } else if (bytes_is(type, "thinking")) {
        d->block = BLOCK_THINKING;
        add(d, LLM_PART_REASONING, block, "thinking");
    } else if (bytes_is(type, "tool_use")) {
        d->block = BLOCK_TOOL;
        begin_tool(d, block);
    }
}

static void read_delta(struct llm_decoder *d, json_ref delta, int64_t index)
{
    struct bytes type = text_of(d, delta, "type", &d->name);
    if (d->block == BLOCK_NONE || index != d->index)
        fail_invalid(d, "a delta of a block that is not open");
    else if (d->block == BLOCK_TEXT && bytes_is(type, "text_delta"))
        add(d, LLM_PART_TEXT, delta, "text");
    else if (d->block == BLOCK_THINKING && bytes_is(type, "thinking_delta"))
        add(d, LLM_PART_REASONING, delta, "thinking");
    else if (d->block == BLOCK_TOOL && bytes_is(type, "input_json_delta"))
        add_arguments(d, text_of(d, delta, "partial_json", &d->text));
}

static void end_block(struct llm_decoder *d)
{
    if (d->block == BLOCK_TEXT || d->block == BLOCK_THINKING)
        llm_builder_part_end(d->builder);
    if (d->block == BLOCK_TOOL) {
        if (!d->arguments)
            llm_builder_arguments(d->builder, d->item, BYTES("{}"));
        llm_builder_item_end(d->builder, d->item, (struct bytes){NULL, 0});
    }
    d->block = BLOCK_NONE;
}

/* ---- the message ---- */

/* Each is the sum so far; `input_tokens` are those beside the cache. */
static void read_usage(struct llm_decoder *d, json_ref usage)
{
    if (!json_is(&d->doc, usage, JSON_OBJECT))
        return;
    field_int(&d->doc, usage, "input_tokens", &d->input);
    field_int(&d->doc, usage, "cache_read_input_tokens", &d->cache_read);
    field_int(&d->doc, usage, "cache_creation_input_tokens", &d->cache_creation);
    field_int(&d->doc, usage, "output_tokens", &d->output);
    field_int(&d->doc, json_get(&d->doc, usage, "output_tokens_details"), "thinking_tokens", &d->thinking);
    const int64_t parts[] = {d->input, d->cache_read, d->cache_creation};
    struct llm_usage u = {.cached_tokens = d->cache_read,
                          .cache_write_tokens = d->cache_creation,
                          .output_tokens = d->output,
                          .reasoning_tokens = d->thinking,
                          .total_tokens = -1};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        u.input_tokens += MIN(MAX(parts[i], INT64_C(0)), LLM_MAX_TOKENS);
    llm_builder_usage(d->builder, &u);
}

static void read_stop(struct llm_decoder *d, json_ref obj)
{
    static const struct {
        const char *reason;
        enum llm_finish finish;
    } reasons[] = {
        {"tool_use", LLM_FINISH_TOOL_CALLS},    {"max_tokens", LLM_FINISH_LENGTH},
        {"pause_turn", LLM_FINISH_LENGTH},      {"model_context_window_exceeded", LLM_FINISH_LENGTH},
        {"refusal", LLM_FINISH_CONTENT_FILTER},
    };
    struct bytes reason = text_of(d, obj, "stop_reason", &d->text);
    if (reason.len == 0)
        return;
    d->finished = true;
    d->finish = LLM_FINISH_STOP; /* end_turn, stop_sequence */
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (bytes_is(reason, reasons[i].reason))
            d->finish = reasons[i].finish;
}

static void finish(struct llm_decoder *d)
{
    if (d->finished && d->block == BLOCK_NONE)
        llm_builder_finish(d->builder, d->finish);
    else
        fail_invalid(d, d->finished ? "an end inside of a block" : "an end without a stop_reason");
}

/* Inside of a stream the type stands for the status that it has elsewhere. */
static void read_error(struct llm_decoder *d, json_ref error)
{
    static const struct {
        const char *type;
        int status;
    } types[] = {
        {"invalid_request_error", 400}, {"authentication_error", 401}, {"billing_error", 402},
        {"permission_error", 403},      {"not_found_error", 404},      {"request_too_large", 413},
        {"rate_limit_error", 429},      {"timeout_error", 504},        {"overloaded_error", 529},
    };
    struct bytes type = text_of(d, error, "type", &d->text);
    struct fault f;
    int status = 500;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (bytes_is(type, types[i].type))
            status = types[i].status;
    messages_decode_error(status, error == JSON_NONE ? BYTES("") : json_raw(&d->doc, error), &f);
    llm_builder_fail(d->builder, &f);
}

static bool parse(struct llm_decoder *d, struct bytes data)
{
    static const struct json_limits limits = {.max_depth = 64, .max_nodes = 1 << 20};
    struct json_error bad;
    enum err err = json_parse(&d->doc, data, &limits, &bad);
    if (err == ERR_OK && json_is(&d->doc, 0, JSON_OBJECT))
        return true;
    if (err == ERR_NOMEM)
        fail_memory(d);
    else
        fail_invalid(d, err == ERR_OK ? "no object" : bad.what);
    return false;
}

void messages_decode_event(struct llm_decoder *d, struct bytes name, struct bytes data)
{
    (void)name; /* the same as the type */
    if (llm_builder_ended(d->builder) || data.len == 0 || !parse(d, data))
        return;
    struct bytes type = text_of(d, 0, "type", &d->name);
    int64_t index = 0;
    if (bytes_is(type, "content_block_delta")) {
        field_int(&d->doc, 0, "index", &index);
        read_delta(d, json_get(&d->doc, 0, "delta"), index);
    } else if (bytes_is(type, "message_start")) {
        read_usage(d, json_get(&d->doc, json_get(&d->doc, 0, "message"), "usage"));
    } else if (bytes_is(type, "content_block_start")) {
        field_int(&d->doc, 0, "index", &index);
        begin_block(d, json_get(&d->doc, 0, "content_block"), index);
    } else if (bytes_is(type, "content_block_stop")) {
        end_block(d);
    } else if (bytes_is(type, "message_delta")) {
        read_stop(d, json_get(&d->doc, 0, "delta"));
        read_usage(d, json_get(&d->doc, 0, "usage"));
    } else if (bytes_is(type, "message_stop")) {
        finish(d);
    } else if (bytes_is(type, "error")) {
        read_error(d, json_get(&d->doc, 0, "error"));
    } /* ping, and what the provider adds one day */
}

void messages_decode_end(struct llm_decoder *d)
{
    struct fault f;
    if (llm_builder_ended(d->builder))
        return;
    provider_error_truncated(&f);
    llm_builder_fail(d->builder, &f);
}

void messages_decode_answer(struct llm_decoder *d, struct bytes body)
{
    if (llm_builder_ended(d->builder) || !parse(d, body))
        return;
    if (bytes_is(text_of(d, 0, "type", &d->name), "error")) {
        read_error(d, json_get(&d->doc, 0, "error"));
        return;
    }
    json_ref content = json_get(&d->doc, 0, "content");
    for (json_ref b = json_first(&d->doc, content); b != JSON_NONE; b = json_next(&d->doc, b)) {
        begin_block(d, b, 0);
        end_block(d);
    }
    read_usage(d, json_get(&d->doc, 0, "usage"));
    read_stop(d, 0);
    finish(d);
}

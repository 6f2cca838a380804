#pragma once
/* What the tests of the client's face share: a sink that keeps events apart, what the official types promise
 * of each, and a log with one of everything. */
#include "tests/unit/protocols/support.h"

/* ---- a sink that keeps events apart ---- */

enum { MAX_EVENTS = 4096 };

struct recorder {
    struct event_sink sink;
    struct buf out;
    const char *names[MAX_EVENTS];
    size_t starts[MAX_EVENTS + 1];
    size_t n;
};

static inline void record_begin(struct event_sink *s, const char *name)
{
    struct recorder *r = CONTAINER_OF(s, struct recorder, sink);
    ck_assert_uint_lt(r->n, MAX_EVENTS);
    r->names[r->n] = name;
    r->starts[r->n] = s->out->len;
}

static inline void record_end(struct event_sink *s)
{
    struct recorder *r = CONTAINER_OF(s, struct recorder, sink);
    r->starts[++r->n] = s->out->len;
}

static inline void recorder_setup(struct recorder *r)
{
    memset(r, 0, sizeof(*r));
    buf_init(&r->out, 64 << 20);
    r->sink = (struct event_sink){.out = &r->out, .begin = record_begin, .end = record_end};
}

static inline struct bytes recorded(const struct recorder *r, size_t i)
{
    ck_assert_uint_lt(i, r->n);
    return bytes_of(r->out.data + r->starts[i], r->starts[i + 1] - r->starts[i]);
}

/* ---- what the types promise: member:types, where s string, i integer, b boolean, o object, a array, 0 null
 * ---- */

#define PLACE " item_id:s output_index:i"
#define COMMON "type:s sequence_number:i"

static const struct {
    const char *name, *members;
} promised[] = {
    {"response.created", COMMON " response:o"},
    {"response.in_progress", COMMON " response:o"},
    {"response.completed", COMMON " response:o"},
    {"response.incomplete", COMMON " response:o"},
    {"response.failed", COMMON " response:o"},
    {"response.output_item.added", COMMON " output_index:i item:o"},
    {"response.output_item.done", COMMON " output_index:i item:o"},
    {"response.content_part.added", COMMON PLACE " content_index:i part:o"},
    {"response.content_part.done", COMMON PLACE " content_index:i part:o"},
    {"response.output_text.delta", COMMON PLACE " content_index:i delta:s logprobs:a"},
    {"response.output_text.done", COMMON PLACE " content_index:i text:s logprobs:a"},
    {"response.output_text.annotation.added",
     COMMON PLACE " content_index:i annotation_index:i annotation:o"},
    {"response.refusal.delta", COMMON PLACE " content_index:i delta:s"},
    {"response.refusal.done", COMMON PLACE " content_index:i refusal:s"},
    {"response.reasoning_text.delta", COMMON PLACE " content_index:i delta:s"},
    {"response.reasoning_text.done", COMMON PLACE " content_index:i text:s"},
    {"response.reasoning_summary_part.added", COMMON PLACE " summary_index:i part:o"},
    {"response.reasoning_summary_part.done", COMMON PLACE " summary_index:i part:o"},
    {"response.reasoning_summary_text.delta", COMMON PLACE " summary_index:i delta:s"},
    {"response.reasoning_summary_text.done", COMMON PLACE " summary_index:i text:s"},
    {"response.function_call_arguments.delta", COMMON PLACE " delta:s"},
    {"response.function_call_arguments.done", COMMON PLACE " name:s arguments:s"},
};

static const char response_members[] =
    "id:s object:s created_at:i status:s output_text:s error:o0 incomplete_details:o0 instructions:s0 "
    "metadata:o0 model:s "
    "output:a parallel_tool_calls:b temperature:i0 tool_choice:so tools:a top_p:i0 background:b "
    "max_output_tokens:i0 "
    "previous_response_id:s0 reasoning:o text:o truncation:s usage:o0 store:b service_tier:s0";
static const char message_members[] = "type:s id:s role:s status:s content:a";
static const char call_members[] = "type:s id:s call_id:s name:s arguments:s status:s";
static const char reasoning_members[] = "type:s id:s summary:a status:s";
static const char usage_members[] =
    "input_tokens:i input_tokens_details:o output_tokens:i output_tokens_details:o total_tokens:i";

static inline char type_letter(const struct json_doc *d, json_ref r)
{
    static const char letters[] = {
        [JSON_NULL] = '0',   [JSON_FALSE] = 'b', [JSON_TRUE] = 'b',  [JSON_NUMBER] = 'i',
        [JSON_STRING] = 's', [JSON_ARRAY] = 'a', [JSON_OBJECT] = 'o'};
    return letters[json_type(d, r)];
}

static inline void check_members(const struct json_doc *d, json_ref obj, const char *members)
{
    char name[64], types[16];
    int used;
    while (sscanf(members, " %63[^:]:%15s%n", name, types, &used) == 2) {
        json_ref r = json_get(d, obj, name);
        ck_assert_msg(r != JSON_NONE, "no %s in %.*s", name, BYTES_FMT(json_raw(d, obj)));
        ck_assert_msg(strchr(types, type_letter(d, r)), "%s has type %c in %.*s", name, type_letter(d, r),
                      BYTES_FMT(json_raw(d, obj)));
        members += used;
    }
}

static inline bool member_is(const struct json_doc *d, json_ref obj, const char *key, const char *value)
{
    return bytes_is(json_raw_string(d, json_get(d, obj, key)), value);
}

static inline void check_part(const struct json_doc *d, json_ref part)
{
    if (member_is(d, part, "type", "output_text"))
        check_members(d, part, "type:s text:s annotations:a logprobs:a");
    else if (member_is(d, part, "type", "refusal"))
        check_members(d, part, "type:s refusal:s");
    else if (member_is(d, part, "type", "reasoning_text") || member_is(d, part, "type", "summary_text"))
        check_members(d, part, "type:s text:s");
    else
        ck_abort_msg("part %.*s", BYTES_FMT(json_raw(d, part)));
}

static inline void check_item(const struct json_doc *d, json_ref item)
{
    const char *parts = "content";
    if (member_is(d, item, "type", "web_search_call")) {
        check_members(d, item, "type:s id:s status:s");
        return;
    }
    if (member_is(d, item, "type", "message")) {
        check_members(d, item, message_members);
    } else if (member_is(d, item, "type", "function_call")) {
        check_members(d, item, call_members);
    } else {
        ck_assert(member_is(d, item, "type", "reasoning"));
        check_members(d, item, reasoning_members);
        parts = "summary";
    }
    for (json_ref p = json_first(d, json_get(d, item, parts)); p != JSON_NONE; p = json_next(d, p))
        check_part(d, p);
}

static inline void check_response(const struct json_doc *d, json_ref response)
{
    check_members(d, response, response_members);
    ck_assert(member_is(d, response, "object", "response"));
    for (json_ref i = json_first(d, json_get(d, response, "output")); i != JSON_NONE; i = json_next(d, i))
        check_item(d, i);
    json_ref usage = json_get(d, response, "usage"), error = json_get(d, response, "error");
    if (!json_is(d, usage, JSON_NULL)) {
        check_members(d, usage, usage_members);
        check_members(d, json_get(d, usage, "input_tokens_details"), "cached_tokens:i cache_write_tokens:i");
        check_members(d, json_get(d, usage, "output_tokens_details"), "reasoning_tokens:i");
    }
    if (!json_is(d, error, JSON_NULL))
        check_members(d, error, "code:s message:s");
}

/* One event as it went out: its name, its members, its number. Returns the number. */
static inline int64_t check_event(const struct recorder *r, size_t i)
{
    struct json_doc d;
    int64_t number = -1;
    bool known = false;
    doc_parse(&d, recorded(r, i));
    ck_assert(member_is(&d, 0, "type", r->names[i]));
    ck_assert(json_int(&d, json_get(&d, 0, "sequence_number"), &number));
    for (size_t k = 0; k < ARRAY_LEN(promised); k++) {
        if (strcmp(promised[k].name, r->names[i]) == 0) {
            known = true;
            check_members(&d, 0, promised[k].members);
        }
    }
    ck_assert_msg(known, "%s", r->names[i]);
    if (json_get(&d, 0, "response") != JSON_NONE)
        check_response(&d, json_get(&d, 0, "response"));
    if (json_get(&d, 0, "item") != JSON_NONE)
        check_item(&d, json_get(&d, 0, "item"));
    if (json_get(&d, 0, "part") != JSON_NONE)
        check_part(&d, json_get(&d, 0, "part"));
    json_doc_free(&d);
    return number;
}

/* ---- a log with one of everything ---- */

static const char request_text[] =
    "{\"model\":\"demo\",\"input\":\"hi\",\"instructions\":\"Be \\\"brief\\\"\","
    "\"tools\":[ {\"type\":\"function\",\n\"name\":\"f\",\"parameters\":{},\"strict\":true} ],"
    "\"metadata\":{ \"a\": \"b c\" },\"temperature\":0.25,\"user\":\"u\"}";

static inline void make_echo(const char *text, struct buf *out)
{
    struct json_doc d;
    struct arena a;
    struct llm_request r;
    struct api_error e;
    arena_init(&a, 1 << 20);
    doc_parse(&d, bytes_cstr(text));
    llm_request_init(&r, &a, &dialect_responses);
    ck_assert_int_eq(dialect_responses.decode_request(&d, 0, &r, &e), ERR_OK);
    buf_init(out, 1 << 20);
    dialect_responses.encode_echo(&r, out);
    ck_assert(!out->failed);
    json_doc_free(&d);
    arena_free(&a);
}

/* Under which the tests show their logs. */
static struct llm_head promised_head;

static inline void log_with_echo(struct llm_log *l, struct llm_builder *b)
{
    static char text[1 << 16];
    struct buf echo;
    make_echo(request_text, &echo);
    ck_assert_uint_lt(echo.len, sizeof(text));
    memcpy(text, echo.data, echo.len);
    promised_head = support_head;
    promised_head.echo = bytes_of(text, echo.len);
    promised_head.previous_response_id = BYTES("resp_before");
    log_setup(l, b, 1 << 22);
    l->extra_dialect = &dialect_responses;
    buf_free(&echo);
}

static const struct bytes none = {NULL, 0};

static inline void step(struct llm_builder *b, unsigned i)
{
    switch (i) {
    case 0:
        llm_builder_start(b);
        return;
    case 1:
        (void)llm_builder_item(b, LLM_OUT_REASONING, BYTES("rs_1"), none, none);
        return;
    case 2:
        llm_builder_delta(b, LLM_PART_SUMMARY, BYTES("sum"), none);
        return;
    case 3:
        llm_builder_delta(b, LLM_PART_SUMMARY, BYTES("mary\n"), none);
        return;
    case 4:
        llm_builder_delta(b, LLM_PART_REASONING, BYTES("think"), none);
        return;
    case 5:
        llm_builder_item_end(b, 0, BYTES("\"encrypted_content\":\"zz\""));
        return;
    case 6:
        (void)llm_builder_item(b, LLM_OUT_MESSAGE, BYTES("msg_\"1"), none, none);
        return;
    case 7:
        llm_builder_delta(b, LLM_PART_TEXT, BYTES("Hello"),
                          BYTES("\"logprobs\":[{\"token\":\"Hello\",\"logprob\":-1}]"));
        return;
    case 8:
        llm_builder_delta(b, LLM_PART_TEXT, BYTES(" \"wörld\"\\"), none);
        return;
    case 9:
        llm_builder_annotation(b, BYTES("{\"type\":\"file_path\",\"file_id\":\"f\",\"index\":1}"));
        return;
    case 10:
        llm_builder_annotation(b, BYTES("{\"type\":\"file_path\",\"file_id\":\"g\",\"index\":2}"));
        return;
    case 11:
        llm_builder_delta(b, LLM_PART_REFUSAL, BYTES("No."), none);
        return;
    case 12:
        (void)llm_builder_item(b, LLM_OUT_FUNCTION_CALL, BYTES("fc_1"), BYTES("call_1"), BYTES("f"));
        return;
    case 13:
        (void)llm_builder_item(b, LLM_OUT_FUNCTION_CALL, BYTES("fc_2"), BYTES("call_2"), BYTES("g"));
        return;
    case 14:
        llm_builder_arguments(b, 2, BYTES("{\"x\":"));
        return;
    case 15:
        llm_builder_arguments(b, 3, BYTES("{}"));
        return;
    case 16:
        llm_builder_arguments(b, 2, BYTES("1}"));
        return;
    case 17:
        llm_builder_item_end(b, 2, none);
        return;
    case 18:
        llm_builder_usage(b, &(struct llm_usage){true, 10, 4, 1, 20, 5, 30});
        return;
    default:
        llm_builder_finish(b, LLM_FINISH_TOOL_CALLS);
        return;
    }
}
enum { STEPS = 20 };

static inline void all_steps(struct llm_log *l, struct llm_builder *b)
{
    log_with_echo(l, b);
    for (unsigned i = 0; i < STEPS; i++)
        step(b, i);
}

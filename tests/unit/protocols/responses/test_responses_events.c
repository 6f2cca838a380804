/* The client's face: every event with every member that the official types promise. */
#include "protocols/responses/output_item.h"
#include "protocols/sse/sse.h"
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

static void record_begin(struct event_sink *s, const char *name)
{
    struct recorder *r = CONTAINER_OF(s, struct recorder, sink);
    ck_assert_uint_lt(r->n, MAX_EVENTS);
    r->names[r->n] = name;
    r->starts[r->n] = s->out->len;
}

static void record_end(struct event_sink *s)
{
    struct recorder *r = CONTAINER_OF(s, struct recorder, sink);
    r->starts[++r->n] = s->out->len;
}

static void recorder_setup(struct recorder *r)
{
    memset(r, 0, sizeof(*r));
    buf_init(&r->out, 64 << 20);
    r->sink = (struct event_sink){.out = &r->out, .begin = record_begin, .end = record_end};
}

static struct bytes recorded(const struct recorder *r, size_t i)
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

static char type_letter(const struct json_doc *d, json_ref r)
{
    static const char letters[] = {
        [JSON_NULL] = '0',   [JSON_FALSE] = 'b', [JSON_TRUE] = 'b',  [JSON_NUMBER] = 'i',
        [JSON_STRING] = 's', [JSON_ARRAY] = 'a', [JSON_OBJECT] = 'o'};
    return letters[json_type(d, r)];
}

static void check_members(const struct json_doc *d, json_ref obj, const char *members)
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

static bool member_is(const struct json_doc *d, json_ref obj, const char *key, const char *value)
{
    return bytes_is(json_raw_string(d, json_get(d, obj, key)), value);
}

static void check_part(const struct json_doc *d, json_ref part)
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

static void check_item(const struct json_doc *d, json_ref item)
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

static void check_response(const struct json_doc *d, json_ref response)
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
static int64_t check_event(const struct recorder *r, size_t i)
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

static void make_echo(const char *text, struct buf *out)
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

static void log_with_echo(struct llm_log *l, struct llm_builder *b)
{
    struct buf echo;
    struct llm_log_head head = support_head;
    make_echo(request_text, &echo);
    head.echo = buf_bytes(&echo);
    head.previous_response_id = BYTES("resp_before");
    ck_assert_int_eq(llm_log_init(l, &head, 1 << 22), ERR_OK);
    l->extra_dialect = &dialect_responses;
    llm_builder_init(b, l);
    buf_free(&echo);
}

static const struct bytes none = {NULL, 0};

static void step(struct llm_builder *b, unsigned i)
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

START_TEST(everything_live)
{
    static const char *const order[] = {
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.content_part.added",
        "response.reasoning_text.delta",
        "response.reasoning_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.annotation.added",
        "response.output_text.annotation.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.content_part.added",
        "response.refusal.delta",
        "response.refusal.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    };
    struct llm_log l;
    struct llm_builder b;
    struct recorder *r = malloc(sizeof(*r));
    struct llm_encoder e = {.include_usage = false};
    log_with_echo(&l, &b);
    recorder_setup(r);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&b, i);
        dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX);
    }
    ck_assert(e.done);
    ck_assert(!dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX));
    ck_assert_uint_eq(r->n, ARRAY_LEN(order));
    for (size_t i = 0; i < r->n; i++) {
        ck_assert_str_eq(r->names[i], order[i]);
        ck_assert_int_eq(check_event(r, i), (int64_t)i);
    }
    expect_bytes(
        recorded(r, 15),
        "{\"type\":\"response.output_text.delta\",\"item_id\":\"msg_\\\"1\",\"output_index\":1,"
        "\"content_index\":0,\"delta\":\"Hello\",\"logprobs\":[{\"token\":\"Hello\",\"logprob\":-1}],"
        "\"sequence_number\":15}");
    expect_bytes(
        recorded(r, 16),
        "{\"type\":\"response.output_text.delta\",\"item_id\":\"msg_\\\"1\",\"output_index\":1,"
        "\"content_index\":0,\"delta\":\" \\\"wörld\\\"\\\\\",\"logprobs\":[],\"sequence_number\":16}");
    expect_bytes(
        recorded(r, 18),
        "{\"type\":\"response.output_text.annotation.added\",\"item_id\":\"msg_\\\"1\",\"output_index\":1,"
        "\"content_index\":0,\"annotation_index\":1,\"annotation\":{\"type\":\"file_path\",\"file_id\":\"g\","
        "\"index\":2},\"sequence_number\":18}");
    expect_bytes(recorded(r, 31), "{\"type\":\"response.function_call_arguments.done\",\"item_id\":\"fc_1\","
                                  "\"output_index\":2,\"name\":\"f\","
                                  "\"arguments\":\"{\\\"x\\\":1}\",\"sequence_number\":31}");
    expect_bytes(recorded(r, 12), "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{"
                                  "\"id\":\"rs_1\",\"type\":\"reasoning\","
                                  "\"status\":\"completed\",\"summary\":[{\"type\":\"summary_text\",\"text\":"
                                  "\"summary\\n\"}],\"content\":[{"
                                  "\"type\":\"reasoning_text\",\"text\":\"think\"}],\"encrypted_content\":"
                                  "\"zz\"},\"sequence_number\":12}");
    buf_free(&r->out);
    free(r);
    llm_log_free(&l);
}
END_TEST

/* ---- the Response object ---- */

static void all_steps(struct llm_log *l, struct llm_builder *b)
{
    log_with_echo(l, b);
    for (unsigned i = 0; i < STEPS; i++)
        step(b, i);
}

START_TEST(answer_object)
{
    struct llm_log l;
    struct llm_builder b;
    struct buf out;
    all_steps(&l, &b);
    buf_init(&out, 1 << 20);
    dialect_responses.encode_answer(&l, &out);
    expect_bytes(
        buf_bytes(&out),
        "{\"id\":\"resp_0123456789abcdef0123456789abcdef\",\"object\":\"response\",\"created_at\":1700000000,"
        "\"status\":\"completed\",\"background\":false,\"error\":null,\"incomplete_details\":null,\"model\":"
        "\"demo\","
        "\"previous_response_id\":\"resp_before\",\"instructions\":\"Be "
        "\\\"brief\\\"\",\"max_output_tokens\":null,"
        "\"metadata\":{\"a\":\"b "
        "c\"},\"parallel_tool_calls\":true,\"temperature\":0.25,\"top_p\":1,\"tool_choice\":\"auto\","
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{},\"strict\":true}],"
        "\"reasoning\":{\"effort\":null,\"summary\":null},\"text\":{\"format\":{\"type\":\"text\"},"
        "\"verbosity\":\"medium\"},"
        "\"store\":true,\"user\":\"u\",\"truncation\":\"disabled\",\"service_tier\":null,\"top_logprobs\":0,"
        "\"max_tool_calls\":null,\"prompt_cache_key\":null,\"safety_identifier\":null,\"output\":["
        "{\"id\":\"rs_1\",\"type\":\"reasoning\",\"status\":\"completed\",\"summary\":[{\"type\":\"summary_"
        "text\","
        "\"text\":\"summary\\n\"}],\"content\":[{\"type\":\"reasoning_text\",\"text\":\"think\"}],"
        "\"encrypted_content\":\"zz\"},"
        "{\"id\":\"msg_\\\"1\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\","
        "\"content\":[{"
        "\"type\":\"output_text\",\"text\":\"Hello "
        "\\\"wörld\\\"\\\\\",\"annotations\":[{\"type\":\"file_path\",\"file_id\":\"f\","
        "\"index\":1},{\"type\":\"file_path\",\"file_id\":\"g\",\"index\":2}],\"logprobs\":[{\"token\":"
        "\"Hello\",\"logprob\":-1}]},"
        "{\"type\":\"refusal\",\"refusal\":\"No.\"}]},"
        "{\"id\":\"fc_1\",\"type\":\"function_call\",\"status\":\"completed\",\"arguments\":\"{\\\"x\\\":1}"
        "\",\"call_id\":\"call_1\","
        "\"name\":\"f\"},{\"id\":\"fc_2\",\"type\":\"function_call\",\"status\":\"completed\",\"arguments\":"
        "\"{}\","
        "\"call_id\":\"call_2\",\"name\":\"g\"}],\"output_text\":\"Hello "
        "\\\"wörld\\\"\\\\\",\"usage\":{\"input_tokens\":10,"
        "\"input_tokens_details\":{\"cached_tokens\":4,\"cache_write_tokens\":1},\"output_tokens\":20,"
        "\"output_tokens_details\":{\"reasoning_tokens\":5},\"total_tokens\":30}}");
    buf_free(&out);
    llm_log_free(&l);
}
END_TEST

/* The last event of a log that ended some way, and that log's first item. */
static void last_event(struct llm_log *l, const char *name, const char *status, const char *item_status,
                       const char *contains)
{
    struct recorder *r = malloc(sizeof(*r));
    struct llm_encoder e = {.include_usage = false};
    struct json_doc d;
    recorder_setup(r);
    dialect_responses.encode_events(&e, l, &r->sink, SIZE_MAX);
    ck_assert(e.done);
    ck_assert_int_eq(check_event(r, r->n - 1), (int64_t)l->count - 1);
    ck_assert_str_eq(r->names[r->n - 1], name);
    doc_parse(&d, recorded(r, r->n - 1));
    json_ref response = json_get(&d, 0, "response");
    ck_assert(member_is(&d, response, "status", status));
    ck_assert(member_is(&d, json_first(&d, json_get(&d, response, "output")), "status", item_status));
    struct bytes text = recorded(r, r->n - 1);
    ck_assert_msg(memmem(text.data, text.len, contains, strlen(contains)), "%.*s", BYTES_FMT(text));
    json_doc_free(&d);
    buf_free(&r->out);
    free(r);
}

static void half_a_log(struct llm_log *l, struct llm_builder *b)
{
    log_with_echo(l, b);
    llm_builder_delta(b, LLM_PART_TEXT, BYTES("half"), none);
}

START_TEST(ends)
{
    static const struct {
        int status;
        const char *code, *shown;
    } failures[] = {
        {429, "rate_limit_exceeded", "\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}"},
        {429, "insufficient_quota",
         "\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\",\"reason\":\"insufficient_quota\"}"},
        {400, "context_length_exceeded",
         "\"error\":{\"code\":\"invalid_prompt\",\"message\":\"m\",\"reason\":\"context_length_exceeded\"}"},
        {400, "image_too_large", "\"error\":{\"code\":\"image_too_large\",\"message\":\"m\"}"},
        {502, "upstream_truncated",
         "\"error\":{\"code\":\"server_error\",\"message\":\"m\",\"reason\":\"upstream_truncated\"}"},
        {500, NULL, "\"error\":{\"code\":\"server_error\",\"message\":\"m\"}"},
    };
    struct llm_log l;
    struct llm_builder b;
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        struct api_error e;
        half_a_log(&l, &b);
        api_error_set(&e, failures[i].status, API_UPSTREAM, failures[i].code, NULL, "m");
        llm_builder_fail(&b, &e);
        last_event(&l, "response.failed", "failed", "incomplete", failures[i].shown);
        llm_log_free(&l);
    }
    half_a_log(&l, &b);
    llm_builder_finish(&b, LLM_FINISH_LENGTH);
    last_event(&l, "response.incomplete", "incomplete", "incomplete",
               "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}");
    llm_log_free(&l);
    half_a_log(&l, &b);
    llm_builder_finish(&b, LLM_FINISH_CONTENT_FILTER);
    last_event(&l, "response.incomplete", "incomplete", "incomplete",
               "\"incomplete_details\":{\"reason\":\"content_filter\"}");
    llm_log_free(&l);
    half_a_log(&l, &b);
    llm_builder_cancel(&b);
    last_event(&l, "response.incomplete", "cancelled", "incomplete", "\"incomplete_details\":null");
    llm_log_free(&l);
}
END_TEST

/* ---- coalescing, places, lanes ---- */

START_TEST(waiting_deltas_leave_as_one)
{
    struct llm_log l;
    struct llm_builder b;
    struct recorder *r = malloc(sizeof(*r));
    struct llm_encoder e = {.stream_id = BYTES("lane.1")};
    log_with_echo(&l, &b);
    recorder_setup(r);
    for (int i = 0; i < 5; i++)
        llm_builder_delta(&b, LLM_PART_TEXT, BYTES("ab\""), none);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("x"), BYTES("\"logprobs\":[1]"));
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("y"), none);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("z"), none);
    ck_assert(dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX));
    ck_assert_uint_eq(r->n, 7);
    expect_bytes(
        recorded(r, 4),
        "{\"type\":\"response.output_text.delta\",\"item_id\":\"msg_0123456789abcdef0123456789abcdef_0\","
        "\"output_index\":0,\"content_index\":0,\"delta\":\"ab\\\"ab\\\"ab\\\"ab\\\"ab\\\"\","
        "\"logprobs\":[],\"sequence_number\":8,\"stream_id\":\"lane.1\"}");
    ck_assert_int_eq(check_event(r, 5), 9);
    ck_assert_int_eq(check_event(r, 6), 11);
    buf_free(&r->out);
    free(r);
    llm_log_free(&l);
}
END_TEST

/* The text of all text deltas of what was recorded. */
static void gather(const struct recorder *r, struct buf *out, int64_t *ret_last)
{
    for (size_t i = 0; i < r->n; i++) {
        struct json_doc d;
        int64_t number = check_event(r, i);
        ck_assert_int_gt(number, *ret_last);
        *ret_last = number;
        doc_parse(&d, recorded(r, i));
        if (strcmp(r->names[i], "response.output_text.delta") == 0)
            ck_assert_int_eq(json_string_append(&d, json_get(&d, 0, "delta"), out), ERR_OK);
        json_doc_free(&d);
    }
}

START_TEST(a_slow_client_loses_nothing)
{
    struct llm_log l;
    struct llm_builder b;
    struct buf expected, got;
    struct llm_encoder e = {.include_usage = false};
    struct recorder *r = malloc(sizeof(*r));
    int64_t last = -1;
    size_t most = 0;
    log_with_echo(&l, &b);
    buf_init(&expected, 1 << 20);
    buf_init(&got, 1 << 20);
    for (unsigned i = 0; i < 20000; i++) {
        char text[32];
        int n = snprintf(text, sizeof(text), "token %u ", i);
        buf_append(&expected, text, (size_t)n);
        llm_builder_delta(&b, LLM_PART_TEXT, bytes_of(text, (size_t)n), none);
        if (i % 7000 != 6999)
            continue;
        recorder_setup(r);
        while (dialect_responses.encode_events(&e, &l, &r->sink, r->out.len + 3000)) {
        }
        for (size_t k = 0; k < r->n; k++)
            most = MAX(most, recorded(r, k).len);
        gather(r, &got, &last);
        buf_free(&r->out);
    }
    recorder_setup(r);
    dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX);
    gather(r, &got, &last);
    ck_assert(bytes_eq(buf_bytes(&got), buf_bytes(&expected)));
    ck_assert_uint_gt(most, 8 * 1024);
    ck_assert_uint_lt(most, 17 * 1024);
    buf_free(&r->out);
    free(r);
    buf_free(&expected);
    buf_free(&got);
    llm_log_free(&l);
}
END_TEST

START_TEST(another_dialects_extras_stay_inside)
{
    struct llm_log l;
    struct llm_builder b;
    struct recorder *r = malloc(sizeof(*r));
    struct llm_encoder e = {.include_usage = false};
    log_with_echo(&l, &b);
    l.extra_dialect = &dialect_chat_completions;
    recorder_setup(r);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("a"), BYTES("\"logprobs\":{\"marker\":[]}"));
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("b"), BYTES("\"logprobs\":{\"marker\":[]}"));
    llm_builder_item_end(&b, 0, BYTES("\"audio\":1"));
    llm_builder_finish(&b, LLM_FINISH_STOP);
    dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX);
    ck_assert_uint_eq(r->n, 9);
    for (size_t i = 0; i < r->n; i++)
        check_event(r, i);
    ck_assert_ptr_null(memmem(r->out.data, r->out.len, "audio", 5));
    ck_assert_ptr_null(memmem(r->out.data, r->out.len, "marker", 6));
    buf_free(&r->out);
    free(r);
    llm_log_free(&l);
}
END_TEST

/* A buffer that has no room gets whole events or none, and the place stays before the one that did not fit.
 */
START_TEST(no_room)
{
    struct llm_log l;
    struct llm_builder b;
    struct llm_encoder whole = {.include_usage = false};
    struct recorder *all = malloc(sizeof(*all)), *r = malloc(sizeof(*r));
    all_steps(&l, &b);
    recorder_setup(all);
    dialect_responses.encode_events(&whole, &l, &all->sink, SIZE_MAX);
    for (size_t room = 0; room < all->out.len; room += 37) {
        struct llm_encoder e = {.include_usage = false};
        recorder_setup(r);
        r->out.max = room;
        dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX);
        ck_assert(r->out.failed);
        ck_assert(!e.done);
        size_t len = r->out.len;
        ck_assert(memcmp(r->out.data ? r->out.data : "", all->out.data, len) == 0);
        r->out.max = 64 << 20;
        r->out.failed = false;
        dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX);
        ck_assert(e.done);
        ck_assert(bytes_eq(buf_bytes(&r->out), buf_bytes(&all->out)));
        buf_free(&r->out);
    }
    buf_free(&all->out);
    free(all);
    free(r);
    llm_log_free(&l);
}
END_TEST

START_TEST(output_item_for_the_next_request)
{
    struct llm_log l;
    struct llm_builder b;
    struct buf out;
    struct json_writer w;
    all_steps(&l, &b);
    for (unsigned i = 0; i < llm_log_n_items(&l); i++) {
        struct json_doc d;
        buf_init(&out, 1 << 16);
        jw_init(&w, &out);
        responses_write_output_item(&l, i, &w);
        doc_parse(&d, buf_bytes(&out));
        check_item(&d, 0);
        json_doc_free(&d);
        buf_free(&out);
    }
    llm_log_free(&l);
}
END_TEST

/* An item of the provider's own: announced in progress, done with all that it has. */
START_TEST(opaque_item)
{
    struct llm_log l;
    struct llm_builder b;
    struct recorder *r = malloc(sizeof(*r));
    struct llm_encoder e = {.include_usage = false};
    log_with_echo(&l, &b);
    recorder_setup(r);
    int item = llm_builder_item(&b, LLM_OUT_OPAQUE, BYTES("ws_1"), none, BYTES("web_search_call"));
    llm_builder_item_end(&b, item, BYTES("\"status\":\"failed\",\"action\":{}"));
    item = llm_builder_item(&b, LLM_OUT_OPAQUE, none, none, BYTES("web_search_call"));
    llm_builder_finish(&b, LLM_FINISH_LENGTH);
    dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX);
    ck_assert_uint_eq(r->n, 7);
    for (size_t i = 0; i < r->n; i++)
        check_event(r, i);
    expect_bytes(recorded(r, 2),
                 "{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"id\":\"ws_1\","
                 "\"type\":\"web_search_call\",\"status\":\"in_progress\"},\"sequence_number\":2}");
    expect_bytes(recorded(r, 3),
                 "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"id\":\"ws_1\","
                 "\"type\":\"web_search_call\",\"status\":\"failed\",\"action\":{}},\"sequence_number\":3}");
    expect_bytes(recorded(r, 5),
                 "{\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"id\":"
                 "\"item_0123456789abcdef0123456789abcdef_1\",\"type\":\"web_search_call\","
                 "\"status\":\"incomplete\"},\"sequence_number\":5}");
    buf_free(&r->out);
    free(r);
    llm_log_free(&l);
}
END_TEST

/* ---- out and in again ---- */

static void sse_begin(struct event_sink *s, const char *name)
{
    buf_printf(s->out, "event: %s\ndata: ", name);
}
static void sse_end(struct event_sink *s)
{
    buf_append(s->out, "\n\n", 2);
}

static void on_sse(void *ctx, const struct sse_event *e)
{
    dialect_responses.decode_event(ctx, e->name, e->data);
}

static void dump(const struct llm_log *l, struct buf *out)
{
    buf_init(out, 1 << 20);
    log_dump(l, out);
    dialect_responses.encode_answer(l, out);
}

/* What we send, read as a provider's stream, is the log that we sent. */
START_TEST(round_trip)
{
    struct llm_log l, again;
    struct llm_builder b, b2;
    struct buf wire, one, two;
    struct event_sink sink = {.out = &wire, .begin = sse_begin, .end = sse_end};
    struct llm_encoder e = {.include_usage = false};
    struct sse_parser p;
    log_with_echo(&l, &b);
    log_with_echo(&again, &b2);
    buf_init(&wire, 1 << 20);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&b, i);
        dialect_responses.encode_events(&e, &l, &sink, SIZE_MAX);
    }
    struct llm_decoder *d = dialect_responses.decoder_new(&b2);
    sse_init(&p, 1 << 20, on_sse, d);
    ck_assert_int_eq(sse_feed(&p, buf_bytes(&wire)), ERR_OK);
    dialect_responses.decode_end(d);
    dump(&l, &one);
    dump(&again, &two);
    ck_assert_msg(bytes_eq(buf_bytes(&one), buf_bytes(&two)), "sent:\n%.*s\nread:\n%.*s",
                  BYTES_FMT(buf_bytes(&one)), BYTES_FMT(buf_bytes(&two)));
    buf_free(&one);
    buf_free(&two);
    buf_free(&wire);
    sse_free(&p);
    dialect_responses.decoder_free(d);
    llm_log_free(&l);
    llm_log_free(&again);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        everything_live,
        answer_object,
        ends,
        waiting_deltas_leave_as_one,
        a_slow_client_loses_nothing,
        another_dialects_extras_stay_inside,
        no_room,
        output_item_for_the_next_request,
        opaque_item,
        round_trip,
    };
    return run_tests("responses_events", tests, ARRAY_LEN(tests));
}

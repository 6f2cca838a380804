/* Requests: what is taken, what is refused and how, what the provider is sent. */
#include "tests/unit/protocols/support.h"

struct decoded {
    struct json_doc doc;
    struct arena arena;
    struct llm_request r;
    struct api_error error;
    enum err err;
};

static void decode_as(struct decoded *d, const struct dialect *dialect, const char *text)
{
    arena_init(&d->arena, 1 << 20);
    doc_parse(&d->doc, bytes_cstr(text));
    llm_request_init(&d->r, &d->arena, dialect);
    d->err = dialect->decode_request(&d->doc, 0, &d->r, &d->error);
}

static void decode(struct decoded *d, const char *text)
{
    decode_as(d, &dialect_responses, text);
    ck_assert_msg(d->err == ERR_OK, "%s: %s: %s", text, d->error.param, d->error.message);
}

static void decoded_free(struct decoded *d)
{
    json_doc_free(&d->doc);
    arena_free(&d->arena);
}

/* ---- refusals ---- */

#define WITH(members) "{\"model\":\"m\",\"input\":\"x\"," members "}"
#define ITEM(members) "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"a\"},{" members "}]}"
#define PART(members) ITEM("\"role\":\"user\",\"content\":[{" members "}]")

static const struct {
    const char *text, *param, *code;
} refused[] = {
    {"[]", "", "invalid_type"},
    {"\"x\"", "", "invalid_type"},
    {"{}", "model", "missing_required_parameter"},
    {"{\"model\":null,\"input\":\"x\"}", "model", "invalid_type"},
    {"{\"model\":\"\",\"input\":\"x\"}", "model", "string_below_min_length"},
    {"{\"model\":7,\"input\":\"x\"}", "model", "invalid_type"},
    {"{\"model\":\"m\"}", "input", "missing_required_parameter"},
    {"{\"model\":\"m\",\"previous_response_id\":null}", "input", "missing_required_parameter"},
    {"{\"model\":\"m\",\"generate\":true}", "input", "missing_required_parameter"},
    {"{\"model\":\"m\",\"input\":null}", "input", "invalid_type"},
    {"{\"model\":\"m\",\"input\":{}}", "input", "invalid_type"},
    {"{\"model\":\"m\",\"input\":[1]}", "input[0]", "invalid_type"},
    {WITH("\"type\":\"response.cancel\""), "type", "invalid_value"},
    {WITH("\"instructions\":[]"), "instructions", "invalid_type"},
    {WITH("\"temperature\":2.1"), "temperature", "decimal_above_max_value"},
    {WITH("\"temperature\":-0.1"), "temperature", "decimal_below_min_value"},
    {WITH("\"temperature\":\"1\""), "temperature", "invalid_type"},
    {WITH("\"top_p\":1.01"), "top_p", "decimal_above_max_value"},
    {WITH("\"max_output_tokens\":0"), "max_output_tokens", "integer_below_min_value"},
    {WITH("\"max_output_tokens\":1.5"), "max_output_tokens", "invalid_type"},
    {WITH("\"parallel_tool_calls\":1"), "parallel_tool_calls", "invalid_type"},
    {WITH("\"metadata\":{\"a\":1}"), "metadata.a", "invalid_type"},
    {WITH("\"metadata\":[]"), "metadata", "invalid_type"},
    {WITH("\"user\":null"), "user", "invalid_type"},
    {WITH("\"store\":\"yes\""), "store", "invalid_type"},
    {WITH("\"stream\":\"yes\""), "stream", "invalid_type"},
    {WITH("\"generate\":null"), "generate", "invalid_type"},
    {WITH("\"previous_response_id\":\"\""), "previous_response_id", "string_below_min_length"},
    {WITH("\"stream_id\":7"), "stream_id", "invalid_type"},
    {WITH("\"stream_id\":\"\""), "stream_id", "invalid_stream_id"},
    {WITH("\"stream_id\":\"a b\""), "stream_id", "invalid_stream_id"},
    {WITH("\"stream_id\":\"\\u0000\""), "stream_id", "invalid_stream_id"},
    {WITH("\"truncation\":\"maybe\""), "truncation", "invalid_value"},
    {WITH("\"include\":[1]"), "include[0]", "invalid_type"},
    {WITH("\"top_logprobs\":21"), "top_logprobs", "integer_above_max_value"},
    {WITH("\"max_tool_calls\":0"), "max_tool_calls", "integer_below_min_value"},
    {WITH("\"conversation\":\"conv_1\""), "conversation", "unsupported_parameter"},
    {WITH("\"idempotency_key\":\"k\""), "idempotency_key", "unsupported_parameter"},
    {WITH("\"tools\":{}"), "tools", "invalid_type"},
    {WITH("\"tools\":[{}]"), "tools[0].type", "missing_required_parameter"},
    {WITH("\"tools\":[{\"type\":\"function\"}]"), "tools[0].name", "missing_required_parameter"},
    {WITH("\"tools\":[{\"type\":\"function\",\"name\":\"\"}]"), "tools[0].name", "string_below_min_length"},
    {WITH("\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":[]}]"), "tools[0].parameters",
     "invalid_type"},
    {WITH("\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"strict\":\"no\"}]"), "tools[0].strict",
     "invalid_type"},
    {WITH("\"tool_choice\":\"any\""), "tool_choice", "invalid_value"},
    {WITH("\"tool_choice\":{}"), "tool_choice.type", "missing_required_parameter"},
    {WITH("\"tool_choice\":{\"type\":\"function\"}"), "tool_choice.name", "missing_required_parameter"},
    {WITH("\"text\":null"), "text", "invalid_type"},
    {WITH("\"text\":{\"verbosity\":\"loud\"}"), "text.verbosity", "invalid_value"},
    {WITH("\"text\":{\"format\":{}}"), "text.format.type", "missing_required_parameter"},
    {WITH("\"text\":{\"format\":{\"type\":\"xml\"}}"), "text.format.type", "invalid_value"},
    {WITH("\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\"}}"), "text.format.schema",
     "missing_required_parameter"},
    {WITH("\"text\":{\"format\":{\"type\":\"json_schema\",\"schema\":{}}}"), "text.format.name",
     "missing_required_parameter"},
    {WITH("\"reasoning\":{\"effort\":\"huge\"}"), "reasoning.effort", "invalid_value"},
    {WITH("\"reasoning\":{\"summary\":1}"), "reasoning.summary", "invalid_type"},
    {ITEM("\"content\":\"a\""), "input[1].role", "missing_required_parameter"},
    {ITEM("\"role\":\"tool\",\"content\":\"a\""), "input[1].role", "invalid_value"},
    {ITEM("\"role\":\"user\""), "input[1].content", "missing_required_parameter"},
    {ITEM("\"role\":\"user\",\"content\":null"), "input[1].content", "invalid_type"},
    {ITEM("\"type\":7"), "input[1].type", "invalid_type"},
    {PART("\"type\":\"input_text\""), "input[1].content[0].text", "missing_required_parameter"},
    {PART("\"text\":\"t\""), "input[1].content[0].type", "missing_required_parameter"},
    {PART("\"type\":\"refusal\",\"refusal\":1"), "input[1].content[0].refusal", "invalid_type"},
    {PART("\"type\":\"input_image\""), "input[1].content[0].image_url", "missing_required_parameter"},
    {PART("\"type\":\"input_image\",\"image_url\":null,\"file_id\":null"), "input[1].content[0].image_url",
     "missing_required_parameter"},
    {PART("\"type\":\"input_image\",\"image_url\":\"u\",\"detail\":\"huge\""), "input[1].content[0].detail",
     "invalid_value"},
    {ITEM("\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"{}\""), "input[1].call_id",
     "missing_required_parameter"},
    {ITEM("\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":{}"),
     "input[1].arguments", "invalid_type"},
    {ITEM("\"type\":\"function_call_output\",\"call_id\":\"c\""), "input[1].output",
     "missing_required_parameter"},
    {ITEM("\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":[{\"type\":\"input_image\"}]"),
     "input[1].output[0].image_url", "missing_required_parameter"},
    {ITEM("\"type\":\"reasoning\",\"id\":\"r\""), "input[1].summary", "missing_required_parameter"},
    {ITEM("\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\"}]"), "input[1].summary[0].text",
     "missing_required_parameter"},
    {ITEM("\"type\":\"item_reference\",\"id\":\"msg_1\""), "input[1].type", "unsupported_value"},
};

START_TEST(refusals)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct decoded d;
        decode_as(&d, &dialect_responses, refused[i].text);
        ck_assert_msg(d.err == ERR_INVALID, "accepted: %s", refused[i].text);
        ck_assert_msg(strcmp(d.error.param, refused[i].param) == 0, "%s: param %s", refused[i].text,
                      d.error.param);
        ck_assert_msg(strcmp(d.error.code, refused[i].code) == 0, "%s: code %s", refused[i].text,
                      d.error.code);
        ck_assert_int_eq(d.error.status, 400);
        ck_assert_str_eq(d.error.type, API_INVALID);
        ck_assert(d.error.message[0]);
        decoded_free(&d);
    }
}
END_TEST

/* ---- what is taken ---- */

START_TEST(a_string)
{
    struct decoded d;
    decode(&d, "{\"model\":\"m\",\"input\":\"h\\u00e9\\n\"}");
    expect_bytes(d.r.model, "m");
    ck_assert_uint_eq(d.r.n_items, 1);
    ck_assert_int_eq(d.r.items[0].kind, LLM_ITEM_MESSAGE);
    ck_assert_int_eq(d.r.items[0].role, LLM_ROLE_USER);
    ck_assert_uint_eq(d.r.items[0].n_contents, 1);
    expect_bytes(d.r.items[0].contents[0].text, "hé\n");
    ck_assert_int_eq(d.r.store, -1);
    ck_assert_int_eq(d.r.parallel_tool_calls, -1);
    ck_assert(!d.r.warm_up && !d.r.stream && !d.r.set_stream_id && !d.r.temperature.set);
    ck_assert_uint_eq(d.r.n_extras, 0);
    decoded_free(&d);
}
END_TEST

static const char full[] =
    "{\"type\":\"response.create\",\"model\":\"m\",\"stream_id\":\"a.b-c_1\",\"generate\":false,\"stream\":"
    "true,"
    "\"background\":true,\"instructions\":\"be\",\"temperature\":1e0,\"top_p\":0.5,\"max_output_tokens\":100,"
    "\"parallel_tool_calls\":false,\"store\":false,\"previous_response_id\":\"resp_1\",\"user\":\"u\","
    "\"metadata\":{\"k\":\"v\"},\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{"
    "\"type\":\"object\"},"
    "\"description\":\"d\",\"strict\":true},\"verbosity\":\"low\"},\"reasoning\":{\"effort\":\"high\","
    "\"summary\":\"auto\"},"
    "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"description\":\"does\",\"parameters\":{\"a\":1},"
    "\"strict\":false},"
    "{\"type\":\"web_search\"}],\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"},"
    "\"truncation\":\"auto\",\"include\":[\"reasoning.encrypted_content\"],\"service_tier\":null,\"new_"
    "thing\":[1, 2],"
    "\"input\":["
    "{\"role\":\"system\",\"content\":\"s\"},"
    "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"t\","
    "\"prompt_cache_breakpoint\":{\"mode\": \"explicit\"}},"
    "{\"type\":\"input_image\",\"image_url\":\"https://x/y.png\",\"detail\":\"low\"},"
    "{\"type\":\"input_image\",\"file_id\":\"file_1\"},{\"type\":\"input_file\",\"file_url\":\"u\"}]},"
    "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"status\":\"completed\",\"phase\":"
    "\"final_answer\","
    "\"content\":[{\"type\":\"output_text\",\"text\":\"o\",\"annotations\":[],\"logprobs\":[]},"
    "{\"type\":\"refusal\",\"refusal\":\"r\"}]},"
    "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"a\"},"
    "{\"type\":\"summary_text\",\"text\":\"b\"}],\"encrypted_content\":\"zz\"},"
    "{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{ }\"},"
    "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"42\"},"
    "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":[{\"type\":\"input_text\",\"text\":"
    "\"p\"}]},"
    "{\"type\":\"mcp_approval_response\",\"x\":1}]}";

START_TEST(everything_scalar)
{
    struct decoded d;
    decode(&d, full);
    const struct llm_request *r = &d.r;
    expect_bytes(r->stream_id, "a.b-c_1");
    ck_assert(r->set_stream_id && r->warm_up && r->stream);
    expect_bytes(r->instructions, "be");
    ck_assert(r->temperature.set && r->temperature.value == 1);
    expect_bytes(r->temperature.raw, "1e0");
    expect_bytes(r->top_p.raw, "0.5");
    ck_assert_int_eq(r->max_output_tokens, 100);
    ck_assert_int_eq(r->parallel_tool_calls, 0);
    ck_assert_int_eq(r->store, 0);
    expect_bytes(r->previous_response_id, "resp_1");
    expect_bytes(r->user, "u");
    expect_bytes(r->metadata, "{\"k\":\"v\"}");
    ck_assert_int_eq(r->format.kind, LLM_FORMAT_JSON_SCHEMA);
    expect_bytes(r->format.name, "n");
    expect_bytes(r->format.description, "d");
    expect_bytes(r->format.schema, "{\"type\":\"object\"}");
    ck_assert_int_eq(r->format.strict, 1);
    expect_bytes(r->verbosity, "low");
    expect_bytes(r->reasoning_effort, "high");
    expect_bytes(r->reasoning_summary, "auto");
    ck_assert_uint_eq(r->n_tools, 2);
    expect_bytes(r->tools[0].name, "f");
    expect_bytes(r->tools[0].description, "does");
    expect_bytes(r->tools[0].parameters, "{\"a\":1}");
    ck_assert_int_eq(r->tools[0].strict, 0);
    ck_assert_uint_eq(r->tools[1].name.len, 0);
    expect_bytes(r->tools[1].raw, "{\"type\":\"web_search\"}");
    ck_assert_int_eq(r->tool_choice, LLM_TOOLS_FUNCTION);
    expect_bytes(r->tool_choice_name, "f");
    ck_assert_uint_eq(r->n_extras, 3);
    expect_bytes(r->extras[0].key, "truncation");
    expect_bytes(r->extras[1].key, "include");
    expect_bytes(r->extras[2].key, "new_thing");
    expect_bytes(r->extras[2].raw, "[1, 2]");
    decoded_free(&d);
}
END_TEST

START_TEST(every_item)
{
    struct decoded d;
    decode(&d, full);
    const struct llm_item *i = d.r.items;
    ck_assert_uint_eq(d.r.n_items, 8);
    ck_assert_int_eq(i[0].role, LLM_ROLE_SYSTEM);
    ck_assert_uint_eq(i[1].n_contents, 4);
    expect_bytes(i[1].contents[0].text, "t");
    expect_bytes(i[1].contents[0].raw, "\"prompt_cache_breakpoint\":{\"mode\":\"explicit\"}");
    ck_assert_int_eq(i[1].contents[1].kind, LLM_CONTENT_IMAGE);
    expect_bytes(i[1].contents[1].text, "https://x/y.png");
    expect_bytes(i[1].contents[1].detail, "low");
    ck_assert_int_eq(i[1].contents[2].kind, LLM_CONTENT_OPAQUE);
    expect_bytes(i[1].contents[2].raw, "{\"type\":\"input_image\",\"file_id\":\"file_1\"}");
    ck_assert_int_eq(i[1].contents[3].kind, LLM_CONTENT_OPAQUE);
    ck_assert_int_eq(i[2].role, LLM_ROLE_ASSISTANT);
    expect_bytes(i[2].id, "msg_1");
    expect_bytes(i[2].raw, "\"phase\":\"final_answer\"");
    expect_bytes(i[2].contents[0].text, "o");
    ck_assert_uint_eq(i[2].contents[0].raw.len, 0);
    ck_assert_int_eq(i[2].contents[1].kind, LLM_CONTENT_REFUSAL);
    expect_bytes(i[2].contents[1].text, "r");
    ck_assert_int_eq(i[3].kind, LLM_ITEM_REASONING);
    expect_bytes(i[3].text, "a\nb");
    ck_assert(i[3].raw.data[0] == '{');
    ck_assert_int_eq(i[4].kind, LLM_ITEM_FUNCTION_CALL);
    expect_bytes(i[4].call_id, "c");
    expect_bytes(i[4].name, "f");
    expect_bytes(i[4].text, "{ }");
    ck_assert_int_eq(i[5].kind, LLM_ITEM_FUNCTION_OUTPUT);
    expect_bytes(i[5].text, "42");
    ck_assert_uint_eq(i[5].n_contents, 0);
    ck_assert_uint_eq(i[6].n_contents, 1);
    ck_assert_int_eq(i[7].kind, LLM_ITEM_OPAQUE);
    expect_bytes(i[7].raw, "{\"type\":\"mcp_approval_response\",\"x\":1}");
    decoded_free(&d);
}
END_TEST

START_TEST(nulls_are_absent)
{
    struct decoded d;
    decode(&d,
           WITH("\"instructions\":null,\"temperature\":null,\"top_p\":null,\"max_output_tokens\":null,"
                "\"parallel_tool_calls\":null,\"metadata\":null,\"store\":null,\"previous_response_id\":null,"
                "\"stream\":null,\"background\":null,\"reasoning\":null,\"truncation\":null,\"include\":null,"
                "\"service_tier\":null,\"top_logprobs\":null,\"conversation\":null,\"prompt\":null,"
                "\"text\":{\"verbosity\":null}"));
    ck_assert(!d.r.temperature.set && !d.r.top_p.set);
    ck_assert_uint_eq(d.r.instructions.len + d.r.metadata.len + d.r.previous_response_id.len, 0);
    ck_assert_int_eq(d.r.store, -1);
    ck_assert_int_eq(d.r.max_output_tokens, 0);
    ck_assert_uint_eq(d.r.n_extras, 0);
    decoded_free(&d);
}
END_TEST

START_TEST(input_may_be_absent)
{
    static const char *const texts[] = {
        "{\"model\":\"m\",\"previous_response_id\":\"resp_1\"}",
        "{\"model\":\"m\",\"generate\":false}",
        "{\"model\":\"m\",\"prompt\":{\"id\":\"p\"}}",
        "{\"model\":\"m\",\"input\":[]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct decoded d;
        decode(&d, texts[i]);
        ck_assert_uint_eq(d.r.n_items, 0);
        decoded_free(&d);
    }
}
END_TEST

/* ---- what the provider is sent ---- */

static void expect_sent(const struct decoded *d, const char *expected)
{
    struct buf out;
    struct api_error e;
    buf_init(&out, 1 << 20);
    enum err err = dialect_responses.encode_request(&d->r, BYTES("gpt-x"), &out, &e);
    ck_assert_msg(err == ERR_OK, "%s", e.message);
    ck_assert(is_json(buf_bytes(&out)));
    expect_bytes(buf_bytes(&out), expected);
    buf_free(&out);
}

START_TEST(sent_in_our_own_words)
{
    struct decoded d;
    decode(&d, full);
    expect_sent(
        &d,
        "{\"model\":\"gpt-x\",\"stream\":true,\"instructions\":\"be\",\"input\":["
        "{\"type\":\"message\",\"role\":\"system\",\"content\":\"s\"},"
        "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"t\","
        "\"prompt_cache_breakpoint\":{\"mode\":\"explicit\"}},"
        "{\"type\":\"input_image\",\"image_url\":\"https://x/y.png\",\"detail\":\"low\"},"
        "{\"type\":\"input_image\",\"file_id\":\"file_1\"},{\"type\":\"input_file\",\"file_url\":\"u\"}]},"
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"o\","
        "\"annotations\":[]},{\"type\":\"refusal\",\"refusal\":\"r\"}],\"phase\":\"final_answer\"},"
        "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"a\"},"
        "{\"type\":\"summary_text\",\"text\":\"b\"}],\"encrypted_content\":\"zz\"},"
        "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{ }\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"42\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"p\"},"
        "{\"type\":\"mcp_approval_response\",\"x\":1}],"
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"description\":\"does\",\"parameters\":{\"a\":1},"
        "\"strict\":false},"
        "{\"type\":\"web_search\"}],\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"},\"parallel_tool_"
        "calls\":false,"
        "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"description\":\"d\",\"schema\":{"
        "\"type\":\"object\"},"
        "\"strict\":true},\"verbosity\":\"low\"},\"reasoning\":{\"effort\":\"high\",\"summary\":\"auto\"},"
        "\"temperature\":1e0,\"top_p\":0.5,\"max_output_tokens\":100,\"user\":\"u\",\"store\":false,"
        "\"metadata\":{\"k\":\"v\"},\"truncation\":\"auto\",\"include\":[\"reasoning.encrypted_content\"],"
        "\"new_thing\":[1, 2]}");
    decoded_free(&d);
}
END_TEST

START_TEST(store_only_when_asked)
{
    struct decoded d;
    decode(&d, WITH("\"store\":true"));
    expect_sent(&d, "{\"model\":\"gpt-x\",\"stream\":true,\"input\":[{\"type\":\"message\",\"role\":\"user\","
                    "\"content\":\"x\"}],"
                    "\"store\":true}");
    decoded_free(&d);
    decode(&d, "{\"model\":\"m\",\"input\":\"x\"}");
    expect_sent(&d, "{\"model\":\"gpt-x\",\"stream\":true,\"input\":[{\"type\":\"message\",\"role\":\"user\","
                    "\"content\":\"x\"}],"
                    "\"store\":false}");
    decoded_free(&d);
}
END_TEST

START_TEST(unknown_parts_of_reasoning_and_text_ride_along)
{
    struct decoded d;
    decode(&d, WITH("\"reasoning\":{\"effort\":\"low\",\"mode\":\"pro\"},\"text\":{\"verbosity\":\"high\","
                    "\"tone\":\"dry\"}"));
    expect_bytes(d.r.reasoning_effort, "low");
    expect_sent(&d, "{\"model\":\"gpt-x\",\"stream\":true,\"input\":[{\"type\":\"message\",\"role\":\"user\","
                    "\"content\":\"x\"}],"
                    "\"store\":false,\"text\":{\"verbosity\":\"high\",\"tone\":\"dry\"},"
                    "\"reasoning\":{\"effort\":\"low\",\"mode\":\"pro\"}}");
    decoded_free(&d);
}
END_TEST

/* Reasoning that only an id stands for would be looked up where nothing is kept. */
START_TEST(reasoning_that_cannot_travel_stays)
{
    struct decoded d;
    decode(&d,
           "{\"model\":\"m\",\"input\":["
           "{\"type\":\"reasoning\",\"id\":\"a\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"s\"}]},"
           "{\"type\":\"reasoning\",\"id\":\"b\",\"summary\":[],\"encrypted_content\":null},"
           "{\"type\":\"reasoning\",\"id\":\"c\",\"summary\":[],\"content\":[{\"type\":\"reasoning_text\","
           "\"text\":\"t\"}]}]}");
    expect_sent(
        &d,
        "{\"model\":\"gpt-x\",\"stream\":true,\"input\":[{\"type\":\"reasoning\",\"id\":\"c\",\"summary\":[],"
        "\"content\":[{\"type\":\"reasoning_text\",\"text\":\"t\"}]}],\"store\":false}");
    decoded_free(&d);
}
END_TEST

START_TEST(sent_from_chat)
{
    struct decoded d;
    decode_as(&d, &dialect_chat_completions,
              "{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"d\"},"
              "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"t\"},{\"type\":\"image_url\","
              "\"image_url\":{\"url\":"
              "\"https://x/"
              "\"}}]},{\"role\":\"assistant\",\"content\":\"c\",\"tool_calls\":[{\"id\":\"call_1\",\"type\":"
              "\"function\","
              "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":"
              "\"call_1\",\"content\":\"4\"}],"
              "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"a\":1}}},"
              "{\"type\":\"function\",\"function\":{\"name\":\"g\",\"strict\":true}}],"
              "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},\"max_tokens\":50,"
              "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{}}},"
              "\"reasoning_effort\":\"low\",\"verbosity\":\"low\",\"logprobs\":true,\"store\":true,"
              "\"stream\":true}");
    ck_assert_msg(d.err == ERR_OK, "%s", d.error.message);
    expect_sent(
        &d,
        "{\"model\":\"gpt-x\",\"stream\":true,\"input\":[{\"type\":\"message\",\"role\":\"developer\","
        "\"content\":\"d\"},"
        "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"t\"},"
        "{\"type\":\"input_image\",\"image_url\":\"https://x/\",\"detail\":\"auto\"}]},"
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"c\"},"
        "{\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"f\",\"arguments\":\"{}\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"call_1\",\"output\":\"4\"}],"
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"a\":1},\"strict\":false},"
        "{\"type\":\"function\",\"name\":\"g\",\"parameters\":null,\"strict\":true}],"
        "\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"},"
        "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{}},\"verbosity\":\"low\"},"
        "\"reasoning\":{\"effort\":\"low\"},\"max_output_tokens\":50,\"store\":false}");
    decoded_free(&d);
}
END_TEST

START_TEST(what_the_provider_cannot_take)
{
#define CHAT(members) "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]," members "}"
    static const struct {
        const char *text, *param;
    } cases[] = {
        {CHAT("\"stop\":\"END\""), "stop"},
        {CHAT("\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}]"), "tools[0].type"},
        {CHAT("\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}"), "tool_choice"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_"
         "audio\":{}}]}]}",
         "messages"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct decoded d;
        struct buf out;
        struct api_error e;
        decode_as(&d, &dialect_chat_completions, cases[i].text);
        ck_assert_msg(d.err == ERR_OK, "%s", d.error.message);
        buf_init(&out, 1 << 20);
        ck_assert_int_eq(dialect_responses.encode_request(&d.r, BYTES("m"), &out, &e), ERR_INVALID);
        ck_assert_int_eq(e.status, 400);
        ck_assert_str_eq(e.code, "unsupported_by_provider");
        ck_assert_str_eq(e.param, cases[i].param);
        buf_free(&out);
        decoded_free(&d);
    }
}
END_TEST

START_TEST(no_room_to_send)
{
    struct decoded d;
    decode(&d, full);
    for (size_t max = 0; max < 1200; max += 13) {
        struct buf out;
        struct api_error e;
        buf_init(&out, max);
        ck_assert_int_ne(dialect_responses.encode_request(&d.r, BYTES("m"), &out, &e), ERR_OK);
        ck_assert(e.status == 413 || e.status == 503);
        buf_free(&out);
    }
    decoded_free(&d);
}
END_TEST

/* ---- what the Response repeats ---- */

static void expect_echo(const struct decoded *d, const char *expected)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    dialect_responses.encode_echo(&d->r, &out);
    expect_bytes(buf_bytes(&out), expected);
    buf_free(&out);
}

START_TEST(echo_of_everything)
{
    struct decoded d;
    decode(&d, full);
    expect_echo(
        &d,
        "\"instructions\":\"be\",\"max_output_tokens\":100,\"metadata\":{\"k\":\"v\"},\"parallel_tool_"
        "calls\":false,"
        "\"temperature\":1e0,\"top_p\":0.5,\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"},"
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"description\":\"does\",\"parameters\":{\"a\":1},"
        "\"strict\":false},"
        "{\"type\":\"web_search\"}],\"reasoning\":{\"effort\":\"high\",\"summary\":\"auto\"},"
        "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"description\":\"d\",\"schema\":{"
        "\"type\":\"object\"},"
        "\"strict\":true},\"verbosity\":\"low\"},\"store\":false,\"user\":\"u\",\"truncation\":\"auto\","
        "\"service_tier\":null,"
        "\"top_logprobs\":0,\"max_tool_calls\":null,\"prompt_cache_key\":null,\"safety_identifier\":null");
    decoded_free(&d);
}
END_TEST

START_TEST(echo_is_one_line)
{
    struct decoded d;
    struct buf out;
    decode(&d, "{\"model\":\"m\",\"input\":\"x\",\n\"tools\":[\n{\"type\":\"web_search\",\r\n\t\"a\": \" "
               "b\\n c\"}\n],"
               "\"metadata\":{\n\"k\":\"v w\"},\"reasoning\":{\n\"mode\":\"pro\"}}");
    buf_init(&out, 1 << 20);
    dialect_responses.encode_echo(&d.r, &out);
    ck_assert_ptr_null(memchr(out.data, '\n', out.len));
    ck_assert_ptr_null(memchr(out.data, '\r', out.len));
    ck_assert_ptr_nonnull(memmem(out.data, out.len, "{\"type\":\"web_search\",\"a\":\" b\\n c\"}", 34));
    ck_assert_ptr_nonnull(memmem(out.data, out.len, "{\"k\":\"v w\"}", 11));
    buf_free(&out);
    decoded_free(&d);
}
END_TEST

/* Out of memory at any place is said, and nothing is lost or used after. */
START_TEST(little_memory)
{
    struct json_doc doc;
    doc_parse(&doc, bytes_cstr(full));
    bool done = false;
    for (size_t max = 0; !done && max < (1 << 20); max += 64) {
        struct arena a;
        struct llm_request r;
        struct api_error e;
        arena_init(&a, max);
        llm_request_init(&r, &a, &dialect_responses);
        enum err err = dialect_responses.decode_request(&doc, 0, &r, &e);
        done = err == ERR_OK;
        if (!done) {
            ck_assert_int_eq(err, ERR_NOMEM);
            ck_assert_int_eq(e.status, 503);
        }
        arena_free(&a);
    }
    ck_assert(done);
    json_doc_free(&doc);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        refusals,
        a_string,
        everything_scalar,
        every_item,
        nulls_are_absent,
        input_may_be_absent,
        sent_in_our_own_words,
        store_only_when_asked,
        unknown_parts_of_reasoning_and_text_ride_along,
        reasoning_that_cannot_travel_stays,
        sent_from_chat,
        what_the_provider_cannot_take,
        no_room_to_send,
        echo_of_everything,
        echo_is_one_line,
        little_memory,
    };
    return run_tests("responses_request", tests, ARRAY_LEN(tests));
}

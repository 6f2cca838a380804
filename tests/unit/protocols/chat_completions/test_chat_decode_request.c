#include "../support.h"

static struct json_doc doc;
static struct arena arena;
static struct llm_request request;
static struct api_error error;

static enum err decode(const char *text)
{
    doc_parse(&doc, bytes_cstr(text));
    arena_init(&arena, 1 << 20);
    llm_request_init(&request, &arena, &dialect_chat_completions);
    error = (struct api_error){.status = 0};
    return dialect_chat_completions.decode_request(&doc, 0, &request, &error);
}

static void decode_ok(const char *text)
{
    enum err err = decode(text);
    ck_assert_msg(err == ERR_OK, "%s: %s", error.param, error.message);
}

static void done(void)
{
    json_doc_free(&doc);
    arena_free(&arena);
}

START_TEST(test_minimal)
{
    decode_ok("{\"model\":\"gpt\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\\n\\u00e9\"}]}");
    expect_bytes(request.model, "gpt");
    ck_assert_uint_eq(request.n_items, 1);
    ck_assert_int_eq(request.items[0].kind, LLM_ITEM_MESSAGE);
    ck_assert_int_eq(request.items[0].role, LLM_ROLE_USER);
    ck_assert_uint_eq(request.items[0].n_contents, 1);
    ck_assert_int_eq(request.items[0].contents[0].kind, LLM_CONTENT_TEXT);
    expect_bytes(request.items[0].contents[0].text, "Hi\n\xc3\xa9");
    ck_assert(!request.stream && !request.include_usage);
    ck_assert_int_eq(request.store, -1);
    ck_assert_int_eq(request.parallel_tool_calls, -1);
    ck_assert_int_eq(request.tool_choice, LLM_TOOLS_ABSENT);
    ck_assert_int_eq(request.format.kind, LLM_FORMAT_ABSENT);
    ck_assert_uint_eq(request.n_extras, 0);
    done();
}
END_TEST

START_TEST(test_settings)
{
    decode_ok(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"temperature\":0.70,\"top_"
        "p\":1,"
        "\"max_completion_tokens\":100,\"stop\":[\"a\",\"b\"],\"n\":1,\"stream\":true,"
        "\"stream_options\":{\"include_usage\":true},\"parallel_tool_calls\":false,\"reasoning_effort\":"
        "\"low\","
        "\"verbosity\":\"high\",\"metadata\":{\"k\":\"v\"},\"user\":\"u1\",\"store\":true,\"logprobs\":true,"
        "\"seed\":10000000000000000000000,\"modalities\":[\"text\"],\"functions\":null}");
    ck_assert(request.temperature.set);
    expect_bytes(request.temperature.raw, "0.70");
    ck_assert_double_eq(request.top_p.value, 1);
    ck_assert_int_eq(request.max_output_tokens, 100);
    ck_assert_uint_eq(request.n_stop, 2);
    expect_bytes(request.stop[1], "b");
    ck_assert(request.stream && request.include_usage);
    ck_assert_int_eq(request.parallel_tool_calls, 0);
    expect_bytes(request.reasoning_effort, "low");
    expect_bytes(request.verbosity, "high");
    expect_bytes(request.metadata, "{\"k\":\"v\"}");
    expect_bytes(request.user, "u1");
    ck_assert_int_eq(request.store, 1);
    ck_assert_uint_eq(request.n_extras, 3);
    expect_bytes(request.extras[0].key, "logprobs");
    expect_bytes(request.extras[1].raw, "10000000000000000000000");
    expect_bytes(request.extras[2].raw, "[\"text\"]");
    done();
}
END_TEST

START_TEST(test_old_names)
{
    decode_ok("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":7,"
              "\"stop\":\"end\","
              "\"temperature\":null,\"tools\":null,\"stream\":null}");
    ck_assert_int_eq(request.max_output_tokens, 7);
    ck_assert_uint_eq(request.n_stop, 1);
    expect_bytes(request.stop[0], "end");
    ck_assert(!request.temperature.set);
    ck_assert_uint_eq(request.n_extras, 1);
    expect_bytes(request.extras[0].key, "max_tokens");
    done();
    decode_ok("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":7,"
              "\"max_completion_tokens\":9}");
    ck_assert_int_eq(request.max_output_tokens, 9);
    ck_assert_uint_eq(request.n_extras, 0);
    done();
}
END_TEST

START_TEST(test_roles)
{
    decode_ok(
        "{\"model\":\"m\",\"messages\":["
        "{\"role\":\"system\",\"content\":\"s\"},"
        "{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"d1\"},{\"type\":\"text\","
        "\"text\":\"d2\"}]},"
        "{\"role\":\"user\",\"name\":\"ann\",\"content\":[{\"type\":\"text\",\"text\":\"look\",\"cache_"
        "control\":{\"a\": 1}},"
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/y.png\",\"detail\":\"low\"}},"
        "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA\",\"format\":\"wav\"}}]},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["
        "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},"
        "{\"id\":\"c2\",\"function\":{\"name\":\"g\",\"arguments\":\"\"},\"extra_content\":{\"s\":1}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"out\"},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":[{\"type\":\"text\",\"text\":\"part\"}]},"
        "{\"role\":\"assistant\",\"content\":\"done\",\"refusal\":\"but "
        "no\",\"reasoning_content\":\"thought\",\"prefix\":true}"
        "]}");
    const struct llm_item *i = request.items;
    ck_assert_uint_eq(request.n_items, 9);
    ck_assert_int_eq(i[0].role, LLM_ROLE_SYSTEM);
    ck_assert_int_eq(i[1].role, LLM_ROLE_DEVELOPER);
    ck_assert_uint_eq(i[1].n_contents, 2);
    expect_bytes(i[1].contents[1].text, "d2");
    expect_bytes(i[2].name, "ann");
    ck_assert_uint_eq(i[2].n_contents, 3);
    expect_bytes(i[2].contents[0].raw, "\"cache_control\":{\"a\": 1}");
    ck_assert_int_eq(i[2].contents[1].kind, LLM_CONTENT_IMAGE);
    expect_bytes(i[2].contents[1].text, "https://x/y.png");
    expect_bytes(i[2].contents[1].detail, "low");
    ck_assert_int_eq(i[2].contents[2].kind, LLM_CONTENT_OPAQUE);
    ck_assert(bytes_starts(i[2].contents[2].raw, BYTES("{\"type\":\"input_audio\"")));
    ck_assert_int_eq(i[3].kind, LLM_ITEM_FUNCTION_CALL);
    expect_bytes(i[3].call_id, "c1");
    expect_bytes(i[3].name, "f");
    expect_bytes(i[3].text, "{\"a\":1}");
    ck_assert_int_eq(i[4].kind, LLM_ITEM_FUNCTION_CALL);
    expect_bytes(i[4].raw, "\"extra_content\":{\"s\":1}");
    ck_assert_int_eq(i[5].kind, LLM_ITEM_FUNCTION_OUTPUT);
    expect_bytes(i[5].call_id, "c1");
    expect_bytes(i[5].text, "out");
    ck_assert_uint_eq(i[6].n_contents, 1);
    expect_bytes(i[6].contents[0].text, "part");
    ck_assert_int_eq(i[7].kind, LLM_ITEM_REASONING);
    expect_bytes(i[7].text, "thought");
    ck_assert_int_eq(i[8].role, LLM_ROLE_ASSISTANT);
    ck_assert_uint_eq(i[8].n_contents, 2);
    expect_bytes(i[8].contents[0].text, "done");
    ck_assert_int_eq(i[8].contents[1].kind, LLM_CONTENT_REFUSAL);
    expect_bytes(i[8].contents[1].text, "but no");
    expect_bytes(i[8].raw, "\"prefix\":true");
    done();
}
END_TEST

/* An assistant message that the neutral form cannot say stays whole. */
START_TEST(test_opaque_message)
{
    decode_ok("{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"audio\":{\"id\":\"a1\"}},"
              "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"custom\",\"custom\":{"
              "\"name\":\"n\",\"input\":\"i\"}}]},"
              "{\"role\":\"assistant\",\"tool_calls\":[{\"type\":\"odd\",\"function\":5}]}]}");
    ck_assert_uint_eq(request.n_items, 3);
    ck_assert_int_eq(request.items[2].kind, LLM_ITEM_OPAQUE);
    ck_assert_int_eq(request.items[0].kind, LLM_ITEM_OPAQUE);
    expect_bytes(request.items[0].raw, "{\"role\":\"assistant\",\"audio\":{\"id\":\"a1\"}}");
    ck_assert_int_eq(request.items[1].kind, LLM_ITEM_OPAQUE);
    done();
}
END_TEST

START_TEST(test_tools)
{
    decode_ok("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":["
              "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{"
              "\"type\":\"object\"},\"strict\":true}},"
              "{\"type\":\"function\",\"function\":{\"name\":\"g\"}},{\"type\":\"custom\",\"custom\":{"
              "\"name\":\"h\"}}],"
              "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}");
    ck_assert_uint_eq(request.n_tools, 3);
    expect_bytes(request.tools[0].name, "f");
    expect_bytes(request.tools[0].description, "d");
    expect_bytes(request.tools[0].parameters, "{\"type\":\"object\"}");
    ck_assert_int_eq(request.tools[0].strict, 1);
    ck_assert_int_eq(request.tools[1].strict, -1);
    ck_assert_uint_eq(request.tools[2].name.len, 0);
    expect_bytes(request.tools[2].raw, "{\"type\":\"custom\",\"custom\":{\"name\":\"h\"}}");
    ck_assert_int_eq(request.tool_choice, LLM_TOOLS_FUNCTION);
    expect_bytes(request.tool_choice_name, "f");
    done();
}
END_TEST

START_TEST(test_tool_choices)
{
    static const struct {
        const char *text;
        enum llm_tool_choice choice;
    } cases[] = {{"\"auto\"", LLM_TOOLS_AUTO},
                 {"\"none\"", LLM_TOOLS_NONE},
                 {"\"required\"", LLM_TOOLS_REQUIRED},
                 {"null", LLM_TOOLS_ABSENT},
                 {"{\"type\":\"allowed_tools\",\"allowed_tools\":{}}", LLM_TOOLS_OPAQUE}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tool_choice\":%s}",
                 cases[i].text);
        decode_ok(text);
        ck_assert_int_eq(request.tool_choice, cases[i].choice);
        if (cases[i].choice == LLM_TOOLS_OPAQUE)
            expect_bytes(request.tool_choice_raw, cases[i].text);
        done();
    }
}
END_TEST

START_TEST(test_formats)
{
    decode_ok("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"response_format\":{"
              "\"type\":\"json_schema\","
              "\"json_schema\":{\"name\":\"n\",\"description\":\"d\",\"schema\":{\"type\":\"object\"},"
              "\"strict\":false}}}");
    ck_assert_int_eq(request.format.kind, LLM_FORMAT_JSON_SCHEMA);
    expect_bytes(request.format.name, "n");
    expect_bytes(request.format.description, "d");
    expect_bytes(request.format.schema, "{\"type\":\"object\"}");
    ck_assert_int_eq(request.format.strict, 0);
    done();
    decode_ok("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"response_format\":{"
              "\"type\":\"json_object\"}}");
    ck_assert_int_eq(request.format.kind, LLM_FORMAT_JSON_OBJECT);
    done();
    decode_ok("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"response_format\":{"
              "\"type\":\"text\"}}");
    ck_assert_int_eq(request.format.kind, LLM_FORMAT_TEXT);
    done();
}
END_TEST

#define WITH(members) "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]," members "}"
#define SAYS(messages) "{\"model\":\"m\",\"messages\":[" messages "]}"

static const struct {
    const char *text, *param, *code;
} refusals[] = {
    {"{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "model", "missing_required_parameter"},
    {"{\"model\":\"\",\"messages\":[]}", "model", "string_below_min_length"},
    {"{\"model\":\"m\"}", "messages", "missing_required_parameter"},
    {"{\"model\":\"m\",\"messages\":\"hi\"}", "messages", "invalid_type"},
    {"{\"model\":\"m\",\"messages\":[]}", "messages", "array_below_min_length"},
    {SAYS("7"), "messages[0]", "invalid_type"},
    {SAYS("{\"content\":\"x\"}"), "messages[0].role", "missing_required_parameter"},
    {SAYS("{\"role\":\"robot\",\"content\":\"x\"}"), "messages[0].role", "invalid_value"},
    {SAYS("{\"role\":\"function\",\"name\":\"f\",\"content\":\"x\"}"), "messages[0].role", "invalid_value"},
    {SAYS("{\"role\":\"user\"}"), "messages[0].content", "missing_required_parameter"},
    {SAYS("{\"role\":\"user\",\"content\":null}"), "messages[0].content", "invalid_type"},
    {SAYS("{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"user\",\"content\":[]}"), "messages[1].content",
     "array_below_min_length"},
    {SAYS("{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}"), "messages[0].content[0].type",
     "missing_required_parameter"},
    {SAYS("{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}"), "messages[0].content[0].text",
     "missing_required_parameter"},
    {SAYS("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"u\"}]}"),
     "messages[0].content[0].image_url", "invalid_type"},
    {SAYS("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\","
          "\"detail\":\"x\"}}]}"),
     "messages[0].content[0].image_url.detail", "invalid_value"},
    {SAYS("{\"role\":\"system\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\"}}]}"),
     "messages[0].content[0].type", "invalid_value"},
    {SAYS("{\"role\":\"assistant\"}"), "messages[0].content", "missing_required_parameter"},
    {SAYS("{\"role\":\"assistant\",\"content\":\"\",\"function_call\":{\"name\":\"f\"}}"),
     "messages[0].function_call", "unsupported_parameter"},
    {SAYS("{\"role\":\"assistant\",\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
          "\"arguments\":\"\"}}]}"),
     "messages[0].tool_calls[0].id", "missing_required_parameter"},
    {SAYS("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{"
          "\"arguments\":\"\"}}]}"),
     "messages[0].tool_calls[0].function.name", "missing_required_parameter"},
    {SAYS("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{"
          "\"name\":\"f\",\"arguments\":{}}}]}"),
     "messages[0].tool_calls[0].function.arguments", "invalid_type"},
    {SAYS("{\"role\":\"tool\",\"content\":\"x\"}"), "messages[0].tool_call_id", "missing_required_parameter"},
    {WITH("\"temperature\":2.1"), "temperature", "decimal_above_max_value"},
    {WITH("\"temperature\":\"hot\""), "temperature", "invalid_type"},
    {WITH("\"top_p\":-0.1"), "top_p", "decimal_below_min_value"},
    {WITH("\"max_tokens\":0"), "max_tokens", "integer_below_min_value"},
    {WITH("\"max_completion_tokens\":1.5"), "max_completion_tokens", "invalid_type"},
    {WITH("\"n\":2"), "n", "integer_above_max_value"},
    {WITH("\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\"]"), "stop", "array_above_max_length"},
    {WITH("\"stop\":[1]"), "stop[0]", "invalid_type"},
    {WITH("\"stream\":1"), "stream", "invalid_type"},
    {WITH("\"stream_options\":{\"include_usage\":1}"), "stream_options.include_usage", "invalid_type"},
    {WITH("\"tools\":[{\"type\":\"function\"}]"), "tools[0].function", "missing_required_parameter"},
    {WITH("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"\"}}]"), "tools[0].function.name",
     "string_below_min_length"},
    {WITH("\"tools\":[{\"function\":{\"name\":\"f\"}}]"), "tools[0].type", "missing_required_parameter"},
    {WITH("\"tool_choice\":\"maybe\""), "tool_choice", "invalid_value"},
    {WITH("\"tool_choice\":{\"type\":\"function\"}"), "tool_choice.function", "missing_required_parameter"},
    {WITH("\"response_format\":{\"type\":\"yaml\"}"), "response_format.type", "invalid_value"},
    {WITH("\"response_format\":{\"type\":\"json_schema\"}"), "response_format.json_schema",
     "missing_required_parameter"},
    {WITH("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{}}}"),
     "response_format.json_schema.name", "missing_required_parameter"},
    {WITH("\"metadata\":{\"k\":1}"), "metadata.k", "invalid_type"},
    {WITH("\"verbosity\":\"loud\""), "verbosity", "invalid_value"},
    {WITH("\"functions\":[]"), "functions", "unsupported_parameter"},
    {WITH("\"function_call\":\"auto\""), "function_call", "unsupported_parameter"},
};

/* Each refusal names the field, by its path. */
START_TEST(test_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        ck_assert_msg(decode(refusals[i].text) == ERR_INVALID, "%s", refusals[i].text);
        ck_assert_int_eq(error.status, 400);
        ck_assert_str_eq(error.type, API_INVALID);
        ck_assert_msg(strcmp(error.param, refusals[i].param) == 0, "%s: param %s", refusals[i].text,
                      error.param);
        ck_assert_msg(strcmp(error.code, refusals[i].code) == 0, "%s: code %s", refusals[i].text, error.code);
        ck_assert_uint_gt(strlen(error.message), 20);
        done();
    }
}
END_TEST

/* With every amount of memory up to enough: an error or a request, never anything else. */
START_TEST(test_no_memory)
{
    static const char text[] = "{\"model\":\"m\\u0041\",\"messages\":[{\"role\":\"user\",\"content\":[{"
                               "\"type\":\"text\",\"text\":\"a\\nb\",\"k\":1}]},"
                               "{\"role\":\"assistant\",\"reasoning_content\":\"r\\n\",\"content\":\"c\\n\","
                               "\"tool_calls\":[{\"id\":\"i\\n\",\"type\":\"function\","
                               "\"function\":{\"name\":\"f\\n\",\"arguments\":\"\\n\"}}]},{\"role\":\"tool\","
                               "\"tool_call_id\":\"i\\n\",\"content\":\"o\\n\"}],"
                               "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\\n\","
                               "\"description\":\"\\n\"}}],\"tool_choice\":{\"type\":"
                               "\"function\",\"function\":{\"name\":\"f\\n\"}},\"response_format\":{\"type\":"
                               "\"json_schema\",\"json_schema\":{\"name\":\"n\\n\"}},"
                               "\"stop\":[\"\\n\",\"x\"],\"user\":\"\\n\",\"seed\":1}";
    bool enough = false;
    unsigned failures = 0;
    for (size_t max = 0; max < 8192 && !enough; max += 8) {
        doc_parse(&doc, bytes_cstr(text));
        arena_init(&arena, max);
        llm_request_init(&request, &arena, &dialect_chat_completions);
        enum err err = dialect_chat_completions.decode_request(&doc, 0, &request, &error);
        enough = err == ERR_OK;
        if (!enough) {
            failures++;
            ck_assert_int_eq(err, ERR_NOMEM);
            ck_assert_int_eq(error.status, 503);
        }
        done();
    }
    ck_assert(enough);
    ck_assert_uint_gt(failures, 20);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_minimal,        test_settings, test_old_names,    test_roles,
                                  test_opaque_message, test_tools,    test_tool_choices, test_formats,
                                  test_refused,        test_no_memory};
    return run_tests("chat_decode_request", tests, ARRAY_LEN(tests));
}

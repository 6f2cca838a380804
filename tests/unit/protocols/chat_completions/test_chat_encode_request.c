#include "../support.h"

static const struct bytes none = {NULL, 0};

static void expect_request(const struct llm_request *r, const char *expected)
{
    struct buf out;
    struct api_error e = {.message = ""};
    buf_init(&out, 1 << 20);
    enum err err = dialect_chat_completions.encode_request(r, BYTES("provider-model"), &out, &e);
    ck_assert_msg(err == ERR_OK, "%s", e.message);
    ck_assert(is_json(buf_bytes(&out)));
    expect_bytes(buf_bytes(&out), expected);
    buf_free(&out);
}

static void expect_round_trip(const char *from, const char *to)
{
    struct json_doc doc;
    struct arena arena;
    struct llm_request r;
    struct api_error e = {.message = ""};
    doc_parse(&doc, bytes_cstr(from));
    arena_init(&arena, 1 << 20);
    llm_request_init(&r, &arena, &dialect_chat_completions);
    enum err err = dialect_chat_completions.decode_request(&doc, 0, &r, &e);
    ck_assert_msg(err == ERR_OK, "%s: %s", e.param, e.message);
    expect_request(&r, to);
    json_doc_free(&doc);
    arena_free(&arena);
}

#define HEAD "{\"model\":\"provider-model\",\"messages\":["
#define STREAM "],\"stream\":true,\"stream_options\":{\"include_usage\":true}"

/* ---- from the same words: nothing is lost ---- */

START_TEST(test_own_text)
{
    expect_round_trip(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"developer\","
        "\"content\":\"d\"},"
        "{\"role\":\"user\",\"name\":\"ann\",\"content\":\"h\\u00e9\\n\"},{\"role\":\"assistant\","
        "\"content\":\"a\"},"
        "{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"user\",\"content\":\"\"}],\"stream\":false}",
        HEAD "{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"developer\",\"content\":\"d\"},"
             "{\"role\":\"user\",\"name\":\"ann\",\"content\":\"h\xc3\xa9\\n\"},{\"role\":\"assistant\","
             "\"content\":\"a\"},"
             "{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"user\",\"content\":\"\"}" STREAM "}");
}
END_TEST

START_TEST(test_own_parts)
{
    static const char messages[] =
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"look\"},"
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AA\",\"detail\":\"low\"}},"
        "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA\",\"format\":\"wav\"}}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"t\",\"cache_control\":{\"type\":"
        "\"ephemeral\"}}]},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]},"
        "{\"role\":\"assistant\",\"audio\":{\"id\":\"a1\"}},"
        "{\"role\":\"assistant\",\"content\":\"x\",\"prefix\":true}";
    char from[1024], to[1024];
    snprintf(from, sizeof from, "{\"model\":\"m\",\"messages\":[%s]}", messages);
    snprintf(to, sizeof to, HEAD "%s" STREAM "}", messages);
    expect_round_trip(from, to);
}
END_TEST

START_TEST(test_own_calls)
{
    static const char messages[] =
        "{\"role\":\"assistant\",\"reasoning_content\":\"hm\",\"content\":\"text\",\"tool_calls\":["
        "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": "
        "1}\"},\"extra_content\":{\"s\":\"x\"}},"
        "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"one\"},{\"role\":\"tool\",\"tool_call_id\":"
        "\"c2\",\"content\":\"\"},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["
        "{\"id\":\"c3\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c3\",\"content\":\"three\"}";
    char from[1024], to[1024];
    snprintf(from, sizeof from, "{\"model\":\"m\",\"messages\":[%s]}", messages);
    snprintf(to, sizeof to, HEAD "%s" STREAM "}", messages);
    expect_round_trip(from, to);
}
END_TEST

START_TEST(test_own_settings)
{
    expect_round_trip(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"temperature\":0.70,\"top_"
        "p\":1.0,\"max_completion_tokens\":5,"
        "\"stop\":\"end\",\"parallel_tool_calls\":true,\"reasoning_effort\":\"low\",\"verbosity\":\"low\","
        "\"user\":\"u\",\"store\":false,"
        "\"metadata\":{\"k\":\"v\"},\"seed\":12345678901234567890123,\"logit_bias\":{\"1\": "
        "-100},\"stream\":true,"
        "\"response_format\":{\"type\":\"json_object\",\"schema\":{}},"
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"},\"cache_control\":1},{\"type\":"
        "\"custom\",\"custom\":{\"name\":\"c\"}}],"
        "\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}}",
        HEAD "{\"role\":\"user\",\"content\":\"x\"}" STREAM
             ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"},\"cache_control\":1},{"
             "\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}],"
             "\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}},\"temperature\":0.70,\"top_"
             "p\":1.0,\"max_completion_tokens\":5,"
             "\"parallel_tool_calls\":true,\"verbosity\":\"low\",\"reasoning_effort\":\"low\",\"user\":\"u\","
             "\"stop\":[\"end\"],\"store\":false,"
             "\"metadata\":{\"k\":\"v\"},\"seed\":12345678901234567890123,\"logit_bias\":{\"1\": -100},"
             "\"response_format\":{\"type\":\"json_object\",\"schema\":{}}}");
}
END_TEST

/* The client's own name for the limit: some servers know only one of the two. */
START_TEST(test_max_tokens)
{
    expect_round_trip(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":5}",
        HEAD "{\"role\":\"user\",\"content\":\"x\"}" STREAM ",\"max_tokens\":5}");
}
END_TEST

/* ---- from the other dialect ---- */

static struct llm_content texts[] = {
    {.kind = LLM_CONTENT_TEXT, .text = {"hello", 5}},
    {.kind = LLM_CONTENT_TEXT, .text = {"more", 4}},
    {.kind = LLM_CONTENT_IMAGE, .text = {"https://x/y.png", 15}},
    {.kind = LLM_CONTENT_REFUSAL, .text = {"no", 2}},
    {.kind = LLM_CONTENT_OPAQUE, .raw = {"{\"type\":\"input_file\",\"file_id\":\"f\"}", 35}},
};

static struct llm_item message(enum llm_role role, unsigned first, unsigned n)
{
    return (struct llm_item){
        .kind = LLM_ITEM_MESSAGE, .role = role, .contents = texts + first, .n_contents = n};
}

static struct llm_item call(const char *id)
{
    return (struct llm_item){.kind = LLM_ITEM_FUNCTION_CALL,
                             .id = BYTES("fc_1"),
                             .call_id = bytes_cstr(id),
                             .name = BYTES("f"),
                             .text = BYTES("{}")};
}

static struct llm_item output(const char *id)
{
    return (struct llm_item){
        .kind = LLM_ITEM_FUNCTION_OUTPUT, .call_id = bytes_cstr(id), .text = BYTES("out")};
}

static void foreign(struct llm_request *r, struct arena *a, struct llm_item *items, size_t n)
{
    arena_init(a, 1 << 16);
    llm_request_init(r, a, &dialect_responses);
    r->items = items;
    r->n_items = n;
}

START_TEST(test_foreign_conversation)
{
    struct arena a;
    struct llm_request r;
    struct llm_item items[] = {
        message(LLM_ROLE_USER, 0, 1),
        {.kind = LLM_ITEM_REASONING, .text = BYTES("secret"), .raw = BYTES("{\"type\":\"reasoning\"}")},
        message(LLM_ROLE_ASSISTANT, 0, 1),
        call("c1"),
        {.kind = LLM_ITEM_REASONING, .text = BYTES("more")},
        call("c2"),
        output("c1"),
        output("c2"),
        message(LLM_ROLE_ASSISTANT, 0, 2),
        message(LLM_ROLE_DEVELOPER, 0, 1),
        message(LLM_ROLE_USER, 1, 2),
    };
    foreign(&r, &a, items, ARRAY_LEN(items));
    r.instructions = BYTES("Be brief.");
    expect_request(
        &r, HEAD "{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"hello\"},"
                 "{\"role\":\"assistant\",\"content\":\"hello\",\"tool_calls\":["
                 "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
                 "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
                 "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"out\"},"
                 "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"out\"},"
                 "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"hello\"},{\"type\":"
                 "\"text\",\"text\":\"more\"}]},"
                 "{\"role\":\"developer\",\"content\":\"hello\"},"
                 "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"more\"},"
                 "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/y.png\"}}]}" STREAM "}");
    arena_free(&a);
}
END_TEST

/* Text after calls joins their message: nothing may stand between calls and their outputs. */
START_TEST(test_foreign_grouping)
{
    struct arena a;
    struct llm_request r;
    struct llm_item items[] = {
        call("c1"),
        message(LLM_ROLE_ASSISTANT, 0, 1),
        output("c1"),
        message(LLM_ROLE_ASSISTANT, 0, 1),
        {.kind = LLM_ITEM_REASONING},
        message(LLM_ROLE_ASSISTANT, 1, 1),
        {.kind = LLM_ITEM_REASONING},
    };
    foreign(&r, &a, items, ARRAY_LEN(items));
    expect_request(
        &r, HEAD
        "{\"role\":\"assistant\",\"content\":\"hello\",\"tool_calls\":["
        "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"out\"},"
        "{\"role\":\"assistant\",\"content\":\"hello\"},{\"role\":\"assistant\",\"content\":\"more\"}" STREAM
        "}");
    arena_free(&a);
}
END_TEST

START_TEST(test_foreign_settings)
{
    struct arena a;
    struct llm_request r;
    struct llm_item items[] = {message(LLM_ROLE_USER, 0, 1), message(LLM_ROLE_ASSISTANT, 3, 1)};
    struct llm_tool tools[] = {{.name = BYTES("f"),
                                .description = BYTES("d"),
                                .parameters = BYTES("{\"type\":\"object\"}"),
                                .strict = 1,
                                .raw = BYTES("{\"type\":\"function\",\"name\":\"f\"}")},
                               {.name = BYTES("g"), .strict = -1}};
    struct llm_extra extra = {BYTES("truncation"), BYTES("\"auto\"")};
    foreign(&r, &a, items, ARRAY_LEN(items));
    r.tools = tools;
    r.n_tools = 2;
    r.tool_choice = LLM_TOOLS_FUNCTION;
    r.tool_choice_name = BYTES("g");
    r.temperature = (struct llm_number){true, 0.5, none};
    r.max_output_tokens = 77;
    r.parallel_tool_calls = 0;
    r.format =
        (struct llm_format){LLM_FORMAT_JSON_SCHEMA, BYTES("n"), none, BYTES("{\"type\":\"object\"}"), 1};
    r.reasoning_effort = BYTES("high");
    r.store = 1;
    r.metadata = BYTES("{\"k\":\"v\"}");
    r.extras = &extra;
    r.n_extras = 1;
    expect_request(
        &r, HEAD "{\"role\":\"user\",\"content\":\"hello\"},"
                 "{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]}" STREAM
                 ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","
                 "\"parameters\":{\"type\":\"object\"},\"strict\":true}},{\"type\":\"function\",\"function\":"
                 "{\"name\":\"g\"}}],"
                 "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}},\"temperature\":0.5,"
                 "\"max_completion_tokens\":77,\"parallel_tool_calls\":false,"
                 "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{"
                 "\"type\":\"object\"},"
                 "\"strict\":true}},\"reasoning_effort\":\"high\"}");
    arena_free(&a);
}
END_TEST

static void expect_refused(struct llm_request *r, const char *param, const char *what)
{
    struct buf out;
    struct api_error e = {.message = ""};
    buf_init(&out, 1 << 20);
    ck_assert_int_eq(dialect_chat_completions.encode_request(r, BYTES("m"), &out, &e), ERR_INVALID);
    ck_assert_int_eq(e.status, 400);
    ck_assert_str_eq(e.code, "unsupported_by_provider");
    ck_assert_str_eq(e.param, param);
    ck_assert_msg(strstr(e.message, what) != NULL, "%s", e.message);
    buf_free(&out);
}

/* What only the other dialect can say is refused, by its type. */
START_TEST(test_foreign_opaque)
{
    struct arena a;
    struct llm_request r;
    struct llm_item part[] = {message(LLM_ROLE_USER, 4, 1)};
    struct llm_item item[] = {{.kind = LLM_ITEM_OPAQUE, .raw = BYTES("{\"type\":\"computer_call\"}")}};
    struct llm_item plain[] = {message(LLM_ROLE_USER, 0, 1)};
    struct llm_tool tool = {.strict = -1, .raw = BYTES("{\"type\":\"web_search\"}")};
    foreign(&r, &a, part, 1);
    expect_refused(&r, "input", "'input_file'");
    foreign(&r, &a, item, 1);
    expect_refused(&r, "input", "'computer_call'");
    foreign(&r, &a, plain, 1);
    r.tools = &tool;
    r.n_tools = 1;
    expect_refused(&r, "tools", "'web_search'");
    r.n_tools = 0;
    r.tool_choice = LLM_TOOLS_OPAQUE;
    r.tool_choice_raw = BYTES("{\"type\":\"mcp\"}");
    expect_refused(&r, "tool_choice", "'mcp'");
    arena_free(&a);
}
END_TEST

START_TEST(test_no_room)
{
    struct arena a;
    struct llm_request r;
    struct llm_item items[] = {message(LLM_ROLE_USER, 0, 1)};
    foreign(&r, &a, items, 1);
    for (size_t max = 0; max < 100; max++) {
        struct buf out;
        struct api_error e = {.status = 0};
        buf_init(&out, max);
        ck_assert_int_eq(dialect_chat_completions.encode_request(&r, BYTES("m"), &out, &e), ERR_LIMIT);
        ck_assert_int_eq(e.status, 413);
        buf_free(&out);
    }
    arena_free(&a);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_own_text,         test_own_parts,        test_own_calls,
                                  test_own_settings,     test_max_tokens,       test_foreign_conversation,
                                  test_foreign_grouping, test_foreign_settings, test_foreign_opaque,
                                  test_no_room};
    return run_tests("chat_encode_request", tests, ARRAY_LEN(tests));
}

/* The demo provider: what it says to what. */
#include "common/utf8.h"
#include "gateway/upstream/demo.h"
#include "rig.h"

static struct rig rig;
static struct llm_item item;
static struct llm_content content;

static void say(const char *text)
{
    rig_open(&rig, true);
    content = (struct llm_content){.kind = LLM_CONTENT_TEXT, .text = bytes_cstr(text)};
    item = (struct llm_item){
        .kind = LLM_ITEM_MESSAGE, .role = LLM_ROLE_USER, .contents = &content, .n_contents = 1};
    rig.request.items = &item;
    rig.request.n_items = 1;
}

static void answer(struct ask *a)
{
    rig_start(&rig);
    ask_start(a, &rig);
    RUN_UNTIL(&rig, a->ended);
    ck_one_terminal(a);
    ck_assert_uint_eq(rig.fake.connections, 0);
}

static void text_of(const struct ask *a, enum llm_part_kind kind, struct buf *b)
{
    buf_init(b, RIG_MIB);
    llm_log_each_delta(&a->log, NULL, 0, 0, kind, ask_collect_, b);
    buf_append_char(b, '\0');
    b->len--;
}

START_TEST(it_counts_a_number_a_token)
{
    struct ask a;
    say("Please COUNT TO 5, will you?");
    answer(&a);
    ck_text(&a, "1 2 3 4 5");
    ck_assert_int_eq(a.log.end.usage.output_tokens, 5);
    ck_assert_int_eq(a.log.end.usage.input_tokens, 7);
    ck_assert_int_eq(a.log.end.usage.total_tokens, 12);
    ck_assert_uint_ge(a.told, 5); /* a token at a time */
    ck_assert_int_eq(a.log.terminal, LLM_EV_COMPLETED);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(max_output_tokens_cuts_it)
{
    struct ask a;
    say("count to 99999999999");
    rig.request.max_output_tokens = 3;
    answer(&a);
    ck_text(&a, "1 2 3");
    ck_assert_int_eq(a.log.terminal, LLM_EV_INCOMPLETE);
    ck_assert_int_eq(a.log.end.finish, LLM_FINISH_LENGTH);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(it_repeats_the_last_words)
{
    struct buf b;
    struct ask a;
    say("What is a \xc3\xa9l\xc3\xa9phant?");
    rig.request.max_output_tokens = 12;
    answer(&a);
    text_of(&a, LLM_PART_TEXT, &b);
    ck_assert_ptr_nonnull(strstr(b.data, "You said: \"What is a \xc3\xa9l\xc3\xa9phant?\"."));
    buf_free(&b);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(tokens_are_whole_characters)
{
    struct llm_pos pos = {0};
    struct llm_event e;
    struct ask a;
    say("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2"
        "\x82\xac\xe2\x82\xac");
    rig.request.max_output_tokens = 6;
    answer(&a);
    while (llm_log_next(&a.log, &pos, &e))
        if (e.type == LLM_EV_DELTA)
            ck_assert(utf8_valid(e.data));
    rig_done(&rig, &a);
}
END_TEST

static struct llm_tool tools[2];

static void offer_tools(void)
{
    tools[0] =
        (struct llm_tool){.name = BYTES("lookup"),
                          .parameters = BYTES("{\"type\":\"object\",\"properties\":{\"q\":{\"type\":"
                                              "\"string\"},\"n\":{\"type\":\"integer\",\"minimum\":3}}}")};
    tools[1] = (struct llm_tool){.name = BYTES("now")};
    rig.request.tools = tools;
    rig.request.n_tools = 2;
}

static void ck_call(const char *text, enum llm_tool_choice choice, const char *name, const char *args)
{
    struct buf b;
    struct ask a;
    say(text);
    offer_tools();
    rig.request.tool_choice = choice;
    rig.request.tool_choice_name = bytes_cstr(name);
    answer(&a);
    ck_assert_uint_eq(llm_log_n_items(&a.log), 1);
    const struct llm_output_item *i = llm_log_item(&a.log, 0);
    ck_assert_int_eq(i->kind, LLM_OUT_FUNCTION_CALL);
    ck_assert(bytes_is(i->name, name));
    ck_assert_uint_gt(i->call_id.len, 0);
    text_of(&a, LLM_PART_ARGUMENTS, &b);
    ck_assert_str_eq(b.data, args);
    ck_assert_int_eq(a.log.end.finish, LLM_FINISH_TOOL_CALLS);
    buf_free(&b);
    rig_done(&rig, &a);
}

START_TEST(it_calls_functions)
{
    ck_call("Call lookup {\"q\": \"the sea\", \"n\": 2}", LLM_TOOLS_AUTO, "lookup",
            "{\"q\": \"the sea\", \"n\": 2}");
    ck_call("please call lookup {\"q\": broken", LLM_TOOLS_ABSENT, "lookup", "{\"q\":\"demo\",\"n\":3}");
    ck_call("call now", LLM_TOOLS_AUTO, "now", "{}");
    ck_call("anything", LLM_TOOLS_REQUIRED, "lookup", "{\"q\":\"demo\",\"n\":3}");
    ck_call("anything", LLM_TOOLS_FUNCTION, "now", "{}");
}
END_TEST

START_TEST(it_does_not_call_what_is_not_offered)
{
    struct ask a;
    say("call nobody");
    offer_tools();
    rig.request.max_output_tokens = 2;
    answer(&a);
    ck_assert_int_eq(llm_log_item(&a.log, 0)->kind, LLM_OUT_MESSAGE);
    rig_done(&rig, &a);
    say("call now");
    offer_tools();
    rig.request.tool_choice = LLM_TOOLS_NONE;
    rig.request.max_output_tokens = 2;
    answer(&a);
    ck_assert_int_eq(llm_log_item(&a.log, 0)->kind, LLM_OUT_MESSAGE);
    rig_done(&rig, &a);
}
END_TEST

START_TEST(it_answers_by_schema)
{
    struct ask a;
    say("Who?");
    rig.request.format =
        (struct llm_format){.kind = LLM_FORMAT_JSON_SCHEMA,
                            .schema = BYTES("{\"type\":\"object\",\"properties\":{\"name\":{\"type\":"
                                            "\"string\"},\"age\":{\"type\":\"integer\"}}}")};
    answer(&a);
    ck_text(&a, "{\"name\":\"demo\",\"age\":1}");
    rig_done(&rig, &a);
    say("Who \"is\" it?");
    rig.request.format.kind = LLM_FORMAT_JSON_OBJECT;
    answer(&a);
    ck_text(&a, "{\"answer\":\"Who \\\"is\\\" it?\"}");
    rig_done(&rig, &a);
}
END_TEST

START_TEST(values_of_all_schemas)
{
    static const struct {
        const char *schema, *value;
    } cases[] = {
        {"{\"enum\":[\"b\",\"a\"]}", "\"b\""},
        {"{\"const\":{\"x\": 1}}", "{\"x\": 1}"},
        {"{\"type\":[\"boolean\",\"null\"]}", "true"},
        {"{\"type\":\"null\"}", "null"},
        {"{\"type\":\"string\",\"minLength\":6}", "\"demo..\""},
        {"{\"type\":\"string\",\"maxLength\":2}", "\"de\""},
        {"{\"type\":\"string\",\"format\":\"date\"}", "\"2025-01-01\""},
        {"{\"type\":\"array\",\"items\":{\"type\":\"number\"},\"minItems\":2}", "[1,1]"},
        {"{\"type\":\"array\",\"items\":{\"type\":\"number\"},\"maxItems\":0}", "[]"},
        {"{\"type\":\"array\"}", "[]"},
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]}", "1"},
        {"{\"$ref\":\"#/$defs/p\",\"$defs\":{\"p\":{\"type\":\"boolean\"}}}", "true"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/nowhere\"}}}", "{\"a\":{}}"},
        {"{}", "{}"},
        {"true", "null"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b;
        buf_init(&b, DEMO_MAX_TEXT);
        ck_assert(demo_json_value(bytes_cstr(cases[i].schema), &b));
        ck_assert_msg(bytes_is(buf_bytes(&b), cases[i].value), "%s made %.*s", cases[i].schema, (int)b.len,
                      b.data);
        buf_free(&b);
    }
}
END_TEST

#define NESTED(items) "{\"type\":\"array\",\"minItems\":8,\"items\":" items "}"

/* A schema that holds itself, one that is too big, and one that is none: refused, not followed. */
START_TEST(schemas_beyond_it)
{
    static const char *const cases[] = {
        "{\"$ref\":\"#\"}",
        "{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#\"}}}",
        NESTED(NESTED(NESTED(NESTED("{}")))),
        "{\"type\":\"object\",\"properties\":{\"a\\\"b\":{}}}",
        "nonsense",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b;
        buf_init(&b, DEMO_MAX_TEXT);
        ck_assert_msg(!demo_json_value(bytes_cstr(cases[i]), &b), "%s", cases[i]);
        buf_free(&b);
    }
}
END_TEST

START_TEST(cancelled_and_closed_in_the_middle)
{
    struct ask a, b, c;
    say("count to 10000");
    rig_ask(&rig, &a, NULL);
    ask_start(&b, &rig);
    ask_start(&c, &rig);
    upstream_cancel(c.transfer);
    RUN_UNTIL(&rig, a.told >= 2 && b.told >= 2);
    upstream_cancel(a.transfer);
    uint32_t count = a.log.count;
    unsigned told = b.told;
    RUN_UNTIL(&rig, b.told > told);
    ck_assert_uint_eq(a.log.count, count);
    ck_assert_uint_eq(c.told, 0);
    ck_assert_uint_eq(upstream_in_flight(rig.up), 1);
    rig_close(&rig);
    ask_free(&a);
    ask_free(&b);
    ask_free(&c);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("demo");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, it_counts_a_number_a_token);
    tcase_add_test(c, max_output_tokens_cuts_it);
    tcase_add_test(c, it_repeats_the_last_words);
    tcase_add_test(c, tokens_are_whole_characters);
    tcase_add_test(c, it_calls_functions);
    tcase_add_test(c, it_does_not_call_what_is_not_offered);
    tcase_add_test(c, it_answers_by_schema);
    tcase_add_test(c, values_of_all_schemas);
    tcase_add_test(c, schemas_beyond_it);
    tcase_add_test(c, cancelled_and_closed_in_the_middle);
    return run_case(c);
}

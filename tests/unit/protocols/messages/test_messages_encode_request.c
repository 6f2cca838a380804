/* What other dialects' clients ask for, in the words of Messages; and what cannot be said there. */
#include "../support.h"

static void ask(const struct dialect *from, const char *said, struct buf *ret_sent,
                struct api_error *ret_error, enum err *ret)
{
    struct json_doc doc;
    struct arena arena;
    struct llm_request r;
    doc_parse(&doc, bytes_cstr(said));
    arena_init(&arena, 1 << 20);
    llm_request_init(&r, &arena, from);
    enum err err = from->decode_request(&doc, 0, &r, ret_error);
    ck_assert_msg(err == ERR_OK, "%s: %s", said, ret_error->message);
    *ret = dialect_messages.encode_request(&r, BYTES("claude"), ret_sent, ret_error);
    json_doc_free(&doc);
    arena_free(&arena);
}

static void expect_sent(const struct dialect *from, const char *said, const char *expected)
{
    struct buf sent;
    struct api_error e = {.message = ""};
    enum err err;
    buf_init(&sent, 1 << 16);
    ask(from, said, &sent, &e, &err);
    ck_assert_msg(err == ERR_OK, "%s: %s", said, e.message);
    ck_assert(is_json(buf_bytes(&sent)));
    expect_bytes(buf_bytes(&sent), expected);
    buf_free(&sent);
}

#define CHAT(rest) "{\"model\":\"m\",\"messages\":" rest "}"
#define RESP(rest) "{\"model\":\"m\",\"input\":" rest "}"
#define USER "[{\"role\":\"user\",\"content\":\"x\"}]"
#define HEAD(tokens) "{\"model\":\"claude\",\"max_tokens\":" tokens ","
#define SAID_X "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]"
#define TAIL ",\"stream\":true}"
#define TOOLS "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"
#define TOOLS_SENT "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}]"

static const struct {
    const char *said, *sent;
} from_chat[] = {
    {CHAT(USER), HEAD("8192") SAID_X TAIL},
    {CHAT(USER ",\"max_tokens\":5,\"temperature\":0.50,\"top_p\":1,\"stop\":[\"a\",\"b\"],\"user\":\"u\""),
     HEAD("5") "\"temperature\":0.50,\"top_p\":1,\"stop_sequences\":[\"a\",\"b\"],\"metadata\":{\"user_id\":"
               "\"u\"}," SAID_X TAIL},
    /* systems wherever they stand; neighbours of one role; texts that are empty */
    {CHAT("[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"a\"},"
          "{\"role\":\"developer\",\"content\":\"d\"},{\"role\":\"user\",\"content\":\"b\"},"
          "{\"role\":\"assistant\",\"content\":\"\"},{\"role\":\"assistant\",\"content\":\"c\"}]"),
     HEAD("8192") "\"system\":[{\"type\":\"text\",\"text\":\"s\"},{\"type\":\"text\",\"text\":\"d\"}],"
                  "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{"
                  "\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"content\":[{\"type\":"
                  "\"text\",\"text\":\"c\"}]}]" TAIL},
    /* calls and their outputs, which stand first */
    {CHAT("[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"t\",\"tool_calls\":["
          "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}"
          "},{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]},"
          "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"1\"},{\"role\":\"tool\",\"tool_call_id\":"
          "\"c2\",\"content\":[{\"type\":\"text\",\"text\":\"2\"}]},{\"role\":\"user\",\"content\":\"b\"}]"),
     HEAD("8192") "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},"
                  "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"t\"},{\"type\":\"tool_"
                  "use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{\"a\":1}},{\"type\":\"tool_use\",\"id\":"
                  "\"c2\",\"name\":\"g\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_"
                  "result\",\"tool_use_id\":\"c1\",\"content\":\"1\"},{\"type\":\"tool_result\",\"tool_use_"
                  "id\":\"c2\",\"content\":[{\"type\":\"text\",\"text\":\"2\"}]},{\"type\":\"text\",\"text\":"
                  "\"b\"}]}]" TAIL},
    {CHAT("[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
          "png;base64,AA==\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i.png\"}}]}]"),
     HEAD("8192") "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":"
                  "\"base64\",\"media_type\":\"image/png\",\"data\":\"AA==\"}},{\"type\":\"image\","
                  "\"source\":{\"type\":\"url\",\"url\":\"https://h/i.png\"}}]}]" TAIL},
    {CHAT(USER ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","
               "\"parameters\":{\"type\":\"object\"},\"strict\":true}}]"),
     HEAD("8192") SAID_X ",\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":"
                         "\"object\"},\"strict\":true}]" TAIL},
    {CHAT(USER "," TOOLS ",\"tool_choice\":\"auto\""),
     HEAD("8192") SAID_X "," TOOLS_SENT ",\"tool_choice\":{\"type\":\"auto\"}" TAIL},
    {CHAT(USER "," TOOLS ",\"tool_choice\":\"none\",\"parallel_tool_calls\":false"),
     HEAD("8192") SAID_X "," TOOLS_SENT ",\"tool_choice\":{\"type\":\"none\"}" TAIL},
    {CHAT(USER "," TOOLS ",\"tool_choice\":\"required\""),
     HEAD("8192") SAID_X "," TOOLS_SENT ",\"tool_choice\":{\"type\":\"any\"}" TAIL},
    {CHAT(USER "," TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"
               "\"parallel_tool_calls\":false"),
     HEAD("8192") SAID_X "," TOOLS_SENT ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\",\"disable_"
                         "parallel_tool_use\":true}" TAIL},
    {CHAT(USER "," TOOLS ",\"parallel_tool_calls\":false"), HEAD("8192") SAID_X
     "," TOOLS_SENT ",\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}" TAIL},
    {CHAT(USER ",\"reasoning_effort\":\"minimal\",\"response_format\":{\"type\":\"json_schema\",\"json_"
               "schema\":{\"name\":\"n\",\"schema\":{\"type\":\"object\"}}}"),
     HEAD("8192") SAID_X ",\"output_config\":{\"effort\":\"low\",\"format\":{\"type\":\"json_schema\","
                         "\"schema\":{\"type\":\"object\"}}}" TAIL},
    {CHAT(USER ",\"reasoning_effort\":\"none\""), HEAD("8192") SAID_X TAIL},
};

START_TEST(test_from_chat)
{
    expect_sent(&dialect_chat_completions, from_chat[_i].said, from_chat[_i].sent);
}
END_TEST

START_TEST(test_from_responses)
{
    expect_sent(&dialect_responses,
                RESP("[{\"role\":\"user\",\"content\":\"a\"},{\"type\":\"reasoning\",\"id\":\"rs_1\","
                     "\"summary\":[]},{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\","
                     "\"arguments\":\"{}\"},{\"role\":\"user\",\"content\":\"b\"},{\"type\":\"function_call_"
                     "output\",\"call_id\":\"c\",\"output\":\"o\"}],\"instructions\":\"i\",\"reasoning\":{"
                     "\"effort\":\"high\"}"),
                HEAD("8192") "\"system\":[{\"type\":\"text\",\"text\":\"i\"}],\"messages\":[{\"role\":"
                             "\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},{\"role\":"
                             "\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\","
                             "\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
                             "\"tool_use_id\":\"c\",\"content\":\"o\"},{\"type\":\"text\",\"text\":\"b\"}]}]"
                             ",\"output_config\":{\"effort\":\"high\"}" TAIL);
}
END_TEST

static const struct {
    bool chat;
    const char *said, *param;
} refused[] = {
    {true, CHAT(USER ",\"response_format\":{\"type\":\"json_object\"}"), "response_format"},
    {false, RESP("\"x\",\"text\":{\"format\":{\"type\":\"json_object\"}}"), "text.format"},
    {false, RESP("\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"web_search\"}]"),
     "tools[1]"},
    {true, CHAT(USER ",\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}"), "tool_choice"},
    {true,
     CHAT("[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA\","
          "\"format\":\"wav\"}}]}]"),
     "input"},
    {true,
     CHAT("[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
          "svg+xml,AA\"}}]}]"),
     "input"},
    {true,
     CHAT("[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{"
          "\"name\":\"f\",\"arguments\":\"{\"}}]}]"),
     "input"},
    {true,
     CHAT("[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{"
          "\"name\":\"f\",\"arguments\":\"[]\"}}]}]"),
     "input"},
    {false, RESP("[{\"type\":\"item_of_next_year\"}]"), "input"},
};

START_TEST(test_refused)
{
    struct buf sent;
    struct api_error e = {.message = ""};
    enum err err;
    buf_init(&sent, 1 << 16);
    ask(refused[_i].chat ? &dialect_chat_completions : &dialect_responses, refused[_i].said, &sent, &e, &err);
    ck_assert_msg(err == ERR_INVALID, "%s", refused[_i].said);
    ck_assert_int_eq(e.status, 400);
    ck_assert_str_eq(e.code, "unsupported_by_provider");
    ck_assert_str_eq(e.param, refused[_i].param);
    buf_free(&sent);
}
END_TEST

START_TEST(test_too_large)
{
    struct buf sent;
    struct api_error e = {.message = ""};
    enum err err;
    buf_init(&sent, 64);
    ask(&dialect_chat_completions, CHAT(USER), &sent, &e, &err);
    ck_assert_int_eq(err, ERR_LIMIT);
    ck_assert_int_eq(e.status, 413);
    buf_free(&sent);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("messages_encode_request");
    tcase_add_loop_test(c, test_from_chat, 0, ARRAY_LEN(from_chat));
    tcase_add_test(c, test_from_responses);
    tcase_add_loop_test(c, test_refused, 0, ARRAY_LEN(refused));
    tcase_add_test(c, test_too_large);
    return run_case(c);
}

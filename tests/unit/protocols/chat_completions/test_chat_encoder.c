#include "../support.h"

static const struct bytes none = {NULL, 0};
static const struct dialect *const chat = &dialect_chat_completions;

/* ---- a client that takes events as lines ---- */

static void line_begin(struct event_sink *s, const char *name)
{
    ck_assert_ptr_null(name);
    s->mark_ = s->out->len;
}

static void line_end(struct event_sink *s)
{
    struct bytes event = bytes_of(s->out->data + s->mark_, s->out->len - s->mark_);
    ck_assert(bytes_is(event, "[DONE]") || is_json(event));
    ck_assert_ptr_null(memchr(event.data, '\n', event.len));
    buf_append_char(s->out, '\n');
}

struct client {
    struct buf out;
    struct event_sink sink;
    struct llm_encoder encoder;
    struct llm_log log;
    struct llm_builder builder;
};

static void setup(struct client *c)
{
    memset(c, 0, sizeof *c);
    buf_init(&c->out, 16 << 20);
    c->sink = (struct event_sink){.out = &c->out, .begin = line_begin, .end = line_end};
    log_setup(&c->log, &c->builder, 4 << 20);
    c->encoder.head = &support_head;
}

static void teardown(struct client *c)
{
    buf_free(&c->out);
    llm_log_free(&c->log);
}

static bool pull(struct client *c)
{
    return chat->encode_events(&c->encoder, &c->log, &c->sink, SIZE_MAX);
}

static void text(struct client *c, const char *s)
{
    llm_builder_delta(&c->builder, LLM_PART_TEXT, bytes_cstr(s), none);
}

#define PREFIX                                                                                               \
    "{\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\",\"object\":\"chat.completion.chunk\","            \
    "\"created\":1700000000,"                                                                                \
    "\"model\":\"demo\",\"choices\":["
#define CHUNK(delta) PREFIX "{\"index\":0,\"delta\":{" delta "},\"finish_reason\":null}]}\n"
#define FINISH(reason) PREFIX "{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}]}\n"
#define ROLE CHUNK("\"role\":\"assistant\",\"content\":\"\"")
#define ROLE_NULL CHUNK("\"role\":\"assistant\",\"content\":null")
#define DONE "[DONE]\n"

static void expect(struct client *c, const char *expected)
{
    expect_bytes(buf_bytes(&c->out), expected);
    buf_reset(&c->out);
}

static void expect_answer(struct client *c, const char *members)
{
    struct buf out;
    char all[2048];
    buf_init(&out, 1 << 20);
    chat->encode_answer(&support_head, &c->log, &out);
    snprintf(all, sizeof all,
             "{\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\",\"object\":\"chat.completion\","
             "\"created\":1700000000,"
             "\"model\":\"demo\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",%s}",
             members);
    ck_assert(is_json(buf_bytes(&out)));
    expect_bytes(buf_bytes(&out), all);
    buf_free(&out);
}

/* ---- streams ---- */

START_TEST(test_text)
{
    struct client c;
    setup(&c);
    llm_builder_start(&c.builder);
    ck_assert(!pull(&c));
    text(&c, "Hel");
    ck_assert(pull(&c));
    expect(&c, ROLE CHUNK("\"content\":\"Hel\""));
    ck_assert(!pull(&c));
    text(&c, "\"lo\"\n");
    ck_assert(pull(&c));
    expect(&c, CHUNK("\"content\":\"\\\"lo\\\"\\n\""));
    llm_builder_finish(&c.builder, LLM_FINISH_STOP);
    ck_assert(!c.encoder.done);
    ck_assert(pull(&c));
    expect(&c, FINISH("stop") DONE);
    ck_assert(c.encoder.done);
    ck_assert(!pull(&c));
    teardown(&c);
}
END_TEST

START_TEST(test_empty)
{
    struct client c;
    setup(&c);
    llm_builder_finish(&c.builder, LLM_FINISH_LENGTH);
    ck_assert(pull(&c));
    expect(&c, ROLE FINISH("length") DONE);
    teardown(&c);
}
END_TEST

START_TEST(test_usage)
{
    static const char usage[] = PREFIX "],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_"
                                       "tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":1},"
                                       "\"completion_tokens_details\":{\"reasoning_tokens\":0}}}\n";
    for (int asked = 0; asked < 2; asked++)
        for (int known = 0; known < 2; known++) {
            struct client c;
            setup(&c);
            c.encoder.include_usage = asked;
            if (known)
                llm_builder_usage(&c.builder, &(struct llm_usage){.input_tokens = 3,
                                                                  .cached_tokens = 1,
                                                                  .output_tokens = 2,
                                                                  .total_tokens = 5});
            llm_builder_finish(&c.builder, LLM_FINISH_CONTENT_FILTER);
            ck_assert(pull(&c));
            char all[2048];
            snprintf(all, sizeof all, "%s%s%s", ROLE FINISH("content_filter"), asked && known ? usage : "",
                     DONE);
            expect(&c, all);
            teardown(&c);
        }
}
END_TEST

START_TEST(test_calls)
{
    struct client c;
    setup(&c);
    text(&c, "t");
    int first = llm_builder_item(&c.builder, LLM_OUT_FUNCTION_CALL, none, BYTES("c\"1"), BYTES("f"));
    int second = llm_builder_item(&c.builder, LLM_OUT_FUNCTION_CALL, none, BYTES("c2"), BYTES("g"));
    llm_builder_arguments(&c.builder, second, BYTES("{}"));
    llm_builder_arguments(&c.builder, first, BYTES("{\"a\""));
    llm_builder_arguments(&c.builder, first, BYTES(":1}"));
    llm_builder_finish(&c.builder, LLM_FINISH_STOP);
    ck_assert(pull(&c));
    expect(&c,
           ROLE CHUNK("\"content\":\"t\"") CHUNK(
               "\"tool_calls\":[{\"index\":0,\"id\":\"c\\\"1\",\"type\":\"function\",\"function\":{"
               "\"name\":\"f\",\"arguments\":\"\"}}]")
               CHUNK("\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"type\":\"function\",\"function\":{"
                     "\"name\":\"g\",\"arguments\":\"\"}}]")
                   CHUNK("\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"{}\"}}]")
                       CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":1}\"}}]")
                           FINISH("tool_calls") DONE);
    teardown(&c);
}
END_TEST

START_TEST(test_call_alone)
{
    struct client c;
    setup(&c);
    llm_builder_item(&c.builder, LLM_OUT_FUNCTION_CALL, none, BYTES("c"), BYTES("f"));
    ck_assert(pull(&c));
    expect(&c, ROLE_NULL CHUNK("\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"type\":\"function\",\"function\":"
                               "{\"name\":\"f\",\"arguments\":\"\"}}]"));
    teardown(&c);
}
END_TEST

START_TEST(test_reasoning_and_refusal)
{
    struct client c;
    setup(&c);
    llm_builder_delta(&c.builder, LLM_PART_SUMMARY, BYTES("s1"), none);
    llm_builder_part_end(&c.builder);
    llm_builder_delta(&c.builder, LLM_PART_SUMMARY, BYTES("s2"), none);
    llm_builder_delta(&c.builder, LLM_PART_REASONING, BYTES("r"), none);
    llm_builder_delta(&c.builder, LLM_PART_REFUSAL, BYTES("no"), none);
    ck_assert(pull(&c));
    expect(&c, ROLE CHUNK("\"reasoning_content\":\"s1\"") CHUNK("\"reasoning_content\":\"\\n\\n\"")
                   CHUNK("\"reasoning_content\":\"s2\"") CHUNK("\"reasoning_content\":\"\\n\\n\"")
                       CHUNK("\"reasoning_content\":\"r\"") CHUNK("\"refusal\":\"no\""));
    teardown(&c);
}
END_TEST

START_TEST(test_failed)
{
    struct client c;
    struct fault f = {.kind = FAULT_TRUNCATED};
    setup(&c);
    text(&c, "t");
    api_error_set(&f.error, 502, API_UPSTREAM, "upstream_truncated", NULL, "Cut.");
    llm_builder_fail(&c.builder, &f);
    ck_assert(pull(&c));
    expect(&c, ROLE CHUNK("\"content\":\"t\"") "{\"error\":{\"type\":\"upstream_error\",\"code\":\"upstream_"
                                               "truncated\",\"message\":\"Cut.\",\"param\":null}}\n");
    ck_assert(c.encoder.done);
    teardown(&c);
}
END_TEST

START_TEST(test_cancelled)
{
    struct client c;
    setup(&c);
    text(&c, "t");
    ck_assert(pull(&c));
    buf_reset(&c.out);
    llm_builder_cancel(&c.builder);
    ck_assert(!pull(&c));
    ck_assert(c.encoder.done);
    teardown(&c);
}
END_TEST

/* A model's name that needs escapes; several events in one call share the prefix. */
START_TEST(test_prefix)
{
    struct client c;
    setup(&c);
    const struct llm_head head = {.id = BYTES("resp_x"), .model = BYTES("a\"b\\\xc3\xa9"), .created_at = 5};
    c.encoder.head = &head;
    text(&c, "t");
    ck_assert(pull(&c));
#define ODD_PREFIX                                                                                           \
    "{\"id\":\"chatcmpl-x\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":"                   \
    "\"a\\\"b\\\\\xc3\xa9\",\"choices\":[{\"index\":0,\"delta\":{"
    expect(&c, ODD_PREFIX "\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n" ODD_PREFIX
                          "\"content\":\"t\"},\"finish_reason\":null}]}\n");
    teardown(&c);
}
END_TEST

START_TEST(test_call_extra)
{
    for (int own = 0; own < 2; own++) {
        struct client c;
        setup(&c);
        c.log.extra_dialect = own ? &dialect_chat_completions : &dialect_responses;
        int call = llm_builder_item(&c.builder, LLM_OUT_FUNCTION_CALL, none, BYTES("c"), BYTES("f"));
        ck_assert(pull(&c));
        buf_reset(&c.out);
        llm_builder_item_end(&c.builder, call, BYTES("\"extra_content\":{\"s\":1}"));
        ck_assert(pull(&c) == (own == 1));
        expect(&c, own ? CHUNK("\"tool_calls\":[{\"index\":0,\"extra_content\":{\"s\":1}}]") : "");
        teardown(&c);
    }
}
END_TEST

START_TEST(test_annotation)
{
    struct client c;
    setup(&c);
    text(&c, "t");
    llm_builder_annotation(
        &c.builder,
        BYTES("{\"type\":\"url_citation\",\"url\":\"u\",\"title\":\"t\",\"start_index\":0,\"end_index\":1}"));
    llm_builder_annotation(&c.builder, BYTES("{\"type\":\"file_citation\",\"file_id\":\"f\"}"));
    ck_assert(pull(&c));
#define CITATION                                                                                             \
    "\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"url\":\"u\",\"title\":\"t\",\"start_"   \
    "index\":0,\"end_index\":1}}]"
    expect(&c, ROLE CHUNK("\"content\":\"t\"") CHUNK(CITATION));
    llm_builder_finish(&c.builder, LLM_FINISH_STOP);
    expect_answer(&c, "\"content\":\"t\",\"refusal\":null," CITATION
                      "},\"logprobs\":null,\"finish_reason\":\"stop\"}]");
    teardown(&c);
}
END_TEST

/* ---- coalescing ---- */

static unsigned count_events(const struct client *c)
{
    unsigned n = 0;
    for (size_t i = 0; i < c->out.len; i++)
        n += c->out.data[i] == '\n' ? 1u : 0u;
    return n;
}

START_TEST(test_coalesce)
{
    struct client c;
    setup(&c);
    text(&c, "a");
    ck_assert(pull(&c));
    buf_reset(&c.out);
    uint32_t last = 0;
    for (int i = 0; i < 5; i++) {
        text(&c, "xy");
        last = c.log.count - 1;
    }
    ck_assert(pull(&c));
    expect(&c, CHUNK("\"content\":\"xyxyxyxyxy\""));
    ck_assert_uint_eq(c.encoder.pos.index, last + 1);
    teardown(&c);
}
END_TEST

/* One event holds at most 16 KiB of what waits, whatever the pieces. */
START_TEST(test_coalesce_bound)
{
    static char piece[40000];
    memset(piece, 'x', sizeof piece);
    struct client c;
    setup(&c);
    text(&c, "a");
    ck_assert(pull(&c));
    buf_reset(&c.out);
    for (int i = 0; i < 33; i++)
        llm_builder_delta(&c.builder, LLM_PART_TEXT, bytes_of(piece, 1024), none);
    ck_assert(pull(&c));
    ck_assert_uint_eq(count_events(&c), 3);
    buf_reset(&c.out);
    llm_builder_delta(&c.builder, LLM_PART_TEXT, bytes_of(piece, sizeof piece), none);
    llm_builder_delta(&c.builder, LLM_PART_TEXT, bytes_of(piece, 1), none);
    ck_assert(pull(&c));
    ck_assert_uint_eq(count_events(&c), 2);
    teardown(&c);
}
END_TEST

/* Never across parts, kinds or items. */
START_TEST(test_coalesce_edges)
{
    struct client c;
    setup(&c);
    text(&c, "a");
    text(&c, "b");
    llm_builder_part_end(&c.builder);
    text(&c, "c");
    llm_builder_annotation(&c.builder, BYTES("{}"));
    text(&c, "d");
    llm_builder_delta(&c.builder, LLM_PART_REFUSAL, BYTES("e"), none);
    ck_assert(pull(&c));
    expect(&c, ROLE CHUNK("\"content\":\"ab\"") CHUNK("\"content\":\"c\"") CHUNK("\"content\":\"d\"")
                   CHUNK("\"refusal\":\"e\""));
    teardown(&c);
}
END_TEST

static void with_logprob(struct client *c, const char *s, const char *token)
{
    char extra[128];
    snprintf(extra, sizeof extra,
             "\"logprobs\":{\"content\":[{\"token\":\"%s\",\"logprob\":-1}],\"refusal\":null}", token);
    llm_builder_delta(&c->builder, LLM_PART_TEXT, bytes_cstr(s), bytes_cstr(extra));
}

/* Deltas that carry members of our own words stay apart; those of another dialect's are not for our clients.
 */
START_TEST(test_extras)
{
    for (int own = 0; own < 2; own++) {
        struct client c;
        setup(&c);
        c.log.extra_dialect = own ? &dialect_chat_completions : &dialect_responses;
        text(&c, "a");
        text(&c, "b");
        with_logprob(&c, "c", "c");
        with_logprob(&c, "d", "d");
        text(&c, "e");
        ck_assert(pull(&c));
#define LOGPROB(t)                                                                                           \
    PREFIX "{\"index\":0,\"delta\":{\"content\":\"" t "\"},\"logprobs\":{\"content\":[{\"token\":\"" t       \
           "\",\"logprob\":-1}],\"refusal\":null},\"finish_reason\":null}]}\n"
        expect(&c, own ? ROLE CHUNK("\"content\":\"ab\"") LOGPROB("c") LOGPROB("d") CHUNK("\"content\":\"e\"")
                       : ROLE CHUNK("\"content\":\"abcde\""));
        teardown(&c);
    }
}
END_TEST

/* It stops at the first event that reaches the budget, and goes on from there: nothing lost, nothing twice.
 */
START_TEST(test_budget)
{
    struct client whole, parts;
    struct buf gathered;
    setup(&whole);
    setup(&parts);
    buf_init(&gathered, 1 << 20);
    for (int i = 0; i < 2; i++) {
        struct client *c = i ? &parts : &whole;
        for (int k = 0; k < 10; k++) {
            text(c, "some text");
            llm_builder_delta(&c->builder, LLM_PART_REFUSAL, BYTES("no"), none);
        }
        llm_builder_finish(&c->builder, LLM_FINISH_STOP);
    }
    ck_assert(pull(&whole));
    unsigned calls = 0;
    ck_assert(!chat->encode_events(&parts.encoder, &parts.log, &parts.sink, 0));
    for (; chat->encode_events(&parts.encoder, &parts.log, &parts.sink, 1); calls++) {
        ck_assert_uint_le(count_events(&parts), 2);
        buf_append_bytes(&gathered, buf_bytes(&parts.out));
        buf_reset(&parts.out);
    }
    ck_assert_uint_ge(calls, 21);
    ck_assert(parts.encoder.done);
    ck_assert(bytes_eq(buf_bytes(&gathered), buf_bytes(&whole.out)));
    buf_free(&gathered);
    teardown(&whole);
    teardown(&parts);
}
END_TEST

/* ---- the whole answer ---- */

START_TEST(test_answer)
{
    struct client c;
    setup(&c);
    text(&c, "Hel");
    text(&c, "lo\n");
    llm_builder_usage(&c.builder,
                      &(struct llm_usage){
                          .input_tokens = 3, .output_tokens = 2, .total_tokens = 5, .cache_write_tokens = 1});
    llm_builder_finish(&c.builder, LLM_FINISH_STOP);
    expect_answer(&c,
                  "\"content\":\"Hello\\n\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
                  "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5,"
                  "\"prompt_tokens_details\":{\"cached_tokens\":0,\"cache_write_tokens\":1},"
                  "\"completion_tokens_details\":{\"reasoning_tokens\":0}}");
    teardown(&c);
}
END_TEST

START_TEST(test_answer_calls)
{
    struct client c;
    setup(&c);
    llm_builder_delta(&c.builder, LLM_PART_REASONING, BYTES("r1"), none);
    llm_builder_part_end(&c.builder);
    llm_builder_delta(&c.builder, LLM_PART_REASONING, BYTES("r2"), none);
    int call = llm_builder_item(&c.builder, LLM_OUT_FUNCTION_CALL, none, BYTES("c1"), BYTES("f"));
    llm_builder_item(&c.builder, LLM_OUT_FUNCTION_CALL, none, BYTES("c2"), BYTES("g"));
    llm_builder_item_end(&c.builder, call + 1, BYTES("\"x\":1"));
    c.log.extra_dialect = chat;
    llm_builder_arguments(&c.builder, call, BYTES("{\"a\":"));
    llm_builder_arguments(&c.builder, call, BYTES("1}"));
    llm_builder_finish(&c.builder, LLM_FINISH_STOP);
    expect_answer(
        &c,
        "\"content\":null,\"refusal\":null,\"reasoning_content\":\"r1\\n\\nr2\",\"tool_calls\":["
        "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},"
        "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"},\"x\":1}]},"
        "\"logprobs\":null,\"finish_reason\":\"tool_calls\"}]");
    teardown(&c);
}
END_TEST

START_TEST(test_answer_logprobs)
{
    for (int own = 0; own < 2; own++) {
        struct client c;
        setup(&c);
        c.log.extra_dialect = own ? &dialect_chat_completions : &dialect_responses;
        with_logprob(&c, "c", "c");
        text(&c, "-");
        with_logprob(&c, "d", "d");
        llm_builder_finish(&c.builder, LLM_FINISH_LENGTH);
        expect_answer(
            &c,
            own ? "\"content\":\"c-d\",\"refusal\":null},\"logprobs\":{\"content\":[{\"token\":\"c\","
                  "\"logprob\":-1},"
                  "{\"token\":\"d\",\"logprob\":-1}],\"refusal\":null},\"finish_reason\":\"length\"}]"
                : "\"content\":\"c-d\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"length\"}]");
        teardown(&c);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_text,         test_empty,           test_usage,
                                  test_calls,        test_call_alone,      test_reasoning_and_refusal,
                                  test_failed,       test_cancelled,       test_prefix,
                                  test_coalesce,     test_coalesce_bound,  test_coalesce_edges,
                                  test_extras,       test_budget,          test_answer,
                                  test_answer_calls, test_answer_logprobs, test_call_extra,
                                  test_annotation};
    return run_tests("chat_encoder", tests, ARRAY_LEN(tests));
}

/* Streams as the public reference shows them, whole, in pieces and cut. */
#include "../support.h"
#include "protocols/sse/sse.h"

static const struct dialect *const messages = &dialect_messages;

struct feed {
    struct llm_log log;
    struct llm_builder builder;
    struct llm_decoder *decoder;
    struct sse_parser sse;
};

static void on_event(void *ctx, const struct sse_event *e)
{
    messages->decode_event(ctx, e->name, e->data);
}

static void feed_begin(struct feed *f)
{
    log_setup(&f->log, &f->builder, 1 << 20);
    f->decoder = messages->decoder_new(&f->builder);
    if (!f->decoder)
        ck_abort();
    sse_init(&f->sse, 1 << 20, on_event, f->decoder);
}

static void feed_bytes(struct feed *f, struct bytes s)
{
    if (sse_feed(&f->sse, s))
        ck_abort();
}

static void feed_end(struct feed *f)
{
    messages->decode_end(f->decoder);
    if (!f->log.ended)
        ck_abort_msg("the log has no end");
    messages->decoder_free(f->decoder);
    sse_free(&f->sse);
}

static const struct fixture {
    const char *name, *log;
    enum llm_finish finish;
    int64_t input, cached, written, output, thinking;
} fixtures[] = {
    {"messages/text.sse",
     "created\nin_progress\nitem 0 message\npart 0.0 text\ndelta 0.0 text [Hello]\n"
     "delta 0.0 text [ \"w\xc3\xb6rld\"\n\xf0\x9f\x98\x80]\ntext_done 0.0 text\npart_done 0.0 text\n"
     "item_done 0\ncompleted\n",
     LLM_FINISH_STOP, 132, 100, 7, 15, 0},
    {"messages/tools.sse",
     "created\nin_progress\nitem 0 message\npart 0.0 text\ndelta 0.0 text [Okay]\ntext_done 0.0 text\n"
     "part_done 0.0 text\nitem_done 0\nitem 1 call toolu_01T1x1fJ34qAmk2tNTrN7Up6 get_weather\n"
     "delta 1.0 arguments [{\"location\":]\ndelta 1.0 arguments [ \"San Francisco, CA\"}]\n"
     "text_done 1.0 arguments\nitem_done 1\nitem 2 call toolu_02 get_time\ndelta 2.0 arguments [{}]\n"
     "text_done 2.0 arguments\nitem_done 2\ncompleted\n",
     LLM_FINISH_TOOL_CALLS, 472, 0, 0, 89, 0},
    {"messages/thinking.sse",
     "created\nin_progress\nitem 0 reasoning\npart 0.0 reasoning\ndelta 0.0 reasoning [I need the GCD]\n"
     "text_done 0.0 reasoning\npart_done 0.0 reasoning\nitem_done 0\nitem 1 message\npart 1.0 text\n"
     "delta 1.0 text [21]\ntext_done 1.0 text\npart_done 1.0 text\nitem_done 1\nincomplete\n",
     LLM_FINISH_LENGTH, 3, 0, 0, 9, 5},
};

START_TEST(test_fixture_at_every_split)
{
    const struct fixture *x = &fixtures[_i];
    struct buf text;
    struct feed f;
    read_fixture(x->name, &text);
    for (size_t cut = 0; cut <= text.len; cut++) {
        feed_begin(&f);
        feed_bytes(&f, bytes_of(text.data, cut));
        feed_bytes(&f, bytes_of(text.data + cut, text.len - cut));
        feed_end(&f);
        expect_log(&f.log, x->log);
        llm_log_free(&f.log);
    }
    feed_begin(&f);
    for (size_t i = 0; i < text.len; i++)
        feed_bytes(&f, bytes_of(text.data + i, 1));
    feed_end(&f);
    expect_log(&f.log, x->log);
    ck_assert_int_eq(f.log.end.finish, x->finish);
    ck_assert(f.log.end.usage.set);
    ck_assert_int_eq(f.log.end.usage.input_tokens, x->input);
    ck_assert_int_eq(f.log.end.usage.cached_tokens, x->cached);
    ck_assert_int_eq(f.log.end.usage.cache_write_tokens, x->written);
    ck_assert_int_eq(f.log.end.usage.output_tokens, x->output);
    ck_assert_int_eq(f.log.end.usage.reasoning_tokens, x->thinking);
    ck_assert_int_eq(f.log.end.usage.total_tokens, x->input + x->output);
    llm_log_free(&f.log);
    buf_free(&text);
}
END_TEST

START_TEST(test_fixture_cut_at_every_byte)
{
    struct buf text;
    struct feed f;
    read_fixture(fixtures[_i].name, &text);
    for (size_t cut = 0; cut < text.len; cut++) {
        feed_begin(&f);
        feed_bytes(&f, bytes_of(text.data, cut));
        feed_end(&f);
        if (f.log.terminal != LLM_EV_FAILED || strcmp(f.log.end.error.code, "upstream_truncated") != 0 ||
            f.builder.fault != FAULT_TRUNCATED)
            ck_abort_msg("cut at %zu", cut);
        llm_log_free(&f.log);
    }
    buf_free(&text);
}
END_TEST

/* ---- what is wrong in a stream ---- */

#define START "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}"
#define TEXT_0                                                                                               \
    "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}"
#define ERROR(type) "{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"Why.\"}}"

static const struct {
    const char *events[4];
    int status;
    const char *code;
    enum fault_kind kind;
} wrong[] = {
    {{START, ERROR("overloaded_error")}, 503, "upstream_overloaded", FAULT_OVERLOADED},
    {{ERROR("rate_limit_error")}, 429, "rate_limit_exceeded", FAULT_RATE_LIMITED},
    {{ERROR("api_error")}, 502, "upstream_error", FAULT_OVERLOADED},
    {{ERROR("timeout_error")}, 504, "upstream_timeout", FAULT_TIMEOUT_PROVIDER},
    {{ERROR("authentication_error")}, 502, "upstream_auth_failed", FAULT_CREDENTIALS},
    {{ERROR("invalid_request_error")}, 400, "upstream_rejected", FAULT_INVALID_REQUEST},
    {{"{\"type\":\"error\"}"}, 502, "upstream_error", FAULT_OVERLOADED},
    {{START, "{"}, 502, "upstream_invalid_response", FAULT_INVALID_RESPONSE},
    {{START, "[]"}, 502, "upstream_invalid_response", FAULT_INVALID_RESPONSE},
    {{START, "{\"type\":\"message_stop\"}"}, 502, "upstream_invalid_response", FAULT_INVALID_RESPONSE},
    {{START, TEXT_0, TEXT_0}, 502, "upstream_invalid_response", FAULT_INVALID_RESPONSE},
    {{START, "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\"}}"},
     502,
     "upstream_invalid_response",
     FAULT_INVALID_RESPONSE},
    {{START, TEXT_0, "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\"}}"},
     502,
     "upstream_invalid_response",
     FAULT_INVALID_RESPONSE},
    {{START, TEXT_0, "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}",
      "{\"type\":\"message_stop\"}"},
     502,
     "upstream_invalid_response",
     FAULT_INVALID_RESPONSE},
    {{START, "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\"}}"},
     502,
     "upstream_invalid_response",
     FAULT_INVALID_RESPONSE},
};

START_TEST(test_wrong)
{
    struct feed f;
    feed_begin(&f);
    for (size_t i = 0; i < ARRAY_LEN(wrong[_i].events) && wrong[_i].events[i]; i++)
        messages->decode_event(f.decoder, (struct bytes){NULL, 0}, bytes_cstr(wrong[_i].events[i]));
    feed_end(&f);
    ck_assert_int_eq(f.log.terminal, LLM_EV_FAILED);
    ck_assert_int_eq(f.log.end.error.status, wrong[_i].status);
    ck_assert_str_eq(f.log.end.error.code, wrong[_i].code);
    ck_assert_int_eq(f.builder.fault, wrong[_i].kind);
    llm_log_free(&f.log);
}
END_TEST

START_TEST(test_stop_reasons)
{
    static const struct {
        const char *reason;
        enum llm_finish finish;
    } reasons[] = {
        {"end_turn", LLM_FINISH_STOP},          {"stop_sequence", LLM_FINISH_STOP},
        {"tool_use", LLM_FINISH_TOOL_CALLS},    {"max_tokens", LLM_FINISH_LENGTH},
        {"pause_turn", LLM_FINISH_LENGTH},      {"model_context_window_exceeded", LLM_FINISH_LENGTH},
        {"refusal", LLM_FINISH_CONTENT_FILTER}, {"one_of_next_year", LLM_FINISH_STOP}};
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        char event[128];
        struct feed f;
        snprintf(event, sizeof event, "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\"}}",
                 reasons[i].reason);
        feed_begin(&f);
        messages->decode_event(f.decoder, (struct bytes){NULL, 0}, BYTES(START));
        messages->decode_event(f.decoder, (struct bytes){NULL, 0}, bytes_cstr(event));
        messages->decode_event(f.decoder, (struct bytes){NULL, 0}, BYTES("{\"type\":\"message_stop\"}"));
        feed_end(&f);
        ck_assert_int_ne(f.log.terminal, LLM_EV_FAILED);
        ck_assert_msg(f.log.end.finish == reasons[i].finish, "%s", reasons[i].reason);
        llm_log_free(&f.log);
    }
}
END_TEST

/* ---- an answer that was not streamed ---- */

START_TEST(test_whole_answer)
{
    struct feed f;
    feed_begin(&f);
    messages->decode_answer(
        f.decoder,
        BYTES("{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":["
              "{\"type\":\"thinking\",\"thinking\":\"Hm.\",\"signature\":\"s\"},"
              "{\"type\":\"redacted_thinking\",\"data\":\"x\"},{\"type\":\"text\",\"text\":\"Hi\\n\"},"
              "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{\"a\":1}},"
              "{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}],"
              "\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":4,\"output_tokens\":6}}"));
    feed_end(&f);
    expect_log(&f.log,
               "created\nin_progress\nitem 0 reasoning\npart 0.0 reasoning\ndelta 0.0 reasoning [Hm.]\n"
               "text_done 0.0 reasoning\npart_done 0.0 reasoning\nitem_done 0\nitem 1 message\npart 1.0 "
               "text\ndelta 1.0 text [Hi\n]\ntext_done 1.0 text\npart_done 1.0 text\nitem_done 1\n"
               "item 2 call t1 f\ndelta 2.0 arguments [{\"a\":1}]\ntext_done 2.0 arguments\nitem_done 2\n"
               "item 3 call t2 g\ndelta 3.0 arguments [{}]\ntext_done 3.0 arguments\nitem_done 3\n"
               "completed\n");
    ck_assert_int_eq(f.log.end.usage.total_tokens, 10);
    llm_log_free(&f.log);
}
END_TEST

START_TEST(test_whole_answer_wrong)
{
    static const char *const bodies[] = {"", "no", "{}", "{\"type\":\"message\",\"content\":[]}",
                                         ERROR("overloaded_error")};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct feed f;
        feed_begin(&f);
        messages->decode_answer(f.decoder, bytes_cstr(bodies[i]));
        ck_assert_int_eq(f.log.terminal, LLM_EV_FAILED);
        feed_end(&f);
        llm_log_free(&f.log);
    }
}
END_TEST

START_TEST(test_error_answers)
{
    static const struct {
        int http, status;
        enum fault_kind kind;
    } cases[] = {{529, 503, FAULT_OVERLOADED},      {500, 502, FAULT_OVERLOADED},
                 {429, 429, FAULT_RATE_LIMITED},    {401, 502, FAULT_CREDENTIALS},
                 {400, 400, FAULT_INVALID_REQUEST}, {413, 413, FAULT_INVALID_REQUEST}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fault f;
        messages->decode_error(cases[i].http,
                               BYTES("{\"type\":\"error\",\"error\":{\"type\":\"some_error\",\"message\":"
                                     "\"Why.\"},\"request_id\":\"req_1\"}"),
                               &f);
        ck_assert_int_eq(f.error.status, cases[i].status);
        ck_assert_int_eq(f.kind, cases[i].kind);
        if (cases[i].kind != FAULT_CREDENTIALS)
            ck_assert_ptr_nonnull(strstr(f.error.message, "Why."));
    }
}
END_TEST

START_TEST(test_errors_told_by_words)
{
    static const struct {
        int http;
        const char *message;
        int status;
        const char *code;
        enum fault_kind kind;
    } cases[] = {
        {400, "prompt is too long: 208310 tokens > 200000 maximum", 400, "context_length_exceeded",
         FAULT_CONTEXT_TOO_LONG},
        {400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000", 400,
         "context_length_exceeded", FAULT_CONTEXT_TOO_LONG},
        {400, "max_tokens: Field required", 400, "upstream_rejected", FAULT_INVALID_REQUEST},
        {500, "prompt is too long", 502, "upstream_error", FAULT_OVERLOADED},
        {404, "model: claude-nine", 404, "model_not_found", FAULT_MODEL_NOT_FOUND},
        {404, "Not found", 502, "upstream_not_found", FAULT_MODEL_NOT_FOUND},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fault f;
        char body[256];
        snprintf(body, sizeof body, "{\"type\":\"error\",\"error\":{\"type\":\"t\",\"message\":\"%s\"}}",
                 cases[i].message);
        messages->decode_error(cases[i].http, bytes_cstr(body), &f);
        ck_assert_int_eq(f.error.status, cases[i].status);
        ck_assert_str_eq(f.error.code, cases[i].code);
        ck_assert_int_eq(f.kind, cases[i].kind);
    }
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("messages_decoder");
    tcase_add_loop_test(c, test_fixture_at_every_split, 0, ARRAY_LEN(fixtures));
    tcase_add_loop_test(c, test_fixture_cut_at_every_byte, 0, ARRAY_LEN(fixtures));
    tcase_add_loop_test(c, test_wrong, 0, ARRAY_LEN(wrong));
    tcase_add_test(c, test_stop_reasons);
    tcase_add_test(c, test_whole_answer);
    tcase_add_test(c, test_whole_answer_wrong);
    tcase_add_test(c, test_error_answers);
    tcase_add_test(c, test_errors_told_by_words);
    tcase_set_timeout(c, 120);
    return run_case(c);
}

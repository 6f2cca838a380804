/* The provider's face: its stream, its whole answers and its errors, into logs. */
#include "protocols/responses/output_item.h"
#include "protocols/sse/sse.h"
#include "tests/unit/protocols/support.h"

struct feed {
    struct llm_log log;
    struct llm_builder builder;
    struct llm_decoder *decoder;
};

static void feed_setup(struct feed *f)
{
    log_setup(&f->log, &f->builder, 1 << 20);
    f->decoder = dialect_responses.decoder_new(&f->builder);
    if (!f->decoder)
        ck_abort();
}

static void feed_free(struct feed *f)
{
    dialect_responses.decoder_free(f->decoder);
    llm_log_free(&f->log);
}

static void on_sse(void *ctx, const struct sse_event *e)
{
    struct feed *f = ctx;
    dialect_responses.decode_event(f->decoder, e->name, e->data);
}

static void feed_stream(struct feed *f, struct bytes text, size_t split)
{
    struct sse_parser p;
    sse_init(&p, 1 << 20, on_sse, f);
    if (sse_feed(&p, bytes_of(text.data, split)) || sse_feed(&p, bytes_skip(text, split)))
        ck_abort_msg("split at %zu", split);
    sse_free(&p);
    dialect_responses.decode_end(f->decoder);
}

/* The fixture, cut in two at every offset, is always the same log. */
static void expect_fixture(const char *name, const char *expected)
{
    struct buf text;
    char path[128];
    snprintf(path, sizeof(path), "responses/%s", name);
    read_fixture(path, &text);
    for (size_t split = 0; split <= text.len; split++) {
        struct feed f;
        feed_setup(&f);
        feed_stream(&f, buf_bytes(&text), split);
        expect_log(&f.log, expected);
        feed_free(&f);
    }
    buf_free(&text);
}

static void load(struct feed *f, const char *name)
{
    struct buf text;
    char path[128];
    snprintf(path, sizeof(path), "responses/%s", name);
    read_fixture(path, &text);
    feed_setup(f);
    feed_stream(f, buf_bytes(&text), text.len);
    buf_free(&text);
}

/* A stream of these `data:` payloads, and its end. */
static void play(struct feed *f, const char *const *data, size_t n)
{
    feed_setup(f);
    for (size_t i = 0; i < n; i++)
        dialect_responses.decode_event(f->decoder, BYTES(""), bytes_cstr(data[i]));
    dialect_responses.decode_end(f->decoder);
}
#define PLAY(f, ...)                                                                                         \
    play((f), (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* ---- fixtures ---- */

#define START "created\nin_progress\n"

START_TEST(text_stream)
{
    expect_fixture("text.sse", START "item 0 message\n"
                                     "part 0.0 text\n"
                                     "delta 0.0 text [Grüße]\n"
                                     "delta 0.0 text [, \n\"World\"]\n"
                                     "delta 0.0 text [ 🌍]\n"
                                     "text_done 0.0 text\n"
                                     "part_done 0.0 text\n"
                                     "item_done 0 +\"phase\":\"final_answer\"\n"
                                     "completed\n");
}
END_TEST

START_TEST(text_details)
{
    struct feed f;
    load(&f, "text.sse");
    expect_bytes(llm_log_item(&f.log, 0)->id, "msg_p1");
    ck_assert_int_eq(f.log.end.finish, LLM_FINISH_STOP);
    const struct llm_usage *u = &f.log.end.usage;
    ck_assert(u->set);
    ck_assert_int_eq(u->input_tokens, 31);
    ck_assert_int_eq(u->cached_tokens, 16);
    ck_assert_int_eq(u->cache_write_tokens, 4);
    ck_assert_int_eq(u->output_tokens, 12);
    ck_assert_int_eq(u->reasoning_tokens, 5);
    ck_assert_int_eq(u->total_tokens, 43);
    ck_assert_ptr_eq(f.log.extra_dialect, &dialect_responses);
    feed_free(&f);
}
END_TEST

START_TEST(tools_stream)
{
    expect_fixture("tools.sse", START "item 0 reasoning\n"
                                      "part 0.0 summary\n"
                                      "delta 0.0 summary [**Look]\n"
                                      "delta 0.0 summary [ up**]\n"
                                      "text_done 0.0 summary\n"
                                      "part_done 0.0 summary\n"
                                      "part 0.1 summary\n"
                                      "delta 0.1 summary [Then call]\n"
                                      "text_done 0.1 summary\n"
                                      "part_done 0.1 summary\n"
                                      "item_done 0 +\"encrypted_content\":\"gAAAAB==\"\n"
                                      "item 1 call call_1 get_weather\n"
                                      "delta 1.0 arguments [{\"city\":]\n"
                                      "item 2 call call_2 get_weather\n"
                                      "delta 2.0 arguments [{\"city\":\"Rome\"}]\n"
                                      "delta 1.0 arguments [\"Oslo\"}]\n"
                                      "text_done 1.0 arguments\n"
                                      "item_done 1\n"
                                      "text_done 2.0 arguments\n"
                                      "item_done 2\n"
                                      "completed\n");
}
END_TEST

START_TEST(tools_finish)
{
    struct feed f;
    load(&f, "tools.sse");
    ck_assert_int_eq(f.log.end.finish, LLM_FINISH_TOOL_CALLS);
    expect_bytes(llm_log_item(&f.log, 1)->id, "fc_p1");
    feed_free(&f);
}
END_TEST

START_TEST(only_whole_things)
{
    expect_fixture("whole.sse", START "item 0 reasoning\n"
                                      "part 0.0 reasoning\n"
                                      "delta 0.0 reasoning [hmm]\n"
                                      "text_done 0.0 reasoning\n"
                                      "part_done 0.0 reasoning\n"
                                      "item_done 0\n"
                                      "item 1 message\n"
                                      "part 1.0 text\n"
                                      "delta 1.0 text [Yes.]\n"
                                      "text_done 1.0 text\n"
                                      "part_done 1.0 text\n"
                                      "item_done 1\n"
                                      "item 2 call call_1 get_weather\n"
                                      "delta 2.0 arguments [{}]\n"
                                      "text_done 2.0 arguments\n"
                                      "item_done 2\n"
                                      "completed\n");
}
END_TEST

START_TEST(nothing_announced)
{
    expect_fixture("bare.sse", START "item 0 message\n"
                                     "part 0.0 text\n"
                                     "delta 0.0 text [Hel]\n"
                                     "delta 0.0 text [lo]\n"
                                     "text_done 0.0 text\n"
                                     "part_done 0.0 text\n"
                                     "item_done 0\n"
                                     "completed\n");
}
END_TEST

START_TEST(only_the_end)
{
    expect_fixture("end_only.sse", START "item 0 message\n"
                                         "part 0.0 text\n"
                                         "delta 0.0 text [All at once.]\n"
                                         "text_done 0.0 text\n"
                                         "part_done 0.0 text\n"
                                         "item_done 0\n"
                                         "completed\n");
}
END_TEST

START_TEST(refusal)
{
    expect_fixture("refusal.sse", START "item 0 message\n"
                                        "part 0.0 refusal\n"
                                        "delta 0.0 refusal [I can't ]\n"
                                        "delta 0.0 refusal [do that.]\n"
                                        "text_done 0.0 refusal\n"
                                        "part_done 0.0 refusal\n"
                                        "item_done 0\n"
                                        "completed\n");
}
END_TEST

#define HALF(text)                                                                                           \
    START "item 0 message\n"                                                                                 \
          "part 0.0 text\n"                                                                                  \
          "delta 0.0 text [" text "]\n"                                                                      \
          "text_done 0.0 text\n"                                                                             \
          "part_done 0.0 text\n"                                                                             \
          "item_done 0\n"

START_TEST(incomplete)
{
    struct feed f;
    expect_fixture("incomplete.sse", HALF("Once upon a") "incomplete\n");
    load(&f, "incomplete.sse");
    ck_assert_int_eq(f.log.end.finish, LLM_FINISH_LENGTH);
    ck_assert(llm_log_item(&f.log, 0)->cut);
    feed_free(&f);
}
END_TEST

START_TEST(failed)
{
    struct feed f;
    expect_fixture("failed.sse", HALF("So") "failed 429 rate_limit_exceeded\n");
    load(&f, "failed.sse");
    ck_assert_str_eq(f.log.end.error.message, "Slow down.");
    ck_assert(llm_log_item(&f.log, 0)->cut);
    feed_free(&f);
}
END_TEST

START_TEST(error_event)
{
    struct feed f;
    expect_fixture("error.sse", START "failed 502 server_error\n");
    load(&f, "error.sse");
    ck_assert_str_eq(f.log.end.error.message, "The model crashed.");
    feed_free(&f);
}
END_TEST

START_TEST(truncated)
{
    expect_fixture("truncated.sse", HALF("Half a") "failed 502 upstream_truncated\n");
}
END_TEST

START_TEST(garbage)
{
    expect_fixture("garbage.sse", START "failed 502 upstream_invalid_response\n");
}
END_TEST

#define CITATION(title)                                                                                      \
    "annotation 1.0 text [{\"type\":\"url_citation\",\"start_index\":4,\"end_index\":8,\"title\":\"" title   \
    "\",\"url\":\"https://example.com/\"}]\n"

START_TEST(citations_and_logprobs)
{
    expect_fixture("citations.sse", START
                   "item 0 opaque\n"
                   "item_done 0 +\"status\":\"completed\",\"action\":{\"type\":\"search\",\"query\":\"q\"}\n"
                   "item 1 message\n"
                   "part 1.0 text\n"
                   "delta 1.0 text [See] "
                   "+\"logprobs\":[{\"token\":\"See\",\"logprob\":-0.1,\"bytes\":[83],\"top_logprobs\":[]}]\n"
                   "delta 1.0 text [ this]\n" CITATION("T") CITATION("late") "text_done 1.0 text\n"
                                                                             "part_done 1.0 text\n"
                                                                             "part 1.1 text\n"
                                                                             "delta 1.1 text [Second]\n"
                                                                             "text_done 1.1 text\n"
                                                                             "part_done 1.1 text\n"
                                                                             "item_done 1\n"
                                                                             "completed\n");
}
END_TEST

START_TEST(opaque_items_come_out_as_they_went_in)
{
    struct feed f;
    struct buf out;
    struct json_writer w;
    load(&f, "citations.sse");
    buf_init(&out, 1 << 16);
    jw_init(&w, &out);
    responses_write_output_item(&f.log, 0, &w);
    expect_bytes(buf_bytes(&out), "{\"id\":\"ws_1\",\"type\":\"web_search_call\",\"status\":\"completed\","
                                  "\"action\":{\"type\":\"search\",\"query\":\"q\"}}");
    buf_free(&out);
    feed_free(&f);
}
END_TEST

/* ---- odd streams ---- */

START_TEST(message_goes_on_after_a_call)
{
    struct feed f;
    PLAY(&f,
         "{\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"a\"}",
         "{\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":\"function_call\","
         "\"id\":\"f\","
         "\"call_id\":\"c\",\"name\":\"n\",\"arguments\":\"\"}}",
         "{\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"b\"}",
         "{\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\",\"incomplete_details\":{"
         "\"reason\":"
         "\"content_filter\"}}}");
    expect_log(&f.log, START
               "item 0 message\npart 0.0 text\ndelta 0.0 text [a]\ntext_done 0.0 text\npart_done 0.0 text\n"
               "item_done 0\nitem 1 call c n\nitem 2 message\npart 2.0 text\ndelta 2.0 text [b]\n"
               "text_done 1.0 arguments\nitem_done 1\ntext_done 2.0 text\npart_done 2.0 text\nitem_done 2\n"
               "incomplete\n");
    ck_assert_int_eq(f.log.end.finish, LLM_FINISH_CONTENT_FILTER);
    feed_free(&f);
}
END_TEST

START_TEST(after_the_end_nothing_counts)
{
    struct feed f;
    PLAY(&f, "{\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[]}}",
         "{\"type\":\"response.output_text.delta\",\"delta\":\"late\"}", "not json");
    expect_log(&f.log, START "completed\n");
    feed_free(&f);
}
END_TEST

START_TEST(cancelled)
{
    struct feed f;
    PLAY(&f, "{\"type\":\"response.incomplete\",\"response\":{\"status\":\"cancelled\",\"incomplete_"
             "details\":null}}");
    expect_log(&f.log, START "cancelled\n");
    feed_free(&f);
}
END_TEST

START_TEST(status_counts_more_than_the_event)
{
    struct feed f;
    PLAY(&f, "{\"type\":\"response.completed\",\"response\":{\"status\":\"in_progress\"}}");
    expect_log(&f.log, START "failed 502 upstream_invalid_response\n");
    feed_free(&f);
}
END_TEST

START_TEST(wrong_types)
{
    static const char *const bad[] = {
        "[]",
        "{\"type\":\"response.output_text.delta\",\"delta\":7}",
        "{\"type\":\"response.output_text.delta\",\"output_index\":-1,\"delta\":\"x\"}",
        "{\"type\":\"response.output_text.delta\",\"output_index\":1000000000,\"delta\":\"x\"}",
        "{\"type\":\"response.completed\"",
        "{\"type\":\"response.output_text.delta\",\"delta\":\"\\ud800\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct feed f;
        play(&f, &bad[i], 1);
        expect_log(&f.log, START "failed 502 upstream_invalid_response\n");
        feed_free(&f);
    }
}
END_TEST

/* Nothing that a provider says may hurt: every prefix and many mutations of the largest fixture end in one
 * terminal. */
START_TEST(mutations)
{
    struct buf text;
    unsigned seed = 12345;
    read_fixture("responses/citations.sse", &text);
    for (size_t round = 0; round < 400; round++) {
        struct feed f;
        char *copy = malloc(text.len);
        memcpy(copy, text.data, text.len);
        for (int k = 0; k < 4; k++) {
            seed = seed * 1103515245u + 12345u;
            size_t at = (seed >> 8) % text.len;
            seed = seed * 1103515245u + 12345u;
            copy[at] = "{}[]\",:0n\\"[(seed >> 8) % 10];
        }
        feed_setup(&f);
        feed_stream(&f, bytes_of(copy, text.len), round % text.len);
        ck_assert(f.log.ended);
        feed_free(&f);
        free(copy);
    }
    buf_free(&text);
}
END_TEST

/* ---- whole answers ---- */

static void answer(struct feed *f, const char *body)
{
    feed_setup(f);
    dialect_responses.decode_answer(f->decoder, bytes_cstr(body));
    dialect_responses.decode_end(f->decoder);
}

START_TEST(whole_answer)
{
    struct feed f;
    answer(&f,
           "{\"id\":\"r\",\"object\":\"response\",\"status\":\"completed\",\"error\":null,\"output\":["
           "{\"type\":\"message\",\"id\":\"m\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
           "\"text\":\"Hi \\u00e9\",\"annotations\":[]},{\"type\":\"refusal\",\"refusal\":\"no\"}]}],"
           "\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}");
    expect_log(&f.log,
               START "item 0 message\npart 0.0 text\ndelta 0.0 text [Hi é]\ntext_done 0.0 text\n"
                     "part_done 0.0 text\npart 0.1 refusal\ndelta 0.1 refusal [no]\ntext_done 0.1 refusal\n"
                     "part_done 0.1 refusal\nitem_done 0\ncompleted\n");
    ck_assert_int_eq(f.log.end.usage.total_tokens, 3);
    feed_free(&f);
}
END_TEST

START_TEST(absurd_usage)
{
    struct feed f;
    answer(&f, "{\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":9223372036854775807,"
               "\"output_tokens\":9223372036854775807,\"output_tokens_details\":{\"reasoning_tokens\":-1}}}");
    ck_assert_int_eq(f.log.end.usage.input_tokens, LLM_MAX_TOKENS);
    ck_assert_int_eq(f.log.end.usage.total_tokens, LLM_MAX_TOKENS);
    ck_assert_int_eq(f.log.end.usage.reasoning_tokens, 0);
    feed_free(&f);
}
END_TEST

START_TEST(whole_answer_failures)
{
    static const struct {
        const char *body, *log;
    } cases[] = {
        {"", START "failed 502 upstream_invalid_response\n"},
        {"<html>", START "failed 502 upstream_invalid_response\n"},
        {"{}", START "failed 502 upstream_invalid_response\n"},
        {"{\"error\":{\"message\":\"m\",\"code\":\"invalid_prompt\"}}", START "failed 400 invalid_prompt\n"},
        {"{\"status\":\"failed\",\"output\":[],\"error\":{\"code\":\"nonsense\",\"message\":\"m\"}}",
         START "failed 502 upstream_error\n"},
        {"{\"status\":\"queued\",\"output\":[]}", START "failed 502 upstream_invalid_response\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct feed f;
        answer(&f, cases[i].body);
        expect_log(&f.log, cases[i].log);
        feed_free(&f);
    }
}
END_TEST

START_TEST(error_bodies)
{
    static const struct {
        int http;
        const char *body;
        int status;
        const char *code, *message;
        enum fault_kind kind;
    } cases[] = {
        {400,
         "{\"error\":{\"message\":\"Too "
         "long\",\"type\":\"x\",\"param\":\"input\",\"code\":\"context_length_exceeded\"}}",
         400, "context_length_exceeded", "Too long", FAULT_CONTEXT_TOO_LONG},
        {400, "{\"error\":\"plain\"}", 400, "upstream_rejected", "plain", FAULT_INVALID_REQUEST},
        {422, "{\"detail\":\"bad\"}", 422, "upstream_rejected", "bad", FAULT_INVALID_REQUEST},
        {401, "{\"error\":{\"message\":\"Incorrect API key provided: sk-secret\"}}", 502,
         "upstream_auth_failed", "The provider refused the gateway's credentials (status 401).",
         FAULT_CREDENTIALS},
        {404, "{\"error\":{\"message\":\"no such\",\"code\":\"model_not_found\"}}", 404, "model_not_found",
         "no such", FAULT_MODEL_NOT_FOUND},
        {404, "<html>", 502, "upstream_not_found", "The provider answered 404.", FAULT_MODEL_NOT_FOUND},
        {429, "{\"error\":{\"message\":\"Quota\",\"code\":\"insufficient_quota\"}}", 429,
         "insufficient_quota", "Quota", FAULT_CREDENTIALS},
        {429, "", 429, "rate_limit_exceeded", "The provider allows no more requests now.",
         FAULT_RATE_LIMITED},
        {500, "<html><body>oops</body></html>", 502, "upstream_error", "The provider answered 500.",
         FAULT_OVERLOADED},
        {503, "{\"error\":{\"message\":\"busy\"}}", 503, "upstream_overloaded",
         "The provider is overloaded. busy", FAULT_OVERLOADED},
        {504, "", 504, "upstream_timeout", "The provider gave up (status 504).", FAULT_TIMEOUT_PROVIDER},
        {302, "", 502, "upstream_error", "The provider answered 302.", FAULT_INVALID_RESPONSE},
        {500, "[{\"error\":{\"message\":\"in an array\"}}]", 502, "upstream_error",
         "The provider answered 500. in an array", FAULT_OVERLOADED},
        {402, "{\"error\":{\"message\":\"Insufficient Balance\"}}", 502, "upstream_error",
         "The provider answered 402. Insufficient Balance", FAULT_CREDENTIALS},
        {403, "", 502, "upstream_auth_failed", "The provider refused the gateway's credentials (status 403).",
         FAULT_CREDENTIALS},
        {408, "", 504, "upstream_timeout", "The provider gave up (status 408).", FAULT_TIMEOUT_PROVIDER},
        {415, "", 502, "upstream_error", "The provider answered 415.", FAULT_INVALID_REQUEST},
        {529, "", 503, "upstream_overloaded", "The provider is overloaded.", FAULT_OVERLOADED},
        {400, "{\"error\":{\"message\":\"no\",\"code\":\"content_filter\"}}", 400, "content_filter", "no",
         FAULT_CONTENT_FILTER},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fault f;
        dialect_responses.decode_error(cases[i].http, bytes_cstr(cases[i].body), &f);
        ck_assert_int_eq(f.error.status, cases[i].status);
        ck_assert_str_eq(f.error.code, cases[i].code);
        ck_assert_str_eq(f.error.message, cases[i].message);
        ck_assert_str_eq(fault_name(f.kind), fault_name(cases[i].kind));
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        text_stream,
        text_details,
        tools_stream,
        tools_finish,
        only_whole_things,
        nothing_announced,
        only_the_end,
        refusal,
        incomplete,
        failed,
        error_event,
        truncated,
        garbage,
        citations_and_logprobs,
        opaque_items_come_out_as_they_went_in,
        message_goes_on_after_a_call,
        after_the_end_nothing_counts,
        cancelled,
        status_counts_more_than_the_event,
        wrong_types,
        mutations,
        whole_answer,
        absurd_usage,
        whole_answer_failures,
        error_bodies,
    };
    return run_tests("responses_decoder", tests, ARRAY_LEN(tests));
}

#include "../support.h"
#include "protocols/sse/sse.h"
#include "tests/unit/common/run.h"

static const struct bytes none = {NULL, 0};
static const struct dialect *const chat = &dialect_chat_completions;

/* ---- feeding ---- */

struct feed {
    struct llm_log log;
    struct llm_builder builder;
    struct llm_decoder *decoder;
    struct sse_parser sse;
};

static void on_event(void *ctx, const struct sse_event *e)
{
    chat->decode_event(ctx, e->name, e->data);
}

static void feed_begin(struct feed *f)
{
    log_setup(&f->log, &f->builder, 1 << 20);
    f->decoder = chat->decoder_new(&f->builder);
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
    chat->decode_end(f->decoder);
    if (!f->log.ended)
        ck_abort_msg("the log has no end");
    chat->decoder_free(f->decoder);
    sse_free(&f->sse);
}

static void feed_chunks(struct feed *f, const char *const *chunks)
{
    feed_begin(f);
    for (; *chunks; chunks++)
        chat->decode_event(f->decoder, none, bytes_cstr(*chunks));
    feed_end(f);
}

/* The fixture makes this log, fed whole, byte by byte, and split in two at every place. */
static void expect_fixture(const char *name, struct feed *ret, const char *expected)
{
    struct buf text;
    struct feed f;
    char path[128];
    snprintf(path, sizeof path, "chat/%s", name);
    read_fixture(path, &text);
    for (size_t cut = 0; cut <= text.len; cut++) {
        feed_begin(&f);
        feed_bytes(&f, bytes_of(text.data, cut));
        feed_bytes(&f, bytes_of(text.data + cut, text.len - cut));
        feed_end(&f);
        expect_log(&f.log, expected);
        llm_log_free(&f.log);
    }
    feed_begin(&f);
    for (size_t i = 0; i < text.len; i++)
        feed_bytes(&f, bytes_of(text.data + i, 1));
    feed_end(&f);
    expect_log(&f.log, expected);
    buf_free(&text);
    *ret = f;
}

/* ---- fixtures ---- */

START_TEST(test_text)
{
    struct feed f;
    expect_fixture("text.sse", &f,
                   "created\nin_progress\nitem 0 message\npart 0.0 text\ndelta 0.0 text [Hello]\n"
                   "delta 0.0 text [ \"w\xc3\xb6rld\"\n\xf0\x9f\x98\x80]\ntext_done 0.0 text\npart_done 0.0 "
                   "text\nitem_done 0\ncompleted\n");
    ck_assert_int_eq(f.log.end.finish, LLM_FINISH_STOP);
    ck_assert(f.log.end.usage.set);
    ck_assert_int_eq(f.log.end.usage.input_tokens, 9);
    ck_assert_int_eq(f.log.end.usage.output_tokens, 4);
    ck_assert_int_eq(f.log.end.usage.total_tokens, 13);
    ck_assert_int_eq(f.log.end.usage.cached_tokens, 2);
    ck_assert_int_eq(f.log.end.usage.reasoning_tokens, 1);
    ck_assert_ptr_eq(f.log.extra_dialect, chat);
    llm_log_free(&f.log);
}
END_TEST

START_TEST(test_tools)
{
    struct feed f;
    expect_fixture(
        "tools.sse", &f,
        "created\nin_progress\nitem 0 call call_a1 get_weather\ndelta 0.0 arguments [{\"city\":]\n"
        "delta 0.0 arguments [\"K\xc3\xb6ln\"}]\nitem 1 call call_b2 get_time\ndelta 1.0 arguments [{}]\n"
        "text_done 0.0 arguments\nitem_done 0\ntext_done 1.0 arguments\nitem_done 1\ncompleted\n");
    ck_assert_int_eq(f.log.end.finish, LLM_FINISH_TOOL_CALLS);
    ck_assert(!f.log.end.usage.set);
    llm_log_free(&f.log);
}
END_TEST

START_TEST(test_reasoning)
{
    struct feed f;
    expect_fixture(
        "reasoning.sse", &f,
        "created\nin_progress\nitem 0 reasoning\npart 0.0 reasoning\ndelta 0.0 reasoning [Think]\n"
        "delta 0.0 reasoning [ing.]\ntext_done 0.0 reasoning\npart_done 0.0 reasoning\nitem_done 0\n"
        "item 1 message\npart 1.0 text\ndelta 1.0 text [42]\ntext_done 1.0 text\npart_done 1.0 "
        "text\nitem_done 1\nincomplete\n");
    ck_assert_int_eq(f.log.end.finish, LLM_FINISH_LENGTH);
    ck_assert_int_eq(f.log.end.usage.cached_tokens, 8);
    llm_log_free(&f.log);
}
END_TEST

START_TEST(test_logprobs)
{
    struct feed f;
    expect_fixture(
        "logprobs.sse", &f,
        "created\nin_progress\nitem 0 message\npart 0.0 text\n"
        "delta 0.0 text [Hi] "
        "+\"logprobs\":{\"content\":[{\"token\":\"Hi\",\"logprob\":-0.5,\"bytes\":[72,105],"
        "\"top_logprobs\":[]}],\"refusal\":null}\n"
        "delta 0.0 text [!] +\"logprobs\":{\"content\":[{\"token\":\"!\",\"logprob\":-1e-3,\"bytes\":[33],"
        "\"top_logprobs\":[]}],\"refusal\":null}\n"
        "text_done 0.0 text\npart_done 0.0 text\nitem_done 0\ncompleted\n");
    llm_log_free(&f.log);
}
END_TEST

START_TEST(test_refusal)
{
    struct feed f;
    expect_fixture("refusal.sse", &f,
                   "created\nin_progress\nitem 0 message\npart 0.0 refusal\ndelta 0.0 refusal [I can't]\n"
                   "delta 0.0 refusal [ do that.]\ntext_done 0.0 refusal\npart_done 0.0 refusal\nitem_done "
                   "0\nincomplete\n");
    ck_assert_int_eq(f.log.end.finish, LLM_FINISH_CONTENT_FILTER);
    llm_log_free(&f.log);
}
END_TEST

/* A local server: no [DONE], whole calls that all have index 0, "stop" after calls. */
START_TEST(test_local)
{
    struct feed f;
    expect_fixture(
        "local.sse", &f,
        "created\nin_progress\nitem 0 call call_1 f\ndelta 0.0 arguments [{\"a\":1}]\nitem 1 call call_2 g\n"
        "delta 1.0 arguments [{}]\ntext_done 0.0 arguments\nitem_done 0\ntext_done 1.0 arguments\nitem_done "
        "1\ncompleted\n");
    llm_log_free(&f.log);
}
END_TEST

START_TEST(test_failures)
{
    struct feed f;
#define SO_FAR                                                                                               \
    "created\nin_progress\nitem 0 message\npart 0.0 text\ndelta 0.0 text [So far]\ntext_done 0.0 "           \
    "text\npart_done 0.0 text\nitem_done 0\n"
    expect_fixture("error.sse", &f, SO_FAR "failed 502 server_error\n");
    ck_assert_str_eq(f.log.end.error.message, "The engine is overloaded.");
    llm_log_free(&f.log);
    expect_fixture("garbage.sse", &f, SO_FAR "failed 502 upstream_invalid_response\n");
    llm_log_free(&f.log);
    expect_fixture("truncated.sse", &f,
                   "created\nin_progress\nitem 0 message\npart 0.0 text\ndelta 0.0 text [Hello]\n"
                   "delta 0.0 text [ \"w\xc3\xb6rld\"\n\xf0\x9f\x98\x80]\ntext_done 0.0 text\npart_done 0.0 "
                   "text\nitem_done 0\n"
                   "failed 502 upstream_truncated\n");
    llm_log_free(&f.log);
}
END_TEST

/* Cut at every byte: an answer without its end is never completed. */
START_TEST(test_cut_anywhere)
{
    struct buf text;
    struct feed f;
    read_fixture("chat/tools.sse", &text);
    const char *finish = strstr(text.data, "\"finish_reason\":\"tool_calls\"");
    ck_assert_ptr_nonnull(finish);
    for (size_t cut = 0; cut < text.len; cut++) {
        feed_begin(&f);
        feed_bytes(&f, bytes_of(text.data, cut));
        feed_end(&f);
        if (text.data + cut < finish)
            ck_assert_int_eq(f.log.terminal, LLM_EV_FAILED);
        if (f.log.terminal == LLM_EV_FAILED)
            ck_assert_str_eq(f.log.end.error.code, "upstream_truncated");
        llm_log_free(&f.log);
    }
    buf_free(&text);
}
END_TEST

/* ---- the ways in which providers tell tool calls ---- */

#define DELTA(members) "{\"choices\":[{\"index\":0,\"delta\":{" members "}}]}"
#define CALLS(calls) DELTA("\"tool_calls\":[" calls "]")
#define FINISH "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}"
#define TWO_CALLS                                                                                            \
    "created\nin_progress\nitem 0 call a f\ndelta 0.0 arguments [{]\nitem 1 call b g\ndelta 1.0 arguments "  \
    "[{}]\n"                                                                                                 \
    "delta 0.0 arguments [}]\ntext_done 0.0 arguments\nitem_done 0\ntext_done 1.0 arguments\nitem_done "     \
    "1\ncompleted\n"

static const struct {
    const char *chunks[8];
    const char *log;
} ways[] = {
    /* interleaved by index */
    {{CALLS("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}"),
      CALLS("{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}},{\"index\":0,"
            "\"function\":{\"arguments\":\"}\"}}"),
      FINISH},
     TWO_CALLS},
    /* the id and the name again with every piece */
    {{CALLS("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}"),
      CALLS("{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}"),
      CALLS("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"}\"}}"), FINISH},
     TWO_CALLS},
    /* no index, told apart by id */
    {{CALLS("{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}"),
      CALLS("{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}"),
      CALLS("{\"id\":\"a\",\"function\":{\"arguments\":\"}\"}}"), FINISH},
     TWO_CALLS},
    /* neither index nor id with the later pieces; null members */
    {{CALLS("{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":null}}"),
      CALLS("{\"id\":null,\"function\":{\"name\":null,\"arguments\":\"{\"}}"),
      CALLS("{\"function\":{\"arguments\":\"}\"}}"), FINISH},
     "created\nin_progress\nitem 0 call a f\ndelta 0.0 arguments [{]\ndelta 0.0 arguments [}]\ntext_done 0.0 "
     "arguments\nitem_done 0\ncompleted\n"},
    /* arguments before the name, and as an object */
    {{CALLS("{\"index\":0,\"id\":\"a\",\"function\":{\"arguments\":\"{\\\"x\\\":\"}}"),
      CALLS("{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"1}\"}}"),
      CALLS("{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":{\"y\":2}}}"), FINISH},
     "created\nin_progress\nitem 0 call a f\ndelta 0.0 arguments [{\"x\":]\ndelta 0.0 arguments [1}]\nitem 1 "
     "call b g\n"
     "delta 1.0 arguments [{\"y\":2}]\ntext_done 0.0 arguments\nitem_done 0\ntext_done 1.0 "
     "arguments\nitem_done 1\ncompleted\n"},
    /* no id at all: one is made */
    {{CALLS("{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"), FINISH},
     "created\nin_progress\nitem 0 call call_0123456789abcdef0123456789abcdef_0 f\ndelta 0.0 arguments [{}]\n"
     "text_done 0.0 arguments\nitem_done 0\ncompleted\n"},
    /* never a name */
    {{CALLS("{\"index\":0,\"id\":\"a\",\"function\":{\"arguments\":\"{}\"}}"), FINISH},
     "created\nin_progress\nfailed 502 upstream_invalid_response\n"},
};

START_TEST(test_calls)
{
    struct feed f;
    feed_chunks(&f, ways[_i].chunks);
    expect_log(&f.log, ways[_i].log);
    llm_log_free(&f.log);
}
END_TEST

START_TEST(test_too_many_calls)
{
    struct feed f;
    feed_begin(&f);
    for (int i = 0; i < 129 && !f.log.ended; i++) {
        char chunk[200];
        snprintf(chunk, sizeof chunk, CALLS("{\"index\":%d,\"id\":\"c%d\",\"function\":{\"name\":\"f\"}}"), i,
                 i);
        chat->decode_event(f.decoder, none, bytes_cstr(chunk));
    }
    ck_assert_uint_eq(llm_log_n_items(&f.log), 128);
    ck_assert_str_eq(f.log.end.error.code, "upstream_invalid_response");
    feed_end(&f);
    llm_log_free(&f.log);
}
END_TEST

/* ---- other odd chunks ---- */

#define TEXT(t)                                                                                              \
    "created\nin_progress\nitem 0 message\npart 0.0 text\ndelta 0.0 text [" t                                \
    "]\ntext_done 0.0 text\npart_done 0.0 text\nitem_done 0\n"

static const struct {
    const char *chunks[6];
    const char *log;
} odd[] = {
    {{"[DONE]"}, "created\nin_progress\nfailed 502 upstream_truncated\n"},
    {{DELTA("\"content\":\"x\""), "[DONE]"}, TEXT("x") "failed 502 upstream_truncated\n"},
    {{"[]"}, "created\nin_progress\nfailed 502 upstream_invalid_response\n"},
    {{"<html>"}, "created\nin_progress\nfailed 502 upstream_invalid_response\n"},
    {{DELTA("\"content\":\"\\ud83d\"")}, "created\nin_progress\nfailed 502 upstream_invalid_response\n"},
    {{"{\"error\":\"no\"}"}, "created\nin_progress\nfailed 502 upstream_error\n"},
    {{"{\"error\":{\"message\":\"slower\",\"code\":\"rate_limit_exceeded\"}}"},
     "created\nin_progress\nfailed 429 rate_limit_exceeded\n"},
    {{"{\"error\":{\"message\":\"m\",\"code\":429}}"},
     "created\nin_progress\nfailed 429 rate_limit_exceeded\n"},
    {{"{\"error\":{\"message\":\"m\",\"code\":401}}"},
     "created\nin_progress\nfailed 502 upstream_auth_failed\n"},
    {{"{\"object\":\"error\",\"message\":\"bad\",\"code\":40303}"},
     "created\nin_progress\nfailed 502 upstream_error\n"},
    {{"{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"error\"}]}"},
     "created\nin_progress\nfailed 502 upstream_invalid_response\n"},
    {{"{}", "{\"choices\":null,\"usage\":null,\"error\":null}", "{\"choices\":[{}]}",
      "{\"choices\":[{\"delta\":null,\"finish_reason\":\"stop\"}]}"},
     "created\nin_progress\ncompleted\n"},
    {{"{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"other\"},\"finish_reason\":\"length\"}]}",
      DELTA("\"content\":\"x\""), FINISH, "[DONE]", DELTA("\"content\":\"late\"")},
     TEXT("x") "completed\n"},
    {{DELTA("\"content\":[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"reference\"}]"), FINISH},
     TEXT("x") "completed\n"},
    {{DELTA("\"reasoning\":\"hm\",\"reasoning_details\":[{\"text\":\"hm\"}]"), FINISH},
     "created\nin_progress\nitem 0 reasoning\npart 0.0 reasoning\ndelta 0.0 reasoning [hm]\ntext_done 0.0 "
     "reasoning\n"
     "part_done 0.0 reasoning\nitem_done 0\ncompleted\n"},
};

START_TEST(test_odd)
{
    struct feed f;
    feed_chunks(&f, odd[_i].chunks);
    expect_log(&f.log, odd[_i].log);
    llm_log_free(&f.log);
}
END_TEST

START_TEST(test_error_event)
{
    struct feed f;
    feed_begin(&f);
    chat->decode_event(f.decoder, BYTES("error"), BYTES("{\"message\":\"gone\"}"));
    expect_log(&f.log, "created\nin_progress\nfailed 502 upstream_error\n");
    ck_assert_str_eq(f.log.end.error.message, "gone");
    feed_end(&f);
    llm_log_free(&f.log);
}
END_TEST

/* What a call brought beyond the words of the API, and citations in the log's form. */
START_TEST(test_extra_content)
{
    struct feed f;
    const char *const chunks[] = {CALLS("{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"extra_content\":{"
                                        "\"google\": {\"s\":\"x\"}},\"k\":1,"
                                        "\"n\":null,\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"),
                                  CALLS("{\"index\":0,\"later\":true}"), FINISH, NULL};
    feed_chunks(&f, chunks);
    expect_log(&f.log,
               "created\nin_progress\nitem 0 call a f\ndelta 0.0 arguments [{}]\ntext_done 0.0 arguments\n"
               "item_done 0 +\"extra_content\":{\"google\":{\"s\":\"x\"}},\"k\":1\ncompleted\n");
    llm_log_free(&f.log);
}
END_TEST

START_TEST(test_annotations)
{
    struct feed f;
    const char *const chunks[] = {
        DELTA("\"content\":\"x\",\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"url\": "
              "\"u\",\"title\":\"t\"}},"
              "{\"type\":\"other\"},{\"type\":\"url_citation\",\"url_citation\":{}}]"),
        FINISH, NULL};
    feed_chunks(&f, chunks);
    expect_log(&f.log, "created\nin_progress\nitem 0 message\npart 0.0 text\ndelta 0.0 text [x]\n"
                       "annotation 0.0 text [{\"type\":\"url_citation\", \"url\":\"u\",\"title\":\"t\"}]\n"
                       "text_done 0.0 text\npart_done 0.0 text\nitem_done 0\ncompleted\n");
    llm_log_free(&f.log);
}
END_TEST

START_TEST(test_usage_oddities)
{
    struct feed f;
    const char *const chunks[] = {
        "{\"usage\":{\"prompt_tokens\":-5,\"completion_tokens\":3.0}}",
        "{\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":3,\"prompt_tokens_details\":null}}", FINISH,
        NULL};
    feed_chunks(&f, chunks);
    ck_assert_int_eq(f.log.end.usage.input_tokens, 4);
    ck_assert_int_eq(f.log.end.usage.total_tokens, 7);
    llm_log_free(&f.log);
}
END_TEST

/* ---- a whole answer ---- */

static void decode_whole(struct feed *f, const char *body)
{
    feed_begin(f);
    chat->decode_answer(f->decoder, bytes_cstr(body));
    feed_end(f);
}

START_TEST(test_answer)
{
    struct feed f;
    decode_whole(
        &f, "{\"id\":\"x\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
            "\"assistant\","
            "\"reasoning_content\":\"hm\",\"content\":\"text\",\"refusal\":null,\"tool_calls\":["
            "{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
            "{\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},"
            "\"logprobs\":{\"content\":[ "
            "]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}");
    expect_log(&f.log,
               "created\nin_progress\nitem 0 reasoning\npart 0.0 reasoning\ndelta 0.0 reasoning [hm]\n"
               "text_done 0.0 reasoning\npart_done 0.0 reasoning\nitem_done 0\n"
               "item 1 message\npart 1.0 text\ndelta 1.0 text [text] +\"logprobs\":{\"content\":[]}\n"
               "text_done 1.0 text\npart_done 1.0 text\nitem_done 1\n"
               "item 2 call a f\ndelta 2.0 arguments [{}]\n"
               "item 3 call call_0123456789abcdef0123456789abcdef_3 g\ndelta 3.0 arguments [{}]\n"
               "text_done 2.0 arguments\nitem_done 2\ntext_done 3.0 arguments\nitem_done 3\ncompleted\n");
    ck_assert_int_eq(f.log.end.usage.total_tokens, 3);
    llm_log_free(&f.log);
}
END_TEST

START_TEST(test_answer_failures)
{
    static const struct {
        const char *body, *log;
    } cases[] = {
        {"{\"choices\":[]}", "created\nin_progress\nfailed 502 upstream_truncated\n"},
        {"", "created\nin_progress\nfailed 502 upstream_invalid_response\n"},
        {"<html></html>", "created\nin_progress\nfailed 502 upstream_invalid_response\n"},
        {"{\"error\":{\"message\":\"m\"}}", "created\nin_progress\nfailed 502 upstream_error\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct feed f;
        decode_whole(&f, cases[i].body);
        expect_log(&f.log, cases[i].log);
        llm_log_free(&f.log);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chat_decoder");
    const TTest *const tests[] = {
        test_text,           test_tools,    test_reasoning,       test_logprobs,       test_refusal,
        test_local,          test_failures, test_cut_anywhere,    test_too_many_calls, test_error_event,
        test_usage_oddities, test_answer,   test_answer_failures, test_extra_content,  test_annotations};
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tcase, tests[i]);
    tcase_add_loop_test(tcase, test_calls, 0, ARRAY_LEN(ways));
    tcase_add_loop_test(tcase, test_odd, 0, ARRAY_LEN(odd));
    tcase_set_timeout(tcase, 120);
    return run_case(tcase);
}

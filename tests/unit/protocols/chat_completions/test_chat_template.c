#include "../support.h"
#include "protocols/chat_completions/chat_template.h"

#define BEFORE                                                                                               \
    "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\""
#define AFTER "\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}"

static void learn(struct chat_template *t, const char *chunk)
{
    struct json_doc d;
    doc_parse(&d, bytes_cstr(chunk));
    chat_template_learn(t, &d);
    json_doc_free(&d);
}

static bool matches(struct chat_template *t, const char *chunk, const char *text)
{
    struct bytes got;
    return chat_template_match(t, bytes_cstr(chunk), &got) && bytes_is(got, text);
}

START_TEST(test_match)
{
    struct chat_template t;
    chat_template_init(&t);
    ck_assert(!matches(&t, BEFORE "a" AFTER, "a"));
    learn(&t, BEFORE "first" AFTER);
    ck_assert(matches(&t, BEFORE "a" AFTER, "a"));
    ck_assert(matches(&t, BEFORE "" AFTER, ""));
    ck_assert(matches(&t, BEFORE "gr\xC3\xBC\xC3\x9F" AFTER, "gr\xC3\xBC\xC3\x9F"));
}
END_TEST

/* Each of these must be parsed: it says more, or less, than a text. */
static const char *const others[] = {
    BEFORE "a\\n" AFTER,
    BEFORE "a\"b" AFTER,
    BEFORE "\",\"refusal\":\"x" AFTER,
    BEFORE "\"},\"finish_reason\":\"stop\",\"x\":{\"y\":\"" AFTER,
    BEFORE "a\nb" AFTER,
    BEFORE "bad \xff" AFTER,
    BEFORE "half \xe2\x82" AFTER,
    BEFORE,
    AFTER,
    "",
    BEFORE "a" AFTER " ",
    " " BEFORE "a" AFTER,
    "{\"id\":\"d\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
    "\"a" AFTER,
};

START_TEST(test_mismatch)
{
    struct chat_template t;
    struct bytes got;
    chat_template_init(&t);
    learn(&t, BEFORE "first" AFTER);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (chat_template_match(&t, bytes_cstr(others[i]), &got))
            ck_abort_msg("matched: %s", others[i]);
}
END_TEST

static const char *const unlearnable[] = {
    "{\"choices\":[]}",
    "{\"choices\":[{\"delta\":{\"content\":null}}]}",
    "{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}",
    "{\"choices\":[{\"delta\":{\"content\":\"a\"},\"logprobs\":{\"content\":[]}}]}",
    "{\"choices\":[{\"delta\":{\"content\":\"a\",\"refusal\":\"b\"}}]}",
    "{\"choices\":[{\"delta\":{\"content\":\"a\",\"tool_calls\":[]}}]}",
    "{\"choices\":[{\"delta\":{\"content\":\"a\",\"reasoning\":\"b\"}}]}",
    "{\"choices\":[{\"delta\":{\"content\":[{\"text\":\"a\"}]}}]}",
    "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a\"}}]}",
    "{\"choices\":[{\"delta\":{\"content\":\"a\"}},{\"delta\":{\"content\":\"b\"}}]}",
    "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":1}}",
    "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"error\":{\"message\":\"x\"}}",
    "{\"object\":\"error\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}",
};

START_TEST(test_what_is_not_learned)
{
    struct bytes got;
    for (size_t i = 0; i < ARRAY_LEN(unlearnable); i++) {
        struct chat_template t;
        chat_template_init(&t);
        learn(&t, unlearnable[i]);
        if (chat_template_match(&t, bytes_cstr(unlearnable[i]), &got))
            ck_abort_msg("learned: %s", unlearnable[i]);
    }
}
END_TEST

START_TEST(test_reasoning_and_giving_up)
{
    struct chat_template t;
    char chunk[128];
    chat_template_init(&t);
    learn(&t, "{\"choices\":[{\"delta\":{\"reasoning_content\":\"a\"}}]}");
    ck_assert(matches(&t, "{\"choices\":[{\"delta\":{\"reasoning_content\":\"bc\"}}]}", "bc"));
    ck_assert_int_eq(t.kind, LLM_PART_REASONING);
    for (int i = 0; i < 100; i++) {
        snprintf(chunk, sizeof chunk, "{\"id\":\"%d\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}", i);
        learn(&t, chunk);
    }
    ck_assert(!matches(&t, chunk, "a"));
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

static void append_chunk(struct buf *out, uint32_t *random, bool own_spelling, int i)
{
    static const char *const texts[] = {"a", " word", "\\n", "\\u00e9", "\xC3\xA9",
                                        "",  "\\\"",  "{}",  "x\\\\"};
    static const char *const ends[] = {"null", "null", "null", "null", "null", "null", "\"length\""};
    if (own_spelling)
        buf_printf(out, "%*s", 1 + i % 7, "");
    buf_printf(
        out, "{\"id\":\"%u\",\"choices\":[{\"index\":0,\"delta\":{\"%s\":\"%s\"%s},\"finish_reason\":%s}]}",
        next_random(random) % 12 == 0, next_random(random) % 9 ? "content" : "reasoning_content",
        texts[next_random(random) % ARRAY_LEN(texts)], next_random(random) % 9 ? "" : ",\"refusal\":\"no\"",
        ends[next_random(random) % ARRAY_LEN(ends)]);
}

/* A stream whose chunks are spelled so that none is like the one before it makes the same log. */
static void run_stream(uint32_t seed, bool own_spelling, struct buf *ret_dump)
{
    struct llm_log log;
    struct llm_builder builder;
    struct buf chunk;
    log_setup(&log, &builder, 1 << 20);
    struct llm_decoder *d = dialect_chat_completions.decoder_new(&builder);
    buf_init(&chunk, 4096);
    for (int i = 0; i < 60; i++) {
        buf_reset(&chunk);
        append_chunk(&chunk, &seed, own_spelling, i);
        dialect_chat_completions.decode_event(d, (struct bytes){NULL, 0}, buf_bytes(&chunk));
    }
    dialect_chat_completions.decode_end(d);
    dialect_chat_completions.decoder_free(d);
    log_dump(&log, ret_dump);
    llm_log_free(&log);
    buf_free(&chunk);
}

START_TEST(test_same_log_as_by_parsing)
{
    for (uint32_t seed = 1; seed <= 300; seed++) {
        struct buf a, b;
        buf_init(&a, 1 << 20);
        buf_init(&b, 1 << 20);
        run_stream(seed, false, &a);
        run_stream(seed, true, &b);
        if (!bytes_eq(buf_bytes(&a), buf_bytes(&b)))
            ck_abort_msg("seed %u:\n%.*s\nby parsing:\n%.*s", seed, BYTES_FMT(buf_bytes(&a)),
                         BYTES_FMT(buf_bytes(&b)));
        buf_free(&a);
        buf_free(&b);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_match, test_mismatch, test_what_is_not_learned,
                                  test_reasoning_and_giving_up, test_same_log_as_by_parsing};
    return run_tests("chat_template", tests, ARRAY_LEN(tests));
}

#include "support.h"

static const struct bytes none = {NULL, 0};

START_TEST(test_empty)
{
    struct llm_log l;
    ck_assert_int_eq(llm_log_init(&l, BYTES("seed"), 4096), ERR_OK);
    ck_assert_uint_eq(l.count, 0);
    ck_assert_uint_gt(l.bytes, 22);
    struct llm_pos pos = {0};
    struct llm_event e;
    ck_assert(!llm_log_next(&l, &pos, &e));
    llm_log_free(&l);
    llm_log_free(NULL);
}
END_TEST

/* A reader that follows the end sees each event once, whole, as it comes. */
START_TEST(test_follow)
{
    struct llm_log l;
    struct llm_builder b;
    log_setup(&l, &b, 4 << 20);
    struct llm_pos pos = {0};
    struct llm_event e;
    llm_builder_start(&b);
    while (llm_log_next(&l, &pos, &e)) {
    }
    ck_assert_uint_eq(pos.index, 2);
    for (unsigned i = 0; i < 5000; i++) {
        char text[600], extra[32];
        size_t len = (size_t)snprintf(text, sizeof text, "%u:", i) + i % 500;
        memset(text + strlen(text), 'x', i % 500);
        size_t extra_len = i % 3 ? 0 : (size_t)snprintf(extra, sizeof extra, "\"n\":%u", i);
        llm_builder_delta(&b, LLM_PART_TEXT, bytes_of(text, len), bytes_of(extra, extra_len));
        unsigned seen = 0;
        while (llm_log_next(&l, &pos, &e)) {
            ck_assert_uint_eq(e.index, pos.index - 1);
            if (e.type != LLM_EV_DELTA)
                continue;
            ck_assert(bytes_eq(e.data, bytes_of(text, len)));
            ck_assert(bytes_eq(e.extra, bytes_of(extra, extra_len)));
            seen++;
        }
        ck_assert_uint_eq(seen, 1);
        ck_assert_uint_eq(pos.index, l.count);
    }
    llm_log_free(&l);
}
END_TEST

START_TEST(test_seek)
{
    struct llm_log l;
    struct llm_builder b;
    log_setup(&l, &b, 4 << 20);
    for (unsigned i = 0; i < 700; i++) {
        char text[32];
        snprintf(text, sizeof text, "<%u>", i);
        llm_builder_delta(&b, LLM_PART_TEXT, bytes_cstr(text), none);
    }
    llm_builder_finish(&b, LLM_FINISH_STOP);
    struct llm_pos walk = {0}, pos;
    struct llm_event expected, e;
    for (uint32_t i = 0; i < l.count; i++) {
        ck_assert(llm_log_next(&l, &walk, &expected));
        ck_assert(llm_log_seek(&l, i, &pos));
        ck_assert(llm_log_next(&l, &pos, &e));
        ck_assert_uint_eq(e.index, i);
        ck_assert_int_eq(e.type, expected.type);
        ck_assert(bytes_eq(e.data, expected.data));
    }
    ck_assert(llm_log_seek(&l, l.count, &pos));
    ck_assert_uint_eq(pos.index, l.count);
    ck_assert(!llm_log_next(&l, &pos, &e));
    pos.index = 99;
    ck_assert(!llm_log_seek(&l, l.count + 1, &pos));
    ck_assert_uint_eq(pos.index, 99);
    llm_log_free(&l);
}
END_TEST

/* A place at the end of what there was goes on to what comes, also when that lies in another chunk. */
START_TEST(test_seek_end_then_grow)
{
    struct llm_log l;
    struct llm_builder b;
    log_setup(&l, &b, 4 << 20);
    struct llm_event e;
    for (unsigned i = 0; i < 300; i++) {
        struct llm_pos pos;
        ck_assert(llm_log_seek(&l, l.count, &pos));
        uint32_t index = l.count;
        llm_builder_delta(&b, LLM_PART_TEXT, BYTES("0123456789"), none);
        ck_assert(llm_log_next(&l, &pos, &e));
        ck_assert_uint_eq(e.index, index);
    }
    llm_log_free(&l);
}
END_TEST

struct gather {
    struct buf text;
    unsigned pieces;
};

static void gather(void *ctx, struct bytes text)
{
    struct gather *g = ctx;
    g->pieces++;
    buf_append_bytes(&g->text, text);
}

static void expect_text(const struct llm_log *l, unsigned item, unsigned part, enum llm_part_kind kind,
                        unsigned pieces, const char *expected)
{
    struct gather g = {.pieces = 0};
    buf_init(&g.text, 4096);
    llm_log_each_delta(l, NULL, item, part, kind, gather, &g);
    expect_bytes(buf_bytes(&g.text), expected);
    ck_assert_uint_eq(g.pieces, pieces);
    buf_free(&g.text);
}

START_TEST(test_each_delta)
{
    struct llm_log l;
    struct llm_builder b;
    log_setup(&l, &b, 4 << 20);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("one "), none);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("two"), none);
    llm_builder_annotation(&b, BYTES("{}"));
    llm_builder_part_end(&b);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("\"three\"\n"), none);
    int first = llm_builder_item(&b, LLM_OUT_FUNCTION_CALL, none, BYTES("c1"), BYTES("f"));
    int second = llm_builder_item(&b, LLM_OUT_FUNCTION_CALL, none, BYTES("c2"), BYTES("g"));
    llm_builder_arguments(&b, first, BYTES("{\"a\""));
    llm_builder_arguments(&b, second, BYTES("{}"));
    llm_builder_arguments(&b, first, BYTES(":1}"));
    expect_text(&l, 0, 0, LLM_PART_TEXT, 2, "one two");
    expect_text(&l, 0, 1, LLM_PART_TEXT, 1, "\"three\"\n");
    expect_text(&l, 0, 2, LLM_PART_TEXT, 0, "");
    expect_text(&l, 0, 0, LLM_PART_REFUSAL, 0, "");
    expect_text(&l, 1, 0, LLM_PART_ARGUMENTS, 2, "{\"a\":1}");
    expect_text(&l, 2, 0, LLM_PART_ARGUMENTS, 1, "{}");
    expect_text(&l, 3, 0, LLM_PART_ARGUMENTS, 0, "");
    llm_builder_finish(&b, LLM_FINISH_TOOL_CALLS);
    expect_text(&l, 1, 0, LLM_PART_ARGUMENTS, 2, "{\"a\":1}");

    struct buf out;
    struct json_writer w;
    buf_init(&out, 4096);
    jw_init(&w, &out);
    jw_array(&w);
    llm_log_write_text(&l, NULL, 0, 1, LLM_PART_TEXT, &w);
    llm_log_write_text(&l, NULL, 1, 0, LLM_PART_ARGUMENTS, &w);
    llm_log_write_text(&l, NULL, 9, 0, LLM_PART_TEXT, &w);
    jw_array_end(&w);
    expect_bytes(buf_bytes(&out), "[\"\\\"three\\\"\\n\",\"{\\\"a\\\":1}\",\"\"]");
    buf_free(&out);
    llm_log_free(&l);
}
END_TEST

START_TEST(test_items)
{
    struct llm_log l;
    struct llm_builder b;
    log_setup(&l, &b, 4 << 20);
    char id[] = "msg_provider", long_name[2000];
    memset(long_name, 'n', sizeof long_name);
    llm_builder_item(&b, LLM_OUT_MESSAGE, bytes_cstr(id), none, none);
    memset(id, '-', sizeof id);
    for (int i = 0; i < 20; i++)
        llm_builder_item(&b, LLM_OUT_FUNCTION_CALL, none, none, bytes_of(long_name, sizeof long_name));
    int last = llm_builder_item(&b, LLM_OUT_REASONING, none, none, none);
    ck_assert_uint_eq(llm_log_n_items(&l), 22);
    expect_bytes(llm_log_item(&l, 0)->id, "msg_provider");
    expect_bytes(llm_log_item(&l, 1)->id, "fc_0123456789abcdef0123456789abcdef_1");
    expect_bytes(llm_log_item(&l, 1)->call_id, "call_0123456789abcdef0123456789abcdef_1");
    ck_assert(bytes_eq(llm_log_item(&l, 20)->name, bytes_of(long_name, sizeof long_name)));
    expect_bytes(llm_log_item(&l, (unsigned)last)->id, "rs_0123456789abcdef0123456789abcdef_21");
    ck_assert(!llm_log_item(&l, 21)->done);
    llm_builder_item_end(&b, last, BYTES("\"encrypted_content\":\"x\""));
    ck_assert(llm_log_item(&l, 21)->done);
    expect_bytes(llm_log_item(&l, 21)->extra, "\"encrypted_content\":\"x\"");
    ck_assert_ptr_null(llm_log_item(&l, 22));
    llm_log_free(&l);
}
END_TEST

/* Ids are valid whatever the seed looks like. */
START_TEST(test_made_ids)
{
    static const char *const ids[] = {"", "resp_", "resp_a/b c\"\xc3\xa9", "nounderscore",
                                      "resp_"
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct llm_log l;
        struct llm_builder b;
        ck_assert_int_eq(llm_log_init(&l, bytes_cstr(ids[i]), 4096), ERR_OK);
        llm_builder_init(&b, &l);
        llm_builder_item(&b, LLM_OUT_MESSAGE, none, none, none);
        struct bytes id = llm_log_item(&l, 0)->id;
        ck_assert(bytes_starts(id, BYTES("msg_")));
        ck_assert_uint_le(id.len, 64);
        for (size_t k = 0; k < id.len; k++)
            ck_assert_ptr_nonnull(
                memchr("_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", id.data[k], 63));
        llm_log_free(&l);
    }
}
END_TEST

/* Small answers stay small: what a log holds is within a small factor of its text. */
START_TEST(test_compact)
{
    struct llm_log l;
    struct llm_builder b;
    log_setup(&l, &b, 4 << 20);
    for (unsigned i = 0; i < 64; i++)
        llm_builder_delta(&b, LLM_PART_TEXT, BYTES(" word"), none);
    llm_builder_finish(&b, LLM_FINISH_STOP);
    ck_assert_uint_lt(l.bytes, 2400);
    llm_log_free(&l);

    log_setup(&l, &b, 64 << 20);
    for (unsigned i = 0; i < 200000; i++)
        llm_builder_delta(&b, LLM_PART_TEXT, BYTES(" word"), none);
    ck_assert_uint_lt(l.bytes, 200000 * 14);
    llm_log_free(&l);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_empty,      test_follow, test_seek,     test_seek_end_then_grow,
                                  test_each_delta, test_items,  test_made_ids, test_compact};
    return run_tests("llm_log", tests, ARRAY_LEN(tests));
}

#pragma once
/* What the tests of protocols/ share: documents from text, logs as text. */
#include "protocols/dialect.h"
#include "tests/unit/common/run.h"
#include <stdio.h>
#include <stdlib.h>

/* Runs one test case's functions; the exit status of the program. */
static inline int run_tests(const char *name, const TTest *const *tests, size_t n)
{
    TCase *tcase = tcase_create(name);
    for (size_t i = 0; i < n; i++)
        tcase_add_test(tcase, tests[i]);
    tcase_set_timeout(tcase, 120);
    return run_case(tcase);
}

static inline void doc_parse(struct json_doc *d, struct bytes text)
{
    static const struct json_limits limits = {.max_depth = 128, .max_nodes = 1 << 20};
    struct json_error e = {0, "nothing"};
    json_doc_init(d);
    ck_assert_msg(json_parse(d, text, &limits, &e) == ERR_OK, "%s at byte %zu of: %.*s", e.what, e.offset,
                  BYTES_FMT(text));
}

static inline bool is_json(struct bytes text)
{
    static const struct json_limits limits = {.max_depth = 128, .max_nodes = 1 << 20};
    struct json_doc d;
    json_doc_init(&d);
    enum err err = json_parse(&d, text, &limits, NULL);
    json_doc_free(&d);
    return err == ERR_OK;
}

static inline void expect_bytes(struct bytes got, const char *expected)
{
    ck_assert_msg(bytes_is(got, expected), "got:      %.*s\nexpected: %s", BYTES_FMT(got), expected);
}

static const struct llm_head support_head = {
    .id = {"resp_0123456789abcdef0123456789abcdef", 37},
    .model = {"demo", 4},
    .created_at = 1700000000,
};

/* The functions that loops call ask by themselves: check notes every assertion that it passes, which is too
 * slow for thousands. */

static inline void log_setup(struct llm_log *l, struct llm_builder *b, size_t max_bytes)
{
    if (llm_log_init(l, BYTES("0123456789abcdef0123456789abcdef"), max_bytes))
        ck_abort();
    llm_builder_init(b, l);
}

/* One line an event, as the tests write down what they expect. */
static inline void log_dump(const struct llm_log *l, struct buf *out)
{
    static const char *const names[] = {"created",    "in_progress", "item",      "part",      "delta",
                                        "annotation", "text_done",   "part_done", "item_done", "completed",
                                        "incomplete", "failed",      "cancelled"};
    static const char *const kinds[] = {"text", "refusal", "reasoning", "summary", "arguments"};
    static const char *const items[] = {"message", "call", "reasoning", "opaque"};
    struct llm_pos pos = {0};
    struct llm_event e;
    while (llm_log_next(l, &pos, &e)) {
        buf_printf(out, "%s", names[e.type]);
        if (e.type >= LLM_EV_ITEM_ADDED && e.type <= LLM_EV_ITEM_DONE)
            buf_printf(out, " %u", e.item);
        if (e.type == LLM_EV_ITEM_ADDED) {
            const struct llm_output_item *i = llm_log_item(l, e.item);
            buf_printf(out, " %s", items[i->kind]);
            if (i->kind == LLM_OUT_FUNCTION_CALL)
                buf_printf(out, " %.*s %.*s", BYTES_FMT(i->call_id), BYTES_FMT(i->name));
        }
        if (e.type >= LLM_EV_PART_ADDED && e.type <= LLM_EV_PART_DONE)
            buf_printf(out, ".%u %s", e.part, kinds[e.kind]);
        if (e.data.len)
            buf_printf(out, " [%.*s]", BYTES_FMT(e.data));
        if (e.extra.len)
            buf_printf(out, " +%.*s", BYTES_FMT(e.extra));
        if (e.type == LLM_EV_FAILED)
            buf_printf(out, " %d %s", l->end.error.status, l->end.error.code);
        buf_append_char(out, '\n');
    }
    if (out->failed)
        ck_abort_msg("the log is too long to be written down");
}

static inline void expect_log(const struct llm_log *l, const char *expected)
{
    struct buf text;
    buf_init(&text, 16 << 20);
    log_dump(l, &text);
    if (!bytes_is(buf_bytes(&text), expected))
        ck_abort_msg("got:\n%.*s\nexpected:\n%s", BYTES_FMT(buf_bytes(&text)), expected);
    buf_free(&text);
}

static inline void read_fixture(const char *path, struct buf *out)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", FIXTURES, path);
    FILE *f = fopen(name, "rb");
    ck_assert_msg(f != NULL, "%s", name);
    buf_init(out, 1 << 20);
    for (;;) {
        ck_assert_int_eq(buf_reserve(out, 4096), ERR_OK);
        size_t n = fread(out->data + out->len, 1, 4096, f);
        out->len += n;
        if (n == 0)
            break;
    }
    out->data[out->len] = 0; /* for those who search in it */
    fclose(f);
    ck_assert_uint_gt(out->len, 0);
}

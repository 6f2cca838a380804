/* A log copied chunk by chunk into other memory reads the same, in every dialect and from every event on; and
 * what was damaged on its way is refused, or reads without harm. */
#include "protocols/llm_log_copy.h"
#include "tests/unit/protocols/responses/promised.h"

enum { MANY = 300 };

struct copy {
    struct llm_log log;
    struct llm_pos from; /* what has been copied of the original */
};

static void copy_init(struct copy *c)
{
    *c = (struct copy){.from = {0}};
    if (llm_log_init(&c->log, BYTES("another"), 1 << 22))
        ck_abort();
}

/* What is new goes through memory of its own, which is gone afterwards. */
static void copy_on(struct copy *c, const struct llm_log *l)
{
    struct bytes records;
    struct buf state;
    while (llm_log_export(l, &c->from, &records)) {
        char *elsewhere = malloc(records.len);
        memcpy(elsewhere, records.data, records.len);
        if (llm_log_import(&c->log, bytes_of(elsewhere, records.len)))
            ck_abort();
        memset(elsewhere, '-', records.len);
        free(elsewhere);
    }
    buf_init(&state, 1 << 16);
    llm_log_export_state(l, &state);
    if (llm_log_import_state(&c->log, buf_bytes(&state)))
        ck_abort();
    buf_free(&state);
}

static void line_begin(struct event_sink *s, const char *name)
{
    buf_append_bytes(s->out, bytes_cstr(name ? name : "-"));
    buf_append_char(s->out, ' ');
}

static void line_end(struct event_sink *s)
{
    buf_append_char(s->out, '\n');
}

/* All that a client of `d` is told from event `at` on, an event at a time. */
static void tell(const struct dialect *d, const struct llm_head *h, const struct llm_log *l, uint32_t at,
                 struct buf *out)
{
    struct event_sink sink = {.out = out, .begin = line_begin, .end = line_end};
    struct llm_encoder e = {.head = h, .include_usage = true};
    buf_init(out, 1 << 22);
    if (!llm_log_seek(l, at, &e.pos))
        ck_abort();
    while (d->encode_events(&e, l, &sink, out->len + 1)) {
    }
    if (out->failed)
        ck_abort();
}

static void tells_the_same(const struct dialect *d, const struct llm_log *l, const struct llm_log *copy,
                           uint32_t at)
{
    struct buf one, two;
    tell(d, &promised_head, l, at, &one);
    tell(d, &promised_head, copy, at, &two);
    if (!bytes_eq(buf_bytes(&one), buf_bytes(&two)))
        ck_abort_msg("%s from %u:\n%.*s\nand\n%.*s", d->name, at, BYTES_FMT(buf_bytes(&one)),
                     BYTES_FMT(buf_bytes(&two)));
    buf_free(&one);
    buf_free(&two);
}

static void reads_the_same(const struct llm_log *l, const struct llm_log *copy)
{
    ck_assert_uint_eq(copy->count, l->count);
    ck_assert_int_eq(copy->ended, l->ended);
    for (size_t i = 0; i < n_dialects; i++)
        for (uint32_t at = 0; dialects[i]->encode_events && at <= l->count; at++)
            tells_the_same(dialects[i], l, copy, at);
}

static void more(struct llm_builder *b)
{
    for (unsigned i = 0; i < MANY; i++)
        llm_builder_delta(b, LLM_PART_TEXT, BYTES("a token of some length "), none);
}

START_TEST(grows_as_the_original_does)
{
    struct llm_log l;
    struct llm_builder b;
    struct copy c;
    log_with_echo(&l, &b);
    copy_init(&c);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&b, i);
        copy_on(&c, &l);
        ck_assert_uint_eq(c.log.count, l.count);
        tells_the_same(&dialect_responses, &l, &c.log, 0);
    }
    ck_assert(c.log.ended);
    reads_the_same(&l, &c.log);
    llm_log_free(&c.log);
    llm_log_free(&l);
}
END_TEST

/* Several chunks, each of the ends. */
START_TEST(ends)
{
    const struct fault fault = {
        .kind = FAULT_RATE_LIMITED,
        .error = {429, API_RATE, "slow_down", "input[0]", "Slower.", .retry_after_s = 7}};
    const struct llm_usage usage = {true, 1, 2, 3, 4, 5, 6};
    struct llm_log l;
    struct llm_builder b;
    struct copy c;
    log_with_echo(&l, &b);
    copy_init(&c);
    more(&b);
    (void)llm_builder_item(&b, LLM_OUT_FUNCTION_CALL, none, none, BYTES("f"));
    llm_builder_usage(&b, &usage);
    if (_i == 0)
        llm_builder_fail(&b, &fault);
    else if (_i == 1)
        llm_builder_cancel(&b);
    else
        llm_builder_finish(&b, _i == 2 ? LLM_FINISH_LENGTH : LLM_FINISH_STOP);
    copy_on(&c, &l);
    for (size_t i = 0; i < n_dialects; i++)
        for (uint32_t at = 0; dialects[i]->encode_events && at <= l.count; at += 50)
            tells_the_same(dialects[i], &l, &c.log, at);
    ck_assert_int_eq(memcmp(&l.end.usage, &c.log.end.usage, sizeof(usage)), 0);
    if (_i == 0) {
        ck_assert_str_eq(c.log.end.error.code, "slow_down");
        ck_assert_str_eq(c.log.end.error.type, API_RATE);
        ck_assert_str_eq(c.log.end.error.param, "input[0]");
        ck_assert_int_eq(c.log.end.error.retry_after_s, 7);
    }
    llm_log_free(&c.log);
    llm_log_free(&l);
}
END_TEST

/* What the first asker is called does not come with the log. */
START_TEST(another_head)
{
    const struct llm_head head = {.id = BYTES("resp_other"), .model = BYTES("alias"), .created_at = 5};
    struct llm_log l;
    struct llm_builder b;
    log_with_echo(&l, &b);
    for (unsigned i = 0; i < STEPS; i++)
        step(&b, i);
    for (size_t i = 0; i < n_dialects; i++) {
        struct buf events, whole;
        if (!dialects[i]->encode_events)
            continue;
        tell(dialects[i], &head, &l, 0, &events);
        buf_init(&whole, 1 << 20);
        dialects[i]->encode_answer(&head, &l, &whole);
        buf_append_char(&events, '\0');
        buf_append_char(&whole, '\0');
        ck_assert_ptr_nonnull(strstr(events.data, "other"));
        ck_assert_ptr_nonnull(strstr(whole.data, "other"));
        ck_assert_ptr_null(strstr(events.data, "resp_before"));
        ck_assert_ptr_null(strstr(whole.data, "resp_before"));
        buf_free(&events);
        buf_free(&whole);
    }
    llm_log_free(&l);
}
END_TEST

/* Read by whoever was given it; where it was taken, everything can be read. */
static void survive(struct bytes records, unsigned *taken)
{
    struct llm_log l;
    if (llm_log_init(&l, BYTES("x"), 1 << 20))
        ck_abort();
    if (llm_log_import(&l, records) == ERR_OK) {
        ++*taken;
        for (size_t i = 0; i < n_dialects; i++) {
            struct buf out;
            if (!dialects[i]->encode_events)
                continue;
            tell(dialects[i], &promised_head, &l, 0, &out);
            buf_free(&out);
        }
    }
    llm_log_free(&l);
}

START_TEST(damaged_records)
{
    struct llm_log l;
    struct llm_builder b;
    struct llm_pos pos = {0};
    struct bytes records;
    struct buf all;
    unsigned taken = 0, tried = 0;
    log_with_echo(&l, &b);
    for (unsigned i = 0; i < STEPS; i++)
        step(&b, i);
    buf_init(&all, 1 << 20);
    while (llm_log_export(&l, &pos, &records))
        buf_append_bytes(&all, records);
    survive(buf_bytes(&all), &taken);
    ck_assert_uint_eq(taken, 1);
    for (size_t i = 0; i < all.len; i++) {
        static const unsigned char flips[] = {0x01, 0x80, 0xFF, 0x10};
        for (size_t k = 0; k < ARRAY_LEN(flips); k++, tried++) {
            all.data[i] = (char)((unsigned char)all.data[i] ^ flips[k]);
            survive(buf_bytes(&all), &taken);
            all.data[i] = (char)((unsigned char)all.data[i] ^ flips[k]);
        }
        survive(bytes_of(all.data, i), &taken);
    }
    ck_assert_uint_lt(taken, tried);
    /* Nothing follows a terminal, and nothing is there twice. */
    struct llm_log again;
    ck_assert_int_eq(llm_log_init(&again, BYTES("x"), 1 << 20), ERR_OK);
    ck_assert_int_eq(llm_log_import(&again, buf_bytes(&all)), ERR_OK);
    ck_assert_int_eq(llm_log_import(&again, buf_bytes(&all)), ERR_INVALID);
    llm_log_free(&again);
    ck_assert_int_eq(llm_log_init(&again, BYTES("x"), 100), ERR_OK);
    ck_assert_int_eq(llm_log_import(&again, buf_bytes(&all)), ERR_LIMIT);
    llm_log_free(&again);
    buf_free(&all);
    llm_log_free(&l);
}
END_TEST

START_TEST(damaged_state)
{
    struct llm_log l;
    struct llm_builder b;
    struct buf state;
    log_with_echo(&l, &b);
    llm_builder_fail(
        &b, &(struct fault){.kind = FAULT_TRUNCATED, .error = {502, API_UPSTREAM, "c", "p", "m", 0}});
    buf_init(&state, 1 << 16);
    llm_log_export_state(&l, &state);
    for (size_t len = 0; len < state.len; len++)
        ck_assert_int_eq(llm_log_import_state(&l, bytes_of(state.data, len)), ERR_INVALID);
    for (size_t i = 0; i < state.len; i++) {
        state.data[i] = (char)((unsigned char)state.data[i] ^ 0xFFu);
        enum err err = llm_log_import_state(&l, buf_bytes(&state));
        ck_assert(err == ERR_OK || err == ERR_INVALID);
        state.data[i] = (char)((unsigned char)state.data[i] ^ 0xFFu);
    }
    ck_assert_int_eq(llm_log_import_state(&l, buf_bytes(&state)), ERR_OK);
    ck_assert_str_eq(l.end.error.code, "c");
    buf_free(&state);
    llm_log_free(&l);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("llm_log_copy");
    TCase *t = tcase_create("copy");
    tcase_add_test(t, grows_as_the_original_does);
    tcase_add_loop_test(t, ends, 0, 4);
    tcase_add_test(t, another_head);
    tcase_add_test(t, damaged_records);
    tcase_add_test(t, damaged_state);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

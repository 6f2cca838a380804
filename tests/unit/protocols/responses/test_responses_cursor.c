/* A client's place in a log: what waits is sent as one, nothing is lost, and what was sent can be read again.
 */
#include "protocols/sse/sse.h"
#include "tests/unit/protocols/responses/promised.h"

/* ---- coalescing, places, lanes ---- */

START_TEST(waiting_deltas_leave_as_one)
{
    struct llm_log l;
    struct llm_builder b;
    struct recorder *r = malloc(sizeof(*r));
    struct llm_encoder e = {.head = &promised_head, .stream_id = BYTES("lane.1")};
    log_with_echo(&l, &b);
    recorder_setup(r);
    for (int i = 0; i < 5; i++)
        llm_builder_delta(&b, LLM_PART_TEXT, BYTES("ab\""), none);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("x"), BYTES("\"logprobs\":[1]"));
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("y"), none);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("z"), none);
    ck_assert(dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX));
    ck_assert_uint_eq(r->n, 7);
    expect_bytes(
        recorded(r, 4),
        "{\"type\":\"response.output_text.delta\",\"item_id\":\"msg_0123456789abcdef0123456789abcdef_0\","
        "\"output_index\":0,\"content_index\":0,\"delta\":\"ab\\\"ab\\\"ab\\\"ab\\\"ab\\\"\","
        "\"logprobs\":[],\"sequence_number\":8,\"stream_id\":\"lane.1\"}");
    ck_assert_int_eq(check_event(r, 5), 9);
    ck_assert_int_eq(check_event(r, 6), 11);
    buf_free(&r->out);
    free(r);
    llm_log_free(&l);
}
END_TEST

/* The text of all text deltas of what was recorded. */
static void gather(const struct recorder *r, struct buf *out, int64_t *ret_last)
{
    for (size_t i = 0; i < r->n; i++) {
        struct json_doc d;
        int64_t number = check_event(r, i);
        ck_assert_int_gt(number, *ret_last);
        *ret_last = number;
        doc_parse(&d, recorded(r, i));
        if (strcmp(r->names[i], "response.output_text.delta") == 0)
            ck_assert_int_eq(json_string_append(&d, json_get(&d, 0, "delta"), out), ERR_OK);
        json_doc_free(&d);
    }
}

START_TEST(a_slow_client_loses_nothing)
{
    struct llm_log l;
    struct llm_builder b;
    struct buf expected, got;
    struct llm_encoder e = {.head = &promised_head};
    struct recorder *r = malloc(sizeof(*r));
    int64_t last = -1;
    size_t most = 0;
    log_with_echo(&l, &b);
    buf_init(&expected, 1 << 20);
    buf_init(&got, 1 << 20);
    for (unsigned i = 0; i < 20000; i++) {
        char text[32];
        int n = snprintf(text, sizeof(text), "token %u ", i);
        buf_append(&expected, text, (size_t)n);
        llm_builder_delta(&b, LLM_PART_TEXT, bytes_of(text, (size_t)n), none);
        if (i % 7000 != 6999)
            continue;
        recorder_setup(r);
        while (dialect_responses.encode_events(&e, &l, &r->sink, r->out.len + 3000)) {
        }
        for (size_t k = 0; k < r->n; k++)
            most = MAX(most, recorded(r, k).len);
        gather(r, &got, &last);
        buf_free(&r->out);
    }
    recorder_setup(r);
    dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX);
    gather(r, &got, &last);
    ck_assert(bytes_eq(buf_bytes(&got), buf_bytes(&expected)));
    ck_assert_uint_gt(most, 8 * 1024);
    ck_assert_uint_lt(most, 17 * 1024);
    buf_free(&r->out);
    free(r);
    buf_free(&expected);
    buf_free(&got);
    llm_log_free(&l);
}
END_TEST

START_TEST(another_dialects_extras_stay_inside)
{
    struct llm_log l;
    struct llm_builder b;
    struct recorder *r = malloc(sizeof(*r));
    struct llm_encoder e = {.head = &promised_head};
    log_with_echo(&l, &b);
    l.extra_dialect = &dialect_chat_completions;
    recorder_setup(r);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("a"), BYTES("\"logprobs\":{\"marker\":[]}"));
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("b"), BYTES("\"logprobs\":{\"marker\":[]}"));
    llm_builder_item_end(&b, 0, BYTES("\"audio\":1"));
    llm_builder_finish(&b, LLM_FINISH_STOP);
    dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX);
    ck_assert_uint_eq(r->n, 9);
    for (size_t i = 0; i < r->n; i++)
        check_event(r, i);
    ck_assert_ptr_null(memmem(r->out.data, r->out.len, "audio", 5));
    ck_assert_ptr_null(memmem(r->out.data, r->out.len, "marker", 6));
    buf_free(&r->out);
    free(r);
    llm_log_free(&l);
}
END_TEST

/* A buffer that has no room gets whole events or none, and the place stays before the one that did not fit.
 */
START_TEST(no_room)
{
    struct llm_log l;
    struct llm_builder b;
    struct llm_encoder whole = {.head = &promised_head};
    struct recorder *all = malloc(sizeof(*all)), *r = malloc(sizeof(*r));
    all_steps(&l, &b);
    recorder_setup(all);
    dialect_responses.encode_events(&whole, &l, &all->sink, SIZE_MAX);
    for (size_t room = 0; room < all->out.len; room += 37) {
        struct llm_encoder e = {.head = &promised_head};
        recorder_setup(r);
        r->out.max = room;
        dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX);
        ck_assert(r->out.failed);
        ck_assert(!e.done);
        size_t len = r->out.len;
        ck_assert(memcmp(r->out.data ? r->out.data : "", all->out.data, len) == 0);
        r->out.max = 64 << 20;
        r->out.failed = false;
        dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX);
        ck_assert(e.done);
        ck_assert(bytes_eq(buf_bytes(&r->out), buf_bytes(&all->out)));
        buf_free(&r->out);
    }
    buf_free(&all->out);
    free(all);
    free(r);
    llm_log_free(&l);
}
END_TEST

/* Text, and `n` annotations that say which of their part they are. */
static void annotated_part(struct llm_builder *b, unsigned n)
{
    llm_builder_delta(b, LLM_PART_TEXT, BYTES("text"), none);
    for (unsigned i = 0; i < n; i++) {
        char text[32];
        int len = snprintf(text, sizeof(text), "{\"nth\":%u}", i);
        llm_builder_annotation(b, bytes_of(text, (size_t)len));
        llm_builder_delta(b, LLM_PART_TEXT, BYTES("more"), none);
    }
}

static unsigned check_annotations(const struct recorder *r)
{
    unsigned n = 0;
    for (size_t i = 0; i < r->n; i++) {
        struct json_doc d;
        if (strcmp(r->names[i], "response.output_text.annotation.added") != 0)
            continue;
        doc_parse(&d, recorded(r, i));
        json_ref nth = json_get(&d, json_get(&d, 0, "annotation"), "nth");
        ck_assert(bytes_eq(json_raw(&d, json_get(&d, 0, "annotation_index")), json_raw(&d, nth)));
        json_doc_free(&d);
        n++;
    }
    return n;
}

START_TEST(annotations_are_numbered_wherever_a_reader_begins)
{
    struct llm_log l;
    struct llm_builder b;
    struct recorder *r = malloc(sizeof(*r));
    log_with_echo(&l, &b);
    annotated_part(&b, 3);
    llm_builder_part_end(&b);
    annotated_part(&b, 2);
    (void)llm_builder_item(&b, LLM_OUT_FUNCTION_CALL, BYTES("fc_1"), BYTES("call_1"), BYTES("f"));
    llm_builder_delta(&b, LLM_PART_REFUSAL, BYTES("no"), none);
    annotated_part(&b, 4);
    (void)llm_builder_item(&b, LLM_OUT_MESSAGE, none, none, none);
    annotated_part(&b, 5);
    llm_builder_finish(&b, LLM_FINISH_STOP);
    for (uint32_t from = 0; from < l.count; from++) {
        struct llm_encoder e = {.head = &promised_head};
        struct llm_pos pos;
        struct llm_event ev;
        unsigned left = 0;
        ck_assert(llm_log_seek(&l, from, &e.pos));
        for (pos = e.pos; llm_log_next(&l, &pos, &ev);)
            left += ev.type == LLM_EV_ANNOTATION;
        recorder_setup(r);
        while (dialect_responses.encode_events(&e, &l, &r->sink, r->out.len + 1)) {
        }
        ck_assert(e.done);
        ck_assert_uint_eq(check_annotations(r), left);
        ck_assert(from > 0 || left == 3 + 2 + 4 + 5);
        buf_free(&r->out);
    }
    free(r);
    llm_log_free(&l);
}
END_TEST

/* ---- out and in again ---- */

static void sse_begin(struct event_sink *s, const char *name)
{
    buf_printf(s->out, "event: %s\ndata: ", name);
}
static void sse_end(struct event_sink *s)
{
    buf_append(s->out, "\n\n", 2);
}

static void on_sse(void *ctx, const struct sse_event *e)
{
    dialect_responses.decode_event(ctx, e->name, e->data);
}

static void dump(const struct llm_log *l, struct buf *out)
{
    buf_init(out, 1 << 20);
    log_dump(l, out);
    dialect_responses.encode_answer(&promised_head, l, out);
}

/* What we send, read as a provider's stream, is the log that we sent. */
START_TEST(round_trip)
{
    struct llm_log l, again;
    struct llm_builder b, b2;
    struct buf wire, one, two;
    struct event_sink sink = {.out = &wire, .begin = sse_begin, .end = sse_end};
    struct llm_encoder e = {.head = &promised_head};
    struct sse_parser p;
    log_with_echo(&l, &b);
    log_with_echo(&again, &b2);
    buf_init(&wire, 1 << 20);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&b, i);
        dialect_responses.encode_events(&e, &l, &sink, SIZE_MAX);
    }
    struct llm_decoder *d = dialect_responses.decoder_new(&b2);
    sse_init(&p, 1 << 20, on_sse, d);
    ck_assert_int_eq(sse_feed(&p, buf_bytes(&wire)), ERR_OK);
    dialect_responses.decode_end(d);
    dump(&l, &one);
    dump(&again, &two);
    ck_assert_msg(bytes_eq(buf_bytes(&one), buf_bytes(&two)), "sent:\n%.*s\nread:\n%.*s",
                  BYTES_FMT(buf_bytes(&one)), BYTES_FMT(buf_bytes(&two)));
    buf_free(&one);
    buf_free(&two);
    buf_free(&wire);
    sse_free(&p);
    dialect_responses.decoder_free(d);
    llm_log_free(&l);
    llm_log_free(&again);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        waiting_deltas_leave_as_one,
        a_slow_client_loses_nothing,
        another_dialects_extras_stay_inside,
        no_room,
        annotations_are_numbered_wherever_a_reader_begins,
        round_trip,
    };
    return run_tests("responses_cursor", tests, ARRAY_LEN(tests));
}

#include "support.h"

static const struct bytes none = {NULL, 0};

/* ---- what a well-formed log is ---- */

enum { MAX_SEEN = LLM_MAX_ITEMS };

struct grammar {
    const struct llm_log *log;
    struct {
        bool open;
        unsigned parts, summaries;
    } items[MAX_SEEN];
    unsigned n_items;
    int exclusive; /* the message or reasoning item that is open, or -1 */
    int part;      /* its open part, or -1 */
    enum llm_part_kind kind;
    int must_follow; /* the event type that must come next, or -1 */
    unsigned must_item;
    bool ended;
};

/* Not ck_assert_msg: it tells its parent of every one that holds, and there are millions. */
#define RULE(cond)                                                                                           \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            ck_abort_msg("event %u (type %d, item %u): %s", e->index, (int)e->type, e->item, #cond);         \
    } while (0)

static void check_part_event(struct grammar *g, const struct llm_event *e, enum llm_output_kind kind)
{
    if (e->kind == LLM_PART_ARGUMENTS) {
        RULE(kind == LLM_OUT_FUNCTION_CALL && e->part == 0);
        RULE(e->type == LLM_EV_DELTA || e->type == LLM_EV_TEXT_DONE);
        if (e->type == LLM_EV_TEXT_DONE)
            g->must_follow = LLM_EV_ITEM_DONE;
        return;
    }
    bool in_message = e->kind == LLM_PART_TEXT || e->kind == LLM_PART_REFUSAL;
    RULE(kind == (in_message ? LLM_OUT_MESSAGE : LLM_OUT_REASONING));
    RULE((int)e->item == g->exclusive);
    if (e->type == LLM_EV_PART_ADDED) {
        unsigned *n = e->kind == LLM_PART_SUMMARY ? &g->items[e->item].summaries : &g->items[e->item].parts;
        RULE(g->part < 0 && e->part == *n);
        *n += 1;
        g->part = (int)e->part;
        g->kind = e->kind;
        return;
    }
    RULE((int)e->part == g->part && e->kind == g->kind);
    if (e->type == LLM_EV_ANNOTATION)
        RULE(e->kind == LLM_PART_TEXT);
    if (e->type == LLM_EV_TEXT_DONE)
        g->must_follow = LLM_EV_PART_DONE;
    if (e->type == LLM_EV_PART_DONE)
        g->part = -1;
}

static void check_item_event(struct grammar *g, const struct llm_event *e)
{
    const struct llm_output_item *item = llm_log_item(g->log, e->item);
    RULE(item != NULL);
    if (e->type == LLM_EV_ITEM_ADDED) {
        RULE(e->item == g->n_items && g->exclusive < 0 && item->id.len > 0);
        g->n_items++;
        g->items[e->item].open = true;
        if (item->kind != LLM_OUT_FUNCTION_CALL)
            g->exclusive = (int)e->item;
        else
            RULE(item->call_id.len > 0);
        return;
    }
    RULE(e->item < g->n_items && g->items[e->item].open);
    if (e->type != LLM_EV_ITEM_DONE) {
        check_part_event(g, e, item->kind);
        return;
    }
    RULE(item->done && item->n_parts == g->items[e->item].parts &&
         item->n_summaries == g->items[e->item].summaries);
    g->items[e->item].open = false;
    if ((int)e->item == g->exclusive) {
        RULE(g->part < 0);
        g->exclusive = -1;
    }
}

static void check_event(struct grammar *g, const struct llm_event *e)
{
    RULE(!g->ended);
    RULE((e->index == 0) == (e->type == LLM_EV_CREATED));
    RULE((e->index == 1) == (e->type == LLM_EV_IN_PROGRESS));
    if (g->must_follow >= 0)
        RULE((int)e->type == g->must_follow && e->item == g->must_item);
    g->must_follow = -1;
    g->must_item = e->item;
    if (llm_event_is_terminal(e->type)) {
        for (unsigned i = 0; i < g->n_items; i++)
            RULE(!g->items[i].open);
        g->ended = true;
        RULE(g->log->ended && g->log->terminal == e->type);
    } else if (e->type >= LLM_EV_ITEM_ADDED) {
        check_item_event(g, e);
    }
}

static void check_log(const struct llm_log *l)
{
    static struct grammar g;
    struct llm_pos pos = {0};
    struct llm_event e;
    g = (struct grammar){.log = l, .exclusive = -1, .part = -1, .must_follow = -1};
    while (llm_log_next(l, &pos, &e))
        check_event(&g, &e);
    ck_assert_uint_eq(pos.index, l->count);
    ck_assert_int_eq(g.ended, l->ended);
    ck_assert_int_eq(g.must_follow, -1);
    ck_assert_uint_eq(g.n_items, llm_log_n_items(l));
}

/* ---- any sequence of calls ---- */

static uint32_t random_state;

static unsigned pick(unsigned n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

static void random_call(struct llm_builder *b, struct buf *texts, bool terminals)
{
    char piece[800];
    size_t len = pick(10) == 0 ? pick(sizeof piece) : pick(9);
    memset(piece, 'a' + (int)pick(26), sizeof piece);
    struct bytes text = bytes_of(piece, len), extra = pick(8) ? none : BYTES("\"logprobs\":{}");
    enum llm_part_kind kind = (enum llm_part_kind)pick(4);
    bool ended = b->log->ended;
    struct fault f = {.kind = FAULT_OVERLOADED};
    switch (pick(terminals ? 20 : 17)) {
    case 0:
    case 1:
        llm_builder_item(b, (enum llm_output_kind)pick(3), pick(2) ? none : BYTES("id"), none, text);
        break;
    case 2:
        llm_builder_item_end(b, (int)pick(6) - 1, extra);
        break;
    case 3:
        llm_builder_part_end(b);
        break;
    case 4:
        llm_builder_annotation(b, BYTES("{\"type\":\"url_citation\"}"));
        break;
    case 5:
    case 6:
    case 7:
        llm_builder_arguments(b, (int)pick(8) - 1, text);
        break;
    case 8:
        llm_builder_usage(b, &(struct llm_usage){.output_tokens = (int64_t)len});
        break;
    case 9:
        llm_builder_start(b);
        break;
    case 17:
        llm_builder_finish(b, (enum llm_finish)pick(4));
        break;
    case 18:
        api_error_set(&f.error, 502, API_UPSTREAM, "test", NULL, "No more.");
        llm_builder_fail(b, &f);
        break;
    case 19:
        llm_builder_cancel(b);
        break;
    default:
        llm_builder_delta(b, kind, text, extra);
        if (!ended && !b->log->ended && kind == LLM_PART_TEXT)
            buf_append_bytes(texts, text);
    }
}

static void expect_same_text(const struct llm_log *l, struct buf *texts)
{
    struct llm_pos pos = {0};
    struct llm_event e;
    struct buf got;
    buf_init(&got, 1 << 20);
    while (llm_log_next(l, &pos, &e))
        if (e.type == LLM_EV_DELTA && e.kind == LLM_PART_TEXT)
            buf_append_bytes(&got, e.data);
    ck_assert(bytes_eq(buf_bytes(&got), buf_bytes(texts)));
    buf_free(&got);
}

START_TEST(test_any_sequence)
{
    for (unsigned round = 0; round < 3000; round++) {
        struct llm_log l;
        struct llm_builder b;
        struct buf texts;
        random_state = round * 7919u;
        size_t max_bytes = round % 2 ? 700 + pick(6000) : 1 << 20;
        buf_init(&texts, 1 << 20);
        log_setup(&l, &b, max_bytes);
        size_t floor = l.bytes;
        unsigned calls = pick(120);
        for (unsigned i = 0; i < calls; i++)
            random_call(&b, &texts, round % 3 == 0 && i > 10);
        check_log(&l);
        ck_assert_uint_le(l.bytes, MAX(max_bytes, floor));
        expect_same_text(&l, &texts);
        bool ended = l.ended;
        uint32_t count = l.count;
        llm_builder_finish(&b, LLM_FINISH_STOP);
        ck_assert(l.ended);
        if (ended)
            ck_assert_uint_eq(l.count, count);
        else
            ck_assert_int_eq(l.terminal, LLM_EV_COMPLETED);
        if (ended && l.terminal == LLM_EV_FAILED && round % 3)
            ck_assert_str_eq(l.end.error.code, "response_too_large");
        check_log(&l);
        llm_log_free(&l);
        buf_free(&texts);
    }
}
END_TEST

/* The ceiling at every size: the log ends as failed, well-formed, and stays below. */
START_TEST(test_every_ceiling)
{
    unsigned overflowed = 0;
    for (size_t max_bytes = 0; max_bytes < 5000; max_bytes += 5) {
        struct llm_log l;
        struct llm_builder b;
        log_setup(&l, &b, max_bytes);
        size_t floor = l.bytes;
        llm_builder_delta(&b, LLM_PART_REASONING, BYTES("Let me think about this for a while."), none);
        llm_builder_delta(&b, LLM_PART_TEXT, BYTES("Some text that goes before the calls."), none);
        int calls[6];
        for (int i = 0; i < 6; i++)
            calls[i] = llm_builder_item(&b, LLM_OUT_FUNCTION_CALL, none, none, BYTES("function"));
        for (int k = 0; k < 60; k++)
            llm_builder_arguments(&b, calls[k % 6], BYTES("{\"argument\":\"value\"}"));
        llm_builder_item_end(&b, calls[0], BYTES("\"some\":\"extra members that take their room, too\""));
        llm_builder_finish(&b, LLM_FINISH_TOOL_CALLS);
        check_log(&l);
        ck_assert(l.ended);
        ck_assert_uint_le(l.bytes, MAX(max_bytes, floor));
        if (l.terminal == LLM_EV_FAILED) {
            overflowed++;
            ck_assert_str_eq(l.end.error.code, "response_too_large");
            ck_assert_int_eq(l.end.error.status, 502);
        }
        llm_log_free(&l);
    }
    ck_assert_uint_gt(overflowed, 100);
    ck_assert_uint_lt(overflowed, 1000);
}
END_TEST

START_TEST(test_too_many)
{
    struct llm_log l;
    struct llm_builder b;
    log_setup(&l, &b, 16 << 20);
    int last = 0;
    for (int i = 0; i < LLM_MAX_ITEMS; i++)
        last = llm_builder_item(&b, LLM_OUT_FUNCTION_CALL, none, none, BYTES("f"));
    ck_assert_int_eq(last, LLM_MAX_ITEMS - 1);
    ck_assert_int_eq(llm_builder_item(&b, LLM_OUT_MESSAGE, none, none, none), -1);
    ck_assert_int_eq(l.terminal, LLM_EV_FAILED);
    check_log(&l);
    llm_log_free(&l);

    log_setup(&l, &b, 16 << 20);
    for (int i = 0; i < LLM_MAX_PARTS; i++) {
        llm_builder_delta(&b, LLM_PART_TEXT, BYTES("p"), none);
        llm_builder_part_end(&b);
    }
    ck_assert(!l.ended);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("p"), none);
    ck_assert_str_eq(l.end.error.code, "response_too_large");
    check_log(&l);
    llm_log_free(&l);
}
END_TEST

/* ---- what single sequences make ---- */

START_TEST(test_plain_text)
{
    struct llm_log l;
    struct llm_builder b;
    log_setup(&l, &b, 1 << 20);
    llm_builder_start(&b);
    llm_builder_start(&b);
    llm_builder_delta(&b, LLM_PART_TEXT, none, none);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("Hel"), none);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("lo"), BYTES("\"logprobs\":{}"));
    llm_builder_usage(&b, &(struct llm_usage){.input_tokens = 3, .output_tokens = 2, .total_tokens = 5});
    llm_builder_finish(&b, LLM_FINISH_STOP);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("late"), none);
    llm_builder_cancel(&b);
    expect_log(&l, "created\nin_progress\nitem 0 message\npart 0.0 text\ndelta 0.0 text [Hel]\n"
                   "delta 0.0 text [lo] +\"logprobs\":{}\ntext_done 0.0 text\npart_done 0.0 text\nitem_done "
                   "0\ncompleted\n");
    ck_assert(l.end.usage.set);
    ck_assert_int_eq(l.end.usage.total_tokens, 5);
    llm_log_free(&l);
}
END_TEST

START_TEST(test_reasoning_then_text)
{
    struct llm_log l;
    struct llm_builder b;
    log_setup(&l, &b, 1 << 20);
    llm_builder_delta(&b, LLM_PART_SUMMARY, BYTES("s"), none);
    llm_builder_delta(&b, LLM_PART_REASONING, BYTES("r"), none);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("t"), none);
    llm_builder_delta(&b, LLM_PART_REFUSAL, BYTES("no"), none);
    llm_builder_delta(&b, LLM_PART_REASONING, BYTES("again"), none);
    llm_builder_finish(&b, LLM_FINISH_LENGTH);
    expect_log(&l,
               "created\nin_progress\nitem 0 reasoning\n"
               "part 0.0 summary\ndelta 0.0 summary [s]\ntext_done 0.0 summary\npart_done 0.0 summary\n"
               "part 0.0 reasoning\ndelta 0.0 reasoning [r]\ntext_done 0.0 reasoning\npart_done 0.0 "
               "reasoning\nitem_done 0\n"
               "item 1 message\npart 1.0 text\ndelta 1.0 text [t]\ntext_done 1.0 text\npart_done 1.0 text\n"
               "part 1.1 refusal\ndelta 1.1 refusal [no]\ntext_done 1.1 refusal\npart_done 1.1 "
               "refusal\nitem_done 1\n"
               "item 2 reasoning\npart 2.0 reasoning\ndelta 2.0 reasoning [again]\ntext_done 2.0 reasoning\n"
               "part_done 2.0 reasoning\nitem_done 2\nincomplete\n");
    llm_log_free(&l);
}
END_TEST

/* Calls stay open side by side; text may come between; all end in their order. */
START_TEST(test_calls)
{
    struct llm_log l;
    struct llm_builder b;
    log_setup(&l, &b, 1 << 20);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("t"), none);
    int first = llm_builder_item(&b, LLM_OUT_FUNCTION_CALL, none, BYTES("c1"), BYTES("f"));
    int second = llm_builder_item(&b, LLM_OUT_FUNCTION_CALL, none, BYTES("c2"), BYTES("g"));
    llm_builder_arguments(&b, second, BYTES("{"));
    llm_builder_arguments(&b, first, BYTES("{}"));
    llm_builder_arguments(&b, second, BYTES("}"));
    llm_builder_arguments(&b, 0, BYTES("not a call"));
    llm_builder_arguments(&b, 7, BYTES("no item"));
    llm_builder_arguments(&b, -1, BYTES("no item"));
    llm_builder_item_end(&b, second, none);
    llm_builder_item_end(&b, second, none);
    llm_builder_arguments(&b, second, BYTES("too late"));
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("u"), none);
    llm_builder_finish(&b, LLM_FINISH_TOOL_CALLS);
    expect_log(&l,
               "created\nin_progress\nitem 0 message\npart 0.0 text\ndelta 0.0 text [t]\ntext_done 0.0 text\n"
               "part_done 0.0 text\nitem_done 0\nitem 1 call c1 f\nitem 2 call c2 g\n"
               "delta 2.0 arguments [{]\ndelta 1.0 arguments [{}]\ndelta 2.0 arguments [}]\n"
               "text_done 2.0 arguments\nitem_done 2\nitem 3 message\npart 3.0 text\ndelta 3.0 text [u]\n"
               "text_done 1.0 arguments\nitem_done 1\ntext_done 3.0 text\npart_done 3.0 text\nitem_done "
               "3\ncompleted\n");
    llm_log_free(&l);
}
END_TEST

/* An item that its provider ended is whole, also in an answer that is not. */
START_TEST(test_cut)
{
    struct llm_log l;
    struct llm_builder b;
    for (int length = 0; length < 2; length++) {
        log_setup(&l, &b, 1 << 20);
        llm_builder_delta(&b, LLM_PART_REASONING, BYTES("r"), none);
        llm_builder_delta(&b, LLM_PART_TEXT, BYTES("t"), none);
        llm_builder_finish(&b, length ? LLM_FINISH_LENGTH : LLM_FINISH_STOP);
        ck_assert(!llm_log_item(&l, 0)->cut);
        ck_assert_int_eq(llm_log_item(&l, 1)->cut, length == 1);
        llm_log_free(&l);
    }
}
END_TEST

START_TEST(test_terminals)
{
    static const struct {
        enum llm_finish finish;
        enum llm_event_type terminal;
    } ends[] = {{LLM_FINISH_STOP, LLM_EV_COMPLETED},
                {LLM_FINISH_TOOL_CALLS, LLM_EV_COMPLETED},
                {LLM_FINISH_LENGTH, LLM_EV_INCOMPLETE},
                {LLM_FINISH_CONTENT_FILTER, LLM_EV_INCOMPLETE}};
    struct llm_log l;
    struct llm_builder b;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        log_setup(&l, &b, 1 << 20);
        llm_builder_finish(&b, ends[i].finish);
        ck_assert_int_eq(l.terminal, ends[i].terminal);
        ck_assert_int_eq(l.end.finish, ends[i].finish);
        ck_assert_uint_eq(l.count, 3);
        llm_log_free(&l);
    }
    log_setup(&l, &b, 1 << 20);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("t"), none);
    llm_builder_cancel(&b);
    ck_assert_int_eq(l.terminal, LLM_EV_CANCELLED);
    ck_assert(llm_log_item(&l, 0)->cut);
    check_log(&l);
    llm_log_free(&l);

    struct fault f = {.kind = FAULT_RATE_LIMITED};
    api_error_set(&f.error, 429, API_RATE, "rate_limit_exceeded", NULL, "Slower.");
    log_setup(&l, &b, 1 << 20);
    llm_builder_usage(&b, &(struct llm_usage){.input_tokens = 9});
    llm_builder_fail(&b, &f);
    expect_log(&l, "created\nin_progress\nfailed 429 rate_limit_exceeded\n");
    ck_assert_int_eq(l.end.usage.input_tokens, 9);
    ck_assert_str_eq(l.end.error.message, "Slower.");
    llm_log_free(&l);
}
END_TEST

/* An attempt's builder: nothing of the end is in the log before it is committed. */
START_TEST(test_outcome_waits)
{
    struct llm_log l;
    struct llm_builder b;
    struct fault f = {.kind = FAULT_RATE_LIMITED};
    api_error_set(&f.error, 429, API_RATE, "rate_limit_exceeded", NULL, "Slower.");
    log_setup(&l, &b, 1 << 20);
    b.keeps_outcome = true;
    llm_builder_start(&b);
    llm_builder_usage(&b, &(struct llm_usage){.input_tokens = 9});
    llm_builder_commit(&b); /* nothing to commit */
    llm_builder_fail(&b, &f);
    ck_assert_int_eq(b.outcome, LLM_FAILED);
    ck_assert_int_eq(b.fault, FAULT_RATE_LIMITED);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("late"), none);
    llm_builder_finish(&b, LLM_FINISH_STOP);
    expect_log(&l, "created\nin_progress\n");
    ck_assert(!llm_builder_begun(&b));

    llm_builder_again(&b);
    ck_assert(!llm_builder_ended(&b));
    ck_assert(!l.end.usage.set);
    llm_builder_delta(&b, LLM_PART_TEXT, BYTES("t"), none);
    ck_assert(llm_builder_begun(&b));
    llm_builder_fail(&b, &f);
    ck_assert(!l.ended);
    llm_builder_commit(&b);
    llm_builder_commit(&b);
    ck_assert_int_eq(l.terminal, LLM_EV_FAILED);
    ck_assert(llm_log_item(&l, 0)->cut);
    check_log(&l);
    llm_log_free(&l);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_any_sequence, test_every_ceiling,       test_too_many,
                                  test_plain_text,   test_reasoning_then_text, test_calls,
                                  test_cut,          test_terminals,           test_outcome_waits};
    return run_tests("llm_builder", tests, ARRAY_LEN(tests));
}

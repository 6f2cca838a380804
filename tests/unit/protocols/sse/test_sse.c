#include "protocols/sse/sse.h"
#include "tests/unit/common/run.h"
#include "tests/unit/protocols/json/cases.h"

/* The events so far, in the form of the .events files. */
static struct buf seen;
static struct sse_parser parser;

static void note(void *ctx, const struct sse_event *e)
{
    static const char hex[] = "0123456789abcdef";
    struct buf *out = ctx;

    if (!e->name.data || !e->data.data)
        ck_abort_msg("an event without bytes");
    (void)buf_printf(out, "[\"%.*s\",\"", BYTES_FMT(e->name));
    if (buf_reserve(out, e->data.len * 2))
        ck_abort();
    for (size_t i = 0; i < e->data.len; i++) {
        unsigned char c = (unsigned char)e->data.data[i];
        out->data[out->len++] = hex[c >> 4];
        out->data[out->len++] = hex[c & 15];
    }
    (void)buf_append(out, "\"]\n", 3);
}

static void start(size_t max_event)
{
    buf_reset(&seen);
    sse_init(&parser, max_event, note, &seen);
}

static void setup(void)
{
    buf_init(&seen, 1U << 20);
    start(10000);
}

static void teardown(void)
{
    sse_free(&parser);
    sse_free(NULL);
    buf_free(&seen);
}

/* From memory of exactly this size that is gone afterwards. */
static enum err feed(struct bytes part)
{
    char *copy = malloc(part.len > 0 ? part.len : 1);

    if (!copy)
        ck_abort();
    if (part.len > 0)
        memcpy(copy, part.data, part.len);
    enum err e = sse_feed(&parser, bytes_of(copy, part.len));
    free(copy);
    return e;
}

/* Feeds text split at `a` and `b`: the events must be the wanted ones. */
static void run_split(const char *name, struct bytes text, struct bytes want, size_t a, size_t b)
{
    sse_free(&parser);
    start(10000);
    /* check notes every assertion that it passes: too slow for some hundred thousand. */
    if (feed(bytes_of(text.data, a)) || feed(bytes_of(text.data + a, b - a)) ||
        feed(bytes_of(text.data + b, text.len - b)))
        ck_abort_msg("%s split at %zu and %zu", name, a, b);
    (void)buf_printf(&seen, "[%ju,%s]\n", (uintmax_t)parser.comments,
                     sse_at_boundary(&parser) ? "true" : "false");
    if (!bytes_eq(buf_bytes(&seen), want))
        ck_abort_msg("%s split at %zu and %zu:\n%.*swanted:\n%.*s", name, a, b, BYTES_FMT(buf_bytes(&seen)),
                     BYTES_FMT(want));
}

static unsigned streams;

static void every_split_of(const char *name, struct bytes text)
{
    char events[256];
    size_t len;

    if (!strstr(name, ".sse"))
        return;
    (void)snprintf(events, sizeof(events), "%.*s.events", (int)(strlen(name) - 4), name);
    char *want = read_case(FIXTURES "/sse", events, &len);
    for (size_t a = 0; a <= text.len; a++)
        for (size_t b = a; b <= text.len; b++)
            run_split(name, text, bytes_of(want, len), a, b);
    free(want);
    streams++;
}

START_TEST(every_split)
{
    (void)each_case(FIXTURES "/sse", every_split_of);
    ck_assert_uint_ge(streams, 14);
}
END_TEST

static void byte_by_byte_of(const char *name, struct bytes text)
{
    char events[256];
    size_t len;

    if (!strstr(name, ".sse"))
        return;
    (void)snprintf(events, sizeof(events), "%.*s.events", (int)(strlen(name) - 4), name);
    char *want = read_case(FIXTURES "/sse", events, &len);
    sse_free(&parser);
    start(10000);
    for (size_t i = 0; i < text.len; i++)
        ck_assert_int_eq(feed(bytes_of(text.data + i, 1)), ERR_OK);
    (void)buf_printf(&seen, "[%ju,%s]\n", (uintmax_t)parser.comments,
                     sse_at_boundary(&parser) ? "true" : "false");
    ck_assert_msg(bytes_eq(buf_bytes(&seen), bytes_of(want, len)), "%s", name);
    free(want);
}

START_TEST(byte_by_byte)
{
    (void)each_case(FIXTURES "/sse", byte_by_byte_of);
}
END_TEST

static const char chunk[] = "event: e\ndata: whole\n\ndata: second\n\n";
static unsigned borrowed;

static void must_be_borrowed(void *ctx, const struct sse_event *e)
{
    (void)ctx;
    ck_assert(e->data.data >= chunk && e->data.data + e->data.len <= chunk + sizeof(chunk));
    ck_assert(e->name.len == 0 || e->name.data == chunk + 7);
    borrowed++;
}

START_TEST(whole_events_are_slices)
{
    sse_init(&parser, 1000, must_be_borrowed, NULL);
    ck_assert_int_eq(sse_feed(&parser, bytes_cstr(chunk)), ERR_OK);
    ck_assert_uint_eq(borrowed, 2);
    ck_assert_ptr_null(parser.line_.data);
    ck_assert_ptr_null(parser.data_.data);
    ck_assert_ptr_null(parser.name_.data);
    ck_assert_int_eq(sse_feed(&parser, (struct bytes){NULL, 0}), ERR_OK);
}
END_TEST

/* Too much is too much at any split; what comes before is reported. */
static void over_limit(struct bytes text, size_t max, const char *want)
{
    for (size_t split = 0; split <= text.len; split++) {
        sse_free(&parser);
        start(max);
        enum err e = feed(bytes_of(text.data, split));
        if (!e)
            e = feed(bytes_of(text.data + split, text.len - split));
        ck_assert_msg(e == ERR_LIMIT, "split %zu: %s", split, err_name(e));
        ck_assert_msg(bytes_is(buf_bytes(&seen), want), "split %zu: %.*s", split,
                      BYTES_FMT(buf_bytes(&seen)));
        /* Dead it stays. */
        ck_assert_int_eq(feed(BYTES("data: x\n\n")), ERR_LIMIT);
        ck_assert(bytes_is(buf_bytes(&seen), want));
    }
}

static void within_limit(struct bytes text, size_t max, const char *want)
{
    for (size_t split = 0; split <= text.len; split++) {
        sse_free(&parser);
        start(max);
        ck_assert_int_eq(feed(bytes_of(text.data, split)), ERR_OK);
        ck_assert_int_eq(feed(bytes_of(text.data + split, text.len - split)), ERR_OK);
        ck_assert_msg(bytes_is(buf_bytes(&seen), want), "split %zu: %.*s", split,
                      BYTES_FMT(buf_bytes(&seen)));
    }
}

START_TEST(events_have_a_ceiling)
{
    within_limit(BYTES("data: 12345678\n\ndata: 1234\ndata: 567\n\n"), 8,
                 "[\"\",\"3132333435363738\"]\n[\"\",\"313233340a353637\"]\n");
    over_limit(BYTES("data: 1\n\ndata: 123456789\n\n"), 8, "[\"\",\"31\"]\n");
    over_limit(BYTES("data: 1\n\ndata: 1234\ndata: 5678\n\n"), 8, "[\"\",\"31\"]\n");
    over_limit(BYTES("data: 1\n\ndata: 12345678\ndata\n\n"), 8, "[\"\",\"31\"]\n");
    over_limit(BYTES("data\ndata\ndata\ndata\n\n"), 2, "");
    over_limit(BYTES(": a comment that is longer than any line may be\n"), 8, "");
    over_limit(BYTES("an endless line without an end, and nothing at all behind"), 8, "");
    over_limit(BYTES("event: a name that is longer than any line may be\n"), 8, "");
}
END_TEST

static void stop_at_second(void *ctx, const struct sse_event *e)
{
    unsigned *n = ctx;

    (void)e;
    if (++*n == 2)
        parser.stopped = true;
}

START_TEST(stops_when_told)
{
    static const char text[] = "data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n";

    for (size_t split = 0; split < sizeof(text); split++) {
        unsigned n = 0;
        sse_free(&parser);
        sse_init(&parser, 100, stop_at_second, &n);
        ck_assert_int_eq(feed(bytes_of(text, split)), ERR_OK);
        ck_assert_int_eq(feed(bytes_of(text + split, sizeof(text) - 1 - split)), ERR_OK);
        ck_assert_int_eq(feed(BYTES("data: 5\n\n")), ERR_OK);
        ck_assert_uint_eq(n, 2);
    }
}
END_TEST

START_TEST(boundaries)
{
    ck_assert(sse_at_boundary(&parser));
    ck_assert_int_eq(feed(BYTES("da")), ERR_OK);
    ck_assert(!sse_at_boundary(&parser));
    ck_assert_int_eq(feed(BYTES("ta: x\n")), ERR_OK);
    ck_assert(!sse_at_boundary(&parser));
    ck_assert_int_eq(feed(BYTES("\n")), ERR_OK);
    ck_assert(sse_at_boundary(&parser));
    ck_assert_int_eq(feed(BYTES(": half a comm")), ERR_OK);
    ck_assert(sse_at_boundary(&parser));
    ck_assert_int_eq(feed(BYTES("ent\nevent: x\n")), ERR_OK);
    ck_assert(!sse_at_boundary(&parser));
    ck_assert_int_eq(feed(BYTES("\r")), ERR_OK);
    ck_assert(sse_at_boundary(&parser));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("sse");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, every_split);
    tcase_add_test(tc, byte_by_byte);
    tcase_add_test(tc, whole_events_are_slices);
    tcase_add_test(tc, events_have_a_ceiling);
    tcase_add_test(tc, stops_when_told);
    tcase_add_test(tc, boundaries);
    return run_case(tc);
}

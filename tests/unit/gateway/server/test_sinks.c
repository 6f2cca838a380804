#include "gateway/server/sinks.h"
#include "gateway/server/ws.h"
#include "tests/unit/common/run.h"

static void event(struct event_sink *s, const char *name, size_t len)
{
    static char text[70000];
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + i % 26);
    s->begin(s, name);
    buf_append(s->out, text, len);
    s->end(s);
}

START_TEST(ws_frames_have_the_shortest_header)
{
    static const size_t lens[] = {0, 1, 125, 126, 127, 65535, 65536, 70000};
    struct buf out;
    buf_init(&out, 1 << 20);
    struct event_sink s = ws_sink(&out);
    for (size_t i = 0; i < ARRAY_LEN(lens); i++)
        event(&s, "ignored", lens[i]);
    struct bytes rest = buf_bytes(&out);
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        uint8_t head[WS_MAX_HEADER];
        size_t n = ws_header(head, WS_OP_TEXT, lens[i]);
        ck_assert_uint_ge(rest.len, n + lens[i]);
        ck_assert_mem_eq(rest.data, head, n);
        size_t right = 0;
        while (right < lens[i] && rest.data[n + right] == (char)('a' + right % 26))
            right++;
        ck_assert_uint_eq(right, lens[i]);
        rest = bytes_skip(rest, n + lens[i]);
    }
    ck_assert_uint_eq(rest.len, 0);
    buf_free(&out);
}
END_TEST

START_TEST(ws_sink_leaves_a_failed_buffer_alone)
{
    struct buf out;
    /* Full in the payload, and full by the longer header alone. */
    static const struct {
        size_t max, len;
    } cases[] = {{100, 200}, {65536 + 4, 65536}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_init(&out, cases[i].max);
        struct event_sink s = ws_sink(&out);
        event(&s, NULL, cases[i].len);
        ck_assert(out.failed);
        ck_assert_uint_le(out.len, cases[i].max);
        buf_free(&out);
    }
}
END_TEST

START_TEST(sse_events)
{
    struct buf out;
    buf_init(&out, 1000);
    struct event_sink s = sse_sink(&out);
    event(&s, "response.created", 3);
    event(&s, NULL, 2);
    ck_assert(bytes_is(buf_bytes(&out), "event: response.created\ndata: abc\n\ndata: ab\n\n"));
    buf_free(&out);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("sinks");

    tcase_add_test(tc, ws_frames_have_the_shortest_header);
    tcase_add_test(tc, ws_sink_leaves_a_failed_buffer_alone);
    tcase_add_test(tc, sse_events);
    return run_case(tc);
}

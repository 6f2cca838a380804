#include "gateway/server/ws.h"
#include "tests/unit/common/run.h"
#include <stdio.h>
#include <stdlib.h>

enum { MAX_MESSAGE = 1000 };

/* A client's frame, masked. */
static void frame(struct buf *out, unsigned first, struct bytes payload)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x00, 0x3d};
    uint8_t head[WS_MAX_HEADER];
    size_t n = ws_header(head, WS_OP_TEXT, payload.len);
    head[0] = (uint8_t)first;
    head[1] |= 0x80;
    buf_append(out, head, n);
    buf_append(out, mask, sizeof(mask));
    for (size_t i = 0; i < payload.len; i++)
        buf_append_char(out, (char)(payload.data[i] ^ (char)mask[i % 4]));
}

#define FIN 0x80U

static const char *const event_names[] = {"more", "text", "binary", "ping", "pong", "close", "fail"};

/* False: it failed. */
static bool feed(struct ws_receiver *r, struct buf *transcript, const char *data, size_t len)
{
    struct ws_incoming in;
    enum ws_event e;
    char *copy = malloc(len > 0 ? len : 1);
    ck_assert_ptr_nonnull(copy);
    if (len > 0)
        memcpy(copy, data, len);
    char *at = copy;
    while ((e = ws_feed(r, &at, &len, &in)) != WS_MORE && e != WS_FAIL)
        buf_printf(transcript, "%s(%u,%.*s)", event_names[e], in.code, BYTES_FMT(in.data));
    if (e == WS_FAIL)
        buf_printf(transcript, "fail(%u)", in.code);
    else
        ck_assert_uint_eq(len, 0);
    free(copy);
    return e != WS_FAIL;
}

static void read_cut(struct buf *transcript, struct bytes s, size_t a, size_t b, size_t step)
{
    struct ws_receiver r;
    bool ok = true;
    ws_init(&r, MAX_MESSAGE);
    buf_reset(transcript);
    if (step > 0)
        for (size_t i = 0; ok && i < s.len; i += step)
            ok = feed(&r, transcript, s.data + i, MIN(step, s.len - i));
    else
        ok = feed(&r, transcript, s.data, a) && feed(&r, transcript, s.data + a, b - a) &&
             feed(&r, transcript, s.data + b, s.len - b);
    if (ok)
        ck_assert_ptr_null(r.in_payload_ || r.message_opcode_ != 0 ? NULL : r.message_.data);
    ws_free(&r);
}

static void reads(const struct buf *stream, const char *expected)
{
    const struct bytes s = buf_bytes(stream);
    struct buf t;
    buf_init(&t, 1 << 20);
    for (size_t a = 0; a <= s.len; a++)
        for (size_t b = a; b <= s.len; b += s.len < 64 ? 1 : s.len - a + 1) {
            read_cut(&t, s, a, b, 0);
            ck_assert_msg(bytes_is(buf_bytes(&t), expected), "cut %zu %zu: %.*s, expected %s", a, b,
                          BYTES_FMT(buf_bytes(&t)), expected);
        }
    for (size_t step = 1; step < 20; step++) {
        read_cut(&t, s, 0, 0, step);
        ck_assert_msg(bytes_is(buf_bytes(&t), expected), "step %zu: %.*s, expected %s", step,
                      BYTES_FMT(buf_bytes(&t)), expected);
    }
    buf_free(&t);
}

/* One frame. */
static void reads_frame(unsigned first, struct bytes payload, const char *expected)
{
    struct buf s;
    buf_init(&s, 1 << 20);
    frame(&s, first, payload);
    reads(&s, expected);
    buf_free(&s);
}

static void reads_raw(struct bytes raw, const char *expected)
{
    struct buf s;
    buf_init(&s, 1 << 20);
    buf_append_bytes(&s, raw);
    reads(&s, expected);
    buf_free(&s);
}

START_TEST(reads_messages_and_control_frames)
{
    struct buf s;
    buf_init(&s, 1 << 20);
    frame(&s, FIN | WS_OP_TEXT, BYTES("Hello"));
    frame(&s, FIN | WS_OP_BINARY, BYTES("bin"));
    frame(&s, FIN | WS_OP_TEXT, BYTES(""));
    frame(&s, FIN | WS_OP_PING, BYTES("p"));
    frame(&s, FIN | WS_OP_PONG, BYTES(""));
    frame(&s, FIN | WS_OP_CLOSE,
          BYTES("\x03\xe8"
                "bye"));
    reads(&s, "text(0,Hello)binary(0,bin)text(0,)ping(0,p)pong(0,)close(1000,bye)");
    buf_free(&s);
}
END_TEST

START_TEST(assembles_fragments_with_control_frames_between)
{
    struct buf s;
    buf_init(&s, 1 << 20);
    frame(&s, WS_OP_TEXT, BYTES("on"));
    frame(&s, FIN | WS_OP_PING, BYTES("1"));
    frame(&s, WS_OP_CONTINUATION, BYTES(""));
    frame(&s, WS_OP_CONTINUATION, BYTES("e \xe2"));
    frame(&s, FIN | WS_OP_PONG, BYTES("2"));
    frame(&s, FIN | WS_OP_CONTINUATION, BYTES("\x82\xac"));
    frame(&s, WS_OP_BINARY, BYTES(""));
    frame(&s, FIN | WS_OP_CONTINUATION, BYTES("\xff"));
    frame(&s, WS_OP_TEXT, BYTES(""));
    frame(&s, FIN | WS_OP_CONTINUATION, BYTES(""));
    reads(&s, "ping(0,1)pong(0,2)text(0,one \xe2\x82\xac)binary(0,\xff)text(0,)");
    buf_free(&s);
}
END_TEST

START_TEST(refuses_wrong_frames)
{
    for (unsigned op = 3; op <= 15; op++)
        if (op < 8 || op > 10)
            reads_frame(FIN | op, BYTES(""), "fail(1002)");
    reads_frame(FIN | 0x40U | WS_OP_TEXT, BYTES("x"), "fail(1002)");
    reads_frame(FIN | 0x20U | WS_OP_TEXT, BYTES("x"), "fail(1002)");
    reads_frame(FIN | 0x10U | WS_OP_PING, BYTES("x"), "fail(1002)");
    reads_frame(WS_OP_PING, BYTES(""), "fail(1002)");
    reads_frame(WS_OP_CLOSE, BYTES(""), "fail(1002)");
    reads_frame(FIN | WS_OP_CONTINUATION, BYTES("x"), "fail(1002)");
    reads_frame(WS_OP_CONTINUATION, BYTES("x"), "fail(1002)");
    /* Not masked; lengths not in the shortest form; a length of 2^63; a control frame of 126. */
    reads_raw(BYTES("\x81\x01x"), "fail(1002)");
    reads_raw(BYTES("\x81\x00"), "fail(1002)");
    reads_raw(BYTES("\x81\xfe\x00\x7d"
                    "mask"),
              "fail(1002)");
    reads_raw(BYTES("\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff"
                    "mask"),
              "fail(1002)");
    reads_raw(BYTES("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00"
                    "mask"),
              "fail(1002)");
    reads_raw(BYTES("\x89\xfe\x00\x7e"
                    "mask"),
              "fail(1002)");
}
END_TEST

START_TEST(refuses_a_message_inside_another)
{
    struct buf s;
    buf_init(&s, 1 << 20);
    frame(&s, WS_OP_TEXT, BYTES("a"));
    frame(&s, FIN | WS_OP_TEXT, BYTES("b"));
    reads(&s, "fail(1002)");
    buf_reset(&s);
    frame(&s, FIN | WS_OP_TEXT, BYTES("a"));
    frame(&s, FIN | WS_OP_CONTINUATION, BYTES("b"));
    reads(&s, "text(0,a)fail(1002)");
    buf_free(&s);
}
END_TEST

START_TEST(refuses_bad_utf8_at_once)
{
    struct buf s;
    struct ws_receiver r;
    struct ws_incoming in;
    buf_init(&s, 1 << 20);
    reads_frame(FIN | WS_OP_TEXT, BYTES("ok\xff"), "fail(1007)");
    reads_frame(FIN | WS_OP_TEXT, BYTES("cut \xe2\x82"), "fail(1007)");
    reads_frame(FIN | WS_OP_TEXT, BYTES("\xed\xa0\x80"), "fail(1007)");
    reads_frame(FIN | WS_OP_TEXT, BYTES("\xc0\xaf"), "fail(1007)");
    reads_frame(FIN | WS_OP_TEXT, BYTES("\xf4\x90\x80\x80"), "fail(1007)");
    reads_frame(FIN | WS_OP_BINARY, BYTES("\xff"), "binary(0,\xff)");
    frame(&s, WS_OP_TEXT, BYTES("\xce"));
    frame(&s, FIN | WS_OP_CONTINUATION, BYTES("x"));
    reads(&s, "fail(1007)");

    /* Before the frame is complete. */
    buf_reset(&s);
    frame(&s, FIN | WS_OP_TEXT, BYTES("\xff and much more to come"));
    ws_init(&r, MAX_MESSAGE);
    char *at = s.data;
    size_t len = 2 + 4 + 1;
    ck_assert_int_eq(ws_feed(&r, &at, &len, &in), WS_FAIL);
    ck_assert_uint_eq(in.code, WS_BAD_DATA);
    len = 1;
    ck_assert_int_eq(ws_feed(&r, &at, &len, &in), WS_FAIL);
    ws_free(&r);
    buf_free(&s);
}
END_TEST

START_TEST(keeps_its_limit)
{
    struct buf s, big;
    buf_init(&s, 1 << 20);
    buf_init(&big, 1 << 20);
    for (size_t i = 0; i < MAX_MESSAGE; i++)
        buf_append_char(&big, 'x');
    frame(&s, FIN | WS_OP_BINARY, buf_bytes(&big));
    buf_append_char(&big, 'x');
    frame(&s, FIN | WS_OP_BINARY, buf_bytes(&big));
    struct buf t;
    buf_init(&t, 1 << 20);
    for (size_t step = 1; step < 3000; step += 333) {
        read_cut(&t, buf_bytes(&s), 0, 0, step);
        ck_assert_uint_gt(t.len, MAX_MESSAGE);
        ck_assert(bytes_is(bytes_skip(buf_bytes(&t), t.len - strlen(")fail(1009)")), ")fail(1009)"));
    }
    /* Seen from the header alone: of the whole, or of the fragment that is one too many. */
    reads_raw(BYTES("\x82\xfe\x03\xe9"
                    "mask"),
              "fail(1009)");
    reads_raw(BYTES("\x82\xff\x00\x00\x01\x00\x00\x00\x00\x00"
                    "mask"),
              "fail(1009)");
    buf_reset(&s);
    frame(&s, WS_OP_BINARY, bytes_of(big.data, MAX_MESSAGE));
    frame(&s, WS_OP_CONTINUATION, BYTES("x"));
    read_cut(&t, buf_bytes(&s), 0, 0, 100);
    ck_assert(bytes_is(buf_bytes(&t), "fail(1009)"));
    buf_free(&t);
    buf_free(&s);
    buf_free(&big);
}
END_TEST

START_TEST(checks_close_frames)
{
    static const struct {
        unsigned code;
        bool valid;
    } codes[] = {{0, false},    {999, false},  {1000, true},  {1001, true},  {1002, true},  {1003, true},
                 {1004, false}, {1005, false}, {1006, false}, {1007, true},  {1011, true},  {1012, true},
                 {1014, true},  {1015, false}, {1016, false}, {1100, false}, {2999, false}, {3000, true},
                 {4999, true},  {5000, false}, {65535, false}};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        char payload[2] = {(char)(codes[i].code >> 8), (char)(codes[i].code & 0xff)};
        char expected[32];
        snprintf(expected, sizeof(expected), "close(%u,)", codes[i].code);
        reads_frame(FIN | WS_OP_CLOSE, bytes_of(payload, 2), codes[i].valid ? expected : "fail(1002)");
    }
    reads_frame(FIN | WS_OP_CLOSE, BYTES(""), "close(1005,)");
    reads_frame(FIN | WS_OP_CLOSE, BYTES("\x03"), "fail(1002)");
    reads_frame(FIN | WS_OP_CLOSE, BYTES("\x03\xe8\xff"), "fail(1007)");
    reads_frame(FIN | WS_OP_CLOSE, BYTES("\x03\xe8\xe2\x82"), "fail(1007)");
}
END_TEST

START_TEST(unmasks_from_any_place)
{
    static const uint8_t mask[4] = {1, 2, 4, 8};
    char data[64], expected[64];
    for (size_t start = 0; start < 9; start++)
        for (size_t len = 0; len < 40; len++)
            for (size_t phase = 0; phase < 5; phase++) {
                for (size_t i = 0; i < sizeof(data); i++)
                    data[i] = expected[i] = (char)(i * 7);
                for (size_t i = 0; i < len; i++)
                    expected[start + i] = (char)(expected[start + i] ^ (char)mask[(phase + i) % 4]);
                ws_unmask(data + start, len, mask, phase);
                ck_assert_mem_eq(data, expected, sizeof(data));
            }
}
END_TEST

START_TEST(frames_what_is_sent)
{
    static const struct {
        uint64_t len;
        size_t size;
        const char *head;
    } cases[] = {{0, 2, "\x81\x00"},
                 {125, 2, "\x81\x7d"},
                 {126, 4, "\x81\x7e\x00\x7e"},
                 {65535, 4, "\x81\x7e\xff\xff"},
                 {65536, 10, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"}};
    uint8_t head[WS_MAX_HEADER];
    struct buf out;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_uint_eq(ws_header(head, WS_OP_TEXT, cases[i].len), cases[i].size);
        ck_assert_mem_eq(head, cases[i].head, cases[i].size);
    }
    buf_init(&out, 300);
    ws_append(&out, WS_OP_PONG, BYTES("ab"));
    ws_append_close(&out, WS_NO_STATUS, BYTES("dropped"));
    ws_append_close(&out, 1000, BYTES("bye"));
    ck_assert(bytes_eq(buf_bytes(&out), BYTES("\x8a\x02"
                                              "ab\x88\x00\x88\x05\x03\xe8"
                                              "bye")));
    /* A reason that is too long is cut between characters: 123 bytes are 61 of two and one over. */
    char reason[200];
    for (size_t i = 0; i < sizeof(reason); i += 2)
        memcpy(reason + i, "\xc3\xa9", 2);
    buf_reset(&out);
    ws_append_close(&out, 1011, bytes_of(reason, sizeof(reason)));
    ck_assert_uint_eq(out.len, 2 + 2 + 122);
    ck_assert(utf8_valid(bytes_skip(buf_bytes(&out), 4)));
    /* All or nothing. */
    buf_reset(&out);
    ws_append(&out, WS_OP_TEXT, bytes_of(reason, 200));
    ws_append(&out, WS_OP_TEXT, bytes_of(reason, 120));
    ck_assert(out.failed);
    ck_assert_uint_eq(out.len, 204);
    buf_free(&out);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("ws");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, reads_messages_and_control_frames);
    tcase_add_test(tc, assembles_fragments_with_control_frames_between);
    tcase_add_test(tc, refuses_wrong_frames);
    tcase_add_test(tc, refuses_a_message_inside_another);
    tcase_add_test(tc, refuses_bad_utf8_at_once);
    tcase_add_test(tc, keeps_its_limit);
    tcase_add_test(tc, checks_close_frames);
    tcase_add_test(tc, unmasks_from_any_place);
    tcase_add_test(tc, frames_what_is_sent);
    return run_case(tc);
}

/* Whatever pieces a response arrives in, it is the same response; and what two readers could read in two ways
 * is no response. */
#include "protocols/http1/http1_response.h"
#include "tests/unit/common/run.h"
#include <stdio.h>
#include <stdlib.h>

enum { MAX_LINE = 512 };

/* What came out. */
struct transcript {
    struct buf lines, body;
    enum http1_response_step last;
    size_t left; /* of the input */
    bool keeps, whole_at_close;
};

static void feed(struct http1_response *r, struct transcript *t, struct bytes piece)
{
    char *copy = malloc(piece.len + 1); /* its own memory: a read past its end shows */
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, piece.data, piece.len);
    copy = realloc(copy, piece.len ? piece.len : 1);
    ck_assert_ptr_nonnull(copy);
    struct bytes in = bytes_of(copy, piece.len), part;
    do {
        t->last = http1_response_next(r, &in, &part);
        if (t->last == RESPONSE_HEAD_LINE)
            buf_append_bytes(&t->lines, part);
        if (t->last == RESPONSE_BODY)
            buf_append_bytes(&t->body, part);
    } while (t->last == RESPONSE_HEAD_LINE || t->last == RESPONSE_BODY);
    t->left += t->last == RESPONSE_MORE ? 0 : in.len;
    ck_assert(t->last != RESPONSE_MORE || in.len == 0);
    free(copy);
}

static void transcript_free(struct transcript *t)
{
    buf_free(&t->lines);
    buf_free(&t->body);
}

/* In pieces that end at `first`, and then every `step` bytes. */
static void run(struct transcript *t, struct bytes all, size_t first, size_t step)
{
    struct http1_response r;
    *t = (struct transcript){0};
    buf_init(&t->lines, 1 << 20);
    buf_init(&t->body, 1 << 20);
    http1_response_init(&r, MAX_LINE);
    feed(&r, t, bytes_of(all.data, first));
    for (size_t at = first; at < all.len; at += step)
        feed(&r, t, bytes_of(all.data + at, MIN(step, all.len - at)));
    t->keeps = http1_response_keeps(&r);
    t->whole_at_close = http1_response_whole_at_close(&r);
    http1_response_free(&r);
}

static void same(const struct transcript *a, const struct transcript *b)
{
    ck_assert_int_eq(a->last, b->last);
    if (a->last == RESPONSE_BAD)
        return; /* how much was handed out before that depends on the pieces */
    ck_assert(bytes_eq(buf_bytes(&a->lines), buf_bytes(&b->lines)));
    ck_assert(bytes_eq(buf_bytes(&a->body), buf_bytes(&b->body)));
    ck_assert_uint_eq(a->left, b->left);
    ck_assert_int_eq(a->keeps, b->keeps);
    ck_assert_int_eq(a->whole_at_close, b->whole_at_close);
}

/* In one piece; and split at each offset, byte by byte, and in threes, with the same result. */
static void all_splits(struct transcript *whole, struct bytes all)
{
    run(whole, all, all.len, 1);
    for (size_t at = 0; at <= all.len; at++) {
        struct transcript t;
        run(&t, all, at, all.len);
        same(whole, &t);
        transcript_free(&t);
    }
    for (size_t step = 1; step <= 3; step += 2) {
        struct transcript t;
        run(&t, all, 0, step);
        same(whole, &t);
        transcript_free(&t);
    }
}

static const char *const step_names[] = {"more", "body", "end", "bad", "line"};

static void check_response(struct bytes all, enum http1_response_step last, const char *body, bool keeps,
                           size_t left)
{
    struct transcript t;
    all_splits(&t, all);
    ck_assert_msg(t.last == last, "'%.*s': %s, not %s", BYTES_FMT(all), step_names[t.last], step_names[last]);
    if (last != RESPONSE_BAD) {
        ck_assert_msg(bytes_is(buf_bytes(&t.body), body), "body is '%.*s'", (int)t.body.len,
                      t.body.data ? t.body.data : "");
        ck_assert_msg(t.keeps == keeps, "'%.*s': keeps %d", BYTES_FMT(all), t.keeps);
        ck_assert_uint_eq(t.left, left);
    }
    transcript_free(&t);
}

#define OK_LINE "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK_LINE "Transfer-Encoding: chunked\r\n\r\n"
#define LENGTH(n) OK_LINE "Content-Length: " #n "\r\n\r\n"

START_TEST(responses_that_end)
{
    static const struct {
        const char *all, *body;
        bool keeps;
        size_t left;
    } cases[] = {
        {LENGTH(5) "Hello", "Hello", true, 0},
        {LENGTH(0), "", true, 0},
        {LENGTH(5) "Hello, again", "Hello", true, 7},
        {OK_LINE "content-LENGTH:5\r\n\r\nHello", "Hello", true, 0},
        {"HTTP/1.1 200\r\nContent-Length: 2 \t\r\n\r\nhi", "hi", true, 0},
        {"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", "hi", true, 0},
        {"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "hi", true, 0},
        {CHUNKED "5\r\nHello\r\n0\r\n\r\n", "Hello", true, 0},
        {CHUNKED "5\r\nHello\r\n7\r\n, again\r\n0\r\n\r\n", "Hello, again", true, 0},
        {CHUNKED "1\r\na\r\n0000000000A\r\n0123456789\r\n000\r\n\r\nrest", "a0123456789", true, 4},
        {CHUNKED "c;name=value;\"x\"\r\nHello\r\nthere\r\n0;last\r\n\r\n", "Hello\r\nthere", true, 0},
        {CHUNKED "5 \r\nHello\r\n0\t\r\n\r\n", "Hello", true, 0},
        {CHUNKED "5\r\nHello\r\n0\r\nTrailer: 1\r\nAnother: 2\r\n\r\n", "Hello", true, 0},
        {CHUNKED "0\r\n\r\n", "", true, 0},
        {OK_LINE "transfer-encoding: Chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n", "x", false, 0},
        {OK_LINE "Connection: foo , Close\r\nContent-Length: 1\r\n\r\nx", "x", false, 0},
        {OK_LINE "Connection: keep-alive, closed\r\nContent-Length: 1\r\n\r\nx", "x", true, 0},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", false, 0},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "x", false, 0},
        {"HTTP/1.1 204 No Content\r\n\r\n", "", true, 0},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "", true, 0},
        {"HTTP/1.1 100 Continue\r\n\r\n" LENGTH(1) "x", "x", true, 0},
        {"HTTP/1.1 103 Hints\r\nContent-Length: 7\r\nConnection: close\r\n\r\n"
         "HTTP/1.1 102 Wait\r\n\r\n" CHUNKED "1\r\nx\r\n0\r\n\r\n",
         "x", true, 0},
        {"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", "no", true, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_response(bytes_cstr(cases[i].all), RESPONSE_END, cases[i].body, cases[i].keeps, cases[i].left);
}
END_TEST

START_TEST(responses_that_go_on)
{
    static const struct {
        const char *all, *body;
        bool whole_at_close;
    } cases[] = {
        {"", "", false},
        {"HTTP/1.", "", false},
        {"HTTP/1.1 2", "", false},
        {OK_LINE, "", false},
        {OK_LINE "Content-Length: 1", "", false},
        {LENGTH(5) "Hell", "Hell", false},
        {CHUNKED, "", false},
        {CHUNKED "5\r\nHello", "Hello", false},
        {CHUNKED "5\r\nHello\r\n0\r\n", "Hello", false},
        {CHUNKED "5\r\nHello\r\n0\r\nTrail", "Hello", false},
        {OK_LINE "\r\n", "", true},
        {OK_LINE "\r\nuntil the connection closes", "until the connection closes", true},
        {"HTTP/1.1 100 Continue\r\n\r\n", "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct transcript t;
        check_response(bytes_cstr(cases[i].all), RESPONSE_MORE, cases[i].body, false, 0);
        run(&t, bytes_cstr(cases[i].all), 0, 1);
        ck_assert_int_eq(t.whole_at_close, cases[i].whole_at_close);
        transcript_free(&t);
    }
}
END_TEST

START_TEST(no_responses)
{
    static const char *const cases[] = {
        "\r\n",
        "\r\n" LENGTH(1) "x",
        "S",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2 200\r\n",
        "HTTP/1.2 200 OK\r\n",
        "HTTP/1.1  200 OK\r\n",
        "HTTP/1.1 20 OK\r\n",
        "HTTP/1.1 2000 OK\r\n",
        "HTTP/1.1 2x0 OK\r\n",
        "HTTP/1.1 099 OK\r\n",
        "HTTP/1.1\t200 OK\r\n",
        "http/1.1 200 OK\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n",
        OK_LINE "no colon\r\n",
        OK_LINE ": no name\r\n",
        OK_LINE "Content-Length : 1\r\n",
        OK_LINE " folded: 1\r\n",
        OK_LINE "x: 1\r\n\tfolded\r\n",
        OK_LINE "x: a\rb\r\n",
        OK_LINE "x\r: 1\r\n",
        /* Two ways to tell the length, or none that can be believed. */
        OK_LINE "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK_LINE "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        OK_LINE "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
        OK_LINE "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        OK_LINE "Content-Length: 1, 1\r\n\r\n",
        OK_LINE "Content-Length: +1\r\n\r\n",
        OK_LINE "Content-Length: -1\r\n\r\n",
        OK_LINE "Content-Length: 0x1\r\n\r\n",
        OK_LINE "Content-Length:\r\n\r\n",
        OK_LINE "Content-Length: 18446744073709551617\r\n\r\n",
        OK_LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK_LINE "Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK_LINE "Transfer-Encoding: chunked, identity\r\n\r\n",
        OK_LINE "Transfer-Encoding: identity\r\n\r\n",
        OK_LINE "Transfer-Encoding: \vchunked\r\n\r\n",
        OK_LINE "Transfer-Encoding:\r\n\r\n",
        /* Chunks that do not fit together. */
        CHUNKED "\r\n",
        CHUNKED "x\r\n",
        CHUNKED "-1\r\n",
        CHUNKED "+1\r\n",
        CHUNKED " 1\r\n",
        CHUNKED "0x1\r\n",
        CHUNKED ";ext\r\n",
        CHUNKED "1\n",
        CHUNKED "1;e\n",
        CHUNKED "1\rx",
        CHUNKED "1\r\nab",
        CHUNKED "1\r\na\n",
        CHUNKED "1\r\na\rb",
        CHUNKED "4000000000000000\r\n",
        CHUNKED "10000000000000000\r\n",
        CHUNKED "00000000000000000\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_response(bytes_cstr(cases[i]), RESPONSE_BAD, "", false, 0);
    check_response(BYTES(OK_LINE "x: a\0b\r\n"), RESPONSE_BAD, "", false, 0);
    check_response(BYTES(OK_LINE "x\0: a\r\n"), RESPONSE_BAD, "", false, 0);
    check_response(BYTES(CHUNKED "1;\0\r\n"), RESPONSE_BAD, "", false, 0);
}
END_TEST

/* Lines, chunk extensions and trailers without end; and many short trailers. */
START_TEST(everything_has_a_ceiling)
{
    static const char *const heads[] = {"HTTP/1.1 200 ", OK_LINE "x: ", CHUNKED "1;", CHUNKED "0\r\nx: "};
    struct http1_response r;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct transcript t = {0};
        size_t fed = 0;
        http1_response_init(&r, MAX_LINE);
        buf_init(&t.lines, 1 << 20);
        buf_init(&t.body, 1 << 20);
        feed(&r, &t, bytes_cstr(heads[i]));
        for (; t.last == RESPONSE_MORE && fed <= MAX_LINE; fed++)
            feed(&r, &t, BYTES("a"));
        ck_assert_int_eq(t.last, RESPONSE_BAD);
        http1_response_free(&r);
        transcript_free(&t);
    }
    struct transcript t = {0};
    http1_response_init(&r, MAX_LINE);
    buf_init(&t.lines, 1 << 20);
    feed(&r, &t, BYTES(CHUNKED "0\r\n"));
    for (size_t fed = 0; t.last == RESPONSE_MORE && fed <= MAX_LINE; fed += 6)
        feed(&r, &t, BYTES("a: b\r\n"));
    ck_assert_int_eq(t.last, RESPONSE_BAD);
    http1_response_free(&r);
    transcript_free(&t);
}
END_TEST

/* Whether it comes in one piece or in many. */
START_TEST(a_line_too_long_is_refused_in_every_split)
{
    static char text[2 * MAX_LINE];
    for (int longer = 0; longer < 2; longer++) {
        size_t head = strlen(OK_LINE);
        memcpy(text, OK_LINE "x: ", head + 3);
        memset(text + head + 3, 'y', MAX_LINE);
        memcpy(text + head + MAX_LINE - 2 + longer, "\r\n", 2);
        check_response(bytes_of(text, head + MAX_LINE + (size_t)longer),
                       longer ? RESPONSE_BAD : RESPONSE_MORE, "", false, 0);
    }
}
END_TEST

START_TEST(the_body_is_not_copied)
{
    struct http1_response r;
    struct bytes in = BYTES(CHUNKED "5\r\nHello\r\n"), all = in, part;
    http1_response_init(&r, MAX_LINE);
    while (http1_response_next(&r, &in, &part) == RESPONSE_HEAD_LINE)
        ck_assert(part.data >= all.data && part.data + part.len <= all.data + all.len);
    ck_assert(bytes_is(part, "Hello"));
    ck_assert_ptr_eq(part.data, strstr(all.data, "Hello"));
    http1_response_free(&r);
}
END_TEST

START_TEST(one_after_the_other)
{
    static const char *const all[] = {OK_LINE "Connection: close\r\nContent-Length: 1\r\n\r\nx",
                                      CHUNKED "0\r\n\r\n",
                                      LENGTH(5) "Hello",
                                      "no",
                                      CHUNKED "1\r\n",
                                      LENGTH(0)};
    static const enum http1_response_step last[] = {RESPONSE_END, RESPONSE_END,  RESPONSE_END,
                                                    RESPONSE_BAD, RESPONSE_MORE, RESPONSE_END};
    struct http1_response r;
    http1_response_init(&r, MAX_LINE);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct transcript t = {0};
        buf_init(&t.lines, 1 << 20);
        buf_init(&t.body, 1 << 20);
        feed(&r, &t, bytes_cstr(all[i]));
        ck_assert_int_eq(t.last, last[i]);
        ck_assert_int_eq(http1_response_keeps(&r), last[i] == RESPONSE_END && i > 0);
        transcript_free(&t);
        http1_response_reset(&r);
    }
    http1_response_free(&r);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("parser");
    tcase_add_test(c, responses_that_end);
    tcase_add_test(c, responses_that_go_on);
    tcase_add_test(c, no_responses);
    tcase_add_test(c, everything_has_a_ceiling);
    tcase_add_test(c, a_line_too_long_is_refused_in_every_split);
    tcase_add_test(c, the_body_is_not_copied);
    tcase_add_test(c, one_after_the_other);
    return run_case(c);
}

#include "protocols/http1/http1_request.h"
#include "tests/unit/common/run.h"
#include <stdio.h>
#include <stdlib.h>

enum { MAX_HEAD = 2048, MAX_BODY = 64, MAX_EVENTS = 32 };

/* What a stream was understood as: one line an event. Two readings are the same when their transcripts are.
 */
struct reading {
    struct buf text;
    int status; /* 0, or of the refusal */
};

static void note_head(struct reading *r, const struct http1_request *q)
{
    char port[8] = "";
    if (q->host.port)
        snprintf(port, sizeof(port), ":%u", (unsigned)q->host.port);
    buf_printf(&r->text, "%.*s %.*s ?%.*s @%.*s%s 1.%d keep=%d up=%d expect=%d body=%d", BYTES_FMT(q->method),
               BYTES_FMT(q->path), BYTES_FMT(q->query), BYTES_FMT(q->host.name), port, q->http10 ? 0 : 1,
               q->keep_alive, q->upgrade, q->expect_continue, q->has_body);
    for (size_t i = 0; i < q->n_headers; i++)
        buf_printf(&r->text, " [%.*s=%.*s]", BYTES_FMT(q->headers[i].name), BYTES_FMT(q->headers[i].value));
    buf_append_char(&r->text, '\n');
}

/* check notes every assertion that it passes: too slow for some hundred thousand, so the loops below ask by
 * themselves.
 */

/* Feeds a copy that ends where the piece ends, so that reading past it is seen. False: refused. */
static bool feed(struct http1 *p, struct reading *r, const char *data, size_t len)
{
    static struct http1_request q;
    char *copy = malloc(len > 0 ? len : 1);
    if (!copy)
        ck_abort();
    if (len > 0)
        memcpy(copy, data, len);
    struct bytes in = bytes_of(copy, len);
    enum http1_result result;
    unsigned events = 0;
    while ((result = http1_feed(p, &in, &q)) != HTTP1_MORE && result != HTTP1_BAD) {
        if (events++ >= MAX_EVENTS)
            ck_abort_msg("more than %d events of %.*s", MAX_EVENTS, (int)len, data);
        if (result == HTTP1_HEAD)
            note_head(r, &q);
        else
            buf_printf(&r->text, "body(%.*s)\n", BYTES_FMT(p->body));
    }
    if (result == HTTP1_MORE && in.len > 0)
        ck_abort_msg("%zu bytes were left", in.len);
    if (result == HTTP1_BAD)
        r->status = p->status;
    free(copy);
    return result == HTTP1_MORE;
}

/* Cut at `a` and at `b`; `step` > 0 instead: in pieces of that size. */
static void read_cut(struct reading *r, struct bytes s, size_t a, size_t b, size_t step)
{
    struct http1 p;
    bool ok = true;
    http1_init(&p, MAX_HEAD, MAX_BODY);
    buf_init(&r->text, 1 << 20);
    r->status = 0;
    if (step > 0)
        for (size_t i = 0; ok && i < s.len; i += step)
            ok = feed(&p, r, s.data + i, MIN(step, s.len - i));
    else
        ok = feed(&p, r, s.data, a) && feed(&p, r, s.data + a, b - a) && feed(&p, r, s.data + b, s.len - b);
    struct bytes more = ok ? (struct bytes){NULL, 0} : BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    static struct http1_request q;
    if (http1_feed(&p, &more, &q) != (ok ? HTTP1_MORE : HTTP1_BAD))
        ck_abort_msg("after the end of %.*s", BYTES_FMT(s));
    http1_free(&p);
}

/* One reading whatever the split: whole, byte by byte, and cut at every one and (if short) every two places.
 */
static void same_at_every_split(struct bytes s, const char *expected, int status)
{
    for (size_t a = 0; a <= s.len; a++)
        for (size_t b = a; b <= s.len; b += s.len < 64 ? 1 : s.len - a + 1) {
            struct reading r;
            read_cut(&r, s, a, b, 0);
            if (r.status != status)
                ck_abort_msg("cut %zu %zu: status %d, expected %d of %.*s", a, b, r.status, status,
                             BYTES_FMT(s));
            if (expected && !bytes_is(buf_bytes(&r.text), expected))
                ck_abort_msg("cut %zu %zu:\n%.*s\nexpected:\n%s", a, b, BYTES_FMT(buf_bytes(&r.text)),
                             expected);
            buf_free(&r.text);
        }
    struct reading r;
    read_cut(&r, s, 0, 0, 1);
    ck_assert_int_eq(r.status, status);
    ck_assert(!expected || bytes_is(buf_bytes(&r.text), expected));
    buf_free(&r.text);
}

#define READS(text, expected) same_at_every_split(BYTES(text), expected, 0)
#define REFUSES(text, status) same_at_every_split(BYTES(text), NULL, status)
#define H "Host: h\r\n"

START_TEST(reads_requests)
{
    READS("GET / HTTP/1.1\r\nHost: a.example:8443\r\n\r\n",
          "GET / ? @a.example:8443 1.1 keep=1 up=0 expect=0 body=0 [Host=a.example:8443]\nbody()\n");
    READS("GET /v1/models?a=1&b HTTP/1.1\r\nhost:[::1]\r\nX:  \t spaced out\t \r\nEmpty:\r\n\r\n",
          "GET /v1/models ?a=1&b @::1 1.1 keep=1 up=0 expect=0 body=0 [host=[::1]] [X=spaced out] "
          "[Empty=]\nbody()\n");
    READS("\r\n\r\nHEAD /x HTTP/1.1\r\n" H "Connection: foo, CLOSE\r\n\r\n",
          "HEAD /x ? @h 1.1 keep=0 up=0 expect=0 body=0 [Host=h] [Connection=foo, CLOSE]\nbody()\n");
    READS("GET http://b.example/p?q HTTP/1.1\r\n" H "\r\n",
          "GET /p ?q @b.example 1.1 keep=1 up=0 expect=0 body=0 [Host=h]\nbody()\n");
    READS("GET HTTPS://b.example?q HTTP/1.1\r\n" H "\r\n",
          "GET / ?q @b.example 1.1 keep=1 up=0 expect=0 body=0 [Host=h]\nbody()\n");
    READS("OPTIONS * HTTP/1.1\r\n" H "\r\n",
          "OPTIONS * ? @h 1.1 keep=1 up=0 expect=0 body=0 [Host=h]\nbody()\n");
    READS("GET /w HTTP/1.1\r\n" H "Connection: keep-alive, Upgrade\r\n\r\n",
          "GET /w ? @h 1.1 keep=1 up=1 expect=0 body=0 [Host=h] [Connection=keep-alive, Upgrade]\nbody()\n");
    READS("GET / HTTP/1.0\r\n\r\n", "GET / ? @ 1.0 keep=0 up=0 expect=0 body=0\nbody()\n");
    READS("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
          "GET / ? @ 1.0 keep=0 up=0 expect=0 body=0 [Connection=keep-alive]\nbody()\n");
    READS("GET / HTTP/1.9\r\n" H "\r\n", "GET / ? @h 1.1 keep=1 up=0 expect=0 body=0 [Host=h]\nbody()\n");
}
END_TEST

START_TEST(reads_bodies)
{
    READS("POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
          "POST /p ? @h 1.1 keep=1 up=0 expect=0 body=1 [Host=h] [Content-Length=5]\nbody(hello)\n");
    READS("POST /p HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n",
          "POST /p ? @h 1.1 keep=1 up=0 expect=0 body=0 [Host=h] [Content-Length=0]\nbody()\n");
    READS("POST /p HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\nab",
          "POST /p ? @h 1.1 keep=1 up=0 expect=1 body=1 [Host=h] [Expect=100-Continue] "
          "[Content-Length=2]\nbody(ab)\n");
    READS("POST /p HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n"
          "3\r\nabc\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
          "POST /p ? @h 1.1 keep=1 up=0 expect=0 body=1 [Host=h] "
          "[Transfer-Encoding=Chunked]\nbody(abc0123456789)\n");
    READS("POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nTrailer: of no use\r\nX:\r\n\r\n",
          "POST /p ? @h 1.1 keep=1 up=0 expect=0 body=1 [Host=h] [Transfer-Encoding=chunked]\nbody()\n");
}
END_TEST

START_TEST(reads_pipelined_requests)
{
    READS("POST /1 HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\n" H "\r\n"
          "POST /3 HTTP/1.1\r\n" H
          "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n\r\nGET /4 HTTP/1.0\r\n\r\n",
          "POST /1 ? @h 1.1 keep=1 up=0 expect=0 body=1 [Host=h] [Content-Length=3]\nbody(abc)\n"
          "GET /2 ? @h 1.1 keep=1 up=0 expect=0 body=0 [Host=h]\nbody()\n"
          "POST /3 ? @h 1.1 keep=1 up=0 expect=0 body=1 [Host=h] [Transfer-Encoding=chunked]\nbody(x)\n"
          "GET /4 ? @ 1.0 keep=0 up=0 expect=0 body=0\nbody()\n");
}
END_TEST

START_TEST(refuses_what_could_be_read_in_two_ways)
{
    REFUSES("POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
    REFUSES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400);
    REFUSES("POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400);
    REFUSES("POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400);
    REFUSES("POST / HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\nabc", 400);
    REFUSES("POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc", 400);
    REFUSES("POST / HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\nabc", 400);
    REFUSES("POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400);
    REFUSES("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400);
    REFUSES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    REFUSES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 400);
    REFUSES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 501);
    REFUSES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501);
    REFUSES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n", 501);
    REFUSES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \vchunked\r\n\r\n", 400);
    REFUSES("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400);
    REFUSES("POST / HTTP/1.1\r\n" H "Content-Length : 3\r\n\r\nabc", 400);
    REFUSES("POST / HTTP/1.1\r\n" H " Content-Length: 3\r\n\r\nabc", 400);
    REFUSES("GET / HTTP/1.1\r\n" H "X: a\r\n folded\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\n" H "X: a\r\n\tfolded\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\n" H "X: a\rContent-Length: 3\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\nHost: h\n\n", 400);
    REFUSES("GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\r\n" H "\r\n", 400);
    REFUSES("GET / HTTP/2.0\r\n" H "X: a\nY: b\r\n\r\n", 400);
}
END_TEST

START_TEST(refuses_malformed_heads)
{
    REFUSES("GET / HTTP/1.1\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\n" H "Host: h\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.0\r\n" H "Host: h\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\nHost: user@h\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", 400);
    REFUSES("GET http://a:b/ HTTP/1.1\r\n" H "\r\n", 400);
    REFUSES("GET /\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1 \r\n" H "\r\n", 400);
    REFUSES("GET  / HTTP/1.1\r\n" H "\r\n", 400);
    REFUSES("GET / http/1.1\r\n" H "\r\n", 400);
    REFUSES("GET / HTTP/11\r\n" H "\r\n", 400);
    REFUSES("GET / HTTP/2.0\r\n" H "\r\n", 505);
    REFUSES("GET / HTTP/0.9\r\n" H "\r\n", 505);
    REFUSES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    REFUSES("G(T / HTTP/1.1\r\n" H "\r\n", 400);
    REFUSES("GET x HTTP/1.1\r\n" H "\r\n", 400);
    REFUSES("GET * HTTP/1.1\r\n" H "\r\n", 400);
    REFUSES("GET /a#b HTTP/1.1\r\n" H "\r\n", 400);
    REFUSES("GET /\x01 HTTP/1.1\r\n" H "\r\n", 400);
    REFUSES("GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 400);
    REFUSES("GET http:///x HTTP/1.1\r\n" H "\r\n", 400);
    REFUSES("GET http://u@h/x HTTP/1.1\r\n" H "\r\n", 400);
    REFUSES("CONNECT h:443 HTTP/1.1\r\n" H "\r\n", 501);
    REFUSES("GET / HTTP/1.1\r\n" H "No colon\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\n" H ": empty\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\n" H "X@: y\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\n" H "X: \x7f\r\n\r\n", 400);
    REFUSES("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n", 400);
    REFUSES("POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n", 417);
    REFUSES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400);
    REFUSES("\r\n\r\n\r\n\r\n\r\n", 400);
    REFUSES("\rGET / HTTP/1.1\r\n" H "\r\n", 400);
    REFUSES("\nGET / HTTP/1.1\r\n" H "\r\n", 400);
}
END_TEST

START_TEST(refuses_malformed_chunks)
{
#define CHUNKED "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
    REFUSES(CHUNKED "x\r\n", 400);
    REFUSES(CHUNKED "\r\n", 400);
    REFUSES(CHUNKED " 3\r\nabc\r\n", 400);
    REFUSES(CHUNKED "3 \r\nabc\r\n", 400);
    REFUSES(CHUNKED "-1\r\n", 400);
    REFUSES(CHUNKED "0x3\r\nabc\r\n", 400);
    REFUSES(CHUNKED "3\nabc\r\n", 400);
    REFUSES(CHUNKED "3\rabc\r\n", 400);
    REFUSES(CHUNKED "3\r\nabcd\r\n", 400);
    REFUSES(CHUNKED "3\r\nabc\n", 400);
    REFUSES(CHUNKED "3\r\nabc\rX", 400);
    REFUSES(CHUNKED "3;a\nb\r\nabc\r\n", 400);
    REFUSES(CHUNKED "00000000000000003\r\nabc\r\n", 400);
    REFUSES(CHUNKED "0\r\n folded: x\r\n\r\n", 400);
    REFUSES(CHUNKED "0\r\nbad name: x\r\n\r\n", 400);
    REFUSES(CHUNKED "0\r\nName: \x01\r\n\r\n", 400);
    REFUSES(CHUNKED "0\r\nName: x\n\r\n", 400);
    REFUSES(CHUNKED "0\r\n\rX", 400);
}
END_TEST

START_TEST(keeps_its_limits)
{
    struct buf text;
    buf_init(&text, 1 << 20);

    REFUSES("POST / HTTP/1.1\r\n" H "Content-Length: 65\r\n\r\n", 413);
    REFUSES("POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", 413);
    REFUSES(CHUNKED "41\r\n", 413);
    REFUSES(CHUNKED "20\r\n01234567890123456789012345678901\r\n21\r\n", 413);
    REFUSES(CHUNKED "ffffffffffffffff\r\n", 413);
    REFUSES(CHUNKED "FFFFFFFFFFFFFFF0\r\n", 413);
    READS(CHUNKED "40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n0\r\n\r\n",
          "POST / ? @h 1.1 keep=1 up=0 expect=0 body=1 [Host=h] [Transfer-Encoding=chunked]\n"
          "body(0123456789012345678901234567890123456789012345678901234567890123)\n");

    buf_printf(&text, "GET / HTTP/1.1\r\n" H);
    for (unsigned i = 0; i < HTTP1_MAX_HEADERS; i++)
        buf_printf(&text, "a:b\r\n");
    buf_printf(&text, "\r\n");
    struct reading r;
    read_cut(&r, buf_bytes(&text), 9, 99, 0);
    ck_assert_int_eq(r.status, 431);
    buf_free(&r.text);

    /* A head of exactly the limit is read, one byte more is not; also when no end ever comes. */
    for (int more = 0; more <= 1; more++) {
        buf_reset(&text);
        buf_printf(&text, "GET / HTTP/1.1\r\n" H "X: ");
        while (text.len < (size_t)MAX_HEAD - 4 + (size_t)more)
            buf_append_char(&text, 'x');
        buf_printf(&text, "\r\n\r\n");
        for (size_t step = 0; step <= 500; step += 100) {
            read_cut(&r, buf_bytes(&text), 0, 0, step);
            ck_assert_int_eq(r.status, more ? 431 : 0);
            buf_free(&r.text);
        }
    }
    buf_reset(&text);
    while (text.len <= MAX_HEAD)
        buf_append_char(&text, 'x');
    read_cut(&r, buf_bytes(&text), 0, 0, 7);
    ck_assert_int_eq(r.status, 431);
    buf_free(&r.text);

    buf_reset(&text);
    buf_printf(&text, CHUNKED "0\r\n");
    while (text.len <= 2 * MAX_HEAD)
        buf_printf(&text, "A: b\r\n");
    read_cut(&r, buf_bytes(&text), 0, 0, 7);
    ck_assert_int_eq(r.status, 431);
    buf_free(&r.text);

    buf_reset(&text);
    buf_printf(&text, CHUNKED "1;");
    while (text.len <= MAX_HEAD)
        buf_append_char(&text, 'x');
    read_cut(&r, buf_bytes(&text), 0, 0, 7);
    ck_assert_int_eq(r.status, 400);
    buf_free(&r.text);
    buf_free(&text);
}
END_TEST

START_TEST(drops_the_body_of_a_refused_request)
{
    struct http1 p;
    struct http1_request q;
    struct bytes in =
        BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 6\r\n\r\nabcdefGET /2 HTTP/1.1\r\n" H "\r\n");
    http1_init(&p, MAX_HEAD, MAX_BODY);
    ck_assert(http1_at_start(&p));
    ck_assert_int_eq(http1_feed(&p, &in, &q), HTTP1_HEAD);
    ck_assert(!http1_at_start(&p));
    p.drop = true;
    ck_assert_int_eq(http1_feed(&p, &in, &q), HTTP1_COMPLETE);
    ck_assert(http1_at_start(&p));
    ck_assert_uint_eq(p.body.len, 0);
    ck_assert_int_eq(http1_feed(&p, &in, &q), HTTP1_HEAD);
    ck_assert(bytes_is(q.path, "/2"));
    ck_assert(!p.drop);
    http1_free(&p);
}
END_TEST

START_TEST(finds_headers_and_list_elements)
{
    struct http1 p;
    struct http1_request q;
    struct bytes value = {NULL, 0};
    size_t count = 9;
    struct bytes in =
        BYTES("GET / HTTP/1.1\r\n" H "Upgrade: h2c, , WebSocket\r\nX-A: 1\r\nUPGRADE: foo\r\n\r\n");
    http1_init(&p, MAX_HEAD, MAX_BODY);
    ck_assert_int_eq(http1_feed(&p, &in, &q), HTTP1_HEAD);
    ck_assert(http1_find(&q, "x-a", &value, NULL));
    ck_assert(bytes_is(value, "1"));
    ck_assert(http1_find(&q, "upgrade", &value, &count));
    ck_assert_uint_eq(count, 2);
    ck_assert(!http1_find(&q, "x-b", &value, &count));
    ck_assert_uint_eq(count, 0);
    ck_assert(http1_lists(&q, "upgrade", "websocket"));
    ck_assert(http1_lists(&q, "upgrade", "foo"));
    ck_assert(!http1_lists(&q, "upgrade", "web"));
    ck_assert(!http1_lists(&q, "upgrade", ""));
    http1_free(&p);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("http1");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, reads_requests);
    tcase_add_test(tc, reads_bodies);
    tcase_add_test(tc, reads_pipelined_requests);
    tcase_add_test(tc, refuses_what_could_be_read_in_two_ways);
    tcase_add_test(tc, refuses_malformed_heads);
    tcase_add_test(tc, refuses_malformed_chunks);
    tcase_add_test(tc, keeps_its_limits);
    tcase_add_test(tc, drops_the_body_of_a_refused_request);
    tcase_add_test(tc, finds_headers_and_list_elements);
    return run_case(tc);
}

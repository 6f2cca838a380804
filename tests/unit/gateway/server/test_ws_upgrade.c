#include "gateway/server/ws_upgrade.h"
#include "tests/unit/common/run.h"

static struct http1 parser;
static struct http1_request request;

static void parse(const char *lines)
{
    struct buf text;
    buf_init(&text, 8192);
    buf_printf(&text, "GET /v1/responses HTTP/1.1\r\nHost: h\r\n%s\r\n", lines);
    struct bytes in = bytes_of(text.data, text.len - 1);
    http1_free(&parser);
    http1_init(&parser, 8192, 8192);
    /* In two pieces, so that the parser keeps its own copy of the head. */
    ck_assert_int_eq(http1_feed(&parser, &in, &request), HTTP1_MORE);
    in = BYTES("\n");
    ck_assert_int_eq(http1_feed(&parser, &in, &request), HTTP1_HEAD);
    buf_free(&text);
}

static int check(const char *lines)
{
    char accept[WS_ACCEPT_SIZE];
    const char *reason = NULL;
    parse(lines);
    int status = ws_upgrade_check(&request, accept, &reason);
    ck_assert_int_eq(status != 0, reason != NULL);
    return status;
}

#define UP "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* RFC 6455, 1.3, gives the answer to this key. */
START_TEST(answers_the_key)
{
    char accept[WS_ACCEPT_SIZE];
    ck_assert_int_eq(ws_accept_key(BYTES("dGhlIHNhbXBsZSBub25jZQ=="), accept), ERR_OK);
    ck_assert_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ck_assert_int_eq(ws_accept_key(BYTES(""), accept), ERR_INVALID);
    ck_assert_int_eq(ws_accept_key(BYTES("dGhlIHNhbXBsZSBub25jZQ="), accept), ERR_INVALID);
    ck_assert_int_eq(ws_accept_key(BYTES("dGhlIHNhbXBsZSBub25jZQ==="), accept), ERR_INVALID);
    ck_assert_int_eq(ws_accept_key(BYTES("dGhlIHNhbXBsZSBub25jZQAA"), accept), ERR_INVALID);
    ck_assert_int_eq(ws_accept_key(BYTES("dGhlIHNhbXBsZSBub25jZ==="), accept), ERR_INVALID);
    ck_assert_int_eq(ws_accept_key(BYTES("dGhlIHNhbXBsZSBub25j!Q=="), accept), ERR_INVALID);
}
END_TEST

START_TEST(takes_only_a_proper_upgrade)
{
    ck_assert_int_eq(check(UP V13 KEY), 0);
    ck_assert_int_eq(check("connection: UPGRADE\r\nupgrade: WebSocket\r\n" V13 KEY), 0);
    ck_assert_int_eq(check(""), 426);
    ck_assert_int_eq(check(V13 KEY), 426);
    ck_assert_int_eq(check("Upgrade: websocket\r\n" V13 KEY), 426);
    ck_assert_int_eq(check("Connection: Upgrade\r\nUpgrade: h2c\r\n" V13 KEY), 426);
    ck_assert_int_eq(check("Connection: Upgrade\r\nUpgrade: websocketx\r\n" V13 KEY), 426);
    ck_assert_int_eq(check(UP KEY), 426);
    ck_assert_int_eq(check(UP "Sec-WebSocket-Version: 8\r\n" KEY), 426);
    ck_assert_int_eq(check(UP V13 V13 KEY), 426);
    ck_assert_int_eq(check(UP V13), 400);
    ck_assert_int_eq(check(UP V13 KEY KEY), 400);
    ck_assert_int_eq(check(UP V13 "Sec-WebSocket-Key: short\r\n"), 400);
    ck_assert_int_eq(check(UP V13 KEY "Content-Length: 3\r\n"), 400);
}
END_TEST

START_TEST(reads_subprotocols)
{
    bool responses = true;
    struct bytes token;
    parse("Sec-WebSocket-Protocol: chat\r\n");
    responses = ws_upgrade_protocols(&request, "responses", &token);
    ck_assert(!responses);
    ck_assert_uint_eq(token.len, 0);
    parse("Sec-WebSocket-Protocol: responses, openai-insecure-api-key.sk-1.a\r\n");
    responses = ws_upgrade_protocols(&request, "responses", &token);
    ck_assert(responses);
    ck_assert(bytes_is(token, "sk-1.a"));
    parse("Sec-WebSocket-Protocol: openai-insecure-api-key.sk-1\r\nSec-WebSocket-Protocol: x, responses\r\n");
    responses = ws_upgrade_protocols(&request, "responses", &token);
    ck_assert(responses);
    ck_assert(bytes_is(token, "sk-1"));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("ws_upgrade");

    tcase_add_test(tc, answers_the_key);
    tcase_add_test(tc, takes_only_a_proper_upgrade);
    tcase_add_test(tc, reads_subprotocols);
    int failed = run_case(tc);
    http1_free(&parser);
    return failed;
}

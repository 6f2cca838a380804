/* The messages of the WebSocket session itself. */
#include "protocols/responses/server_event.h"
#include "tests/unit/protocols/support.h"

static enum err decode(const char *text, struct arena *a, struct json_doc *d, struct client_event *ev,
                       struct api_error *e)
{
    arena_init(a, 1 << 20);
    doc_parse(d, bytes_cstr(text));
    return client_event_decode(d, a, ev, e);
}

static void expect_refused(const char *text, const char *param, const char *code)
{
    struct arena a;
    struct json_doc d;
    struct client_event ev = {.ping_raw = BYTES("untouched")};
    struct api_error e;
    ck_assert_msg(decode(text, &a, &d, &ev, &e) == ERR_INVALID, "accepted: %s", text);
    ck_assert_msg(strcmp(e.param, param) == 0, "%s: param %s", text, e.param);
    ck_assert_msg(strcmp(e.code, code) == 0, "%s: code %s", text, e.code);
    ck_assert_int_eq(e.status, 400);
    expect_bytes(ev.ping_raw, "untouched");
    json_doc_free(&d);
    arena_free(&a);
}

START_TEST(refusals)
{
    expect_refused("[]", "", "invalid_type");
    expect_refused("7", "", "invalid_type");
    expect_refused("{}", "type", "missing_required_parameter");
    expect_refused("{\"type\":null}", "type", "invalid_type");
    expect_refused("{\"type\":\"response.resume\",\"response_id\":\"r\"}", "type", "unknown_event_type");
    expect_refused("{\"type\":\"\"}", "type", "unknown_event_type");
    expect_refused("{\"type\":\"response.cancel\",\"response_id\":7}", "response_id", "invalid_type");
    expect_refused("{\"type\":\"response.cancel\",\"response_id\":\"\"}", "response_id",
                   "string_below_min_length");
    expect_refused("{\"type\":\"response.cancel\",\"stream_id\":\"\"}", "stream_id", "invalid_stream_id");
    expect_refused("{\"type\":\"response.cancel\",\"stream_id\":\"a/b\"}", "stream_id", "invalid_stream_id");
    expect_refused("{\"type\":\"response.cancel\",\"stream_id\":\"a\",\"response_id\":\"r\"}", "stream_id",
                   "mutually_exclusive_parameters");
    expect_refused("{\"type\":\"response.cancel\",\"reponse_id\":\"typo\"}", "reponse_id",
                   "unknown_parameter");
}
END_TEST

START_TEST(unknown_type_lists_what_there_is)
{
    struct arena a;
    struct json_doc d;
    struct client_event ev;
    struct api_error e;
    ck_assert_int_eq(decode("{\"type\":\"x\"}", &a, &d, &ev, &e), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(e.message, "response.create"));
    ck_assert_ptr_nonnull(strstr(e.message, "response.cancel"));
    ck_assert_ptr_nonnull(strstr(e.message, "session.ping"));
    json_doc_free(&d);
    arena_free(&a);
}
END_TEST

START_TEST(cancel)
{
    static const struct {
        const char *text, *response_id, *stream_id;
        bool has_stream_id;
    } cases[] = {
        {"{\"type\":\"response.cancel\"}", "", "", false},
        {"{\"type\":\"response.cancel\",\"response_id\":\"resp_1\"}", "resp_1", "", false},
        {"{\"stream_id\":\"A.b_c-9\",\"type\":\"response.cancel\"}", "", "A.b_c-9", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a;
        struct json_doc d;
        struct client_event ev;
        struct api_error e;
        ck_assert_int_eq(decode(cases[i].text, &a, &d, &ev, &e), ERR_OK);
        ck_assert_int_eq(ev.type, CLIENT_RESPONSE_CANCEL);
        expect_bytes(ev.response_id, cases[i].response_id);
        expect_bytes(ev.stream_id, cases[i].stream_id);
        ck_assert_int_eq(ev.has_stream_id, cases[i].has_stream_id);
        json_doc_free(&d);
        arena_free(&a);
    }
}
END_TEST

START_TEST(create_is_left_to_the_dialect)
{
    struct arena a;
    struct json_doc d;
    struct client_event ev;
    struct api_error e;
    ck_assert_int_eq(decode("{\"type\":\"response.create\",\"whatever\":[]}", &a, &d, &ev, &e), ERR_OK);
    ck_assert_int_eq(ev.type, CLIENT_RESPONSE_CREATE);
    json_doc_free(&d);
    arena_free(&a);
}
END_TEST

static void expect_pong(const char *ping, const char *pong)
{
    struct arena a;
    struct json_doc d;
    struct client_event ev;
    struct api_error e;
    struct buf out;
    ck_assert_int_eq(decode(ping, &a, &d, &ev, &e), ERR_OK);
    ck_assert_int_eq(ev.type, CLIENT_SESSION_PING);
    buf_init(&out, 1 << 16);
    server_event_pong(&ev, &out);
    expect_bytes(buf_bytes(&out), pong);
    buf_free(&out);
    json_doc_free(&d);
    arena_free(&a);
}

START_TEST(ping_and_pong)
{
    expect_pong("{\"type\":\"session.ping\"}", "{\"type\":\"session.pong\"}");
    expect_pong(
        "{ \"a\" : [ 1, null ],\n\"type\":\"session.ping\",\"t\\u0065st\":\"\\u00e9 \\n\", \"n\":null }",
        "{\"type\":\"session.pong\",\"a\":[1,null],\"t\\u0065st\":\"\\u00e9 \\n\",\"n\":null}");
}
END_TEST

START_TEST(ping_has_a_ceiling)
{
    struct buf text;
    for (size_t len = CLIENT_PING_MAX - 6; len <= CLIENT_PING_MAX - 5; len++) {
        struct arena a;
        struct json_doc d;
        struct client_event ev;
        struct api_error e;
        buf_init(&text, 1 << 16);
        buf_printf(&text, "{\"type\":\"session.ping\",\"a\":\"%0*d\"}", (int)len, 7);
        buf_append_char(&text, 0);
        enum err err = decode(text.data, &a, &d, &ev, &e);
        ck_assert_int_eq(err, len <= CLIENT_PING_MAX - 6 ? ERR_OK : ERR_INVALID);
        if (err != ERR_OK)
            ck_assert_str_eq(e.code, "message_too_large");
        json_doc_free(&d);
        arena_free(&a);
        buf_free(&text);
    }
}
END_TEST

START_TEST(stream_ids)
{
    char longest[CLIENT_STREAM_ID_MAX + 1];
    memset(longest, 'x', sizeof(longest));
    ck_assert(client_stream_id_valid(bytes_of(longest, CLIENT_STREAM_ID_MAX)));
    ck_assert(!client_stream_id_valid(bytes_of(longest, CLIENT_STREAM_ID_MAX + 1)));
    ck_assert(!client_stream_id_valid(BYTES("")));
    for (int c = 0; c < 256; c++) {
        char one = (char)c;
        bool fine = c != 0 && c < 128 &&
                    strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-", c) != NULL;
        ck_assert_int_eq(client_stream_id_valid(bytes_of(&one, 1)), fine);
    }
}
END_TEST

START_TEST(stream_id_for_the_error)
{
    static const struct {
        const char *text, *id;
    } cases[] = {
        {"{\"stream_id\":\"a\"}", "a"},
        {"{\"stream_id\":\"a b\"}", ""},
        {"{\"stream_id\":7}", ""},
        {"{}", ""},
        {"[]", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_doc d;
        struct arena a;
        arena_init(&a, 1 << 16);
        doc_parse(&d, bytes_cstr(cases[i].text));
        expect_bytes(client_event_stream_id(&d, &a), cases[i].id);
        json_doc_free(&d);
        arena_free(&a);
    }
}
END_TEST

START_TEST(errors_and_going_away)
{
    struct api_error e;
    struct buf out;
    api_error_set(&e, 429, API_RATE, "rate_limit_exceeded", "input[0].x", "Slow \"down\"");
    e.retry_after_s = 3;
    buf_init(&out, 1 << 16);
    server_event_error(&e, BYTES("lane"), &out);
    expect_bytes(
        buf_bytes(&out),
        "{\"type\":\"error\",\"status\":429,\"stream_id\":\"lane\",\"retry_after\":3,\"error\":{"
        "\"type\":\"rate_limit_error\",\"code\":\"rate_limit_exceeded\",\"message\":\"Slow \\\"down\\\"\","
        "\"param\":\"input[0].x\"}}");
    buf_reset(&out);
    api_error_set(&e, 400, API_INVALID, NULL, NULL, "m");
    server_event_error(&e, (struct bytes){NULL, 0}, &out);
    expect_bytes(
        buf_bytes(&out),
        "{\"type\":\"error\",\"status\":400,\"error\":{\"type\":\"invalid_request_error\",\"code\":null,"
        "\"message\":\"m\",\"param\":null}}");
    buf_reset(&out);
    server_event_going_away(30000, &out);
    expect_bytes(buf_bytes(&out), "{\"type\":\"session.going_away\",\"deadline_ms\":30000}");
    buf_free(&out);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        refusals,
        unknown_type_lists_what_there_is,
        cancel,
        create_is_left_to_the_dialect,
        ping_and_pong,
        ping_has_a_ceiling,
        stream_ids,
        stream_id_for_the_error,
        errors_and_going_away,
    };
    return run_tests("responses_session", tests, ARRAY_LEN(tests));
}

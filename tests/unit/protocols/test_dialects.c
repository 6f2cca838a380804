/* What both dialects can say is said in the words of the one who is asked, whoever asks. */
#include "support.h"

/* Both words for the same; NULL: the other dialect has none. */
static const struct same {
    const char *responses, *chat;
} same[] = {
    {"\"tool_choice\":\"auto\"", "\"tool_choice\":\"auto\""},
    {"\"tool_choice\":\"none\"", "\"tool_choice\":\"none\""},
    {"\"tool_choice\":\"required\"", "\"tool_choice\":\"required\""},
    {"\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}",
     "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"},
    {"\"tool_choice\":{\"type\":\"web_search\"}", NULL},
    {NULL, "\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}"},
    {"\"text\":{\"format\":{\"type\":\"json_object\"}}", "\"response_format\":{\"type\":\"json_object\"}"},
    {"\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"description\":\"d\",\"schema\":{},"
     "\"strict\":true}}",
     "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"description\":\"d\","
     "\"schema\":{},\"strict\":true}}"},
    {"\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"description\":\"d\",\"parameters\":{},\"strict\":"
     "true}]",
     "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{}"
     ",\"strict\":true}}]"},
};

static void ask(const struct dialect *from, const struct dialect *to, const char *said, struct buf *ret_sent,
                struct api_error *ret_error, enum err *ret)
{
    struct json_doc doc;
    struct arena arena;
    struct llm_request r;
    char text[512];
    snprintf(text, sizeof(text), "{\"model\":\"m\",%s,%s}",
             from == &dialect_responses ? "\"input\":\"x\""
                                        : "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]",
             said);
    doc_parse(&doc, bytes_cstr(text));
    arena_init(&arena, 1 << 20);
    llm_request_init(&r, &arena, from);
    enum err err = from->decode_request(&doc, 0, &r, ret_error);
    ck_assert_msg(err == ERR_OK, "%s: %s", text, ret_error->message);
    *ret = to->encode_request(&r, BYTES("m"), ret_sent, ret_error);
    json_doc_free(&doc);
    arena_free(&arena);
}

/* `expected` NULL: it cannot be said, and the error names the field. */
static void expect_said(const struct dialect *from, const struct dialect *to, const char *said,
                        const char *expected)
{
    struct buf sent;
    struct api_error e = {.message = ""};
    enum err err;
    buf_init(&sent, 1 << 16);
    ask(from, to, said, &sent, &e, &err);
    if (expected) {
        ck_assert_msg(err == ERR_OK, "%s: %s", said, e.message);
        ck_assert(is_json(buf_bytes(&sent)));
        buf_append_char(&sent, '\0');
        ck_assert_msg(strstr(sent.data, expected) != NULL, "%s\nexpected: %s", sent.data, expected);
    } else {
        ck_assert_msg(err == ERR_INVALID, "%s", said);
        ck_assert_str_eq(e.param, "tool_choice");
        ck_assert_str_eq(e.code, "unsupported_by_provider");
    }
    buf_free(&sent);
}

START_TEST(the_same_in_both_words)
{
    const struct same *s = &same[_i];
    if (s->responses) {
        expect_said(&dialect_responses, &dialect_responses, s->responses, s->responses);
        expect_said(&dialect_responses, &dialect_chat_completions, s->responses, s->chat);
    }
    if (s->chat) {
        expect_said(&dialect_chat_completions, &dialect_chat_completions, s->chat, s->chat);
        expect_said(&dialect_chat_completions, &dialect_responses, s->chat, s->responses);
    }
}
END_TEST

/* What the gateway relies on, of each. */
START_TEST(every_dialect_is_whole)
{
    const struct dialect *d = dialects[_i];
    ck_assert_ptr_eq(dialect_find(bytes_cstr(d->name)), d);
    ck_assert(dialect_faces_clients(d) || dialect_faces_providers(d));
    if (dialect_faces_clients(d)) {
        ck_assert_ptr_eq(dialect_at(bytes_cstr(d->endpoint)), d);
        ck_assert(bytes_starts(bytes_cstr(d->endpoint), BYTES("/v1/")));
        ck_assert(d->decode_request && d->encode_events && d->encode_answer && d->encode_error);
    }
    if (dialect_faces_providers(d)) {
        ck_assert_int_ne(d->path != NULL, d->encode_path != NULL);
        ck_assert(strstr(d->authorization, ": ") != NULL);
        ck_assert(d->decoder_new && d->decoder_free && d->decode_event && d->decode_end && d->decode_answer &&
                  d->decode_error);
    }
}
END_TEST

START_TEST(every_dialect_tells_errors)
{
    const struct dialect *d = dialects[_i];
    struct api_error e;
    struct buf out;
    if (!dialect_faces_clients(d))
        return;
    buf_init(&out, 4096);
    api_error_set(&e, 404, API_NOT_FOUND, "model_not_found", "model", "There is no \"x\".");
    d->encode_error(&e, &out);
    ck_assert(is_json(buf_bytes(&out)));
    buf_append_char(&out, '\0');
    ck_assert_ptr_nonnull(strstr(out.data, "There is no \\\"x\\\"."));
    buf_free(&out);
}
END_TEST

START_TEST(no_dialect_has_that_name)
{
    ck_assert_ptr_null(dialect_find(BYTES("")));
    ck_assert_ptr_null(dialect_find(BYTES("response")));
    ck_assert_ptr_null(dialect_at(BYTES("")));
    ck_assert_ptr_null(dialect_at(BYTES("/v1/response")));
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("dialects");
    tcase_add_loop_test(c, the_same_in_both_words, 0, ARRAY_LEN(same));
    tcase_add_loop_test(c, every_dialect_is_whole, 0, (int)n_dialects);
    tcase_add_loop_test(c, every_dialect_tells_errors, 0, (int)n_dialects);
    tcase_add_test(c, no_dialect_has_that_name);
    return run_case(c);
}

/* The client's face: every event with every member that the official types promise. */
#include "protocols/responses/output_item.h"
#include "tests/unit/protocols/responses/promised.h"

START_TEST(everything_live)
{
    static const char *const order[] = {
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.content_part.added",
        "response.reasoning_text.delta",
        "response.reasoning_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.annotation.added",
        "response.output_text.annotation.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.content_part.added",
        "response.refusal.delta",
        "response.refusal.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    };
    struct llm_log l;
    struct llm_builder b;
    struct recorder *r = malloc(sizeof(*r));
    struct llm_encoder e = {.head = &promised_head};
    log_with_echo(&l, &b);
    recorder_setup(r);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&b, i);
        dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX);
    }
    ck_assert(e.done);
    ck_assert(!dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX));
    ck_assert_uint_eq(r->n, ARRAY_LEN(order));
    for (size_t i = 0; i < r->n; i++) {
        ck_assert_str_eq(r->names[i], order[i]);
        ck_assert_int_eq(check_event(r, i), (int64_t)i);
    }
    expect_bytes(
        recorded(r, 15),
        "{\"type\":\"response.output_text.delta\",\"item_id\":\"msg_\\\"1\",\"output_index\":1,"
        "\"content_index\":0,\"delta\":\"Hello\",\"logprobs\":[{\"token\":\"Hello\",\"logprob\":-1}],"
        "\"sequence_number\":15}");
    expect_bytes(
        recorded(r, 16),
        "{\"type\":\"response.output_text.delta\",\"item_id\":\"msg_\\\"1\",\"output_index\":1,"
        "\"content_index\":0,\"delta\":\" \\\"wörld\\\"\\\\\",\"logprobs\":[],\"sequence_number\":16}");
    expect_bytes(
        recorded(r, 18),
        "{\"type\":\"response.output_text.annotation.added\",\"item_id\":\"msg_\\\"1\",\"output_index\":1,"
        "\"content_index\":0,\"annotation_index\":1,\"annotation\":{\"type\":\"file_path\",\"file_id\":\"g\","
        "\"index\":2},\"sequence_number\":18}");
    expect_bytes(recorded(r, 31), "{\"type\":\"response.function_call_arguments.done\",\"item_id\":\"fc_1\","
                                  "\"output_index\":2,\"name\":\"f\","
                                  "\"arguments\":\"{\\\"x\\\":1}\",\"sequence_number\":31}");
    expect_bytes(recorded(r, 12), "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{"
                                  "\"id\":\"rs_1\",\"type\":\"reasoning\","
                                  "\"status\":\"completed\",\"summary\":[{\"type\":\"summary_text\",\"text\":"
                                  "\"summary\\n\"}],\"content\":[{"
                                  "\"type\":\"reasoning_text\",\"text\":\"think\"}],\"encrypted_content\":"
                                  "\"zz\"},\"sequence_number\":12}");
    buf_free(&r->out);
    free(r);
    llm_log_free(&l);
}
END_TEST

/* ---- the Response object ---- */

START_TEST(answer_object)
{
    struct llm_log l;
    struct llm_builder b;
    struct buf out;
    all_steps(&l, &b);
    buf_init(&out, 1 << 20);
    dialect_responses.encode_answer(&promised_head, &l, &out);
    expect_bytes(
        buf_bytes(&out),
        "{\"id\":\"resp_0123456789abcdef0123456789abcdef\",\"object\":\"response\",\"created_at\":1700000000,"
        "\"status\":\"completed\",\"background\":false,\"error\":null,\"incomplete_details\":null,\"model\":"
        "\"demo\","
        "\"previous_response_id\":\"resp_before\",\"instructions\":\"Be "
        "\\\"brief\\\"\",\"max_output_tokens\":null,"
        "\"metadata\":{\"a\":\"b "
        "c\"},\"parallel_tool_calls\":true,\"temperature\":0.25,\"top_p\":1,\"tool_choice\":\"auto\","
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{},\"strict\":true}],"
        "\"reasoning\":{\"effort\":null,\"summary\":null},\"text\":{\"format\":{\"type\":\"text\"},"
        "\"verbosity\":\"medium\"},"
        "\"store\":true,\"user\":\"u\",\"truncation\":\"disabled\",\"service_tier\":null,\"top_logprobs\":0,"
        "\"max_tool_calls\":null,\"prompt_cache_key\":null,\"safety_identifier\":null,\"output\":["
        "{\"id\":\"rs_1\",\"type\":\"reasoning\",\"status\":\"completed\",\"summary\":[{\"type\":\"summary_"
        "text\","
        "\"text\":\"summary\\n\"}],\"content\":[{\"type\":\"reasoning_text\",\"text\":\"think\"}],"
        "\"encrypted_content\":\"zz\"},"
        "{\"id\":\"msg_\\\"1\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\","
        "\"content\":[{"
        "\"type\":\"output_text\",\"text\":\"Hello "
        "\\\"wörld\\\"\\\\\",\"annotations\":[{\"type\":\"file_path\",\"file_id\":\"f\","
        "\"index\":1},{\"type\":\"file_path\",\"file_id\":\"g\",\"index\":2}],\"logprobs\":[{\"token\":"
        "\"Hello\",\"logprob\":-1}]},"
        "{\"type\":\"refusal\",\"refusal\":\"No.\"}]},"
        "{\"id\":\"fc_1\",\"type\":\"function_call\",\"status\":\"completed\",\"arguments\":\"{\\\"x\\\":1}"
        "\",\"call_id\":\"call_1\","
        "\"name\":\"f\"},{\"id\":\"fc_2\",\"type\":\"function_call\",\"status\":\"completed\",\"arguments\":"
        "\"{}\","
        "\"call_id\":\"call_2\",\"name\":\"g\"}],\"output_text\":\"Hello "
        "\\\"wörld\\\"\\\\\",\"usage\":{\"input_tokens\":10,"
        "\"input_tokens_details\":{\"cached_tokens\":4,\"cache_write_tokens\":1},\"output_tokens\":20,"
        "\"output_tokens_details\":{\"reasoning_tokens\":5},\"total_tokens\":30}}");
    buf_free(&out);
    llm_log_free(&l);
}
END_TEST

/* The last event of a log that ended some way, and that log's first item. */
static void last_event(struct llm_log *l, const char *name, const char *status, const char *item_status,
                       const char *contains)
{
    struct recorder *r = malloc(sizeof(*r));
    struct llm_encoder e = {.head = &promised_head};
    struct json_doc d;
    recorder_setup(r);
    dialect_responses.encode_events(&e, l, &r->sink, SIZE_MAX);
    ck_assert(e.done);
    ck_assert_int_eq(check_event(r, r->n - 1), (int64_t)l->count - 1);
    ck_assert_str_eq(r->names[r->n - 1], name);
    doc_parse(&d, recorded(r, r->n - 1));
    json_ref response = json_get(&d, 0, "response");
    ck_assert(member_is(&d, response, "status", status));
    ck_assert(member_is(&d, json_first(&d, json_get(&d, response, "output")), "status", item_status));
    struct bytes text = recorded(r, r->n - 1);
    ck_assert_msg(memmem(text.data, text.len, contains, strlen(contains)), "%.*s", BYTES_FMT(text));
    json_doc_free(&d);
    buf_free(&r->out);
    free(r);
}

static void half_a_log(struct llm_log *l, struct llm_builder *b)
{
    log_with_echo(l, b);
    llm_builder_delta(b, LLM_PART_TEXT, BYTES("half"), none);
}

START_TEST(ends)
{
    static const struct {
        int status;
        const char *code, *shown;
        int retry_after_s;
    } failures[] = {
        {429, "rate_limit_exceeded",
         "\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\",\"retry_after\":7}", 7},
        {429, "rate_limit_exceeded", "\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}", 0},
        {429, "insufficient_quota",
         "\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\",\"reason\":\"insufficient_quota\"}",
         0},
        {400, "context_length_exceeded",
         "\"error\":{\"code\":\"invalid_prompt\",\"message\":\"m\",\"reason\":\"context_length_exceeded\"}",
         0},
        {400, "image_too_large", "\"error\":{\"code\":\"image_too_large\",\"message\":\"m\"}", 0},
        {502, "upstream_truncated",
         "\"error\":{\"code\":\"server_error\",\"message\":\"m\",\"reason\":\"upstream_truncated\"}", 0},
        {500, NULL, "\"error\":{\"code\":\"server_error\",\"message\":\"m\"}", 0},
    };
    struct llm_log l;
    struct llm_builder b;
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        struct fault f = {.kind = FAULT_OVERLOADED};
        half_a_log(&l, &b);
        api_error_set(&f.error, failures[i].status, API_UPSTREAM, failures[i].code, NULL, "m");
        f.error.retry_after_s = failures[i].retry_after_s;
        llm_builder_fail(&b, &f);
        last_event(&l, "response.failed", "failed", "incomplete", failures[i].shown);
        llm_log_free(&l);
    }
    half_a_log(&l, &b);
    llm_builder_finish(&b, LLM_FINISH_LENGTH);
    last_event(&l, "response.incomplete", "incomplete", "incomplete",
               "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}");
    llm_log_free(&l);
    half_a_log(&l, &b);
    llm_builder_finish(&b, LLM_FINISH_CONTENT_FILTER);
    last_event(&l, "response.incomplete", "incomplete", "incomplete",
               "\"incomplete_details\":{\"reason\":\"content_filter\"}");
    llm_log_free(&l);
    half_a_log(&l, &b);
    llm_builder_cancel(&b);
    last_event(&l, "response.incomplete", "cancelled", "incomplete", "\"incomplete_details\":null");
    llm_log_free(&l);
}
END_TEST

START_TEST(output_item_for_the_next_request)
{
    struct llm_log l;
    struct llm_builder b;
    struct buf out;
    struct json_writer w;
    all_steps(&l, &b);
    for (unsigned i = 0; i < llm_log_n_items(&l); i++) {
        struct json_doc d;
        buf_init(&out, 1 << 16);
        jw_init(&w, &out);
        responses_write_output_item(&l, i, &w);
        doc_parse(&d, buf_bytes(&out));
        check_item(&d, 0);
        json_doc_free(&d);
        buf_free(&out);
    }
    llm_log_free(&l);
}
END_TEST

/* An item of the provider's own: announced in progress, done with all that it has. */
START_TEST(opaque_item)
{
    struct llm_log l;
    struct llm_builder b;
    struct recorder *r = malloc(sizeof(*r));
    struct llm_encoder e = {.head = &promised_head};
    log_with_echo(&l, &b);
    recorder_setup(r);
    int item = llm_builder_item(&b, LLM_OUT_OPAQUE, BYTES("ws_1"), none, BYTES("web_search_call"));
    llm_builder_item_end(&b, item, BYTES("\"status\":\"failed\",\"action\":{}"));
    item = llm_builder_item(&b, LLM_OUT_OPAQUE, none, none, BYTES("web_search_call"));
    llm_builder_finish(&b, LLM_FINISH_LENGTH);
    dialect_responses.encode_events(&e, &l, &r->sink, SIZE_MAX);
    ck_assert_uint_eq(r->n, 7);
    for (size_t i = 0; i < r->n; i++)
        check_event(r, i);
    expect_bytes(recorded(r, 2),
                 "{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"id\":\"ws_1\","
                 "\"type\":\"web_search_call\",\"status\":\"in_progress\"},\"sequence_number\":2}");
    expect_bytes(recorded(r, 3),
                 "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"id\":\"ws_1\","
                 "\"type\":\"web_search_call\",\"status\":\"failed\",\"action\":{}},\"sequence_number\":3}");
    expect_bytes(recorded(r, 5),
                 "{\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"id\":"
                 "\"item_0123456789abcdef0123456789abcdef_1\",\"type\":\"web_search_call\","
                 "\"status\":\"incomplete\"},\"sequence_number\":5}");
    buf_free(&r->out);
    free(r);
    llm_log_free(&l);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        everything_live, answer_object, ends, output_item_for_the_next_request, opaque_item,
    };
    return run_tests("responses_events", tests, ARRAY_LEN(tests));
}

#include "gateway/ops/request.h"
#include "tests/unit/common/run.h"
#include <stdio.h>
#include <unistd.h>

static char seen[8192];

/* The line of `r`, behind its time. */
static const char *line_of(const struct request_record *r, enum log_format format)
{
    FILE *file = tmpfile();
    const int kept = dup(STDERR_FILENO);
    ck_assert_ptr_nonnull(file);
    log_set(&(struct log_opts){.level = LOG_LEVEL_INFO, .format = format, .max_unwritten = 65536});
    ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
    request_log(r);
    ck_assert_int_ge(dup2(kept, STDERR_FILENO), 0);
    (void)close(kept);
    rewind(file);
    seen[fread(seen, 1, sizeof(seen) - 1, file)] = '\0';
    (void)fclose(file);
    const char *at = strstr(seen, "level");
    ck_assert_ptr_nonnull(at);
    return at;
}

static const struct request_record whole = {.ids = {7, 3, "req_1", "resp_1"},
                                            .end = REQUEST_DONE,
                                            .endpoint = "/v1/responses",
                                            .websocket = true,
                                            .principal = "ann",
                                            .client = "192.0.2.1",
                                            .model = {"fast", 4},
                                            .entry = "fast",
                                            .provider = "openai",
                                            .target_model = "gpt-5.5-mini",
                                            .provider_request = "req_theirs",
                                            .provider_status = 200,
                                            .attempts = 1,
                                            .status = 200,
                                            .terminal = "completed",
                                            .has_usage = true,
                                            .input_tokens = 100,
                                            .output_tokens = 20,
                                            .cached_tokens = 64,
                                            .begun = true,
                                            .first_token_ms = 250,
                                            .total_ms = 2500,
                                            .normalized_bytes = 3};

START_TEST(all_that_is_known_is_said)
{
    ck_assert_str_eq(line_of(&whole, LOG_FORMAT_TEXT),
                     "level=info msg=\"request\" end=done conn=7 session=3 request=req_1 response=resp_1 "
                     "principal=ann client=192.0.2.1 endpoint=/v1/responses transport=websocket model=fast "
                     "provider=openai target_model=gpt-5.5-mini status=200 terminal=completed "
                     "input_tokens=100 output_tokens=20 cached_tokens=64 first_token_ms=250 total_ms=2500 "
                     "normalized_bytes=3 attempts=1 provider_status=200 provider_request=req_theirs\n");
    ck_assert_ptr_nonnull(
        strstr(line_of(&whole, LOG_FORMAT_JSON),
               "\"msg\":\"request\",\"end\":\"done\",\"conn\":7,\"session\":3,\"request\":\"req_1\","));
}
END_TEST

START_TEST(what_is_not_known_is_not_said)
{
    const struct request_record r = {.ids = {.request = "req_2"},
                                     .end = REQUEST_REFUSED,
                                     .endpoint = "/v1/messages",
                                     .principal = "ann",
                                     .status = 400,
                                     .error_code = "invalid_json"};
    ck_assert_str_eq(line_of(&r, LOG_FORMAT_TEXT),
                     "level=info msg=\"request\" end=refused request=req_2 principal=ann client=unix "
                     "endpoint=/v1/messages transport=http status=400 error=invalid_json total_ms=0\n");
}
END_TEST

/* Whatever the client calls its model, the line says the other things too. */
START_TEST(a_long_name_leaves_room)
{
    static char name[5000];
    memset(name, '\x01', sizeof(name));
    struct request_record r = whole;
    r.model = bytes_of(name, sizeof(name));
    const char *line = line_of(&r, LOG_FORMAT_JSON);
    ck_assert_ptr_nonnull(strstr(line, "\"provider_request\":\"req_theirs\""));
    ck_assert_ptr_nonnull(strstr(line, "\"truncated\":true}\n"));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("request_log");
    tcase_add_test(tc, all_that_is_known_is_said);
    tcase_add_test(tc, what_is_not_known_is_not_said);
    tcase_add_test(tc, a_long_name_leaves_room);
    return run_case(tc);
}

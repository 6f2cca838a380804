/* The table of a listener's paths, and what is said of those that it has not. */
#include "gateway/server/endpoint.h"
#include "tests/unit/common/run.h"

static const struct {
    const char *path, *hint;
} hints[] = {
    {"/chat/completions", "Did you mean /v1/chat/completions?"},
    {"/v1/v1/chat/completions", "Did you mean /v1/chat/completions?"},
    {"/v1/v1/v1/models", "Did you mean /v1/models?"},
    {"/v1/chat/completions/", "Did you mean /v1/chat/completions?"},
    {"/v1//responses", "Did you mean /v1/responses?"},
    {"//v1/responses//", "Did you mean /v1/responses?"},
    {"/models/gpt", "Did you mean /v1/models/gpt?"},
    {"/v1", "What there is: POST /v1/responses, "},
    {"/", "What there is: POST /v1/responses, "},
    {"", "What there is: "},
    {"/v10/models", "What there is: "},
    {"/echo", "What there is: "},
};

START_TEST(a_near_path_is_told)
{
    char hint[ENDPOINT_HINT_MAX];
    endpoint_hint(client_endpoints, bytes_cstr(hints[_i].path), hint);
    ck_assert_msg(bytes_starts(bytes_cstr(hint), bytes_cstr(hints[_i].hint)), "%s: %s", hints[_i].path, hint);
}
END_TEST

START_TEST(no_path_is_too_long)
{
    static char path[20000];
    char hint[ENDPOINT_HINT_MAX];
    memset(path, 'x', sizeof(path));
    endpoint_hint(client_endpoints, bytes_of(path, sizeof(path)), hint);
    ck_assert(bytes_starts(bytes_cstr(hint), BYTES("What there is: ")));
}
END_TEST

static void expect_methods(const char *path, bool tests, const char *methods)
{
    struct endpoints_at at;
    char allow[ENDPOINT_ALLOW_MAX];
    bool found = endpoint_find(client_endpoints, bytes_cstr(path), tests, &at);
    ck_assert_int_eq(found, methods != NULL);
    if (!found)
        return;
    endpoint_methods(&at, allow);
    ck_assert_str_eq(allow, methods);
}

START_TEST(paths_have_methods)
{
    expect_methods("/v1/responses", false, "GET, POST, OPTIONS");
    expect_methods("/v1/chat/completions", false, "POST, OPTIONS");
    expect_methods("/v1/models", false, "GET, HEAD, OPTIONS");
    expect_methods("/v1/models/x", false, "GET, HEAD, OPTIONS");
    expect_methods("/v1/models/", false, NULL);
    expect_methods("/v1/models/x/y", false, NULL);
    expect_methods("/v1/modelsx", false, NULL);
    expect_methods("/echo", false, NULL);
    expect_methods("/echo", true, "GET, OPTIONS");
}
END_TEST

/* A line in the list of dialects is all that it takes. */
START_TEST(every_dialect_of_clients_has_its_path)
{
    struct endpoints_at at;
    if (!dialect_faces_clients(dialects[_i]))
        return;
    ck_assert(endpoint_find(client_endpoints, bytes_cstr(dialects[_i]->endpoint), false, &at));
    ck_assert_ptr_nonnull(at.post);
    ck_assert_ptr_eq(at.post->dialect, dialects[_i]);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("endpoint");
    tcase_add_loop_test(tc, a_near_path_is_told, 0, (int)ARRAY_LEN(hints));
    tcase_add_test(tc, no_path_is_too_long);
    tcase_add_test(tc, paths_have_methods);
    tcase_add_loop_test(tc, every_dialect_of_clients_has_its_path, 0, (int)n_dialects);
    return run_case(tc);
}

#include "gateway/web/web.h"
#include "tests/unit/common/run.h"
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *path, *file, *type;
} expected[] = {
    {"/", "index.html", "text/html; charset=utf-8"},
    {"/app.js", "app.js", "text/javascript; charset=utf-8"},
    {"/app.css", "app.css", "text/css; charset=utf-8"},
    {"/answer.css", "answer.css", "text/css; charset=utf-8"},
    {"/markdown.js", "markdown.js", "text/javascript; charset=utf-8"},
    {"/sluice.js", "sluice.js", "text/javascript; charset=utf-8"},
    {"/sluice-answer.js", "sluice-answer.js", "text/javascript; charset=utf-8"},
    {"/sluice-lane.js", "sluice-lane.js", "text/javascript; charset=utf-8"},
    {"/sluice-link.js", "sluice-link.js", "text/javascript; charset=utf-8"},
    {"/favicon.svg", "favicon.svg", "image/svg+xml"},
};

START_TEST(test_every_file_is_there_byte_for_byte)
{
    char name[512];
    const struct web_asset *a = web_find(bytes_cstr(expected[_i].path));
    ck_assert_ptr_nonnull(a);
    ck_assert_str_eq(a->path, expected[_i].path);
    ck_assert_str_eq(a->content_type, expected[_i].type);

    int n = snprintf(name, sizeof(name), "%s/../../gateway/web/%s", FIXTURES, expected[_i].file);
    ck_assert_int_lt(n, (int)sizeof(name));
    FILE *f = fopen(name, "rb");
    ck_assert_ptr_nonnull(f);
    char *data = malloc(a->body.len + 1);
    ck_assert_ptr_nonnull(data);
    size_t got = fread(data, 1, a->body.len + 1, f);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_uint_eq(got, a->body.len);
    ck_assert_int_eq(memcmp(data, a->body.data, got), 0);
    free(data);
}
END_TEST

START_TEST(test_etags_are_quoted_and_differ)
{
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        const char *tag = web_find(bytes_cstr(expected[i].path))->etag;
        ck_assert_uint_eq(strlen(tag), 34);
        ck_assert_int_eq(tag[0], '"');
        ck_assert_int_eq(tag[33], '"');
        ck_assert_uint_eq(strspn(tag + 1, "0123456789abcdef"), 32);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(tag, web_find(bytes_cstr(expected[j].path))->etag);
    }
}
END_TEST

START_TEST(test_nothing_else_is_there)
{
    static const char *const paths[] = {"",         "/index.html", "/app",           "app.js",
                                        "/app.js/", "//",          "/../web/app.js", "/web.c"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        ck_assert_ptr_null(web_find(bytes_cstr(paths[i])));
    ck_assert_ptr_null(web_find(bytes_of("/app.js\0", 8)));
    ck_assert_ptr_null(web_find(bytes_of(NULL, 0)));
}
END_TEST

START_TEST(test_policy_lets_nothing_in)
{
    static const char *const directives[] = {
        "default-src 'none'", "script-src 'self'",  "style-src 'self'",      "connect-src 'self'",
        "base-uri 'none'",    "form-action 'none'", "frame-ancestors 'none'"};
    for (size_t i = 0; i < ARRAY_LEN(directives); i++)
        ck_assert_ptr_nonnull(strstr(web_csp, directives[i]));
    ck_assert_ptr_null(strstr(web_csp, "unsafe"));
    ck_assert_ptr_null(strchr(web_csp, '*'));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("assets");
    tcase_add_loop_test(t, test_every_file_is_there_byte_for_byte, 0, (int)ARRAY_LEN(expected));
    tcase_add_test(t, test_etags_are_quoted_and_differ);
    tcase_add_test(t, test_nothing_else_is_there);
    tcase_add_test(t, test_policy_lets_nothing_in);
    return run_case(t);
}

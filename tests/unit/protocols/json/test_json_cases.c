/* What RFC 8259 says must, must not and may be accepted. */
#include "protocols/json/json.h"
#include "tests/unit/protocols/json/cases.h"

static struct json_doc doc;
static unsigned accepted, refused;

static void visit(const char *name, struct bytes text)
{
    const struct json_limits sane = {512, 100000}, generous = {UINT32_MAX, SIZE_MAX};
    struct json_error error = {SIZE_MAX, NULL};
    bool must_accept = name[0] == 'y' || strncmp(name, "ia_", 3) == 0;

    enum err e = json_parse(&doc, text, &sane, &error);
    if (must_accept) {
        ck_assert_msg(e == ERR_OK, "%s: %s at %zu", name, error.what, error.offset);
        ck_assert_ptr_null(error.what);
        accepted++;
        return;
    }
    ck_assert_msg(e == ERR_SYNTAX || e == ERR_LIMIT, "%s: %s", name, err_name(e));
    ck_assert_msg(error.what && error.offset <= text.len, "%s", name);
    /* It is wrong, not only too deep. */
    ck_assert_msg(json_parse(&doc, text, &generous, &error) == ERR_SYNTAX, "%s", name);
    ck_assert_uint_eq(doc.n, 0);
    refused++;
}

START_TEST(all_cases)
{
    json_doc_init(&doc);
    ck_assert_uint_ge(each_case(FIXTURES "/json/cases", visit), 400);
    ck_assert_uint_ge(accepted, 95);
    ck_assert_uint_ge(refused, 188);
    json_doc_free(&doc);
}
END_TEST

/* A text that is cut anywhere is no text, and never has a wrong byte before the cut. */
START_TEST(every_prefix_is_refused)
{
    static const char text[] = "{\"k\\u00e9\\ud834\\udd1ey\": [1.5e+10, true, null, false, -0, "
                               "\"\xC3\xA9\xF0\x9F\x98\x80\\n\"], \"\": {\"a\": {}}}";
    const struct json_limits limits = {16, 100};

    json_doc_init(&doc);
    ck_assert_int_eq(json_parse(&doc, bytes_cstr(text), &limits, NULL), ERR_OK);
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct json_error error;
        char *cut = malloc(len > 0 ? len : 1);
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, text, len);
        ck_assert_int_eq(json_parse(&doc, bytes_of(cut, len), &limits, &error), ERR_SYNTAX);
        bool utf8 = error.offset < len && (unsigned char)cut[error.offset] >= 0x80;
        ck_assert_msg(error.offset == len || utf8, "cut at %zu: %s at %zu", len, error.what, error.offset);
        free(cut);
    }
    json_doc_free(&doc);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("json_cases");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, all_cases);
    tcase_add_test(tc, every_prefix_is_refused);
    return run_case(tc);
}

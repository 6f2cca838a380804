/* Against json-c: whatever our scanner accepts, json-c parses too, and sees the same values. */
#include "protocols/json/json.h"
#include "tests/unit/protocols/json/cases.h"
/* Its type has the name of ours. */
#define json_type json_c_type
#include <json-c/json.h>
#undef json_type

static const struct json_limits limits = {600, 100000};
static struct json_doc doc;
static unsigned compared;

static void same(json_ref r, struct json_object *o, struct bytes text);

static void same_string(json_ref r, struct json_object *o, struct bytes text)
{
    struct arena a;
    struct bytes s;

    arena_init(&a, 1U << 20);
    ck_assert(json_string(&doc, r, &a, &s));
    struct bytes theirs = bytes_of(json_object_get_string(o), (size_t)json_object_get_string_len(o));
    ck_assert_msg(bytes_eq(s, theirs), "%.*s", BYTES_FMT(text));
    arena_free(&a);
}

static void same_number(json_ref r, struct json_object *o, struct bytes text)
{
    int64_t i;
    double d;

    /* json-c clamps integers that are out of range, and makes infinities. */
    if (json_object_is_type(o, json_type_int)) {
        if (json_int(&doc, r, &i))
            ck_assert_msg(json_object_get_int64(o) == i, "%.*s", BYTES_FMT(text));
    } else if (json_double(&doc, r, &d)) {
        ck_assert_msg(json_object_get_double(o) == d, "%.*s", BYTES_FMT(text));
    }
}

static void same_members(json_ref r, struct json_object *o, struct bytes text)
{
    for (json_ref m = json_first(&doc, r); m != JSON_NONE; m = json_next(&doc, m)) {
        char key[256];
        /* json-c's keys end at their first NUL. */
        if (json_raw_key(&doc, m).len >= sizeof(key) || doc.nodes[m].key_escaped)
            continue;
        (void)snprintf(key, sizeof(key), "%.*s", BYTES_FMT(json_raw_key(&doc, m)));
        struct json_object *theirs;
        ck_assert_msg(json_object_object_get_ex(o, key, &theirs), "%.*s", BYTES_FMT(text));
        same(m, theirs, text);
    }
}

static void same(json_ref r, struct json_object *o, struct bytes text)
{
    size_t i = 0;

    switch (json_type(&doc, r)) {
    case JSON_NULL:
        ck_assert_ptr_null(o);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        ck_assert(json_object_is_type(o, json_type_boolean));
        ck_assert_int_eq(json_object_get_boolean(o), json_is(&doc, r, JSON_TRUE));
        break;
    case JSON_NUMBER:
        ck_assert(json_object_is_type(o, json_type_int) || json_object_is_type(o, json_type_double));
        same_number(r, o, text);
        break;
    case JSON_STRING:
        ck_assert(json_object_is_type(o, json_type_string));
        same_string(r, o, text);
        break;
    case JSON_ARRAY:
        ck_assert(json_object_is_type(o, json_type_array));
        ck_assert_uint_eq(json_object_array_length(o), doc.nodes[r].count);
        for (json_ref m = json_first(&doc, r); m != JSON_NONE; m = json_next(&doc, m))
            same(m, json_object_array_get_idx(o, i++), text);
        break;
    case JSON_OBJECT:
        ck_assert(json_object_is_type(o, json_type_object));
        same_members(r, o, text);
        break;
    }
}

/* Strict, json-c also refuses integers out of range since 0.17, and every byte from 0x80 in 0.18 (its issue
 * 875). */
static int how_to_read(void)
{
    bool strict = json_c_version_num() < 0x001100;
    return JSON_TOKENER_VALIDATE_UTF8 | (strict ? JSON_TOKENER_STRICT : 0);
}

static void compare(struct bytes text)
{
    if (json_parse(&doc, text, &limits, NULL))
        return;
    /* A number at the very end is complete for json-c only when something follows. */
    char *ended = malloc(text.len + 1);
    ck_assert_ptr_nonnull(ended);
    memcpy(ended, text.data, text.len);
    ended[text.len] = '\0';
    struct json_tokener *tok = json_tokener_new_ex(700);
    ck_assert_ptr_nonnull(tok);
    json_tokener_set_flags(tok, how_to_read());
    struct json_object *o = json_tokener_parse_ex(tok, ended, (int)text.len + 1);
    enum json_tokener_error e = json_tokener_get_error(tok);
    ck_assert_msg(e == json_tokener_success, "%.*s: %s", BYTES_FMT(text), json_tokener_error_desc(e));
    same(0, o, text);
    (void)json_object_put(o);
    json_tokener_free(tok);
    free(ended);
    compared++;
}

static uint64_t random_state = 88172645463325252;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* A few bytes changed, left out or doubled. */
static void mutate_and_compare(struct bytes text)
{
    static const char alphabet[] = "[]{}:,\"\\/u0123456789abcdefDEd8 \n\ttrue-+.E\x01\x80\xC3\xE2\xF0\xBF";
    char *copy = malloc(text.len + 8);

    ck_assert_ptr_nonnull(copy);
    for (unsigned round = 0; round < 60; round++) {
        size_t len = text.len;
        memcpy(copy, text.data, len);
        for (uint64_t n = next_random() % 3 + 1; n > 0 && len > 0; n--) {
            size_t at = next_random() % len;
            switch (next_random() % 3) {
            case 0:
                copy[at] = alphabet[next_random() % (sizeof(alphabet) - 1)];
                break;
            case 1:
                memmove(copy + at, copy + at + 1, len - at - 1);
                len--;
                break;
            default:
                memmove(copy + at + 1, copy + at, len - at);
                len++;
            }
        }
        compare(bytes_of(copy, len));
    }
    free(copy);
}

static void visit(const char *name, struct bytes text)
{
    (void)name;
    compare(text);
    if (text.len > 0 && text.len < 2000)
        mutate_and_compare(text);
}

START_TEST(what_we_accept_json_c_parses)
{
    json_doc_init(&doc);
    ck_assert_uint_ge(each_case(FIXTURES "/json/cases", visit), 400);
    ck_assert_uint_gt(compared, 2000);
    json_doc_free(&doc);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("json_differential");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, what_we_accept_json_c_parses);
    return run_case(tc);
}

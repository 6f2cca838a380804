#include "protocols/json/json.h"
#include "tests/unit/common/run.h"
#include <stdio.h>

static struct json_doc doc;
static const struct json_limits limits = {64, 100000};

static void setup(void)
{
    json_doc_init(&doc);
}

static void teardown(void)
{
    json_doc_free(&doc);
    json_doc_free(NULL);
}

static void parse(const char *text)
{
    struct json_error error = {0, ""};

    enum err e = json_parse(&doc, bytes_cstr(text), &limits, &error);
    ck_assert_msg(e == ERR_OK, "%s: %s at %zu", text, error.what, error.offset);
}

START_TEST(errors_say_where_and_what)
{
    static const struct {
        const char *text;
        size_t offset;
        const char *what;
    } cases[] = {
        {"", 0, "the text ends too early"},
        {"  ", 2, "the text ends too early"},
        {"[1, x]", 4, "a value must stand here"},
        {"[1 2]", 3, "a comma or ] must stand here"},
        {"{\"a\":1 2}", 7, "a comma or } must stand here"},
        {"{\"a\" 1}", 5, "a colon must stand here"},
        {"{1:2}", 1, "a key must stand here"},
        {"{\"a\":1,}", 7, "a key must stand here"},
        {"[] x", 3, "something stands after the value"},
        {"[nulx]", 4, "no such word"},
        {"[nul", 4, "the text ends too early"},
        {"[-x]", 2, "a digit must stand here"},
        {"[1.x]", 3, "a digit must stand here"},
        {"[1ex]", 3, "a digit must stand here"},
        {"[-", 2, "the text ends too early"},
        {"[012]", 1, "a number with a leading zero"},
        {"[-012]", 2, "a number with a leading zero"},
        {"[\"abc\\x\"]", 6, "no such escape"},
        {"[\"\\u12G4\"]", 6, "not a hexadecimal digit"},
        {"[\"ab\\ud800\"]", 4, "half a surrogate pair"},
        {"[\"\\udc00\"]", 2, "half a surrogate pair"},
        {"[\"\\ud800\\u0041\"]", 2, "half a surrogate pair"},
        {"[\"a\tb\"]", 3, "a control character in a string"},
        {"[\"12345678901\n\"]", 13, "a control character in a string"},
        {"[\"ab\xC3(\"]", 4, "not UTF-8"},
        {"[\"1234567\xFF\"]", 9, "not UTF-8"},
        {"\xEF\xBB\xBF{}", 0, "a value must stand here"},
        {"{\"a\":1,\"b\":2,\"a\":3}", 13, "duplicate key"},
        {"\"abc", 4, "the text ends too early"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_error error = {SIZE_MAX, NULL};
        ck_assert_int_eq(json_parse(&doc, bytes_cstr(cases[i].text), &limits, &error), ERR_SYNTAX);
        ck_assert_msg(error.offset == cases[i].offset && strcmp(error.what, cases[i].what) == 0,
                      "%s: %s at %zu", cases[i].text, error.what, error.offset);
        ck_assert_int_eq(json_parse(&doc, bytes_cstr(cases[i].text), &limits, NULL), ERR_SYNTAX);
    }
}
END_TEST

START_TEST(limits_hold)
{
    struct json_error error;
    struct json_limits l = {3, 5};

    ck_assert_int_eq(json_parse(&doc, BYTES("[[[]]]"), &l, &error), ERR_OK);
    ck_assert_int_eq(json_parse(&doc, BYTES("[[{\"a\":[]}]]"), &l, &error), ERR_LIMIT);
    ck_assert_uint_eq(error.offset, 7);
    ck_assert_str_eq(error.what, "nesting deeper than allowed");
    ck_assert_int_eq(json_parse(&doc, BYTES("[1,2,3,4]"), &l, &error), ERR_OK);
    ck_assert_int_eq(json_parse(&doc, BYTES("[1,2,3,4,5]"), &l, &error), ERR_LIMIT);
    ck_assert_uint_eq(error.offset, 9);
    ck_assert_str_eq(error.what, "more values than allowed");
    l = (struct json_limits){0, 0};
    ck_assert_int_eq(json_parse(&doc, BYTES("1"), &l, &error), ERR_LIMIT);
    l.max_nodes = 1;
    ck_assert_int_eq(json_parse(&doc, BYTES("1"), &l, &error), ERR_OK);
    ck_assert_int_eq(json_parse(&doc, BYTES("[]"), &l, &error), ERR_LIMIT);
    /* Siblings do not add to the depth. */
    l = (struct json_limits){2, 100};
    ck_assert_int_eq(json_parse(&doc, BYTES("[[],[],{},[],{}]"), &l, &error), ERR_OK);
}
END_TEST

START_TEST(four_gigabytes_are_too_much)
{
    struct json_error error;

    /* Refused by its length, before a byte is read. */
    ck_assert_int_eq(json_parse(&doc, bytes_of("1", (size_t)UINT32_MAX + 1), &limits, &error), ERR_LIMIT);
    ck_assert_str_eq(error.what, "a text of 4 GiB or more");
}
END_TEST

START_TEST(tree_is_walked)
{
    parse(" { \"a\" : [1, [2, {}], \"x\"], \"b\" : {\"c\": null}, \"d\": true } ");
    ck_assert(json_is(&doc, 0, JSON_OBJECT));
    ck_assert_uint_eq(doc.nodes[0].count, 3);
    json_ref a = json_get(&doc, 0, "a");
    ck_assert(json_is(&doc, a, JSON_ARRAY));
    ck_assert_uint_eq(doc.nodes[a].count, 3);
    ck_assert(bytes_is(json_raw(&doc, a), "[1, [2, {}], \"x\"]"));
    json_ref one = json_first(&doc, a);
    ck_assert(bytes_is(json_raw(&doc, one), "1"));
    json_ref inner = json_next(&doc, one);
    ck_assert(bytes_is(json_raw(&doc, inner), "[2, {}]"));
    json_ref x = json_next(&doc, inner);
    ck_assert(bytes_is(json_raw(&doc, x), "\"x\""));
    ck_assert(bytes_is(json_raw_string(&doc, x), "x"));
    ck_assert_uint_eq(json_next(&doc, x), JSON_NONE);
    json_ref b = json_next(&doc, a);
    ck_assert(bytes_is(json_raw_key(&doc, b), "b"));
    ck_assert(json_key_is(&doc, b, "b"));
    ck_assert(json_is(&doc, json_get(&doc, b, "c"), JSON_NULL));
    ck_assert(json_is_bool(&doc, json_get(&doc, 0, "d")));
    ck_assert_uint_eq(json_next(&doc, 0), JSON_NONE);
    ck_assert_uint_eq(json_first(&doc, one), JSON_NONE);
    ck_assert(
        bytes_is(json_raw(&doc, 0), "{ \"a\" : [1, [2, {}], \"x\"], \"b\" : {\"c\": null}, \"d\": true }"));
}
END_TEST

START_TEST(nothing_is_harmless)
{
    struct bytes text;
    struct arena a;
    double d;
    int64_t i;

    arena_init(&a, 1000);
    for (int round = 0; round < 2; round++) {
        ck_assert_uint_eq(json_get(&doc, JSON_NONE, "a"), JSON_NONE);
        ck_assert_uint_eq(json_first(&doc, JSON_NONE), JSON_NONE);
        ck_assert_uint_eq(json_next(&doc, JSON_NONE), JSON_NONE);
        ck_assert(!json_is(&doc, JSON_NONE, JSON_NULL));
        ck_assert(!json_is_bool(&doc, JSON_NONE));
        ck_assert(!json_key_is(&doc, JSON_NONE, ""));
        ck_assert_uint_eq(json_raw(&doc, JSON_NONE).len, 0);
        ck_assert_uint_eq(json_raw_key(&doc, JSON_NONE).len, 0);
        ck_assert_uint_eq(json_raw_string(&doc, JSON_NONE).len, 0);
        ck_assert(!json_string(&doc, JSON_NONE, &a, &text));
        ck_assert(!json_int(&doc, JSON_NONE, &i));
        ck_assert(!json_double(&doc, JSON_NONE, &d));
        parse("[{\"a\":1}]");
    }
    ck_assert_uint_eq(json_get(&doc, 0, "a"), JSON_NONE);
    ck_assert_uint_eq(json_get(&doc, 1, "b"), JSON_NONE);
    ck_assert_uint_eq(json_get(&doc, 2, "b"), JSON_NONE);
    ck_assert(!json_key_is(&doc, 0, ""));
    ck_assert(!json_key_is(&doc, 1, ""));
    /* A document that was refused has no values. */
    ck_assert_int_eq(json_parse(&doc, BYTES("[1,2"), &limits, NULL), ERR_SYNTAX);
    ck_assert_uint_eq(json_first(&doc, 0), JSON_NONE);
    arena_free(&a);
}
END_TEST

START_TEST(keys_compare_unescaped)
{
    parse("{\"\\u0061b\":1, \"\\n\":2, \"\\ud83d\\ude00\":3, \"\":4, \"a\\u0000b\":5, \"\\/\":6}");
    ck_assert(json_key_is(&doc, json_get(&doc, 0, "ab"), "ab"));
    ck_assert(bytes_is(json_raw(&doc, json_get(&doc, 0, "ab")), "1"));
    ck_assert(bytes_is(json_raw_key(&doc, json_get(&doc, 0, "ab")), "\\u0061b"));
    ck_assert(bytes_is(json_raw(&doc, json_get(&doc, 0, "\n")), "2"));
    ck_assert(bytes_is(json_raw(&doc, json_get(&doc, 0, "\xF0\x9F\x98\x80")), "3"));
    ck_assert(bytes_is(json_raw(&doc, json_get(&doc, 0, "")), "4"));
    ck_assert(bytes_is(json_raw(&doc, json_get(&doc, 0, "/")), "6"));
    ck_assert_uint_eq(json_get(&doc, 0, "a"), JSON_NONE);
    ck_assert_uint_eq(json_get(&doc, 0, "\\u0061b"), JSON_NONE);
}
END_TEST

static void refuse_twice(const char *text, size_t offset)
{
    struct json_error error = {0, ""};

    ck_assert_int_eq(json_parse(&doc, bytes_cstr(text), &limits, &error), ERR_SYNTAX);
    ck_assert_msg(strcmp(error.what, "duplicate key") == 0 && error.offset == offset, "%s: %s at %zu", text,
                  error.what, error.offset);
}

START_TEST(duplicate_keys_are_refused)
{
    refuse_twice("{\"a\":1,\"a\":1}", 7);
    refuse_twice("{\"a\":1,\"\\u0061\":1}", 7);
    refuse_twice("{\"\\u0061\":1,\"a\":1}", 12);
    refuse_twice("{\"\\u00e9\":1,\"\xC3\xA9\":1}", 12);
    refuse_twice("{\"\\ud83d\\ude00\":1,\"\xF0\x9F\x98\x80\":1}", 18);
    refuse_twice("{\"\\n\":1,\"\\u000a\":1}", 8);
    refuse_twice("{\"\\/\":1,\"/\":1}", 8);
    refuse_twice("{\"\":1,\"\":1}", 6);
    refuse_twice("{\"a\":{\"b\":1,\"c\":{},\"b\":1}}", 19);
    refuse_twice("{\"a\":{\"a\":1},\"x\":[{\"a\":{}}],\"a\":1}", 28);
    parse("{\"a\":{\"a\":1},\"b\":[{\"a\":{\"a\":0}}],\"c\":{\"b\":1}}");
    /* Of the same length, letters, beginning and end. */
    parse("{\"abcd\":1,\"acbd\":2,\"abbd\":3,\"a\\\\cd\":4,\"a\\\"cd\":5,\"aacd\":6}");
    parse("{\"a\":1,\"a\\u0000\":1,\"a\\u0000b\":1,\"a\\u0000c\":2}");
}
END_TEST

enum { MANY = 5000 };

/* An object of MANY keys; `again` of them is written twice, the second time at the end and escaped. */
static size_t write_many(struct buf *b, unsigned again)
{
    size_t at = 0;

    buf_reset(b);
    (void)buf_append_char(b, '{');
    for (unsigned i = 0; i < MANY; i++)
        (void)buf_printf(b, "%s\"key-%u\":{\"key-1\":%u}", i > 0 ? "," : "", i, i);
    if (again < MANY) {
        at = b->len + 1;
        (void)buf_printf(b, ",\"k\\u0065y-%u\":null", again);
    }
    (void)buf_append_char(b, '}');
    ck_assert(!b->failed);
    return at;
}

START_TEST(duplicates_among_thousands)
{
    struct json_error error;
    struct buf b;

    buf_init(&b, 10U << 20);
    (void)write_many(&b, MANY);
    ck_assert_int_eq(json_parse(&doc, buf_bytes(&b), &limits, &error), ERR_OK);
    ck_assert_uint_eq(doc.nodes[0].count, MANY);
    ck_assert(bytes_is(json_raw(&doc, json_get(&doc, 0, "key-4711")), "{\"key-1\":4711}"));
    for (unsigned again = 0; again < MANY; again += 617) {
        size_t at = write_many(&b, again);
        ck_assert_int_eq(json_parse(&doc, buf_bytes(&b), &limits, &error), ERR_SYNTAX);
        ck_assert_str_eq(error.what, "duplicate key");
        ck_assert_uint_eq(error.offset, at);
    }
    buf_free(&b);
}
END_TEST

START_TEST(duplicates_at_every_size)
{
    struct buf b;

    buf_init(&b, 65536);
    for (unsigned size = 2; size < 40; size++) {
        for (unsigned twin = 0; twin < size; twin++) {
            struct json_error error;
            buf_reset(&b);
            for (unsigned i = 0; i < size; i++)
                (void)buf_printf(&b, "%c\"k%u\":0", i > 0 ? ',' : '{', i == size - 1 ? twin : i);
            (void)buf_append_char(&b, '}');
            enum err e = json_parse(&doc, buf_bytes(&b), &limits, &error);
            ck_assert_msg(e == (twin == size - 1 ? ERR_OK : ERR_SYNTAX), "size %u twin %u", size, twin);
        }
    }
    buf_free(&b);
}
END_TEST

START_TEST(memory_is_reused)
{
    parse("[1,2,3,{\"a\":[1,2,3]},{\"a\":1,\"b\":2}]");
    struct json_node *nodes = doc.nodes;
    size_t cap = doc.cap;
    for (int i = 0; i < 100; i++) {
        parse("[1,2,3,{\"a\":[1,2,3]},{\"a\":1,\"b\":2}]");
        ck_assert_ptr_eq(doc.nodes, nodes);
        ck_assert_uint_eq(doc.cap, cap);
    }
    /* Nothing of the document before shines through. */
    parse("[]");
    ck_assert_uint_eq(json_first(&doc, 0), JSON_NONE);
    ck_assert_uint_eq(doc.n, 1);
}
END_TEST

START_TEST(type_names)
{
    ck_assert_str_eq(json_type_name(JSON_NULL), "null");
    ck_assert_str_eq(json_type_name(JSON_FALSE), "boolean");
    ck_assert_str_eq(json_type_name(JSON_TRUE), "boolean");
    ck_assert_str_eq(json_type_name(JSON_NUMBER), "number");
    ck_assert_str_eq(json_type_name(JSON_STRING), "string");
    ck_assert_str_eq(json_type_name(JSON_ARRAY), "array");
    ck_assert_str_eq(json_type_name(JSON_OBJECT), "object");
    parse("[null,false,true,1,\"\",[],{}]");
    json_ref r = json_first(&doc, 0);
    for (int t = JSON_NULL; t <= JSON_OBJECT; t++, r = json_next(&doc, r))
        ck_assert_int_eq((int)json_type(&doc, r), t);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("json_parse");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, errors_say_where_and_what);
    tcase_add_test(tc, limits_hold);
    tcase_add_test(tc, four_gigabytes_are_too_much);
    tcase_add_test(tc, tree_is_walked);
    tcase_add_test(tc, nothing_is_harmless);
    tcase_add_test(tc, keys_compare_unescaped);
    tcase_add_test(tc, duplicate_keys_are_refused);
    tcase_add_test(tc, duplicates_among_thousands);
    tcase_add_test(tc, duplicates_at_every_size);
    tcase_add_test(tc, memory_is_reused);
    tcase_add_test(tc, type_names);
    return run_case(tc);
}

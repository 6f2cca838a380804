#include "protocols/fields.h"
#include "support.h"

/* A message with one of everything. */
static const char *const colours[] = {"red", "green", NULL};
static const struct field_shape tag = {.types = FIELD_STRING, .min_chars = 1, .max_chars = 3};
static const struct field_shape small = {FIELD_INTEGER, FIELD_RANGE(1, 3)};

static const struct field circle_fields[] = {{"radius", true, {FIELD_NUMBER, FIELD_RANGE(0, 10)}}};
static const struct field_object circle = {FIELD_OBJECT_OF(circle_fields)};
static const struct field square_fields[] = {{"side", true, {.types = FIELD_NUMBER}}};
static const struct field_object square = {.fields = square_fields, .n = 1, .closed = true};
static const struct field_object anything = {.n = 0};
static const struct field_variant variants[] = {{"circle", &circle}, {"square", &square}};
static const struct field_union strict_union = {"kind", NULL, variants, 2, NULL};
static const struct field_union loose_union = {"kind", "circle", variants, 2, &anything};
static const struct field_shape loose = {FIELD_OBJECT, .variants = &loose_union};

static const struct field inner_fields[] = {
    {"deep", true, {FIELD_ARRAY, .items = &small}},
    {"flag", false, {.types = FIELD_BOOL}},
};
static const struct field_object inner = {FIELD_OBJECT_OF(inner_fields)};

static const struct field fields[] = {
    {"name", true, {FIELD_STRING, .min_chars = 2, .max_chars = 4}},
    {"colour", false, {FIELD_STRING | FIELD_NULL, .one_of = colours}},
    {"level", false, {FIELD_NUMBER | FIELD_NULL, FIELD_RANGE(-1, 1.5)}},
    {"count", false, {FIELD_INTEGER, FIELD_RANGE(0, 100)}},
    {"total", false, {.types = FIELD_INTEGER}},
    {"ratio", false, {.types = FIELD_NUMBER}},
    {"tags", false, {FIELD_STRING | FIELD_ARRAY, .min_items = 1, .max_items = 2, .items = &tag}},
    {"inner", false, {FIELD_OBJECT, .object = &inner}},
    {"shape", false, {FIELD_OBJECT, .variants = &strict_union}},
    {"shapes", false, {FIELD_ARRAY, .items = &loose}},
    {"map", false, {FIELD_OBJECT, .max_items = 2, .values = &tag, .max_key_chars = 4}},
    {"any", false, {.types = FIELD_ANY}},
};
static const struct field_object object = {FIELD_OBJECT_OF(fields)};
static const struct field_shape shape = {FIELD_OBJECT, .object = &object};

static enum err check_text(const char *text, struct api_error *ret)
{
    struct json_doc d;
    struct arena a;
    doc_parse(&d, bytes_cstr(text));
    arena_init(&a, 1 << 16);
    enum err err = fields_check(&d, 0, &shape, &a, ret);
    json_doc_free(&d);
    arena_free(&a);
    return err;
}

START_TEST(test_accepted)
{
    static const char *const texts[] = {
        "{\"name\":\"ab\"}",
        "{\"name\":\"abcd\",\"unknown\":[{}],\"colour\":null,\"level\":-1,\"count\":1e2}",
        "{\"name\":\"ab\",\"colour\":\"gr\\u0065en\",\"level\":1.5,\"count\":100.0}",
        "{\"n\\u0061me\":\"\\u00e9\\n\\uD83D\\uDE00\\/\",\"any\":null}",
        "{\"name\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x61\",\"any\":{}}",
        "{\"name\":\"ab\",\"tags\":\"also longer than an element\"}",
        "{\"name\":\"ab\",\"tags\":[\"a\",\"bcd\"]}",
        "{\"name\":\"ab\",\"inner\":{\"deep\":[],\"flag\":false,\"more\":0}}",
        "{\"name\":\"ab\",\"inner\":{\"deep\":[1,2,3]}}",
        "{\"name\":\"ab\",\"shape\":{\"kind\":\"circle\",\"radius\":0,\"colour\":1}}",
        "{\"name\":\"ab\",\"shape\":{\"side\":-1e3,\"kind\":\"square\"}}",
        ("{\"name\":\"ab\",\"shapes\":[{\"radius\":1},{\"kind\":\"blob\",\"radius\":\"x\"},{\"side\":1,"
         "\"kind\":\"square\"}]}"),
        "{\"name\":\"ab\",\"map\":{\"k1\":\"v\",\"\\u0041\\u0041\\u0041\\u0041\":\"vvv\"}}",
        "{\"name\":\"ab\",\"total\":123456789012345678901234567890}",
        "{\"name\":\"ab\",\"total\":-1E+30,\"ratio\":1e-400}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct api_error e = {.message = "untouched"};
        enum err err = check_text(texts[i], &e);
        ck_assert_msg(err == ERR_OK, "%s: %s: %s", texts[i], e.param, e.message);
        ck_assert_str_eq(e.message, "untouched");
    }
}
END_TEST

static const struct {
    const char *text, *param, *code, *message;
} refusals[] = {
    {"[]", "", "invalid_type", "Invalid type for the message: expected an object, got an array."},
    {"{}", "name", "missing_required_parameter", "Missing required parameter: name."},
    {"{\"name\":null}", "name", "invalid_type", "Invalid type for name: expected a string, got null."},
    {"{\"name\":\"a\"}", "name", "string_below_min_length",
     "Invalid length of name: expected at least 2 characters, got 1."},
    {"{\"name\":\"\\uD83D\\uDE00\"}", "name", "string_below_min_length", NULL},
    {"{\"name\":\"abcde\"}", "name", "string_above_max_length",
     "Invalid length of name: expected at most 4 characters, got 5."},
    {"{\"name\":\"ab\",\"colour\":\"blue\"}", "colour", "invalid_value",
     "Invalid value for colour: got \"blue\", expected one of 'red', 'green'."},
    {"{\"name\":\"ab\",\"colour\":1.5}", "colour", "invalid_type",
     "Invalid type for colour: expected a string or null, got a decimal number."},
    {"{\"name\":\"ab\",\"level\":1.6}", "level", "decimal_above_max_value",
     "Invalid value for level: expected at most 1.5, got 1.6."},
    {"{\"name\":\"ab\",\"level\":-2}", "level", "decimal_below_min_value",
     "Invalid value for level: expected at least -1, got -2."},
    {"{\"name\":\"ab\",\"level\":1e400}", "level", "invalid_value", NULL},
    {"{\"name\":\"ab\",\"ratio\":-1e400}", "ratio", "invalid_value", NULL},
    {"{\"name\":\"ab\",\"count\":101}", "count", "integer_above_max_value",
     "Invalid value for count: expected at most 100, got 101."},
    {"{\"name\":\"ab\",\"count\":-1}", "count", "integer_below_min_value", NULL},
    {"{\"name\":\"ab\",\"count\":1.5}", "count", "invalid_type",
     "Invalid type for count: expected an integer, got a decimal number."},
    {"{\"name\":\"ab\",\"count\":1e30}", "count", "integer_above_max_value", NULL},
    {"{\"name\":\"ab\",\"count\":true}", "count", "invalid_type",
     "Invalid type for count: expected an integer, got a boolean."},
    {"{\"name\":\"ab\",\"tags\":[]}", "tags", "array_below_min_length",
     "Invalid length of tags: expected at least 1 element, got 0."},
    {"{\"name\":\"ab\",\"tags\":[\"a\",\"b\",\"c\"]}", "tags", "array_above_max_length", NULL},
    {"{\"name\":\"ab\",\"tags\":[\"a\",7]}", "tags[1]", "invalid_type",
     "Invalid type for tags[1]: expected a string, got an integer."},
    {"{\"name\":\"ab\",\"tags\":[\"\"]}", "tags[0]", "string_below_min_length", NULL},
    {"{\"name\":\"ab\",\"tags\":{}}", "tags", "invalid_type",
     "Invalid type for tags: expected a string or an array, got an object."},
    {"{\"name\":\"ab\",\"inner\":{}}", "inner.deep", "missing_required_parameter",
     "Missing required parameter: inner.deep."},
    {"{\"name\":\"ab\",\"inner\":{\"deep\":[1,2,4]}}", "inner.deep[2]", "integer_above_max_value", NULL},
    {"{\"name\":\"ab\",\"inner\":{\"deep\":[],\"flag\":0}}", "inner.flag", "invalid_type", NULL},
    {"{\"name\":\"ab\",\"shape\":{\"radius\":1}}", "shape.kind", "missing_required_parameter", NULL},
    {"{\"name\":\"ab\",\"shape\":{\"kind\":3}}", "shape.kind", "invalid_type",
     "Invalid type for shape.kind: expected a string, got an integer."},
    {"{\"name\":\"ab\",\"shape\":{\"kind\":\"blob\"}}", "shape.kind", "invalid_value",
     "Invalid value for shape.kind: got \"blob\", expected one of 'circle', 'square'."},
    {"{\"name\":\"ab\",\"shape\":{\"kind\":\"circle\"}}", "shape.radius", "missing_required_parameter", NULL},
    {"{\"name\":\"ab\",\"shape\":{\"kind\":\"circle\",\"radius\":11}}", "shape.radius",
     "decimal_above_max_value", NULL},
    {"{\"name\":\"ab\",\"shape\":{\"kind\":\"square\",\"side\":1,\"x\":1}}", "shape.x", "unknown_parameter",
     NULL},
    {"{\"name\":\"ab\",\"shapes\":[{\"radius\":1},{}]}", "shapes[1].radius", "missing_required_parameter",
     NULL},
    {"{\"name\":\"ab\",\"shapes\":[{\"kind\":null}]}", "shapes[0].kind", "invalid_type", NULL},
    {"{\"name\":\"ab\",\"map\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}}", "map", "object_above_max_properties",
     NULL},
    {"{\"name\":\"ab\",\"map\":{\"a\":1}}", "map.a", "invalid_type", NULL},
    {"{\"name\":\"ab\",\"map\":{\"abcde\":\"1\"}}", "map.abcde", "string_above_max_length", NULL},
};

START_TEST(test_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct api_error e = {.status = 0};
        ck_assert_msg(check_text(refusals[i].text, &e) == ERR_INVALID, "%s", refusals[i].text);
        ck_assert_int_eq(e.status, 400);
        ck_assert_str_eq(e.type, API_INVALID);
        ck_assert_str_eq(e.code, refusals[i].code);
        ck_assert_str_eq(e.param, refusals[i].param);
        if (refusals[i].message)
            ck_assert_str_eq(e.message, refusals[i].message);
    }
}
END_TEST

/* A path or a value longer than its room is cut, not overrun. */
START_TEST(test_long)
{
    char text[3000];
    struct api_error e;
    int n = snprintf(text, sizeof text, "{\"name\":\"ab\",\"map\":{\"%0*d\":1}}", 1000, 7);
    ck_assert_int_gt(n, 1000);
    ck_assert_int_eq(check_text(text, &e), ERR_INVALID);
    ck_assert_uint_eq(strlen(e.param), sizeof e.param - 1);
    ck_assert_str_eq(e.code, "string_above_max_length");

    size_t len = (size_t)snprintf(text, sizeof text, "{\"name\":\"ab\",\"colour\":\"x");
    for (int i = 0; i < 300; i++, len += 3)
        memcpy(text + len, "\xe2\x82\xac", 3);
    snprintf(text + len, sizeof text - len, "\"}");
    ck_assert_int_eq(check_text(text, &e), ERR_INVALID);
    ck_assert_uint_lt(strlen(e.message), 200);
    struct buf out;
    buf_init(&out, 4096);
    api_error_body(&e, &out);
    ck_assert(is_json(buf_bytes(&out)));
    buf_free(&out);
}
END_TEST

START_TEST(test_no_memory)
{
    struct json_doc d;
    struct arena a;
    struct api_error e;
    doc_parse(&d, BYTES("{\"name\":\"ab\",\"colour\":\"r\\u0065d\"}"));
    arena_init(&a, 1);
    ck_assert_int_eq(fields_check(&d, 0, &shape, &a, &e), ERR_NOMEM);
    ck_assert_int_eq(e.status, 503);
    json_doc_free(&d);
    arena_free(&a);
}
END_TEST

START_TEST(test_extras)
{
    struct json_doc d;
    struct arena a;
    struct llm_extra *extras = NULL;
    size_t n = 9;
    doc_parse(&d, BYTES("{\"seed\" : 10000000000000000000000000000000, \"name\":1,\"x\\u0079\":[ 1 ]}"));
    arena_init(&a, 1 << 16);
    ck_assert_int_eq(fields_extras(&d, 0, &object, &a, &extras, &n), ERR_OK);
    ck_assert_uint_eq(n, 2);
    expect_bytes(extras[0].key, "seed");
    expect_bytes(extras[0].raw, "10000000000000000000000000000000");
    expect_bytes(extras[1].key, "x\\u0079");
    expect_bytes(extras[1].raw, "[ 1 ]");
    json_doc_free(&d);
    arena_free(&a);
}
END_TEST

START_TEST(test_readers)
{
    struct json_doc d;
    struct arena a;
    struct bytes s = BYTES("default"), raw = {NULL, 0};
    int64_t i = 5;
    bool flag = false;
    int tri = -1;
    struct llm_number number = {.set = false};
    doc_parse(
        &d,
        BYTES("{\"s\":\"a\\tb\",\"i\":7.0,\"b\":true,\"f\":false,\"n\":0.50,\"z\":null,\"o\":{\"k\": 1}}"));
    arena_init(&a, 1 << 16);
    ck_assert_int_eq(field_string(&d, 0, "z", &a, &s), ERR_OK);
    expect_bytes(s, "default");
    ck_assert_int_eq(field_string(&d, 0, "s", &a, &s), ERR_OK);
    expect_bytes(s, "a\tb");
    field_int(&d, 0, "n", &i);
    field_int(&d, 0, "absent", &i);
    ck_assert_int_eq(i, 5);
    field_int(&d, 0, "i", &i);
    ck_assert_int_eq(i, 7);
    field_bool(&d, 0, "z", &flag);
    ck_assert(!flag);
    field_bool(&d, 0, "b", &flag);
    ck_assert(flag);
    field_tristate(&d, 0, "z", &tri);
    ck_assert_int_eq(tri, -1);
    field_tristate(&d, 0, "f", &tri);
    ck_assert_int_eq(tri, 0);
    field_number(&d, 0, "s", &number);
    ck_assert(!number.set);
    field_number(&d, 0, "n", &number);
    ck_assert(number.set);
    ck_assert_double_eq(number.value, 0.5);
    expect_bytes(number.raw, "0.50");
    field_raw(&d, 0, "z", &raw);
    ck_assert_uint_eq(raw.len, 0);
    field_raw(&d, 0, "o", &raw);
    expect_bytes(raw, "{\"k\": 1}");
    ck_assert(field_is(&d, json_get(&d, 0, "s"), &a, "a\tb"));
    ck_assert(!field_is(&d, json_get(&d, 0, "i"), &a, "7.0"));
    ck_assert(!field_is(&d, JSON_NONE, &a, ""));
    json_doc_free(&d);
    arena_free(&a);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_accepted,  test_refused, test_long,
                                  test_no_memory, test_extras,  test_readers};
    return run_tests("fields", tests, ARRAY_LEN(tests));
}

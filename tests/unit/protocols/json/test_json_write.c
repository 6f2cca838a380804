#include "protocols/json/json.h"
#include "tests/unit/common/run.h"
#include <float.h>
#include <math.h>
#include <stdio.h>

static struct buf out;
static struct json_writer w;
static struct json_doc doc;
static const struct json_limits limits = {64, 100000};

static void setup(void)
{
    buf_init(&out, 1000000);
    jw_init(&w, &out);
    json_doc_init(&doc);
}

static void teardown(void)
{
    buf_free(&out);
    json_doc_free(&doc);
}

/* Starts over: what was written so far is `want`, and is JSON. */
static void wrote(const char *want)
{
    ck_assert(!out.failed);
    ck_assert_msg(bytes_is(buf_bytes(&out), want), "%.*s", BYTES_FMT(buf_bytes(&out)));
    ck_assert_int_eq(json_parse(&doc, buf_bytes(&out), &limits, NULL), ERR_OK);
    buf_reset(&out);
    jw_init(&w, &out);
}

START_TEST(commas_come_by_themselves)
{
    jw_object(&w);
    jw_object_end(&w);
    wrote("{}");
    jw_array(&w);
    jw_array_end(&w);
    wrote("[]");
    jw_object(&w);
    jw_kcstr(&w, "a", "x");
    jw_kstring(&w, "b", BYTES("y\"z"));
    jw_kint(&w, "c", -12);
    jw_kbool(&w, "d", true);
    jw_knull(&w, "e");
    jw_kraw(&w, "f", BYTES("[1, 2]"));
    jw_key(&w, "g");
    jw_array(&w);
    jw_int(&w, 1);
    jw_array(&w);
    jw_array_end(&w);
    jw_bool(&w, false);
    jw_object(&w);
    jw_key_bytes(&w, BYTES("k\n\"\xC3\xA9"));
    jw_null(&w);
    jw_object_end(&w);
    jw_raw(&w, BYTES("1e3"));
    jw_cstr(&w, "");
    jw_array_end(&w);
    jw_raw_members(&w, BYTES(""));
    jw_raw_members(&w, BYTES("\"h\":1,\"i\":{}"));
    jw_kint(&w, "j", 0);
    jw_object_end(&w);
    wrote("{\"a\":\"x\",\"b\":\"y\\\"z\",\"c\":-12,\"d\":true,\"e\":null,\"f\":[1, 2],\"g\":[1,[],false,"
          "{\"k\\n\\\"\xC3\xA9\":null},1e3,\"\"],\"h\":1,\"i\":{},\"j\":0}");
    jw_object(&w);
    jw_raw_members(&w, BYTES("\"h\":1"));
    jw_object_end(&w);
    wrote("{\"h\":1}");
}
END_TEST

START_TEST(strings_in_pieces)
{
    jw_array(&w);
    jw_string_begin(&w);
    jw_string_piece(&w, BYTES("a\\"));
    jw_string_piece(&w, BYTES(""));
    jw_string_piece(&w, BYTES("\tb"));
    jw_string_end(&w);
    jw_string_begin(&w);
    jw_string_end(&w);
    jw_string(&w, (struct bytes){NULL, 0});
    jw_array_end(&w);
    wrote("[\"a\\\\\\tb\",\"\",\"\"]");
}
END_TEST

START_TEST(integers)
{
    jw_array(&w);
    jw_int(&w, INT64_MIN);
    jw_int(&w, INT64_MAX);
    jw_int(&w, 0);
    jw_array_end(&w);
    wrote("[-9223372036854775808,9223372036854775807,0]");
}
END_TEST

START_TEST(doubles)
{
    static const double values[] = {0,
                                    -0.0,
                                    1,
                                    0.1,
                                    0.7,
                                    1.0 / 3,
                                    1e21,
                                    123456789012345680.0,
                                    DBL_MAX,
                                    DBL_MIN,
                                    5e-324,
                                    -1.5e-7,
                                    9007199254740993.0,
                                    2.5,
                                    1e-5};

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        double back;
        buf_reset(&out);
        jw_init(&w, &out);
        jw_double(&w, values[i]);
        ck_assert_int_eq(json_parse(&doc, buf_bytes(&out), &limits, NULL), ERR_OK);
        ck_assert(json_double(&doc, 0, &back));
        ck_assert_msg(back == values[i] && signbit(back) == signbit(values[i]), "%.*s",
                      BYTES_FMT(buf_bytes(&out)));
    }
    buf_reset(&out);
    jw_init(&w, &out);
    jw_double(&w, 0.1);
    wrote("0.1");
    jw_array(&w);
    jw_double(&w, NAN);
    jw_double(&w, INFINITY);
    jw_double(&w, -INFINITY);
    jw_array_end(&w);
    wrote("[null,null,null]");
}
END_TEST

/* Every byte that may stand in UTF-8 as one character, at every place of a word. */
START_TEST(escapes_round_trip)
{
    struct arena a;

    arena_init(&a, 1000);
    for (int c = 0; c < 128; c++) {
        for (size_t at = 0; at < 20; at++) {
            char text[20];
            struct bytes back;
            memset(text, 'x', sizeof(text));
            text[at] = (char)c;
            text[19 - at] = (char)c;
            buf_reset(&out);
            jw_init(&w, &out);
            jw_string(&w, bytes_of(text, sizeof(text)));
            ck_assert_int_eq(json_parse(&doc, buf_bytes(&out), &limits, NULL), ERR_OK);
            ck_assert(json_string(&doc, 0, &a, &back));
            ck_assert(bytes_eq(back, bytes_of(text, sizeof(text))));
            bool escape = c < 0x20 || c == '"' || c == '\\';
            ck_assert(doc.nodes[0].escaped == escape);
            arena_free(&a);
        }
    }
    buf_reset(&out);
    jw_init(&w, &out);
    jw_string(&w, BYTES("\x01\x1f\x7f\b\f\n\r\t/<\xE2\x80\xA8"));
    wrote("\"\\u0001\\u001f\x7f\\b\\f\\n\\r\\t/<\xE2\x80\xA8\"");
}
END_TEST

START_TEST(a_full_buffer_is_seen_once)
{
    struct buf small;
    struct json_writer sw;

    buf_init(&small, 10);
    jw_init(&sw, &small);
    jw_object(&sw);
    jw_kcstr(&sw, "key", "a long value");
    jw_object_end(&sw);
    ck_assert(small.failed);
    ck_assert_uint_le(small.len, 10);
    buf_free(&small);
}
END_TEST

START_TEST(compacts_to_one_line)
{
    static const char *const cases[][2] = {
        {" { \"a b\" :\t[ 1 ,\r\n 2 ] } ", "{\"a b\":[1,2]}"},
        {"\" \\\" \\\\\"", "\" \\\" \\\\\""},
        {"{\n  \"k\": \"v\\n w\"\n}", "{\"k\":\"v\\n w\"}"},
        {"[\"\\\\\" , \" \"]", "[\"\\\\\",\" \"]"},
        {"  1  ", "1"},
        {"", ""},
    };
    struct buf small;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_reset(&out);
        ck_assert_int_eq(json_compact(bytes_cstr(cases[i][0]), &out), ERR_OK);
        ck_assert_msg(bytes_is(buf_bytes(&out), cases[i][1]), "%.*s", BYTES_FMT(buf_bytes(&out)));
    }
    buf_init(&small, 4);
    ck_assert_int_eq(json_compact(BYTES("[1, 2]"), &small), ERR_LIMIT);
    ck_assert(small.failed);
    ck_assert_uint_eq(small.len, 0);
    buf_free(&small);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("json_write");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, commas_come_by_themselves);
    tcase_add_test(tc, strings_in_pieces);
    tcase_add_test(tc, integers);
    tcase_add_test(tc, doubles);
    tcase_add_test(tc, escapes_round_trip);
    tcase_add_test(tc, a_full_buffer_is_seen_once);
    tcase_add_test(tc, compacts_to_one_line);
    return run_case(tc);
}

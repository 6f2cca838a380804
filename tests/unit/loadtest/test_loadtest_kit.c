#include "loadtest/kit/args.h"
#include "loadtest/kit/json_scan.h"
#include "loadtest/kit/ticks.h"
#include "tests/unit/common/run.h"
#include <stdlib.h>

static void expect_path(const char *json, const char *path, const char *value)
{
    struct bytes v;
    ck_assert_msg(jscan_path(bytes_cstr(json), path, &v), "%s not found", path);
    ck_assert_msg(bytes_is(v, value), "%s is %.*s", path, BYTES_FMT(v));
}

START_TEST(json_paths)
{
    const char json[] =
        " { \"a\" : \"x\\\"}\" , \"b\":[1, {\"c\":[true,null]} ,\"]\"], \"d\":{\"a\":{}}, \"n\":-1.5e3 } ";
    expect_path(json, "a", "\"x\\\"}\"");
    expect_path(json, "b.0", "1");
    expect_path(json, "b.1.c.1", "null");
    expect_path(json, "b.2", "\"]\"");
    expect_path(json, "d.a", "{}");
    expect_path(json, "n", "-1.5e3");
}
END_TEST

START_TEST(json_what_is_not_there)
{
    struct bytes v = BYTES("untouched");
    ck_assert(!jscan_path(BYTES("{\"a\":{\"b\":1}}"), "b", &v));
    ck_assert(!jscan_path(BYTES("{\"a\":[]}"), "a.0", &v));
    ck_assert(!jscan_path(BYTES("{\"a\":[1]}"), "a.1", &v));
    ck_assert(!jscan_path(BYTES("{\"ab\":1}"), "a", &v));
    ck_assert(!jscan_path(BYTES("[1]"), "a", &v));
    ck_assert(!jscan_path(BYTES(""), "a", &v));
    ck_assert(bytes_is(v, "untouched"));
}
END_TEST

START_TEST(json_cut_text_stays_inside)
{
    const char whole[] = "{\"a\":{\"b\":[\"\\\\\",{\"c\":\"d\"}]},\"e\":\"f\"}";
    for (size_t len = 0; len < sizeof(whole); len++) {
        char *copy = malloc(len + 1); /* its own allocation, so that a sanitizer sees a read past the end */
        struct bytes v;
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, whole, len);
        char *exact = realloc(copy, len ? len : 1);
        ck_assert_ptr_nonnull(exact);
        (void)!jscan_path(bytes_of(exact, len), "a.b.1.c", &v);
        (void)!jscan_path(bytes_of(exact, len), "e", &v);
        free(exact);
    }
}
END_TEST

static uint64_t fired_at[8];
static struct ticks wheel;
static struct tick_timer timers[8];

static void on_fire(struct tick_timer *t)
{
    fired_at[t - timers] = wheel.now_ms;
    if (t == &timers[7])
        ticks_arm(&wheel, &timers[0], wheel.now_ms + 1);
}

/* Walks by ticks_next_ms alone: a timer that it forgot would never fire. */
START_TEST(ticks_fire_in_their_millisecond)
{
    const uint64_t due[8] = {1005, 1006, 1064, 5095, 5096, 9000, 20000, 20000};
    ticks_init(&wheel, 1000);
    for (unsigned i = 0; i < 8; i++) {
        tick_timer_init(&timers[i], on_fire);
        ticks_arm(&wheel, &timers[i], due[i]);
        fired_at[i] = 0;
    }
    ticks_cancel(&timers[1]);
    for (uint64_t next; (next = ticks_next_ms(&wheel)) != UINT64_MAX;) {
        ck_assert_uint_gt(next, wheel.now_ms);
        ticks_advance(&wheel, next);
    }
    ck_assert_uint_eq(fired_at[0], 20001); /* armed again by the last one */
    ck_assert_uint_eq(fired_at[1], 0);
    for (unsigned i = 2; i < 8; i++)
        ck_assert_uint_eq(fired_at[i], due[i]);
}
END_TEST

START_TEST(ticks_survive_a_long_sleep)
{
    ticks_init(&wheel, 1000);
    for (unsigned i = 0; i < 3; i++) {
        tick_timer_init(&timers[i], on_fire);
        ticks_arm(&wheel, &timers[i], 1001 + i * 5000);
        fired_at[i] = 0;
    }
    ticks_advance(&wheel, 100000);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(fired_at[i], 100000);
}
END_TEST

START_TEST(units)
{
    uint64_t v = 0;
    ck_assert(parse_ms("5s", &v) && v == 5000);
    ck_assert(parse_ms("250", &v) && v == 250);
    ck_assert(parse_ms("2m", &v) && v == 120000);
    ck_assert(parse_count("10k", &v) && v == 10000);
    ck_assert(!parse_count("-1", &v) && !parse_count("", &v) && !parse_count("1 ", &v) &&
              !parse_ms("1h", &v));
    ck_assert_uint_eq(v, 10000);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("kit");
    tcase_add_test(t, json_paths);
    tcase_add_test(t, json_what_is_not_there);
    tcase_add_test(t, json_cut_text_stays_inside);
    tcase_add_test(t, ticks_fire_in_their_millisecond);
    tcase_add_test(t, ticks_survive_a_long_sleep);
    tcase_add_test(t, units);
    return run_case(t);
}

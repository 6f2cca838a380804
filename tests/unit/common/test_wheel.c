#include "common/wheel.h"
#include "tests/unit/common/run.h"
#include <stdint.h>

struct probe {
    struct wheel_timer timer;
    uint64_t due_ms;   /* when it may fire at the earliest */
    uint64_t fired_ms; /* 0: not yet */
    unsigned times;
};

static struct wheel wheel;
static uint64_t now;
static unsigned fired;

static void note(struct wheel_timer *t)
{
    struct probe *p = CONTAINER_OF(t, struct probe, timer);

    ck_assert(!wheel_armed(t));
    ck_assert_msg(now >= p->due_ms, "early: due at %ju, fired at %ju", (uintmax_t)p->due_ms, (uintmax_t)now);
    p->fired_ms = now;
    p->times++;
    fired++;
}

static void start(uint64_t at_ms)
{
    now = at_ms;
    fired = 0;
    wheel_init(&wheel, now);
}

static void arm(struct probe *p, uint64_t delay_ms)
{
    p->due_ms = now + delay_ms;
    wheel_arm(&wheel, &p->timer, now, delay_ms);
}

static void go_to(uint64_t at_ms)
{
    now = at_ms;
    wheel_advance(&wheel, now);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

START_TEST(fires_once_not_early_not_late)
{
    /* The edges of every level, from a time that lies on none and from ones that lie on all of them. */
    static const uint64_t delays[] = {
        0,       1,         9,         10,        11,          629,         630,         639,         640,
        641,     650,       40949,     40950,     40960,       40961,       40970,       2621439,     2621440,
        2621450, 167772159, 167772160, 167772170, 10737418229, 10737418240, 10737418250, 32212254720,
    };
    static const uint64_t starts[] = {0,       10,      5,         639,         40955,
                                      2621440, 2621430, 167772159, 10737418240, 1234567891};

    for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
        for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
            struct probe p = {.times = 0};
            start(starts[s]);
            wheel_timer_init(&p.timer, note);
            arm(&p, delays[i]);
            ck_assert(wheel_armed(&p.timer));
            for (unsigned turns = 0; p.times == 0; turns++) {
                uint64_t wait = wheel_next_ms(&wheel, now);
                ck_assert_uint_ne(wait, UINT64_MAX);
                ck_assert_uint_lt(turns, 40);
                go_to(now + wait);
            }
            /* Whoever sleeps for wheel_next_ms is late by no more than the rounding, twice. */
            ck_assert_uint_le(p.fired_ms, p.due_ms + 2 * (uint64_t)WHEEL_TICK_MS);
            ck_assert_uint_eq(wheel_next_ms(&wheel, now), UINT64_MAX);
            go_to(now + UINT64_C(100000000));
            ck_assert_uint_eq(p.times, 1);
        }
    }
}
END_TEST

START_TEST(thousands_at_random)
{
    enum { N = 5000 };
    static struct probe p[N];
    uint64_t seed = 88172645463325252;

    start(123456789);
    for (unsigned i = 0; i < N; i++) {
        uint64_t r = next_random(&seed);
        p[i] = (struct probe){.times = 0};
        wheel_timer_init(&p[i].timer, note);
        arm(&p[i], r % (UINT64_C(1) << (r >> 32) % 30));
    }
    for (uint64_t steps = 0; fired < N; steps++) {
        uint64_t before = now;
        uint64_t r = next_random(&seed);
        go_to(now + r % (UINT64_C(1) << (r >> 32) % 24));
        for (unsigned i = 0; i < N; i++)
            if (p[i].fired_ms == now && now != before)
                ck_assert_uint_le(before, p[i].due_ms + WHEEL_TICK_MS);
        ck_assert_uint_lt(steps, 100000);
    }
    for (unsigned i = 0; i < N; i++)
        ck_assert_uint_eq(p[i].times, 1);
    ck_assert_uint_eq(wheel.count_, 0);
}
END_TEST

START_TEST(rearm_and_cancel_at_random)
{
    enum { N = 300 };
    static struct probe p[N];
    uint64_t seed = 42424242;
    unsigned armed = 0;

    start(777);
    for (unsigned i = 0; i < N; i++) {
        p[i] = (struct probe){.times = 0};
        wheel_timer_init(&p[i].timer, note);
    }
    for (unsigned step = 0; step < 30000; step++) {
        uint64_t r = next_random(&seed);
        struct probe *one = &p[r % N];
        if (r >> 60 < 9)
            arm(one, (r >> 20) % 100000);
        else if (r >> 60 < 14)
            wheel_cancel(&wheel, &one->timer);
        else
            go_to(now + (r >> 20) % 3000);
    }
    for (unsigned i = 0; i < N; i++) {
        armed += wheel_armed(&p[i].timer);
        ck_assert(!wheel_armed(&p[i].timer) || p[i].due_ms + WHEEL_TICK_MS > now);
    }
    ck_assert_uint_gt(fired, 1000);
    ck_assert_uint_eq(wheel.count_, armed);
    go_to(now + 200000);
    ck_assert_uint_eq(wheel.count_, 0);
}
END_TEST

static struct probe pair[2], rearming;

static void cancel_the_other(struct wheel_timer *t)
{
    wheel_cancel(&wheel, t == &pair[0].timer ? &pair[1].timer : &pair[0].timer);
    fired++;
}

START_TEST(cancel_in_a_callback)
{
    start(0);
    for (int i = 0; i < 2; i++) {
        wheel_timer_init(&pair[i].timer, cancel_the_other);
        arm(&pair[i], 50);
    }
    go_to(1000);
    ck_assert_uint_eq(fired, 1);
    ck_assert(!wheel_armed(&pair[0].timer));
    ck_assert(!wheel_armed(&pair[1].timer));
    ck_assert_uint_eq(wheel.count_, 0);
}
END_TEST

static void arm_again(struct wheel_timer *t)
{
    fired++;
    if (fired < 5)
        wheel_arm(&wheel, t, now, 0);
}

START_TEST(arm_in_a_callback)
{
    start(0);
    wheel_timer_init(&rearming.timer, arm_again);
    wheel_arm(&wheel, &rearming.timer, now, 0);
    /* Armed for "at once" while firing: a later tick, never the same one for ever. */
    for (unsigned i = 1; i <= 5; i++) {
        go_to(now + WHEEL_TICK_MS);
        ck_assert_uint_eq(fired, i);
    }
    ck_assert(!wheel_armed(&rearming.timer));
}
END_TEST

static void free_it(struct wheel_timer *t)
{
    fired++;
    free(CONTAINER_OF(t, struct probe, timer));
}

START_TEST(free_in_a_callback)
{
    start(5000);
    for (unsigned i = 0; i < 100; i++) {
        struct probe *p = malloc(sizeof(*p));
        ck_assert_ptr_nonnull(p);
        wheel_timer_init(&p->timer, free_it);
        arm(p, 100 + i % 3);
    }
    go_to(6000);
    ck_assert_uint_eq(fired, 100);
}
END_TEST

START_TEST(extremes)
{
    struct probe p = {.times = 0}, q = {.times = 0};

    start(1000);
    ck_assert_uint_eq(wheel_next_ms(&wheel, now), UINT64_MAX);
    wheel_timer_init(&p.timer, note);
    wheel_timer_init(&q.timer, note);
    wheel_cancel(&wheel, &p.timer);
    wheel_arm(&wheel, &p.timer, now, UINT64_MAX);
    p.due_ms = UINT64_MAX;
    go_to(now + UINT64_C(1000) * 365 * 86400 * 1000);
    ck_assert_uint_eq(p.times, 0);
    ck_assert(wheel_armed(&p.timer));
    /* The wheel has not been told the time for long; what is armed now still counts from now. */
    now += 5000000;
    arm(&q, 1000);
    go_to(now);
    ck_assert_uint_eq(q.times, 0);
    go_to(now + 1000 + WHEEL_TICK_MS);
    ck_assert_uint_eq(q.times, 1);
    /* Time that goes back is ignored. */
    arm(&q, 50);
    wheel_advance(&wheel, 10);
    ck_assert_uint_eq(q.times, 1);
    wheel_cancel(&wheel, &p.timer);
    wheel_cancel(&wheel, &q.timer);
    ck_assert_uint_eq(wheel_next_ms(&wheel, now), UINT64_MAX);
}
END_TEST

START_TEST(order_of_time)
{
    struct probe p[3] = {{.times = 0}};

    start(0);
    for (unsigned i = 0; i < 3; i++)
        wheel_timer_init(&p[i].timer, note);
    arm(&p[0], 3000);
    arm(&p[1], 100);
    arm(&p[2], 50000);
    ck_assert_uint_le(wheel_next_ms(&wheel, now), 100);
    go_to(99);
    ck_assert_uint_eq(fired, 0);
    go_to(100);
    ck_assert_uint_eq(p[1].times, 1);
    go_to(2999);
    ck_assert_uint_eq(fired, 1);
    go_to(3000);
    ck_assert_uint_eq(p[0].times, 1);
    go_to(49999);
    ck_assert_uint_eq(fired, 2);
    go_to(50000);
    ck_assert_uint_eq(fired, 3);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("wheel");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, fires_once_not_early_not_late);
    tcase_add_test(tc, thousands_at_random);
    tcase_add_test(tc, rearm_and_cancel_at_random);
    tcase_add_test(tc, cancel_in_a_callback);
    tcase_add_test(tc, arm_in_a_callback);
    tcase_add_test(tc, free_in_a_callback);
    tcase_add_test(tc, extremes);
    tcase_add_test(tc, order_of_time);
    return run_case(tc);
}

#include "gateway/loop/loop.h"
#include "tests/unit/common/run.h"

static struct loop loop;
static unsigned turns, fired, again_for;

static void end_turn(void *ctx)
{
    ck_assert_ptr_eq(ctx, &loop);
    turns++;
    if (again_for > 0) {
        again_for--;
        loop_again(&loop);
    }
}

static void open_loop(void)
{
    turns = fired = again_for = 0;
    ck_assert(loop_init(&loop));
    loop_on_turn(&loop, end_turn, &loop);
}

static void close_loop(void)
{
    ck_assert(phase_enter(&loop.phase, PHASE_CLOSED));
    ck_assert(loop_free(&loop));
}

START_TEST(a_phase_only_goes_forward)
{
    struct phase p;
    phase_init(&p);
    ck_assert(phase_serving(&p));
    ck_assert(!phase_enter(&p, PHASE_SERVING));
    ck_assert(phase_enter(&p, PHASE_DRAINING));
    ck_assert(!phase_serving(&p));
    ck_assert(!phase_enter(&p, PHASE_DRAINING));
    ck_assert(phase_enter(&p, PHASE_CLOSING));
    ck_assert(!phase_enter(&p, PHASE_DRAINING));
    ck_assert_int_eq(phase_of(&p), PHASE_CLOSING);
    ck_assert(phase_enter(&p, PHASE_CLOSED));
    ck_assert(!phase_enter(&p, PHASE_CLOSED));
}
END_TEST

static void on_fire(struct wheel_timer *t)
{
    if (++fired < 3)
        loop_arm(&loop, t, 0);
    else
        phase_enter(&loop.phase, PHASE_CLOSED);
}

/* Armed outside of a turn's end, at it, and by a timer itself. */
START_TEST(timers_of_the_wheel_wake_the_loop)
{
    struct wheel_timer t;
    open_loop();
    wheel_timer_init(&t, on_fire);
    loop_arm(&loop, &t, 1);
    ck_assert(loop_free(&loop)); /* runs to the end */
    ck_assert_uint_eq(fired, 3);
    ck_assert_uint_ge(turns, 3);
}
END_TEST

static void on_late(uv_timer_t *t)
{
    uv_close((uv_handle_t *)t, NULL);
}

/* With a handle that would have it wait for long, so many turns follow at once, and no more. */
START_TEST(another_turn_follows_when_asked_for)
{
    uv_timer_t late;
    open_loop();
    uv_timer_init(&loop.uv, &late);
    uv_timer_start(&late, on_late, 3600 * 1000, 0);
    again_for = 5;
    for (unsigned i = 1; i <= 6; i++) {
        uv_run(&loop.uv, UV_RUN_NOWAIT);
        ck_assert_uint_eq(turns, i);
        ck_assert_int_eq(uv_backend_timeout(&loop.uv) == 0, i < 6);
    }
    uv_close((uv_handle_t *)&late, NULL);
    close_loop();
}
END_TEST

START_TEST(a_handle_left_open_is_told_of)
{
    uv_timer_t left;
    open_loop();
    uv_timer_init(&loop.uv, &left);
    ck_assert(phase_enter(&loop.phase, PHASE_CLOSED));
    ck_assert(!loop_free(&loop));
    uv_close((uv_handle_t *)&left, NULL);
    ck_assert(loop_free(&loop));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("loop");
    tcase_add_test(tc, a_phase_only_goes_forward);
    tcase_add_test(tc, timers_of_the_wheel_wake_the_loop);
    tcase_add_test(tc, another_turn_follows_when_asked_for);
    tcase_add_test(tc, a_handle_left_open_is_told_of);
    return run_case(tc);
}

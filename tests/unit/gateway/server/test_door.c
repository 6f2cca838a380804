#include "gateway/server/door.h"
#include "gateway/server/rates.h"
#include "tests/unit/common/run.h"
#include "tests/unit/gateway/server/scribble.h"
#include <sys/wait.h>
#include <unistd.h>

static struct bytes address(uint32_t n, uint8_t room[4])
{
    for (int i = 0; i < 4; i++)
        room[i] = (uint8_t)(n >> (24 - 8 * i));
    return bytes_of(room, 4);
}

/* So many at once, and then one each so often. */
START_TEST(counts_a_rate)
{
    struct rates *r = rates_create();
    ck_assert_ptr_nonnull(r);
    unsigned taken = 0;
    for (unsigned i = 0; i < 100; i++)
        taken += rates_take(r, 7, 1000000, 10);
    ck_assert_uint_eq(taken, 10);
    ck_assert(rates_take(r, 8, 1000000, 10));
    taken = 0;
    for (uint64_t ms = 1000001; ms <= 1003000; ms++)
        taken += rates_take(r, 7, ms, 10);
    ck_assert_uint_ge(taken, 29);
    ck_assert_uint_le(taken, 30);
    /* At rest again after a second without any. */
    taken = 0;
    for (unsigned i = 0; i < 100; i++)
        taken += rates_take(r, 7, 1005000, 10);
    ck_assert_uint_eq(taken, 10);
    /* A clock that another process has read a moment earlier changes nothing. */
    ck_assert(!rates_take(r, 7, 1004990, 10));
    rates_destroy(r);
    rates_destroy(NULL);
}
END_TEST

/* Never more for all processes together than is allowed for one. */
START_TEST(agrees_on_a_rate_between_processes)
{
    enum { PROCESSES = 4, ALLOWED = 100 };
    struct rates *r = rates_create();
    pid_t children[PROCESSES];
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    for (unsigned p = 0; p < PROCESSES; p++) {
        children[p] = fork();
        ck_assert_int_ge(children[p], 0);
        if (children[p] != 0)
            continue;
        for (unsigned i = 0; i < 10000; i++)
            if (rates_take(r, 42, 5000, ALLOWED) && write(pipes[1], "1", 1) != 1)
                _exit(1);
        _exit(0);
    }
    for (unsigned p = 0; p < PROCESSES; p++)
        ck_assert_int_eq(waitpid(children[p], NULL, 0), children[p]);
    char taken[4 * ALLOWED];
    ck_assert_int_eq(read(pipes[0], taken, sizeof(taken)), ALLOWED);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    rates_destroy(r);
}
END_TEST

START_TEST(a_scribbled_rate_heals)
{
    struct rates *r = rates_create();
    for (unsigned round = 0; round < SCRIBBLES; round++) {
        scribble_all((enum scribble)round, round);
        unsigned taken = 0;
        for (uint64_t key = 0; key < 1000; key++)
            taken += rates_take(r, key, 1000000 + round * 1000, 10);
        ck_assert_uint_ge(taken, 990);
    }
    rates_destroy(r);
}
END_TEST

static struct door *a_door(struct config *cfg)
{
    *cfg = (struct config){.limits = {.max_sessions = 10,
                                      .max_sessions_per_address = 4,
                                      .max_unauthenticated = 5,
                                      .max_unauthenticated_per_address = 2,
                                      .max_handshakes = 4,
                                      .max_handshakes_per_address = 2,
                                      .max_handshakes_per_second = 1000,
                                      .max_handshakes_per_second_per_address = 6}};
    struct door *d = door_create(2, 10);
    ck_assert_ptr_nonnull(d);
    door_set_limits(d, cfg);
    return d;
}

START_TEST(strangers_leave_room_for_others)
{
    struct config cfg;
    struct door *d = a_door(&cfg);
    uint8_t room[4], held[10];
    const char *key = NULL;
    /* Two strangers of one address; when one is known, there is room for the next. */
    ck_assert_int_eq(door_enter(d, 0, address(1, room), false, 0, &held[0], &key), DOOR_OPEN);
    ck_assert_int_eq(door_enter(d, 1, address(1, room), false, 0, &held[1], &key), DOOR_OPEN);
    ck_assert_int_eq(door_enter(d, 0, address(1, room), false, 0, &held[2], &key), DOOR_ADDRESS);
    ck_assert_str_eq(key, "max_unauthenticated_per_address");
    ck_assert_uint_eq(held[2], 0);
    door_leave(d, 0, address(1, room), &held[0], DOOR_STRANGER);
    ck_assert_uint_eq(held[0], DOOR_SESSION);
    ck_assert_int_eq(door_enter(d, 0, address(1, room), false, 0, &held[2], &key), DOOR_OPEN);
    /* Five in all, then no more, though max_sessions is far. */
    for (uint32_t i = 3; i < 6; i++)
        ck_assert_int_eq(door_enter(d, 0, address(i, room), false, 0, &held[i], &key), DOOR_OPEN);
    ck_assert_int_eq(door_enter(d, 0, address(9, room), false, 0, &held[9], &key), DOOR_FULL);
    ck_assert_str_eq(key, "max_unauthenticated");
    for (uint32_t i = 3; i < 6; i++)
        door_leave(d, 0, address(i, room), &held[i], DOOR_STRANGER);
    for (uint32_t i = 6; i < 10; i++) {
        ck_assert_int_eq(door_enter(d, 0, address(i, room), false, 0, &held[i], &key), DOOR_OPEN);
        door_leave(d, 0, address(i, room), &held[i], DOOR_STRANGER);
    }
    ck_assert_uint_eq(door_total(d), 10);
    uint8_t more;
    ck_assert_int_eq(door_enter(d, 0, address(20, room), false, 0, &more, &key), DOOR_FULL);
    ck_assert_str_eq(key, "max_sessions");
    door_leave(d, 0, address(9, room), &held[9], DOOR_SESSION | DOOR_STRANGER | DOOR_HANDSHAKE);
    ck_assert_uint_eq(held[9], 0);
    door_leave(d, 0, address(9, room), &held[9], DOOR_SESSION);
    ck_assert_uint_eq(door_total(d), 9);
    door_reclaim(d, 0);
    ck_assert_uint_eq(door_total(d), 1);
    door_destroy(d);
}
END_TEST

START_TEST(handshakes_are_few)
{
    struct config cfg;
    struct door *d = a_door(&cfg);
    uint8_t room[4], held[8];
    const char *key = NULL;
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(door_enter(d, i, address(1, room), true, 5000, &held[i], &key), DOOR_OPEN);
    ck_assert_int_eq(door_enter(d, 0, address(1, room), true, 5000, &held[2], &key), DOOR_CUT);
    ck_assert_str_eq(key, "max_handshakes_per_address");
    ck_assert_uint_eq(held[2], 0);
    for (unsigned i = 2; i < 4; i++)
        ck_assert_int_eq(door_enter(d, 0, address(i, room), true, 5000, &held[i], &key), DOOR_OPEN);
    ck_assert_int_eq(door_enter(d, 0, address(8, room), true, 5000, &held[4], &key), DOOR_CUT);
    ck_assert_str_eq(key, "max_handshakes");
    door_leave(d, 0, address(1, room), &held[0], DOOR_HANDSHAKE | DOOR_STRANGER);
    ck_assert_uint_eq(held[0], DOOR_SESSION);
    /* The fourth, fifth and sixth of this address within the second. */
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(door_enter(d, 0, address(1, room), true, 5000, &held[4], &key), DOOR_OPEN);
        door_leave(d, 0, address(1, room), &held[4], DOOR_SESSION | DOOR_STRANGER | DOOR_HANDSHAKE);
    }
    ck_assert_int_eq(door_enter(d, 0, address(1, room), true, 5000, &held[4], &key), DOOR_CUT);
    ck_assert_str_eq(key, "max_handshakes_per_second_per_address");
    /* Without TLS there is nothing to count. */
    ck_assert_int_eq(door_enter(d, 0, address(1, room), false, 5000, &held[4], &key), DOOR_OPEN);
    ck_assert_uint_eq(held[4], DOOR_SESSION | DOOR_STRANGER);
    door_leave(d, 0, address(1, room), &held[4], DOOR_SESSION | DOOR_STRANGER);
    ck_assert_int_eq(door_enter(d, 0, address(1, room), true, 7000, &held[5], &key), DOOR_OPEN);
    door_destroy(d);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("door");

    tcase_add_test(tc, counts_a_rate);
    tcase_add_test(tc, agrees_on_a_rate_between_processes);
    tcase_add_test(tc, a_scribbled_rate_heals);
    tcase_add_test(tc, strangers_leave_room_for_others);
    tcase_add_test(tc, handshakes_are_few);
    return run_case(tc);
}

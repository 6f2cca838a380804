#include "gateway/server/caps.h"
#include "tests/unit/common/run.h"
#include "tests/unit/gateway/server/scribble.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct bytes v4(uint32_t n, uint8_t *room)
{
    for (int i = 0; i < 4; i++)
        room[i] = (uint8_t)(n >> (24 - 8 * i));
    return bytes_of(room, 4);
}

static struct bytes v6(uint64_t prefix, uint64_t rest, uint8_t *room)
{
    for (int i = 0; i < 8; i++) {
        room[i] = (uint8_t)(prefix >> (56 - 8 * i));
        room[8 + i] = (uint8_t)(rest >> (56 - 8 * i));
    }
    return bytes_of(room, 16);
}

static struct caps *with_limits(unsigned slots, uint64_t max_total, uint64_t max_per_address)
{
    struct caps *c = caps_create(slots, max_total + 1);
    ck_assert_ptr_nonnull(c);
    caps_set_limits(c, max_total, max_per_address);
    return c;
}

START_TEST(counts_in_total)
{
    struct caps *c = with_limits(2, 3, 100);
    const struct bytes unix_peer = {NULL, 0};
    ck_assert_int_eq(caps_acquire(c, 0, unix_peer), CAPS_OK);
    ck_assert_int_eq(caps_acquire(c, 1, unix_peer), CAPS_OK);
    ck_assert_int_eq(caps_acquire(c, 1, unix_peer), CAPS_OK);
    ck_assert_int_eq(caps_acquire(c, 0, unix_peer), CAPS_TOTAL);
    ck_assert_uint_eq(caps_total(c), 3);
    caps_release(c, 1, unix_peer);
    ck_assert_int_eq(caps_acquire(c, 0, unix_peer), CAPS_OK);
    caps_set_limits(c, 4, 100);
    ck_assert_int_eq(caps_acquire(c, 0, unix_peer), CAPS_OK);
    ck_assert_int_eq(caps_acquire(c, 0, unix_peer), CAPS_TOTAL);
    caps_destroy(c);
    caps_destroy(NULL);
}
END_TEST

START_TEST(counts_by_address)
{
    struct caps *c = with_limits(2, 100, 2);
    uint8_t a[16], b[16];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(caps_acquire(c, (unsigned)i, v4(0x7f000001, a)), CAPS_OK);
    ck_assert_int_eq(caps_acquire(c, 0, v4(0x7f000001, a)), CAPS_ADDRESS);
    ck_assert_int_eq(caps_acquire(c, 0, v4(0x7f000002, b)), CAPS_OK);
    ck_assert_uint_eq(caps_total(c), 3);
    caps_release(c, 1, v4(0x7f000001, a));
    ck_assert_int_eq(caps_acquire(c, 0, v4(0x7f000001, a)), CAPS_OK);
    ck_assert_int_eq(caps_acquire(c, 1, v4(0x7f000001, a)), CAPS_ADDRESS);
    caps_set_limits(c, 100, 3);
    ck_assert_int_eq(caps_acquire(c, 1, v4(0x7f000001, a)), CAPS_OK);
    caps_destroy(c);
}
END_TEST

START_TEST(counts_ipv6_by_its_prefix)
{
    struct caps *c = with_limits(1, 100, 1);
    uint8_t a[16];
    ck_assert_int_eq(caps_acquire(c, 0, v6(0x20010db800000001, 1, a)), CAPS_OK);
    ck_assert_int_eq(caps_acquire(c, 0, v6(0x20010db800000001, 2, a)), CAPS_ADDRESS);
    ck_assert_int_eq(caps_acquire(c, 0, v6(0x20010db800000002, 1, a)), CAPS_OK);
    /* ::1 has the prefix 0, which is an address like any other; so are those that look like our own marks. */
    ck_assert_int_eq(caps_acquire(c, 0, v6(0, 1, a)), CAPS_OK);
    ck_assert_int_eq(caps_acquire(c, 0, v6(0, 2, a)), CAPS_ADDRESS);
    ck_assert_int_eq(caps_acquire(c, 0, v4(0, a)), CAPS_OK);
    ck_assert_int_eq(caps_acquire(c, 0, v4(0xffffffff, a)), CAPS_OK);
    ck_assert_int_eq(caps_acquire(c, 0, v4(0xffffffff, a)), CAPS_ADDRESS);
    caps_destroy(c);
}
END_TEST

/* Who is given a /48 has 65,536 times a /64. */
START_TEST(counts_ipv6_by_its_network_too)
{
    struct caps *c = with_limits(2, 1000, 2);
    uint8_t a[16];
    for (uint64_t i = 0; i < 20; i++)
        ck_assert_int_eq(caps_acquire(c, i % 2, v6(0x20010db800010000 + i, 1, a)), CAPS_OK);
    for (uint64_t i = 20; i < 40; i++)
        ck_assert_int_eq(caps_acquire(c, i % 2, v6(0x20010db800010000 + i, 1, a)), CAPS_ADDRESS);
    ck_assert_int_eq(caps_acquire(c, 0, v6(0x20010db800020000, 1, a)), CAPS_OK);
    caps_release(c, 1, v6(0x20010db800010001, 1, a));
    ck_assert_int_eq(caps_acquire(c, 0, v6(0x20010db80001ffff, 1, a)), CAPS_OK);
    ck_assert_int_eq(caps_acquire(c, 0, v6(0x20010db80001fffe, 1, a)), CAPS_ADDRESS);
    ck_assert_uint_eq(caps_total(c), 21);
    caps_destroy(c);
}
END_TEST

/* A worker gone wrong writes over all that is shared: another process goes on, and its caps hold again. */
START_TEST(lives_with_a_scribbler)
{
    struct caps *c = with_limits(4, 1000, 50);
    uint8_t a[16];
    unsigned admitted = 0;
    for (unsigned round = 0; round < 3 * SCRIBBLES; round++) {
        ck_assert_uint_gt(scribble_all((enum scribble)(round % SCRIBBLES), round), 0);
        for (uint32_t i = 0; i < 200; i++) {
            struct bytes address = i % 2 ? v4(i, a) : v6(0x20010db800000000 + i, i, a);
            if (caps_acquire(c, 1, address) == CAPS_OK) {
                caps_release(c, 1, address);
                admitted++;
            }
        }
        for (unsigned slot = 0; slot < 4; slot++)
            caps_reclaim(c, slot);
        (void)caps_total(c);
    }
    ck_assert_uint_ge(admitted, 1710); /* of 1800 */
    scribble_all(SCRIBBLE_ONES, 0);
    for (uint32_t i = 0; i < 50; i++)
        ck_assert_int_eq(caps_acquire(c, 2, v4(7, a)), CAPS_OK);
    ck_assert_int_eq(caps_acquire(c, 2, v4(7, a)), CAPS_ADDRESS);
    ck_assert_uint_eq(caps_total(c), 50);
    caps_destroy(c);
}
END_TEST

/* One process scribbles without end while others count. */
START_TEST(lives_beside_a_scribbler)
{
    struct caps *c = with_limits(3, 1000, 50);
    uint8_t a[16];
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        for (unsigned round = 0;; round++)
            scribble_all((enum scribble)(round % SCRIBBLES), round);
    for (uint32_t i = 0; i < 20000; i++) {
        struct bytes address = i % 2 ? v4(i % 64, a) : v6(0x20010db800000000 + i % 64, i, a);
        if (caps_acquire(c, i % 2, address) == CAPS_OK)
            caps_release(c, i % 2, address);
        if (i % 1000 == 0)
            caps_reclaim(c, 2);
    }
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    caps_destroy(c);
}
END_TEST

/* Many more addresses than there are entries, over time: entries that count nothing are taken over. */
START_TEST(forgets_addresses_that_are_gone)
{
    struct caps *c = with_limits(2, 500, 1);
    uint8_t a[16];
    for (uint32_t i = 0; i < 20000; i++) {
        ck_assert_int_eq(caps_acquire(c, i % 2, v4(i, a)), CAPS_OK);
        ck_assert_int_eq(caps_acquire(c, i % 2, v4(i, a)), CAPS_ADDRESS);
        if (i >= 300)
            caps_release(c, i % 2, v4(i - 300, a));
    }
    ck_assert_uint_eq(caps_total(c), 300);
    caps_destroy(c);
}
END_TEST

/* Neighbours, neighbouring networks, IPv6: whatever the addresses and the seed, none of them is without a
 * place before the room is used up. */
START_TEST(has_a_place_for_every_address)
{
    for (unsigned round = 0; round < 300; round++) {
        const uint32_t room = round % 10 == 0 ? 1 << 14 : 1 << 9;
        struct caps *c = caps_create(2, room);
        uint8_t a[16];
        ck_assert_ptr_nonnull(c);
        ck_assert_uint_eq(caps_room(c), room);
        for (uint32_t i = 0; i < room; i++) {
            struct bytes address = round % 3 == 0   ? v4(0x0a000000 + i, a)
                                   : round % 3 == 1 ? v4(i << 8, a)
                                                    : v6(0x20010db800000000 + ((uint64_t)i << 16), 1, a);
            ck_assert_msg(caps_acquire(c, i % 2, address) == CAPS_OK, "address %u of %u in round %u", i, room,
                          round);
        }
        ck_assert_int_eq(caps_acquire(c, 0, v4(0x7f000001, a)), CAPS_TOTAL);
        caps_destroy(c);
    }
}
END_TEST

START_TEST(gives_back_what_a_dead_worker_held)
{
    struct caps *c = with_limits(2, 1000, 100);
    uint8_t a[16];
    int status;
    for (uint32_t i = 0; i < 50; i++)
        ck_assert_int_eq(caps_acquire(c, 0, v4(7, a)), CAPS_OK);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        for (uint32_t i = 0; i < 50; i++)
            if (caps_acquire(c, 1, v4(7, a)) != CAPS_OK || caps_acquire(c, 1, v4(1000 + i, a)) != CAPS_OK)
                _exit(1);
        kill(getpid(), SIGKILL);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_uint_eq(caps_total(c), 150);
    ck_assert_int_eq(caps_acquire(c, 0, v4(7, a)), CAPS_ADDRESS);
    caps_reclaim(c, 1);
    ck_assert_uint_eq(caps_total(c), 50);
    for (uint32_t i = 0; i < 50; i++)
        ck_assert_int_eq(caps_acquire(c, 0, v4(7, a)), CAPS_OK);
    ck_assert_int_eq(caps_acquire(c, 0, v4(7, a)), CAPS_ADDRESS);
    caps_destroy(c);
}
END_TEST

/* Two processes at once on few addresses: never more than allowed, and nothing is left in the end. */
START_TEST(agrees_between_processes)
{
    enum { SLOTS = 3, ROUNDS = 20000, ADDRESSES = 3 };
    struct caps *c = with_limits(SLOTS, 1000, 2);
    uint8_t a[16];
    pid_t children[SLOTS];
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        children[slot] = fork();
        ck_assert_int_ge(children[slot], 0);
        if (children[slot] != 0)
            continue;
        for (uint32_t i = 0; i < ROUNDS; i++) {
            struct bytes address = v4(i % ADDRESSES, a);
            if (caps_acquire(c, slot, address) == CAPS_OK)
                caps_release(c, slot, address);
        }
        _exit(0);
    }
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        int status;
        ck_assert_int_eq(waitpid(children[slot], &status, 0), children[slot]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_uint_eq(caps_total(c), 0);
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        ck_assert_int_eq(caps_acquire(c, 0, v4(i, a)), CAPS_OK);
        ck_assert_int_eq(caps_acquire(c, 1, v4(i, a)), CAPS_OK);
        ck_assert_int_eq(caps_acquire(c, 2, v4(i, a)), CAPS_ADDRESS);
    }
    caps_destroy(c);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("caps");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, counts_in_total);
    tcase_add_test(tc, counts_by_address);
    tcase_add_test(tc, counts_ipv6_by_its_prefix);
    tcase_add_test(tc, counts_ipv6_by_its_network_too);
    tcase_add_test(tc, lives_with_a_scribbler);
    tcase_add_test(tc, lives_beside_a_scribbler);
    tcase_add_test(tc, forgets_addresses_that_are_gone);
    tcase_add_test(tc, has_a_place_for_every_address);
    tcase_add_test(tc, gives_back_what_a_dead_worker_held);
    tcase_add_test(tc, agrees_between_processes);
    return run_case(tc);
}

#include "common/clock.h"
#include "common/ids.h"
#include "tests/unit/common/run.h"
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

START_TEST(ids_have_their_form)
{
    char a[ID_MAX], b[ID_MAX];

    id_make("resp_", a, sizeof(a));
    id_make("resp_", b, sizeof(b));
    ck_assert_uint_eq(strlen(a), 5 + ID_RANDOM_HEX);
    ck_assert_int_eq(strncmp(a, "resp_", 5), 0);
    ck_assert_uint_eq(strspn(a + 5, "0123456789abcdef"), ID_RANDOM_HEX);
    ck_assert_str_ne(a, b);
    id_make("", a, ID_RANDOM_HEX + 1);
    ck_assert_uint_eq(strlen(a), ID_RANDOM_HEX);
}
END_TEST

/* Random bytes are got ahead: a child must not go on with what its parent has in store. */
START_TEST(a_child_has_its_own)
{
    char mine[ID_MAX], theirs[ID_MAX];
    int out[2];

    id_make("", mine, sizeof(mine));
    ck_assert_int_eq(pipe(out), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        id_make("", theirs, sizeof(theirs));
        _exit(write(out[1], theirs, ID_RANDOM_HEX) == ID_RANDOM_HEX ? 0 : 1);
    }
    id_make("", mine, sizeof(mine));
    ck_assert_int_eq(read(out[0], theirs, ID_RANDOM_HEX), ID_RANDOM_HEX);
    theirs[ID_RANDOM_HEX] = '\0';
    ck_assert_str_ne(mine, theirs);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    close(out[0]);
    close(out[1]);
}
END_TEST

START_TEST(ids_do_not_repeat)
{
    enum { MANY = 1000 };
    static char ids[MANY][ID_MAX];

    for (int i = 0; i < MANY; i++) {
        id_make("r_", ids[i], sizeof(ids[i]));
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(ids[i], ids[k]);
    }
}
END_TEST

START_TEST(random_fills_all)
{
    unsigned char seen[1000] = {0}, block[1000];

    /* A byte that stays zero in 20 rounds would be one in 256^20. */
    for (int round = 0; round < 20; round++) {
        random_bytes(block, sizeof(block));
        for (size_t i = 0; i < sizeof(block); i++)
            seen[i] |= block[i];
    }
    for (size_t i = 0; i < sizeof(seen); i++)
        ck_assert_uint_ne(seen[i], 0);
    random_bytes(block, 0);
}
END_TEST

START_TEST(clocks)
{
    uint64_t before = clock_mono_ms();
    int64_t unix_before = (int64_t)time(NULL);

    ck_assert_uint_le(before, clock_mono_ms());
    ck_assert_int_le(unix_before, clock_unix_s());
    ck_assert_int_gt(clock_unix_s(), 1700000000);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("ids");

    tcase_add_test(tc, ids_have_their_form);
    tcase_add_test(tc, a_child_has_its_own);
    tcase_add_test(tc, ids_do_not_repeat);
    tcase_add_test(tc, random_fills_all);
    tcase_add_test(tc, clocks);
    return run_case(tc);
}

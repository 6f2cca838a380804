#include "gateway/server/conn.h"
#include "tests/unit/common/run.h"
#include <signal.h>

/* Written out once more: the table must not change unseen. */
static const char *const moves[] = {
    [CONN_IDLE] = ".r...ld", [CONN_REQUEST] = "..ao.ld", [CONN_ANSWER] = "i....ld",
    [CONN_OPEN] = "....cld", [CONN_CLOSING] = ".....ld", [CONN_LINGER] = "......d",
    [CONN_DEAD] = ".......",
};

enum { STATES = CONN_DEAD + 1 };

START_TEST(has_these_moves_and_no_other)
{
    struct fsm m;
    ck_assert_uint_eq(conn_fsm.n_states, STATES);
    for (unsigned from = 0; from < STATES; from++)
        for (unsigned to = 0; to < STATES; to++) {
            fsm_init(&m, &conn_fsm, from);
            ck_assert_msg(fsm_can(&m, to) == (moves[from][to] != '.'), "%s to %s", conn_fsm.state_names[from],
                          conn_fsm.state_names[to]);
        }
}
END_TEST

START_TEST(aborts_on_any_other)
{
    struct fsm m;
    fsm_init(&m, &conn_fsm, (unsigned)_i / STATES);
    fsm_move(&m, (unsigned)_i % STATES);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("conn_fsm");
    const char *forks = getenv("CK_FORK");

    tcase_add_test(tc, has_these_moves_and_no_other);
    /* Each ends its program, so each needs one. */
    for (int i = 0; i < STATES * STATES && !(forks && strcmp(forks, "no") == 0); i++)
        if (moves[i / STATES][i % STATES] == '.')
            tcase_add_loop_test_raise_signal(tc, aborts_on_any_other, SIGABRT, i, i + 1);
    return run_case(tc);
}

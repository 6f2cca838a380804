#include "common/fsm.h"
#include "common/log.h"
#include "tests/unit/common/run.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IDLE, BUSY, DONE, N_STATES };

static const char *const names[] = {"idle", "busy", "done"};
static const uint32_t moves[] = {
    [IDLE] = FSM_TO(BUSY),
    [BUSY] = FSM_TO(BUSY) | FSM_TO(DONE),
    [DONE] = 0,
};
static const struct fsm_def def = {"job", names, moves, N_STATES};

START_TEST(moves_along_its_table)
{
    struct fsm m;

    fsm_init(&m, &def, IDLE);
    ck_assert(fsm_can(&m, BUSY));
    ck_assert(!fsm_can(&m, DONE));
    ck_assert(!fsm_can(&m, IDLE));
    ck_assert(!fsm_can(&m, N_STATES));
    ck_assert(!fsm_can(&m, 1000));
    fsm_move(&m, BUSY);
    fsm_move(&m, BUSY);
    fsm_move(&m, DONE);
    ck_assert_uint_eq(m.state, DONE);
    for (unsigned to = 0; to < N_STATES; to++)
        ck_assert(!fsm_can(&m, to));
}
END_TEST

/* How a process ends that does this: in a child of its own, so that it works without check's forks too. */
static int signal_of(void (*act)(unsigned), unsigned to)
{
    int status = 0;

    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, STDERR_FILENO);
        act(to);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void move_from_idle(unsigned to)
{
    struct fsm m;

    fsm_init(&m, &def, IDLE);
    fsm_move(&m, to);
}

static void init_at(unsigned state)
{
    struct fsm m;

    fsm_init(&m, &def, state);
}

START_TEST(illegal_moves_abort)
{
    ck_assert_int_eq(signal_of(move_from_idle, BUSY), 0);
    ck_assert_int_eq(signal_of(move_from_idle, IDLE), SIGABRT);
    ck_assert_int_eq(signal_of(move_from_idle, DONE), SIGABRT);
    ck_assert_int_eq(signal_of(move_from_idle, N_STATES), SIGABRT);
    ck_assert_int_eq(signal_of(move_from_idle, UINT32_MAX), SIGABRT);
    ck_assert_int_eq(signal_of(init_at, DONE), 0);
    ck_assert_int_eq(signal_of(init_at, N_STATES), SIGABRT);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("fsm");

    tcase_add_test(tc, moves_along_its_table);
    tcase_add_test(tc, illegal_moves_abort);
    return run_case(tc);
}

#include "gateway/children.h"
#include "common/log.h"
#include "gateway/control.h"
#include "gateway/process.h"
#include "gateway/sandbox.h"
#include "gateway/server/server.h"
#include "gateway/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A pipe holds it, so that the checker never waits for the master. */
enum { REPORT_MAX = 32 * 1024 };

void report_log(struct bytes report)
{
    while (report.len > 0) {
        const char *end = memchr(report.data, '\n', report.len);
        size_t len = end ? (size_t)(end - report.data) : report.len;
        LOG_ERROR("configuration refused problem=%.*s", (int)len, report.data);
        report = bytes_skip(report, len + 1);
    }
}

/* Ctrl-C and a closed terminal reach the whole process group: it is the master that decides what they mean.
 */
static void take_signals(const struct forker *f)
{
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)sigprocmask(SIG_SETMASK, &f->mask, NULL);
}

static _Noreturn void run_worker(const struct forker *f, const struct worker_place *place, int ready_fd,
                                 int control_fd)
{
    struct worker_place p = *place;
    struct door *door = f->door;
    struct tls_tickets tickets = f->tickets;
    struct metrics *metrics = f->metrics;
    int code = 1;
    size_t n = p.cfg->n_listen;
    char role[32];
    (void)snprintf(role, sizeof(role), "worker-%u", p.slot);
    log_forked();
    log_set_role(role);
    log_set(&p.cfg->log);
    process_set_title("sluice: worker %u", p.slot);
    take_signals(f);
    /* Twice: to hand on in the listeners' order, and to sort. */
    int *fds = calloc(2 * n + 2, sizeof(*fds));
    if (fds) {
        int *keep = fds + n;
        socket_set_fds(p.sockets, p.slot, fds);
        memcpy(keep, fds, n * sizeof(*fds));
        keep[n] = ready_fd;
        keep[n + 1] = control_fd;
        process_close_others(keep, n + 2);
        f->forget(f->master, p.cfg);
        config_forget_environment();
        door_set_limits(door, p.cfg);
        metrics_attach(metrics, p.column, p.generation);
        const struct worker_opts o = {.cfg = p.cfg,
                                      .slot = p.slot,
                                      .door_slot = p.column,
                                      .listen_fds = fds,
                                      .door = door,
                                      .tickets = &tickets,
                                      .metrics = metrics,
                                      .ready_fd = ready_fd,
                                      .control_fd = control_fd};
        if (sandbox_drop(p.cfg) == ERR_OK)
            code = worker_run(&o);
        free(fds);
    }
    config_free(p.cfg);
    door_destroy(door);
    metrics_destroy(metrics);
    exit(code);
}

/* After the fork: the parent's part. The child has the other end. */
static pid_t keep_read_end(pid_t pid, const int ends[2], int *ret_fd)
{
    int saved = errno;
    (void)close(ends[1]);
    if (pid > 0)
        *ret_fd = ends[0];
    else
        (void)close(ends[0]);
    errno = saved;
    return pid;
}

pid_t child_worker(const struct forker *f, const struct worker_place *p, int *ret_ready_fd,
                   int *ret_control_fd)
{
    int ready[2], control[2];
    if (pipe2(ready, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    if (control_open(control) != ERR_OK)
        return keep_read_end(-1, ready, ret_ready_fd);
    pid_t pid = fork();
    if (pid == 0)
        run_worker(f, p, ready[1], control[1]);
    (void)keep_read_end(pid, control, ret_control_fd);
    return keep_read_end(pid, ready, ret_ready_fd);
}

static _Noreturn void run_checker(const struct forker *f, struct config *cfg, int report_fd)
{
    log_forked();
    log_set_role("checker");
    process_set_title("sluice: checker");
    take_signals(f);
    process_close_others(&report_fd, 1);
    struct door *door = f->door;
    metrics_destroy(f->metrics);
    f->forget(f->master, cfg);
    struct buf report;
    buf_init(&report, REPORT_MAX);
    enum err e = server_check_tls(cfg, &report);
    if (report.len > 0 && write(report_fd, report.data, report.len) < 0)
        LOG_WARN("cannot report problems reason=%s", strerror(errno));
    buf_free(&report);
    config_free(cfg);
    door_destroy(door);
    log_finish();
    exit(e == ERR_OK ? 0 : 1);
}

pid_t child_checker(const struct forker *f, struct config *cfg, int *ret_report_fd)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        run_checker(f, cfg, report[1]);
    return keep_read_end(pid, report, ret_report_fd);
}

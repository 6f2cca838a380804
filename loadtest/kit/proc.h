#pragma once
/* What the kernel says of a process and of all its descendants: /proc, and the system call tracepoint where
 * it may be read. */
#include "common/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_MAX = 128 };

struct proc_sample {
    unsigned processes;
    uint64_t cpu_ns; /* CPU clock of the processes, to the nanosecond, threads that ended included */
    uint64_t user_ms, system_ms; /* of /proc/PID/stat, in clock ticks */
    uint64_t rss_kb,
        rss_max_kb;  /* the sum (pages that are shared count in each), and the largest process alone */
    uint64_t pss_kb; /* the sum with shared pages divided by their sharers; 0 unless asked for */
    uint64_t switches_voluntary, switches_forced; /* of all threads */
};

/* A process and its descendants, as they were when it was found. */
struct proc_tree {
    pid_t pids[PROC_MAX];
    unsigned n;
};
/* Looks through all of /proc, which takes milliseconds. */
void proc_tree_find(struct proc_tree *t, pid_t root);
/* ERR_NOT_FOUND: the root is gone. A descendant that is gone is left out. */
enum err proc_sample(const struct proc_tree *t, bool with_pss, struct proc_sample *ret) MUST_USE;

/* Counts system calls of the tree from now on; a thread born later is counted if its parent was. */
struct syscall_counter {
    int fds[PROC_MAX * 4];
    unsigned n;
};
/* ERR_IO: the kernel does not allow it (tracefs not mounted, perf_event_paranoid). */
enum err syscall_counter_start(struct syscall_counter *c, const struct proc_tree *t) MUST_USE;
uint64_t syscall_counter_read(const struct syscall_counter *c);
void syscall_counter_stop(struct syscall_counter *c);

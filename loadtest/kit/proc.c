#include "loadtest/kit/proc.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The whole of a small file, NUL-terminated; 0 when it cannot be read. */
static size_t slurp(const char *path, char *ret, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    if (fd < 0)
        return 0;
    for (ssize_t n; len < size - 1 && (n = read(fd, ret + len, size - 1 - len)) > 0;)
        len += (size_t)n;
    close(fd);
    ret[len] = '\0';
    return len;
}

/* What stands after the command name, which may hold anything. */
static char *stat_fields(pid_t pid, char *room, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (!slurp(path, room, size))
        return NULL;
    char *paren = strrchr(room, ')');
    return paren ? paren + 1 : NULL;
}

/* Field `n` of proc(5)'s numbering, n >= 3. */
static uint64_t stat_field(const char *fields, unsigned n)
{
    for (unsigned i = 3; i < n && fields; i++) {
        fields = strchr(fields + 1, ' ');
    }
    return fields ? strtoull(fields + 1, NULL, 10) : 0;
}

static bool in_tree(const struct proc_tree *t, pid_t pid)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->pids[i] == pid)
            return true;
    return false;
}

static bool is_number(const char *s)
{
    return *s && strspn(s, "0123456789") == strlen(s);
}

/* One pass over /proc; true when it found more of the tree (children may be listed before their parents). */
static bool grow_tree(struct proc_tree *t)
{
    char room[2048];
    bool grew = false;
    DIR *d = opendir("/proc");
    if (!d)
        return false;
    for (struct dirent *e; t->n < PROC_MAX && (e = readdir(d));) {
        if (!is_number(e->d_name))
            continue;
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        char *fields = in_tree(t, pid) ? NULL : stat_fields(pid, room, sizeof(room));
        if (fields && in_tree(t, (pid_t)stat_field(fields, 4))) {
            t->pids[t->n++] = pid;
            grew = true;
        }
    }
    closedir(d);
    return grew;
}

void proc_tree_find(struct proc_tree *t, pid_t root)
{
    t->pids[0] = root;
    t->n = 1;
    while (grow_tree(t))
        ;
}

static uint64_t line_value(const char *text, const char *label)
{
    const char *at = strstr(text, label);
    return at ? strtoull(at + strlen(label), NULL, 10) : 0;
}

static void add_switches(pid_t pid, struct proc_sample *s)
{
    char path[320], room[4096];
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        if (!is_number(e->d_name))
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, e->d_name);
        if (!slurp(path, room, sizeof(room)))
            continue;
        s->switches_voluntary += line_value(room, "\nvoluntary_ctxt_switches:");
        s->switches_forced += line_value(room, "\nnonvoluntary_ctxt_switches:");
    }
    closedir(d);
}

static bool add_process(pid_t pid, bool with_pss, struct proc_sample *s)
{
    char path[64], room[4096];
    char *fields = stat_fields(pid, room, sizeof(room));
    if (!fields)
        return false;
    uint64_t tick_ms = 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
    s->processes++;
    s->user_ms += stat_field(fields, 14) * tick_ms;
    s->system_ms += stat_field(fields, 15) * tick_ms;
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &t) == 0)
        s->cpu_ns += (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (slurp(path, room, sizeof(room))) {
        uint64_t rss = line_value(room, "\nVmRSS:");
        s->rss_kb += rss;
        s->rss_max_kb = rss > s->rss_max_kb ? rss : s->rss_max_kb;
    }
    (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    if (with_pss && slurp(path, room, sizeof(room)))
        s->pss_kb += line_value(room, "\nPss:");
    add_switches(pid, s);
    return true;
}

enum err proc_sample(const struct proc_tree *t, bool with_pss, struct proc_sample *ret)
{
    struct proc_sample s = {0};
    for (unsigned i = 0; i < t->n; i++)
        if (!add_process(t->pids[i], with_pss, &s) && i == 0)
            return ERR_NOT_FOUND;
    *ret = s;
    return ERR_OK;
}

static uint64_t tracepoint_id(void)
{
    static const char *const paths[] = {"/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
                                        "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id"};
    char room[32];
    for (unsigned i = 0; i < ARRAY_LEN(paths); i++)
        if (slurp(paths[i], room, sizeof(room)))
            return strtoull(room, NULL, 10);
    return 0;
}

static void count_threads(struct syscall_counter *c, pid_t pid, struct perf_event_attr *attr)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    if (!d)
        return;
    for (struct dirent *e; c->n < ARRAY_LEN(c->fds) && (e = readdir(d));) {
        if (!is_number(e->d_name))
            continue;
        long fd = syscall(SYS_perf_event_open, attr, (pid_t)strtol(e->d_name, NULL, 10), -1, -1,
                          PERF_FLAG_FD_CLOEXEC);
        if (fd >= 0)
            c->fds[c->n++] = (int)fd;
    }
    closedir(d);
}

enum err syscall_counter_start(struct syscall_counter *c, const struct proc_tree *t)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .inherit = 1};
    c->n = 0;
    attr.config = tracepoint_id();
    if (attr.config == 0)
        return ERR_IO;
    for (unsigned i = 0; i < t->n; i++)
        count_threads(c, t->pids[i], &attr);
    return c->n ? ERR_OK : ERR_IO;
}

uint64_t syscall_counter_read(const struct syscall_counter *c)
{
    uint64_t sum = 0, n;
    for (unsigned i = 0; i < c->n; i++)
        if (read(c->fds[i], &n, sizeof(n)) == (ssize_t)sizeof(n))
            sum += n;
    return sum;
}

void syscall_counter_stop(struct syscall_counter *c)
{
    for (unsigned i = 0; i < c->n; i++)
        close(c->fds[i]);
    c->n = 0;
}

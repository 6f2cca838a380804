/* The system calls of a worker that serves: memory, descriptors that it has, sockets that connect, the clock,
 * threads. None that executes, binds, traces, or changes who it is. */
#include "common/attr.h"
#include "gateway/sandbox_rules.h"
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static const char *const allowed[] = {
    /* memory */
    "brk", "madvise", "mincore", "mmap", "mprotect", "mremap", "munmap", "membarrier",
    /* descriptors */
    "access", "close", "close_range", "dup", "dup2", "dup3", "eventfd2", "faccessat", "faccessat2",
    "fadvise64", "fcntl", "fstat", "fstatfs", "getcwd", "getdents64", "lseek", "lstat", "newfstatat", "open",
    "openat", "pipe", "pipe2", "pread64", "preadv", "pwrite64", "pwritev", "read", "readlink", "readlinkat",
    "readv", "stat", "statfs", "statx", "write", "writev",
    /* waiting */
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "poll",
    "ppoll", "pselect6", "select", "timerfd_create", "timerfd_gettime", "timerfd_settime",
    /* sockets; socket() itself stands below */
    "accept", "accept4", "connect", "getpeername", "getsockname", "getsockopt", "recvfrom", "recvmmsg",
    "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socketpair",
    /* time, threads, itself */
    "clock_getres", "clock_gettime", "clock_nanosleep", "exit", "exit_group", "futex", "getegid", "geteuid",
    "getgid", "getpid", "getppid", "getrandom", "getrlimit", "getrusage", "gettid", "gettimeofday", "getuid",
    "nanosleep", "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigtimedwait", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_yield",
    "set_robust_list", "sigaltstack", "sysinfo", "tgkill", "time", "times", "uname"};

/* Said to be forbidden. All others do not exist, as far as a worker can see, so that libraries which try a
 * new one fall back on an older. */
static const char *const forbidden[] = {"bind",
                                        "bpf",
                                        "chroot",
                                        "execve",
                                        "execveat",
                                        "fork",
                                        "io_uring_setup",
                                        "kexec_load",
                                        "keyctl",
                                        "kill",
                                        "listen",
                                        "mount",
                                        "open_by_handle_at",
                                        "perf_event_open",
                                        "pidfd_getfd",
                                        "pidfd_open",
                                        "pivot_root",
                                        "process_vm_readv",
                                        "process_vm_writev",
                                        "ptrace",
                                        "setgid",
                                        "setgroups",
                                        "setns",
                                        "setresgid",
                                        "setresuid",
                                        "setuid",
                                        "tkill",
                                        "umount2",
                                        "unshare",
                                        "userfaultfd",
                                        "vfork"};

/* Which of them a sanitizer needs, to look for leaks. */
static bool looks_for_leaks(const char *name)
{
    return strcmp(name, "ptrace") == 0 || strcmp(name, "fork") == 0 || strcmp(name, "tkill") == 0 ||
           strcmp(name, "kill") == 0;
}

static bool rule_all(scmp_filter_ctx f, uint32_t action, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int call = seccomp_syscall_resolve_name(names[i]);
        if (SANITIZED && action != SCMP_ACT_ALLOW && looks_for_leaks(names[i]))
            continue;
        /* Not every machine has each of them. */
        if (call >= 0 && seccomp_rule_add(f, action, call, 0) != 0)
            return false;
    }
    return true;
}

/* The call is allowed where an argument is `value`, of which `mask` counts. */
static bool allow_if(scmp_filter_ctx f, int call, unsigned arg, scmp_datum_t mask, scmp_datum_t value)
{
    const struct scmp_arg_cmp one = {.arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
    return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, call, 1, &one) == 0;
}

#define ALL_BITS UINT64_MAX

/* Calls of which only some forms are needed. */
static bool rule_some(scmp_filter_ctx f)
{
    /* The last one: to sort a name's addresses libc asks for those of this machine. */
    static const scmp_datum_t families[] = {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK};
    static const scmp_datum_t ioctls[] = {FIONBIO, FIONREAD, FIOCLEX};
    static const scmp_datum_t prctls[] = {PR_SET_NAME, PR_GET_NAME, 0x53564d41 /* PR_SET_VMA */};
    bool ok = true;
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        ok = ok && allow_if(f, SCMP_SYS(socket), 0, ALL_BITS, families[i]);
    for (size_t i = 0; i < ARRAY_LEN(ioctls); i++)
        ok = ok && allow_if(f, SCMP_SYS(ioctl), 1, ALL_BITS, ioctls[i]);
    for (size_t i = 0; i < ARRAY_LEN(prctls); i++)
        ok = ok && allow_if(f, SCMP_SYS(prctl), 0, ALL_BITS, prctls[i]);
    /* Threads (of the resolver), not processes. clone3 keeps its flags in memory: it does not exist. */
    ok = ok && allow_if(f, SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD);
    /* Only to be told a limit, not to set one. */
    return ok && allow_if(f, SCMP_SYS(prlimit64), 2, ALL_BITS, 0);
}

enum err seccomp_rules(void)
{
    const uint32_t others = SANITIZED ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS);
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
        return ERR_NOT_FOUND;
    scmp_filter_ctx f = seccomp_init(others);
    if (!f)
        return ERR_NOMEM;
    /* A tree, not a list: the calls of a token pass a handful of comparisons. */
    (void)seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    /* A filter would bring a mitigation with it (of speculative store bypass) that slows all code; it is for
     * processes that run code of others. */
    (void)seccomp_attr_set(f, SCMP_FLTATR_CTL_SSB, 1);
    bool ok = rule_all(f, SCMP_ACT_ERRNO(EPERM), forbidden, ARRAY_LEN(forbidden));
    if (!SANITIZED)
        ok = ok && rule_all(f, SCMP_ACT_ALLOW, allowed, ARRAY_LEN(allowed)) && rule_some(f);
    const int failure = ok ? seccomp_load(f) : -EINVAL;
    seccomp_release(f);
    errno = -failure;
    return failure == 0 ? ERR_OK : ERR_IO;
}

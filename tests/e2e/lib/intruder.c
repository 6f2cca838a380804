/* Loaded into the gateway by a test (LD_PRELOAD): on SIGURG a worker tries what one that was taken over
 * would, and says on standard error what came of each. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, int failed)
{
    dprintf(STDERR_FILENO, "intruder %s %s\n", what, failed ? "refused" : "SUCCEEDED");
}

static void try_files(void)
{
    say("read:/etc/shadow", open("/etc/shadow", O_RDONLY) < 0);
    say("read:/root", open("/root", O_RDONLY | O_DIRECTORY) < 0);
    say("write:/tmp", open("/tmp/sluice-intruder", O_CREAT | O_WRONLY, 0600) < 0);
    say("mkdir", mkdir("/tmp/sluice-intruder-dir", 0700) != 0);
}

static void try_sockets(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    say("bind", bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0);
    say("listen", listen(fd, 1) != 0);
    say("raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) < 0);
    say("packet", socket(AF_PACKET, SOCK_RAW, 0) < 0);
}

static void try_processes(void)
{
    char *const args[] = {(char *)"/bin/true", NULL};
    say("kill:master", kill(getppid(), 0) != 0);
#if !defined(__SANITIZE_ADDRESS__)
    say("ptrace", ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) != 0);
    /* Where nothing forbids it, the next signal would end this worker. */
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0)
        say("traceme", ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    say("fork", pid < 0);
    if (pid > 0)
        (void)waitpid(pid, NULL, 0);
    say("dumpable", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0);
    say("io_uring", syscall(SYS_io_uring_setup, 1, NULL) < 0);
#endif
    say("process_vm_readv", process_vm_readv(getppid(), NULL, 0, NULL, 0, 0) < 0);
    say("setuid", setuid(0) != 0);
    say("chroot", chroot("/") != 0);
    say("exec", execve(args[0], args, args + 1) != 0);
}

static void on_signal(int signum)
{
    struct rlimit core = {1, 1};
    (void)signum;
    try_files();
    try_sockets();
    (void)getrlimit(RLIMIT_CORE, &core);
    say("core", core.rlim_cur == 0 && core.rlim_max == 0);
    try_processes();
    dprintf(STDERR_FILENO, "intruder done uid=%d gid=%d\n", (int)getuid(), (int)getgid());
}

__attribute__((constructor)) static void load(void)
{
    (void)signal(SIGURG, on_signal);
}

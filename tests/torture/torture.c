/* The real program, in whose worker one call fails: an allocation, or a system call. It stands in front of
 * libc and of the sanitizer, and is told what to fail by a file that it shares with the test (struct plan).
 * Which callers are left alone, and why: README.md. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

enum kind {
    KIND_MEMORY = 1, /* allocations of the program's own code */
    KIND_CURL = 2,   /* of libcurl and nghttp2 */
    KIND_TLS = 3,    /* of OpenSSL */
    KIND_CALLS = 4,  /* system calls, whoever makes them */
    KIND_START = 5,  /* the same but for libwebsockets' */
};

enum { MOST_FRAMES = 16, MOST_MODULES = 64 };

/* torture.test.mjs knows this layout. */
struct plan {
    _Atomic uint32_t at; /* which call fails, counted from 1; 0: nothing is counted */
    uint32_t kind;
    _Atomic uint32_t calls; /* so far */
    _Atomic uint32_t failed;
    char call[32];
    uint64_t frames[MOST_FRAMES]; /* of the program, as addresses in its file; 0: the end */
};

struct module {
    uintptr_t from, to;
    unsigned kind; /* whose allocations count as what; 0: nobody's */
    bool libuv, libwebsockets;
};

static struct plan *plan;
static struct module modules[MOST_MODULES];
static unsigned n_modules;
static uintptr_t program_base;
static bool in_worker;

/* The sanitizer's, where there is one. */
extern void *__interceptor_malloc(size_t size) __attribute__((weak));
extern void *__interceptor_calloc(size_t n, size_t size) __attribute__((weak));
extern void *__interceptor_realloc(void *p, size_t size) __attribute__((weak));
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

static const struct module *module_of(const void *address)
{
    for (unsigned i = 0; i < n_modules; i++)
        if ((uintptr_t)address >= modules[i].from && (uintptr_t)address < modules[i].to)
            return &modules[i];
    return NULL;
}

static int add_module(struct dl_phdr_info *info, size_t size, void *data)
{
    static const struct {
        const char *part;
        enum kind kind;
    } known[] = {
        {"libcurl", KIND_CURL}, {"libnghttp2", KIND_CURL}, {"libssl", KIND_TLS}, {"libcrypto", KIND_TLS}};
    const bool program = info->dlpi_name[0] == '\0' && n_modules == 0;
    struct module m = {.from = UINTPTR_MAX, .kind = program ? KIND_MEMORY : 0};
    (void)size;
    (void)data;
    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strstr(info->dlpi_name, known[i].part))
            m.kind = known[i].kind;
    m.libuv = strstr(info->dlpi_name, "libuv") != NULL;
    m.libwebsockets = strstr(info->dlpi_name, "libwebsockets") != NULL;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        const uintptr_t to = from + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type != PT_LOAD)
            continue;
        m.from = from < m.from ? from : m.from;
        m.to = to > m.to ? to : m.to;
    }
    if (program)
        program_base = info->dlpi_addr;
    if (n_modules < MOST_MODULES)
        modules[n_modules++] = m;
    return 0;
}

static void on_fork(void)
{
    in_worker = true;
}

__attribute__((constructor)) static void open_plan(void)
{
    const char *path = getenv("SLUICE_TORTURE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    dl_iterate_phdr(add_module, NULL);
    void *p = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    pthread_atfork(NULL, NULL, on_fork);
    plan = p == MAP_FAILED ? NULL : p;
}

/* The sanitized program keeps its frame pointers; what a library's frames hold instead ends the walk. */
static void note_frames(void)
{
    void *const *frame = __builtin_frame_address(0);
    unsigned n = 0;
    for (unsigned depth = 0; depth < 64 && n < MOST_FRAMES; depth++) {
        void *const *next = frame[0];
        const struct module *m = module_of(frame[1]);
        if (m == &modules[0])
            plan->frames[n++] = (uintptr_t)frame[1] - program_base;
        if (next <= frame || (uintptr_t)next - (uintptr_t)frame > 1U << 20 || (uintptr_t)next % 8 != 0)
            break;
        frame = next;
    }
    if (n < MOST_FRAMES)
        plan->frames[n] = 0;
}

/* Is it this call's turn to fail? */
static bool fails(enum kind kind, const char *call)
{
    if (!plan || !in_worker || plan->at == 0 || plan->kind != (uint32_t)kind)
        return false;
    if (atomic_fetch_add(&plan->calls, 1) + 1 != plan->at)
        return false;
    strncpy(plan->call, call, sizeof(plan->call) - 1);
    note_frames();
    plan->failed = 1;
    return true;
}

static bool memory_fails(const void *caller, const char *call)
{
    const struct module *m = plan && in_worker && plan->at ? module_of(caller) : NULL;
    if (!m || m->kind == 0 || !fails((enum kind)m->kind, call))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    if (memory_fails(__builtin_return_address(0), "malloc"))
        return NULL;
    return __interceptor_malloc ? __interceptor_malloc(size) : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    if (memory_fails(__builtin_return_address(0), "calloc"))
        return NULL;
    return __interceptor_calloc ? __interceptor_calloc(n, size) : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    if (size > 0 && memory_fails(__builtin_return_address(0), "realloc"))
        return NULL;
    return __interceptor_realloc ? __interceptor_realloc(p, size) : __libc_realloc(p, size);
}

/* libuv's own calls are for its wake-up pipes and its epoll: it aborts when they break. */
static bool call_fails(const void *caller, const char *call, int error)
{
    if (!plan || !in_worker || plan->at == 0)
        return false;
    const struct module *m = module_of(caller);
    if (m && (m->libuv || (m->libwebsockets && plan->kind == KIND_START)))
        return false;
    if (!fails(plan->kind == KIND_START ? KIND_START : KIND_CALLS, call))
        return false;
    errno = error;
    return true;
}
#define CALL_FAILS(call, error) call_fails(__builtin_return_address(0), call, error)

/* What stands behind this file: the sanitizer's, then libc's. */
#define BEHIND(type, name, ...)                                                                              \
    static type (*next)(__VA_ARGS__);                                                                        \
    if (!next)                                                                                               \
    next = (type(*)(__VA_ARGS__))(uintptr_t)dlsym(RTLD_NEXT, #name)

int socket(int domain, int type, int protocol)
{
    BEHIND(int, socket, int, int, int);
    return CALL_FAILS("socket", EMFILE) ? -1 : next(domain, type, protocol);
}

int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t len)
{
    BEHIND(int, connect, int, const struct sockaddr *, socklen_t);
    return CALL_FAILS("connect", ENETUNREACH) ? -1 : next(fd, address.__sockaddr__, len);
}

int accept4(int fd, __SOCKADDR_ARG address, socklen_t *len, int flags)
{
    BEHIND(int, accept4, int, struct sockaddr *, socklen_t *, int);
    return CALL_FAILS("accept4", EMFILE) ? -1 : next(fd, address.__sockaddr__, len, flags);
}

int getsockname(int fd, __SOCKADDR_ARG address, socklen_t *len)
{
    BEHIND(int, getsockname, int, struct sockaddr *, socklen_t *);
    return CALL_FAILS("getsockname", ENOBUFS) ? -1 : next(fd, address.__sockaddr__, len);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    BEHIND(int, setsockopt, int, int, int, const void *, socklen_t);
    return CALL_FAILS("setsockopt", ENOBUFS) ? -1 : next(fd, level, name, value, len);
}

int shutdown(int fd, int how)
{
    BEHIND(int, shutdown, int, int);
    return CALL_FAILS("shutdown", ENOTCONN) ? -1 : next(fd, how);
}

ssize_t read(int fd, void *data, size_t size)
{
    BEHIND(ssize_t, read, int, void *, size_t);
    if (CALL_FAILS("read", ECONNRESET))
        return -1;
    return next(fd, data, size);
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
    BEHIND(ssize_t, recv, int, void *, size_t, int);
    return CALL_FAILS("recv", ECONNRESET) ? -1 : next(fd, data, size, flags);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    BEHIND(ssize_t, recvmsg, int, struct msghdr *, int);
    return CALL_FAILS("recvmsg", ENOBUFS) ? -1 : next(fd, m, flags);
}

ssize_t write(int fd, const void *data, size_t size)
{
    BEHIND(ssize_t, write, int, const void *, size_t);
    if (CALL_FAILS("write", EPIPE))
        return -1;
    return next(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    BEHIND(ssize_t, writev, int, const struct iovec *, int);
    return CALL_FAILS("writev", EPIPE) ? -1 : next(fd, parts, n);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    BEHIND(ssize_t, send, int, const void *, size_t, int);
    return CALL_FAILS("send", EPIPE) ? -1 : next(fd, data, size, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    BEHIND(ssize_t, sendmsg, int, const struct msghdr *, int);
    return CALL_FAILS("sendmsg", EPIPE) ? -1 : next(fd, m, flags);
}

/* The first epoll_ctl of a descriptor, and the only one that libuv tells of: where it adds it in earnest it
 * aborts. */
static bool watch_fails(const void *caller)
{
    /* libwebsockets does not look at the answer. */
    const struct module *m = plan && in_worker && plan->at ? module_of(caller) : NULL;
    return m && !m->libwebsockets && call_fails(caller, "uv_poll_init", ENOSPC);
}

int uv_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd)
{
    BEHIND(int, uv_poll_init, uv_loop_t *, uv_poll_t *, int);
    return watch_fails(__builtin_return_address(0)) ? UV_ENOSPC : next(loop, poll, fd);
}

/* The same on Unix; libuv's own jumps to the one above, so that its caller would not be seen. */
int uv_poll_init_socket(uv_loop_t *loop, uv_poll_t *poll, uv_os_sock_t fd)
{
    BEHIND(int, uv_poll_init, uv_loop_t *, uv_poll_t *, int);
    return watch_fails(__builtin_return_address(0)) ? UV_ENOSPC : next(loop, poll, fd);
}

int epoll_create1(int flags)
{
    BEHIND(int, epoll_create1, int);
    return CALL_FAILS("epoll_create1", EMFILE) ? -1 : next(flags);
}

int eventfd(unsigned count, int flags)
{
    BEHIND(int, eventfd, unsigned, int);
    return CALL_FAILS("eventfd", EMFILE) ? -1 : next(count, flags);
}

int pipe2(int fds[2], int flags)
{
    BEHIND(int, pipe2, int *, int);
    return CALL_FAILS("pipe2", EMFILE) ? -1 : next(fds, flags);
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
    BEHIND(int, socketpair, int, int, int, int *);
    return CALL_FAILS("socketpair", EMFILE) ? -1 : next(domain, type, protocol, fds);
}

int dup(int fd)
{
    BEHIND(int, dup, int);
    return CALL_FAILS("dup", EMFILE) ? -1 : next(fd);
}

int fcntl(int fd, int command, ...)
{
    BEHIND(int, fcntl, int, int, ...);
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return CALL_FAILS("fcntl", EMFILE) ? -1 : next(fd, command, argument);
}

int fcntl64(int fd, int command, ...);
int fcntl64(int fd, int command, ...)
{
    BEHIND(int, fcntl64, int, int, ...);
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return CALL_FAILS("fcntl", EMFILE) ? -1 : next(fd, command, argument);
}

int ioctl(int fd, unsigned long request, ...)
{
    BEHIND(int, ioctl, int, unsigned long, ...);
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    return CALL_FAILS("ioctl", ENOMEM) ? -1 : next(fd, request, argument);
}

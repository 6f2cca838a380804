#include "common/log_out.h"
#include "common/buf.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PRESET = 1024 * 1024 };

static enum {
    OUT_PLAIN, /* written as it is */
    OUT_OWN,   /* a nonblocking description of our own */
    OUT_SOCKET,
    OUT_POLL, /* asked before each write */
} way;
static struct buf waiting = {.max = MAX_PRESET};
static size_t written; /* of it, from its beginning */
static uint64_t dropped;

void log_out_unblock(void)
{
    struct stat st;
    if (way != OUT_PLAIN || fstat(STDERR_FILENO, &st) != 0)
        return;
    if (S_ISSOCK(st.st_mode)) {
        way = OUT_SOCKET;
        return;
    }
    if (!S_ISFIFO(st.st_mode) && !isatty(STDERR_FILENO))
        return;
    way = OUT_POLL;
    const int own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own < 0)
        return;
    if (dup2(own, STDERR_FILENO) == STDERR_FILENO)
        way = OUT_OWN;
    (void)close(own);
}

void log_out_set_max(uint64_t max_waiting)
{
    waiting.max = (size_t)max_waiting;
}

static bool may_write(void)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&p, 1, 0) == 1;
}

static ssize_t write_now(struct bytes s)
{
    if (way == OUT_SOCKET)
        return send(STDERR_FILENO, s.data, s.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (way == OUT_POLL && !may_write()) {
        errno = EAGAIN;
        return -1;
    }
    return write(STDERR_FILENO, s.data, s.len);
}

static uint64_t count_lines(struct bytes s)
{
    uint64_t n = 0;
    for (const char *end; s.len > 0 && (end = memchr(s.data, '\n', s.len));) {
        s = bytes_skip(s, (size_t)(end - s.data) + 1);
        n++;
    }
    return n;
}

/* As many whole lines as one write may hold; or what is left of one that was cut. */
static struct bytes next_chunk(void)
{
    const struct bytes s = bytes_skip(buf_bytes(&waiting), written);
    if (s.len <= PIPE_BUF)
        return s;
    const char *end = memrchr(s.data, '\n', PIPE_BUF);
    return bytes_of(s.data, end ? (size_t)(end - s.data) + 1 : PIPE_BUF);
}

bool log_out_flush(void)
{
    while (written < waiting.len) {
        const ssize_t n = write_now(next_chunk());
        if (n > 0) {
            written += (size_t)n;
        } else if (n == 0 || errno == EAGAIN || errno == EWOULDBLOCK) {
            buf_consume(&waiting, written);
            written = 0;
            return false;
        } else if (errno != EINTR) {
            /* Nobody will ever read it. */
            dropped += count_lines(bytes_skip(buf_bytes(&waiting), written));
            break;
        }
    }
    log_out_forget();
    return true;
}

static bool keep(struct bytes s)
{
    if (buf_append_bytes(&waiting, s) == ERR_OK)
        return true;
    dropped++;
    return false;
}

bool log_out_put(struct bytes line)
{
    if (!log_out_flush())
        return keep(line);
    ssize_t n;
    do
        n = write_now(line);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)line.len)
        return true;
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        dropped++;
        return false;
    }
    return keep(bytes_skip(line, n > 0 ? (size_t)n : 0));
}

bool log_out_waiting(void)
{
    return waiting.len > 0;
}

void log_out_wait(unsigned ms)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    (void)poll(&p, 1, (int)ms);
}

void log_out_forget(void)
{
    buf_free(&waiting);
    written = 0;
}

uint64_t log_out_dropped(void)
{
    return dropped;
}

#include "gateway/process.h"
#include "common/log.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* libwebsockets has a table of 16 bytes a possible descriptor; where there is no limit the table would have
 * no end. */
enum { FILES_MAX = 1 << 20 };

static char *title;
static size_t title_size;

void process_init(int argc, char **argv)
{
    /* The arguments lie one behind the other; the last one ends the room. */
    title = argv[0];
    title_size = argc > 0 ? (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) - title) : 0;
}

void process_set_title(const char *fmt, ...)
{
    char text[128];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    (void)prctl(PR_SET_NAME, text);
    if (!title || title_size == 0)
        return;
    memset(title, 0, title_size);
    (void)snprintf(title, title_size, "%s", text);
}

void process_raise_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = MIN(limit.rlim_max, (rlim_t)FILES_MAX);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        LOG_WARN("cannot raise the number of descriptors reason=%s", strerror(errno));
}

static int by_number(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

void process_close_others(int *keep, size_t n)
{
    if (n > 1)
        qsort(keep, n, sizeof(*keep), by_number);
    unsigned from = STDERR_FILENO + 1;
    for (size_t i = 0; i < n; i++) {
        unsigned fd = (unsigned)keep[i];
        if (keep[i] < 0 || fd < from)
            continue;
        if (fd > from)
            (void)close_range(from, fd - 1, 0);
        from = fd + 1;
    }
    (void)close_range(from, ~0U, 0);
}

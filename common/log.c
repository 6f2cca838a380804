#include "common/log.h"
#include "common/utf8.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { ROLE_MAX = 31, TEXT_MAX = 2048, LINE_SIZE = 4096 };

static enum log_level min_level = LOG_LEVEL_INFO;
static char own_role[ROLE_MAX + 1];
static const char *const level_names[] = {"debug", "info", "warn", "error"};

struct line {
    char data[LINE_SIZE];
    size_t len;
};

void log_set_level(enum log_level min)
{
    min_level = min;
}

int log_level_parse(const char *s, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (strcmp(s, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 1;
        }
    }
    return 0;
}

void log_set_role(const char *role)
{
    (void)snprintf(own_role, sizeof(own_role), "%s", role);
}

int log_enabled(enum log_level level)
{
    return level >= min_level;
}

/* One byte is kept for the newline. */
static void put(struct line *l, const char *s, size_t len)
{
    if (len < sizeof(l->data) - l->len) {
        memcpy(l->data + l->len, s, len);
        l->len += len;
    }
}

static void put_hex(struct line *l, unsigned char c)
{
    char hex[8];
    int n = snprintf(hex, sizeof(hex), "\\x%02x", c);

    put(l, hex, (size_t)n);
}

/* Nothing that a terminal or a log reader takes for more than text gets through: no C0 or C1 control, no
 * broken UTF-8. */
static void put_text(struct line *l, struct bytes s, bool quoted)
{
    bool utf8 = utf8_valid(s);

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        bool c1 = utf8 && c == 0xC2 && (unsigned char)s.data[i + 1] < 0xA0;
        if (c == '\n') {
            put(l, "\\n", 2);
        } else if (c < 0x20 || c == 0x7F || (c >= 0x80 && !utf8)) {
            put_hex(l, c);
        } else if (c1) {
            put_hex(l, c);
            put_hex(l, (unsigned char)s.data[++i]);
        } else {
            if (quoted && (c == '"' || c == '\\'))
                put(l, "\\", 1);
            put(l, (const char *)&c, 1);
        }
    }
}

/* The message ends where the first word of the shape key= begins. */
static size_t message_len(struct bytes s)
{
    size_t word = 0;
    bool key = true;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (c == ' ') {
            word = i + 1;
            key = true;
        } else if (c == '=' && key && i > word) {
            return word;
        } else if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                     c == '.')) {
            key = false;
        }
    }
    return s.len;
}

static void put_head(struct line *l, enum log_level level)
{
    struct timespec now;
    struct tm tm;
    char head[128];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (!gmtime_r(&now.tv_sec, &tm))
        memset(&tm, 0, sizeof(tm));
    int n = snprintf(head, sizeof(head), "time=%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ level=%s",
                     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                     now.tv_nsec / 1000000, level_names[level]);
    if (n > 0)
        put(l, head, MIN((size_t)n, sizeof(head) - 1));
    if (own_role[0]) {
        put(l, " role=", 6);
        put_text(l, bytes_cstr(own_role), false);
    }
}

void log_write(enum log_level level, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;
    int saved_errno = errno;
    struct line line = {.len = 0};
    char text[TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    struct bytes all = {text, n < 0 ? 0 : MIN((size_t)n, sizeof(text) - 1)};
    struct bytes message = {all.data, message_len(all)};
    struct bytes rest = bytes_skip(all, message.len);
    while (message.len > 0 && message.data[message.len - 1] == ' ')
        message.len--;

    put_head(&line, level);
    if (message.len > 0) {
        put(&line, " msg=\"", 6);
        put_text(&line, message, true);
        put(&line, "\"", 1);
    }
    if (rest.len > 0) {
        put(&line, " ", 1);
        put_text(&line, rest, false);
    }
    line.data[line.len++] = '\n';
    /* One call, so that the lines of several processes do not mix; a log that cannot be written must stop
     * nobody. */
    ssize_t written = write(STDERR_FILENO, line.data, line.len);
    (void)written;
    errno = saved_errno;
}

bool log_gate_pass(struct log_gate *g, uint64_t now_ms, unsigned *ret_suppressed)
{
    if (now_ms - g->since_ms >= 1000) {
        g->since_ms = now_ms;
        g->written = 0;
    }
    if (g->written >= LOG_GATE_LINES) {
        g->suppressed++;
        return false;
    }
    g->written++;
    *ret_suppressed = g->suppressed;
    g->suppressed = 0;
    return true;
}

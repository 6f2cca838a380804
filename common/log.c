#include "common/log.h"
#include "common/clock.h"
#include "common/log_line.h"
#include "common/log_out.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { ROLE_MAX = 31, VALUE_SIZE = 2048 };

static enum log_level min_level = LOG_LEVEL_INFO;
static enum log_format format = LOG_FORMAT_TEXT;
static char own_role[ROLE_MAX + 1];
static uint64_t dropped_said;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_set(const struct log_opts *o)
{
    min_level = o->level;
    format = o->format;
    log_out_set_max(o->max_unwritten);
}

void log_set_role(const char *role)
{
    (void)snprintf(own_role, sizeof(own_role), "%s", role);
}

int log_enabled(enum log_level level)
{
    return level >= min_level;
}

void log_begin(struct log_line *l, enum log_level level, const char *message)
{
    l->format = format;
    l->truncated = false;
    l->len = 0;
    log_line_head(l, level_names[level], own_role);
    if (message)
        log_text(l, "msg", bytes_cstr(message));
}

void log_text(struct log_line *l, const char *key, struct bytes value)
{
    log_line_text(l, bytes_cstr(key), value);
}

void log_number(struct log_line *l, const char *key, uint64_t value)
{
    char room[BYTES_U64_ROOM];
    log_line_digits(l, bytes_cstr(key), bytes_from_u64(value, 10, room));
}

void log_ids(struct log_line *l, const struct log_ids *ids)
{
    if (ids->conn)
        log_number(l, "conn", ids->conn);
    if (ids->session)
        log_number(l, "session", ids->session);
    if (ids->request && ids->request[0])
        log_text(l, "request", bytes_cstr(ids->request));
    if (ids->response && ids->response[0])
        log_text(l, "response", bytes_cstr(ids->response));
}

/* What was dropped is said before anything else is written. */
static void say_dropped(void)
{
    if (log_out_dropped() == dropped_said || !log_out_flush())
        return;
    struct log_line l;
    const uint64_t total = log_out_dropped(), dropped = total - dropped_said;
    dropped_said = total;
    log_begin(&l, LOG_LEVEL_WARN, "log lines dropped, because nothing took them");
    log_number(&l, "dropped", dropped);
    log_line_close(&l);
    if (!log_out_put(bytes_of(l.data, l.len)))
        dropped_said -= dropped;
}

void log_end(struct log_line *l)
{
    const int saved_errno = errno;
    log_line_close(l);
    say_dropped();
    (void)log_out_put(bytes_of(l->data, l->len));
    errno = saved_errno;
}

void log_unblock(void)
{
    log_out_unblock();
}

void log_forked(void)
{
    log_out_forget();
    dropped_said = log_out_dropped();
}

bool log_waiting(void)
{
    return log_out_waiting();
}

void log_flush(void)
{
    if (log_out_flush())
        say_dropped();
}

void log_finish(void)
{
    const uint64_t until = clock_mono_ms() + LOG_FINISH_MS;
    for (uint64_t now; log_out_waiting() && !log_out_flush() && (now = clock_mono_ms()) < until;)
        log_out_wait((unsigned)(until - now));
    say_dropped();
}

uint64_t log_dropped(void)
{
    return log_out_dropped();
}

/* One value, or the message, as its conversions make it. */
struct value {
    size_t len;
    bool number; /* it is one number and nothing else */
    char data[VALUE_SIZE];
};

static void add(struct value *v, struct bytes s)
{
    const size_t n = MIN(s.len, sizeof(v->data) - v->len);
    v->number = false;
    memcpy(v->data + v->len, s.data, n);
    v->len += n;
}

static void add_number(struct value *v, bool negative, uint64_t value, unsigned base)
{
    char room[BYTES_U64_ROOM];
    const bool alone = v->len == 0 && base == 10;
    if (negative)
        add(v, BYTES("-"));
    add(v, bytes_from_u64(negative ? 0 - value : value, base, room));
    v->number = alone;
}

static void add_signed(struct value *v, int64_t value)
{
    add_number(v, value < 0, (uint64_t)value, 10);
}

/* va_list is an array on some machines, and then does not travel by address of a parameter. */
struct args {
    va_list list;
};

static void add_string(struct value *v, int precision, struct args *args)
{
    const char *s = va_arg(args->list, const char *);
    if (!s)
        return;
    add(v, precision >= 0 ? bytes_of(s, strnlen(s, (size_t)precision)) : bytes_cstr(s));
}

/* `*at` is past a '%'; leaves it past the conversion. */
static void convert(struct value *v, const char **at, struct args *args)
{
    const char *p = *at;
    int precision = -1;
    if (strncmp(p, ".*", 2) == 0) {
        precision = va_arg(args->list, int);
        p += 2;
    }
    unsigned longs = 0;
    for (; *p == 'l' || *p == 'z'; p++)
        longs++;
    const char kind = *p;
    *at = kind ? p + 1 : p;
    if (kind == 's')
        add_string(v, precision, args);
    else if (kind == 'c')
        add(v, bytes_of(&(char){(char)va_arg(args->list, int)}, 1));
    else if (kind == 'd')
        add_signed(v, longs > 1   ? va_arg(args->list, long long)
                      : longs > 0 ? va_arg(args->list, long)
                                  : va_arg(args->list, int));
    else if (kind == 'u' || kind == 'x')
        add_number(v, false,
                   longs > 1   ? va_arg(args->list, unsigned long long)
                   : longs > 0 ? va_arg(args->list, unsigned long)
                               : va_arg(args->list, unsigned),
                   kind == 'x' ? 16 : 10);
    else
        add(v, bytes_of(&kind, kind != '\0'));
}

/* From `at` to where the value ends: at a blank that is not in quotes, or with the format. */
static const char *take_value(const char *at, struct value *v, struct args *args)
{
    bool quoted = false, bare = true;
    *v = (struct value){.len = 0};
    while (*at && (quoted || *at != ' ')) {
        const char c = *at++;
        if (c == '"') {
            quoted = !quoted;
            bare = false;
        } else if (c == '%') {
            convert(v, &at, args);
        } else {
            add(v, bytes_of(&c, 1));
        }
    }
    v->number = v->number && bare;
    return at;
}

static size_t key_len(const char *s)
{
    size_t n = 0;
    while ((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z') || (s[n] >= '0' && s[n] <= '9') ||
           s[n] == '_' || s[n] == '.')
        n++;
    return s[n] == '=' ? n : 0;
}

/* The words before the first key. */
static const char *take_message(const char *at, struct value *v, struct args *args)
{
    *v = (struct value){.len = 0};
    bool begins = true;
    while (*at && !(begins && key_len(at) > 0)) {
        const char c = *at++;
        begins = c == ' ';
        if (c == '%')
            convert(v, &at, args);
        else
            add(v, bytes_of(&c, 1));
    }
    while (v->len > 0 && v->data[v->len - 1] == ' ')
        v->len--;
    return at;
}

static void put_fields(struct log_line *l, const char *fmt, struct args *args)
{
    struct value v;
    while (*fmt) {
        const size_t n = key_len(fmt);
        const struct bytes key = bytes_of(fmt, n);
        if (n == 0) {
            fmt++;
            continue;
        }
        fmt = take_value(fmt + n + 1, &v, args);
        const struct bytes text = bytes_of(v.data, v.len);
        if (v.number)
            log_line_digits(l, key, text);
        else
            log_line_text(l, key, text);
    }
}

void log_write(enum log_level level, const struct log_ids *ids, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;
    const int saved_errno = errno;
    struct log_line line;
    struct value message;
    struct args args;
    va_start(args.list, fmt);
    fmt = take_message(fmt, &message, &args);
    log_begin(&line, level, NULL);
    if (message.len > 0)
        log_line_text(&line, BYTES("msg"), bytes_of(message.data, message.len));
    if (ids)
        log_ids(&line, ids);
    put_fields(&line, fmt, &args);
    va_end(args.list);
    log_end(&line);
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

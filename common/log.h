#pragma once
/* Logging: one line a record on stderr, as text (logfmt: time level role msg key=value...) or as a JSON
 * object. No secret is ever a value.
 *
 *   LOG_WARN("worker died slot=%u reason=%s", slot, reason);
 *
 * The first word of the shape key= ends the message. Each such word is a field of its own; its value reaches
 * to the next blank of the format that is not in double quotes, and what a conversion yields never ends it:
 * nobody can forge a field. A value that is one number is one in JSON too; text is quoted and escaped where
 * it must be. Conversions: %s %.*s %d %u %x %ld %lu %lx %lld %llu %llx %zu %c %%. */
#include "common/bytes.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_opts {
    enum log_level level; /* the least that is written */
    enum log_format format;
    uint64_t max_unwritten; /* bytes that may wait for stderr in this process; lines past it are dropped */
};

/* Whose line it is; what is 0, NULL or "" is not said. */
struct log_ids {
    unsigned conn, session; /* numbers of this process */
    const char *request, *response;
};

void log_set(const struct log_opts *o);
/* The process's name in every line: "master", "worker-0". Copied, cut at 31 characters. */
void log_set_role(const char *role);
int log_enabled(enum log_level level);
void log_write(enum log_level level, const struct log_ids *ids, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* From here on a log that nobody reads stops nobody: what stderr does not take waits in this process's
 * memory. Before it, lines are written as they come, which is right for a command that ends. For log_out.h
 * has the how. Once, in the process that the others are forked from. */
void log_unblock(void);
/* In a child, first: what its parent had not yet written is the parent's to write. */
void log_forked(void);
/* Something waits: call log_flush, every LOG_RETRY_MS or so. */
enum { LOG_RETRY_MS = 100, LOG_FINISH_MS = 200 };
bool log_waiting(void);
void log_flush(void);
/* At the end: waits LOG_FINISH_MS, at most, for stderr to take what is left. */
void log_finish(void);
/* Lines dropped since the process began. */
uint64_t log_dropped(void);

/* A line put together field by field, by those who have many. Fields that do not fit are left out, and the
 * line says truncated=true. */
enum { LOG_LINE_SIZE = 4096 };
struct log_line {
    enum log_format format;
    bool truncated;
    size_t len;
    char data[LOG_LINE_SIZE];
};
void log_begin(struct log_line *l, enum log_level level, const char *message);
void log_text(struct log_line *l, const char *key, struct bytes value);
void log_number(struct log_line *l, const char *key, uint64_t value);
void log_ids(struct log_line *l, const struct log_ids *ids);
void log_end(struct log_line *l);

/* For what may happen thousands of times a second: so many lines a second are written, the rest is counted.
 */
enum { LOG_GATE_LINES = 5 };
struct log_gate {
    uint64_t since_ms;
    unsigned written, suppressed;
};
/* True: write the line, and in it how many were not written since the last. `now_ms`: of any clock that never
 * goes back. */
bool log_gate_pass(struct log_gate *g, uint64_t now_ms, unsigned *ret_suppressed) MUST_USE;

#define LOG_DEBUG(...) LOG_DEBUG_OF(NULL, __VA_ARGS__)
#define LOG_DEBUG_OF(ids, ...)                                                                               \
    (log_enabled(LOG_LEVEL_DEBUG) ? log_write(LOG_LEVEL_DEBUG, ids, __VA_ARGS__) : (void)0)
#define LOG_INFO(...) log_write(LOG_LEVEL_INFO, NULL, __VA_ARGS__)
#define LOG_WARN(...) log_write(LOG_LEVEL_WARN, NULL, __VA_ARGS__)
#define LOG_ERROR(...) log_write(LOG_LEVEL_ERROR, NULL, __VA_ARGS__)

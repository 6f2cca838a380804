#pragma once
/* Logging: one line a record on stderr, logfmt: time level msg key=value... No secret is ever a value. */
#include "common/attr.h"
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

void log_set_level(enum log_level min);
/* "debug", "info", "warn", "error"; false if it is none of them. */
int log_level_parse(const char *s, enum log_level *ret_level) MUST_USE;
/* The process's name in every line: "master", "worker-0". Copied, cut at 31 characters. */
void log_set_role(const char *role);
void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
int log_enabled(enum log_level level);

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

#define LOG_DEBUG(...) (log_enabled(LOG_LEVEL_DEBUG) ? log_write(LOG_LEVEL_DEBUG, __VA_ARGS__) : (void)0)
#define LOG_INFO(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_WARN(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define LOG_ERROR(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

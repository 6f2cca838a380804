#pragma once
/* Private to common/: how a line is written, as text or as JSON. */
#include "common/log.h"

/* The line's time, level and role. */
void log_line_head(struct log_line *l, const char *level, const char *role);
void log_line_text(struct log_line *l, struct bytes key, struct bytes value);
/* `digits` is a number in JSON's own form. */
void log_line_digits(struct log_line *l, struct bytes key, struct bytes digits);
/* Closes it, newline included. */
void log_line_close(struct log_line *l);

#pragma once
/* What is wrong with a configuration: all of it, one a line, each with its place and its way out. */
#include "common/buf.h"

enum { PROBLEMS_SHOWN = 100 };

struct problems {
    const char *file;
    struct buf *out;
    unsigned n;
};

/* FILE:LINE: PATH: text. `line` 0 and `path` "" are left out. What goes into the text must not be a secret.
 */
void problem_at(struct problems *p, size_t line, const char *path, const char *fmt, ...) PRINTF_LIKE(4, 5);

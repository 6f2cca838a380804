#include "gateway/config/problems.h"
#include <stdio.h>

void problem_at(struct problems *p, size_t line, const char *path, const char *fmt, ...)
{
    p->n++;
    if (p->n == PROBLEMS_SHOWN + 1)
        (void)buf_printf(p->out, "%s: more than %d problems; the rest is not shown\n", p->file,
                         PROBLEMS_SHOWN);
    if (p->n > PROBLEMS_SHOWN)
        return;
    char text[800];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    (void)buf_printf(p->out, "%s:", p->file);
    if (line > 0)
        (void)buf_printf(p->out, "%zu:", line);
    (void)buf_printf(p->out, " %s%s%s\n", path, *path ? ": " : "", text);
}

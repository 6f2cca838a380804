#pragma once
/* What a process does to itself. */
#include "common/attr.h"
#include <stddef.h>

/* Remembers the memory of the command line, which process_set_title may overwrite. */
void process_init(int argc, char **argv);
/* The name that ps shows ("sluice: worker 0"), cut to the room that the command line had. argv is gone then.
 */
void process_set_title(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* As many descriptors as the system allows, up to a million. */
void process_raise_files(void);
/* Closes all descriptors but standard input, output and error and the `n` in `keep`, which it sorts. */
void process_close_others(int *keep, size_t n);

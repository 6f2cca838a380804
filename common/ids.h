#pragma once
/* Identifiers from the system's random source. */
#include "common/err.h"

enum { ID_RANDOM_HEX = 32, ID_MAX = 64 };

/* Fills `ret` with `len` random bytes; aborts the process if the system has none (it cannot go on safely). */
void random_bytes(void *ret, size_t len);
/* PREFIX followed by 32 lower-case hex digits (128 random bits), NUL-terminated. `size` >= strlen(prefix)
 * + 33. */
void id_make(const char *prefix, char *ret, size_t size);

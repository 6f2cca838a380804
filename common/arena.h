#pragma once
/* Memory that is freed all at once: one arena a request. Blocks grow from 1 KiB; `max` bounds the sum. */
#include "common/bytes.h"

struct arena {
    struct arena_block *head;
    size_t used; /* bytes handed out */
    size_t max;
};

void arena_init(struct arena *a, size_t max);
void arena_free(struct arena *a);
/* The same, and what was in it is written over. */
void arena_wipe(struct arena *a);
/* Zeroed, aligned to max_align_t; NULL when `max` is met or the allocator fails. */
void *arena_alloc(struct arena *a, size_t size);
/* A zeroed array; NULL also when n * size overflows. */
void *arena_array(struct arena *a, size_t n, size_t size);
/* A copy, NUL-terminated past its end; {NULL,0} with ret false on failure. */
bool arena_dup(struct arena *a, struct bytes s, struct bytes *ret_copy) MUST_USE;
/* Formats into the arena; NULL on failure. */
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

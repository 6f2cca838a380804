#pragma once
/* Names, and patterns that end in '*', sorted: which of them stands for a given name, in time that grows with
 * the logarithm of how many there are. */
#include "common/arena.h"

#define NAMES_NONE SIZE_MAX

struct names {
    struct names_entry *exact_, *open_;
    size_t n_exact_, n_open_;
};

/* `first`: the first of `n` C strings, which lie `stride` bytes apart and outlive the names; NULL ones are
 * left out. ERR_NOMEM: the arena is full. */
enum err names_init(struct names *names, struct arena *a, const char *const *first, size_t n,
                    size_t stride) MUST_USE;
/* Which one is `name` itself: its place among the `n`; NAMES_NONE. */
size_t names_exact(const struct names *names, struct bytes name);
/* Which pattern says most of `name`, and how much (without the '*'). */
size_t names_open(const struct names *names, struct bytes name, size_t *ret_stem);

/* A name or pattern without the * at its end; and whether it has one. */
struct bytes pattern_stem(const char *pattern);
bool pattern_is_open(const char *pattern);

#pragma once
/* The nearest of some names to a mistyped one. */
#include "common/bytes.h"

struct suggestion {
    struct bytes typed;
    const char *best_;
    unsigned distance_;
};

void suggest_init(struct suggestion *s, struct bytes typed);
/* `name` must live as long as the suggestion. */
void suggest_consider(struct suggestion *s, const char *name);
/* NULL: none is near. */
const char *suggest_best(const struct suggestion *s);

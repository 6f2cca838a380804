#pragma once
/* ${NAME} stands for the environment's NAME; ${NAME:-TEXT} too, or for TEXT where it is not set; $$ for a
 * dollar sign; any other $ for itself. */
#include "common/arena.h"

enum { INTERPOLATED_MAX = 64 * 1024 };

struct interpolation {
    struct bytes text; /* the arena's, NUL-terminated */
    bool changed;      /* a ${NAME} was in it */
    struct bytes name; /* ERR_NOT_FOUND: the one that is not set */
};

/* The variables that stand in `written` held a secret: their values are kept here for a reload, and taken out
 * of the environment, where other programs may read them. ERR_NOMEM. */
enum err environment_hide(struct bytes written) MUST_USE;
/* In a worker, which reads no configuration: forgets what was hidden. */
void environment_forget(void);

/* ERR_NOT_FOUND (ret->name is set), ERR_SYNTAX (a bad ${), ERR_LIMIT, ERR_NOMEM. */
enum err interpolate(struct bytes s, struct arena *a, struct interpolation *ret) MUST_USE;

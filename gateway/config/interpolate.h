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

/* ERR_NOT_FOUND (ret->name is set), ERR_SYNTAX (a bad ${), ERR_LIMIT, ERR_NOMEM. */
enum err interpolate(struct bytes s, struct arena *a, struct interpolation *ret) MUST_USE;

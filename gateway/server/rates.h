#pragma once
/* How often something may happen, a key at a time, agreed on by all workers: the generic cell rate algorithm
 * (a leaky bucket as a meter, ITU-T I.371) over a table of cells in shared memory. A cell is one word,
 * changed by compare and exchange; nothing read from it is followed. The table has a fixed size: when too
 * many keys are busy at once the one nearest to its rest is forgotten. */
#include "common/attr.h"
#include <stdbool.h>
#include <stdint.h>

struct rates;

/* An anonymous shared mapping, created before the workers are forked. NULL: no memory. */
struct rates *rates_create(void);
void rates_destroy(struct rates *r);
/* One more now, of `per_second` at most in the long run and as many again at once. A rate beyond 16384 a
 * second counts as that. `now_ms`: of the clock that never goes back, which all processes share. */
bool rates_take(struct rates *r, uint64_t key, uint64_t now_ms, uint64_t per_second) MUST_USE;

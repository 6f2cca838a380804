#pragma once
/* The two clocks. Only gateway/ reads them; protocols/ is told the time. */
#include <stdint.h>

/* Milliseconds of a clock that never goes back (CLOCK_MONOTONIC). */
uint64_t clock_mono_ms(void);
/* Seconds since the epoch. */
int64_t clock_unix_s(void);

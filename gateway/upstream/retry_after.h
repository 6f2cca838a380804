#pragma once
/* When a provider wants to be asked again: Retry-After, a number of seconds or a date (RFC 9110, 10.2.3), and
 * OpenAI's retry-after-ms, which its clients prefer. */
#include "common/bytes.h"

enum { RETRY_AFTER_MAX_S = 24 * 60 * 60 }; /* more is not believed */

/* All zero: nothing was said. */
struct retry_after {
    int precise_s, delay_s; /* of retry-after-ms, of Retry-After */
    int64_t at, date;       /* unix seconds: Retry-After's, and when the provider says that it answered */
};

/* Any header of the answer. */
void retry_after_note(struct retry_after *r, struct bytes name, struct bytes value);
/* In whole seconds, rounded up; 0: there is nothing to say. `now`, in unix seconds, counts when the provider
 * did not tell its own. */
int retry_after_s(const struct retry_after *r, int64_t now);

#pragma once
/* A provider's bytes into a log, and all that may be asked of the log. */
#include "tests/fuzz/fuzz.h"

/* A stream of server-sent events; or, when it begins with a brace, one whole JSON body (as an answer, and as
 * that of an error status). */
void answer_fuzz(const struct dialect *provider, const uint8_t *data, size_t size);

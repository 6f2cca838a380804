#pragma once
/* Incremental UTF-8 validation (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
#include "common/bytes.h"

struct utf8_state {
    uint32_t state_; /* 0: between characters */
};

/* False as soon as the bytes so far cannot be a prefix of valid UTF-8. */
bool utf8_feed(struct utf8_state *s, struct bytes data);
/* True between characters: the text may end here. */
static inline bool utf8_complete(const struct utf8_state *s)
{
    return s->state_ == 0;
}
bool utf8_valid(struct bytes data);

#pragma once
/* The mock's numbered tokens, and the proof that a text holds them all, once and in order.
 *
 * A token is `t` and six digits, then (in a stamped stream) `@` and sixteen digits, the microsecond of
 * CLOCK_MONOTONIC at which it was sent, then any number of `x` as padding, then one space: "t000123 ",
 * "t000123xxxx ", "t000123@0000001234567890 ". A text is fed in any pieces: a gateway may send several tokens
 * as one delta. */
#include "common/bytes.h"

enum { TOKEN_DIGITS = 6, TOKEN_STAMP_DIGITS = 16, TOKEN_MIN_SIZE = TOKEN_DIGITS + 2, TOKEN_MAX = 1000000 };

struct token_check {
    uint32_t next;      /* the number expected */
    uint32_t lost;      /* never came */
    uint32_t doubled;   /* came again */
    uint32_t reordered; /* came, but later than a higher one */
    uint32_t malformed; /* runs of bytes that are no token */
    uint32_t extra;     /* beyond the number that was asked for */
    uint64_t stamp_us;  /* of the last stamped token; 0: none yet */
    /* private */
    uint64_t window_; /* which of the 64 numbers below `next` have come */
    uint32_t number_;
    uint64_t stamp_;
    uint8_t digits_, state_;
};

void token_check_init(struct token_check *c);
/* Answers how many tokens ended in this piece. */
unsigned token_check_feed(struct token_check *c, struct bytes text);
/* The text is over and should have held `expected` tokens: counts what is missing, too many or cut. */
void token_check_end(struct token_check *c, uint32_t expected);
/* False when anything at all was wrong. */
bool token_check_ok(const struct token_check *c);

/* Writes token `number` in `size` >= TOKEN_MIN_SIZE bytes (stamped: 17 more); `ret` is not NUL-terminated. */
void token_write(char *ret, size_t size, uint32_t number, bool stamped);
/* Overwrites the sixteen digits at `ret`. */
void token_write_stamp(char *ret, uint64_t us);

#pragma once
/* One scalar as its table entry says. */
#include "gateway/config/config_keys.h"

/* Bool, number, size, duration, enum. ERR_SYNTAX: not of that type; ERR_LIMIT: out of range. */
enum err value_parse(const struct config_keydef *d, struct bytes text, uint64_t *ret) MUST_USE;
/* One of d->others. */
bool value_is_other(const struct config_keydef *d, struct bytes text);
/* What may be written, as the end of a sentence: "a duration from 10ms to 24h, such as 5s". */
void value_allowed(const struct config_keydef *d, struct buf *out);
/* The same in as few words as the reference has room for: "10ms..24h". */
void value_range(const struct config_keydef *d, struct buf *out);
/* Unquoted text that YAML's readers take for a number, a truth value or nothing. */
bool value_not_string(struct bytes text);

#pragma once
/* A secret value: has a type of its own so that it is never printed, is compared in constant time and is
 * wiped when freed. */
#include "common/bytes.h"

struct secret {
    char *data_; /* only secret.c and the one place that sends it look inside */
    size_t len_;
};

/* Copies. ERR_INVALID: an empty one is no secret. */
enum err secret_set(struct secret *s, struct bytes value) MUST_USE;
void secret_free(struct secret *s);
/* Overwrites, also where nobody reads it again. */
void secret_wipe(void *data, size_t len);
bool secret_is_set(const struct secret *s);
/* Time depends on the lengths only. */
bool secret_eq(const struct secret *s, struct bytes candidate);
/* For the one who must send it (an Authorization header). */
struct bytes secret_reveal(const struct secret *s);

enum { SECRET_HASH_SIZE = 32 };
/* HMAC-SHA-256 (RFC 2104) of `value` under `salt`. */
enum err secret_hash(struct bytes salt, struct bytes value,
                     unsigned char ret_hash[SECRET_HASH_SIZE]) MUST_USE;
bool secret_hash_eq(const unsigned char a[SECRET_HASH_SIZE], const unsigned char b[SECRET_HASH_SIZE]);

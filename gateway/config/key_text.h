#pragma once
/* The forms of an API key: "sk-<id>-<secret>" in the client's hand, "hmac-sha256:<id>:<salt>:<hash>" in the
 * configuration. */
#include "gateway/config/config.h"

enum { KEY_ID_SIZE = 6, KEY_SALT_SIZE = 16, KEY_RANDOM_SIZE = 20 };

/* Fills id, salt and hash (memory of `a`); false when `text` is not of that form. */
bool key_hash_parse(struct bytes text, struct arena *a, struct config_key *k);

#include "gateway/config/key_text.h"
#include "common/ids.h"
#include <stdio.h>

static const char scheme[] = "hmac-sha256:";

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes `size` bytes in lower-case hex off the front of *s. */
static bool take_hex(struct bytes *s, unsigned char *out, size_t size)
{
    if (s->len < size * 2)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(s->data[2 * i]), low = hex_digit(s->data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    *s = bytes_skip(*s, size * 2);
    return true;
}

static bool take_colon(struct bytes *s)
{
    bool ok = s->len > 0 && s->data[0] == ':';
    *s = bytes_skip(*s, 1);
    return ok;
}

static void put_hex(char *out, const unsigned char *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * size] = '\0';
}

bool key_hash_parse(struct bytes text, struct arena *a, struct config_key *k)
{
    if (!bytes_starts(text, bytes_cstr(scheme)))
        return false;
    struct bytes s = bytes_skip(text, strlen(scheme)), id, salt_copy;
    unsigned char id_bytes[KEY_ID_SIZE], salt[KEY_SALT_SIZE], hash[SECRET_HASH_SIZE];
    struct bytes id_hex = bytes_of(s.data, (size_t)2 * KEY_ID_SIZE);
    if (!take_hex(&s, id_bytes, sizeof(id_bytes)) || !take_colon(&s) || !take_hex(&s, salt, sizeof(salt)) ||
        !take_colon(&s) || !take_hex(&s, hash, sizeof(hash)) || s.len != 0)
        return false;
    if (!arena_dup(a, id_hex, &id) || !arena_dup(a, bytes_of(salt, sizeof(salt)), &salt_copy))
        return false;
    k->id = id.data;
    k->salt = salt_copy;
    memcpy(k->hash, hash, sizeof(hash));
    return true;
}

enum err config_key_new(char ret_key[CONFIG_KEY_TEXT], char ret_hash[CONFIG_KEY_HASH])
{
    unsigned char random[KEY_ID_SIZE + KEY_SALT_SIZE + KEY_RANDOM_SIZE], hash[SECRET_HASH_SIZE];
    random_bytes(random, sizeof(random));
    const unsigned char *salt = random + KEY_ID_SIZE;
    char id_hex[2 * KEY_ID_SIZE + 1], salt_hex[2 * KEY_SALT_SIZE + 1], secret_hex[2 * KEY_RANDOM_SIZE + 1],
        hash_hex[2 * SECRET_HASH_SIZE + 1], key[CONFIG_KEY_TEXT];
    put_hex(id_hex, random, KEY_ID_SIZE);
    put_hex(salt_hex, salt, KEY_SALT_SIZE);
    put_hex(secret_hex, salt + KEY_SALT_SIZE, KEY_RANDOM_SIZE);
    (void)snprintf(key, sizeof(key), "sk-%s-%s", id_hex, secret_hex);
    enum err e = secret_hash(bytes_of(salt, KEY_SALT_SIZE), bytes_cstr(key), hash);
    if (e)
        return e;
    put_hex(hash_hex, hash, sizeof(hash));
    memcpy(ret_key, key, sizeof(key));
    (void)snprintf(ret_hash, CONFIG_KEY_HASH, "%s%s:%s:%s", scheme, id_hex, salt_hex, hash_hex);
    return ERR_OK;
}

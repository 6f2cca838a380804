#include "common/secret.h"
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

enum err secret_set(struct secret *s, struct bytes value)
{
    if (value.len == 0)
        return ERR_INVALID;
    char *copy = malloc(value.len);
    if (!copy)
        return ERR_NOMEM;
    memcpy(copy, value.data, value.len);
    secret_free(s);
    *s = (struct secret){copy, value.len};
    return ERR_OK;
}

void secret_free(struct secret *s)
{
    if (!s)
        return;
    if (s->data_)
        OPENSSL_cleanse(s->data_, s->len_);
    free(s->data_);
    *s = (struct secret){NULL, 0};
}

void secret_wipe(void *data, size_t len)
{
    OPENSSL_cleanse(data, len);
}

bool secret_is_set(const struct secret *s)
{
    return s->data_ != NULL;
}

bool secret_eq(const struct secret *s, struct bytes candidate)
{
    return s->data_ && s->len_ == candidate.len &&
           CRYPTO_memcmp(s->data_, candidate.data, candidate.len) == 0;
}

struct bytes secret_reveal(const struct secret *s)
{
    return (struct bytes){s->data_, s->len_};
}

enum err secret_hash(struct bytes salt, struct bytes value, unsigned char ret_hash[SECRET_HASH_SIZE])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (salt.len > INT_MAX)
        return ERR_LIMIT;
    /* HMAC() takes a NULL key for "the one before". */
    const char *key = salt.len > 0 ? salt.data : "";
    const unsigned char *data = (const unsigned char *)(value.len > 0 ? value.data : "");
    if (!HMAC(EVP_sha256(), key, (int)salt.len, data, value.len, hash, &len) || len != SECRET_HASH_SIZE)
        return ERR_NOMEM;
    memcpy(ret_hash, hash, SECRET_HASH_SIZE);
    OPENSSL_cleanse(hash, sizeof(hash));
    return ERR_OK;
}

bool secret_hash_eq(const unsigned char a[SECRET_HASH_SIZE], const unsigned char b[SECRET_HASH_SIZE])
{
    return CRYPTO_memcmp(a, b, SECRET_HASH_SIZE) == 0;
}

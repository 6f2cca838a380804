#include "gateway/server/tickets.h"
#include "common/ids.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

void tls_tickets_make(struct tls_tickets *t)
{
    random_bytes(t, sizeof(*t));
}

void tls_tickets_rotate(struct tls_tickets *t)
{
    t->at[1] = t->at[0];
    random_bytes(&t->at[0], sizeof(t->at[0]));
}

static bool set_mac(EVP_MAC_CTX *mac, struct tls_ticket_key *k)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->hmac, sizeof(k->hmac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "sha256", 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* OpenSSL asks: 1: it is done; 2: done, but give the client a newer ticket; 0: no such key; -1: failed. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int make)
{
    struct tls_tickets *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const EVP_CIPHER *aes = EVP_aes_256_cbc();
    if (!t)
        return -1;
    if (make) {
        struct tls_ticket_key *k = &t->at[0];
        memcpy(name, k->name, sizeof(k->name));
        random_bytes(iv, (size_t)EVP_CIPHER_get_iv_length(aes));
        return EVP_EncryptInit_ex(cipher, aes, NULL, k->aes, iv) == 1 && set_mac(mac, k) ? 1 : -1;
    }
    for (int i = 0; i < 2; i++) {
        struct tls_ticket_key *k = &t->at[i];
        if (memcmp(name, k->name, sizeof(k->name)) != 0)
            continue;
        if (EVP_DecryptInit_ex(cipher, aes, NULL, k->aes, iv) != 1 || !set_mac(mac, k))
            return -1;
        /* A client of TLS 1.3 shows each ticket once (RFC 8446, C.4), and so needs another. */
        return i == 0 && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
    }
    return 0;
}

void tls_tickets_use(void *ssl_ctx, struct tls_tickets *t)
{
    SSL_CTX *ctx = ssl_ctx;
    SSL_CTX_set_app_data(ctx, t);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}

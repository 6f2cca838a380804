#include "gateway/server/server_internal.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

/* Without a list OpenSSL takes finite field groups too, of which the largest costs 120 ms of CPU a handshake:
 * whoever replays one ClientHello holds up a worker. What this OpenSSL does not have is left out. */
static bool set_groups(SSL_CTX *ctx)
{
    static const char *const lists[] = {"X25519MLKEM768:X25519:P-256:P-384", "X25519:P-256:P-384"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if (SSL_CTX_set1_groups_list(ctx, lists[i]) == 1)
            return true;
    return false;
}

/* A client that offers protocols, but none that we speak, is told so (RFC 7301, 3.2: no_application_protocol)
 * instead of being met with another one. */
static int choose_protocol(SSL *ssl UNUSED, const unsigned char **ret, unsigned char *ret_len,
                           const unsigned char *offered, unsigned offered_len, void *arg UNUSED)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, ret_len, ours, sizeof(ours) - 1, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

bool tls_tune(void *ssl_ctx)
{
    SSL_CTX *ctx = ssl_ctx;
    ERR_clear_error();
    const bool ok = SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 && set_groups(ctx) &&
                    SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
    ERR_clear_error();
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* link_write keeps what was not taken, and goes on where it stopped. */
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    /* Tickets carry the state of a session; a cache of our own would be kept for nothing. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    /* The library's own callback would give every client that sends a server name the first listener's
     * certificate. */
    SSL_CTX_set_tlsext_servername_callback(ctx, NULL);
    return ok;
}

static BIO *open_pem(const struct secret *s)
{
    const struct bytes text = secret_reveal(s);
    return BIO_new_mem_buf(text.data, (int)text.len);
}

/* Nobody is there to be asked for a pass phrase. */
static int no_phrase(char *room UNUSED, int size UNUSED, int writing UNUSED, void *arg UNUSED)
{
    return -1;
}

static bool use_chain(SSL_CTX *ctx, const struct secret *pem)
{
    BIO *in = open_pem(pem);
    X509 *x = in ? PEM_read_bio_X509_AUX(in, NULL, no_phrase, NULL) : NULL;
    bool ok = x && SSL_CTX_use_certificate(ctx, x) == 1;
    X509_free(x);
    while (ok && (x = PEM_read_bio_X509(in, NULL, no_phrase, NULL)) != NULL)
        if (SSL_CTX_add0_chain_cert(ctx, x) != 1) {
            X509_free(x);
            ok = false;
        }
    BIO_free(in);
    /* The end of the text is the end of the chain; anything else that is no certificate is an error. */
    if (ok && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
        ERR_clear_error();
    return ok && ERR_peek_error() == 0;
}

static bool use_key(SSL_CTX *ctx, const struct secret *pem)
{
    BIO *in = open_pem(pem);
    EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_phrase, NULL) : NULL;
    const bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    BIO_free(in);
    return ok;
}

bool tls_use(void *ssl_ctx, const struct config_certificate *c, const char **ret_what)
{
    ERR_clear_error();
    *ret_what = "certificate";
    if (!use_chain(ssl_ctx, &c->chain))
        return false;
    *ret_what = "key";
    return use_key(ssl_ctx, &c->private_key);
}

static void report_failure(struct buf *report, const struct config *cfg, size_t i, size_t j, const char *what)
{
    const struct config_certificate *c = &cfg->listen[i].certificates[j];
    char text[160], place[48] = "";
    unsigned long e = ERR_peek_last_error();
    if (e != 0)
        ERR_error_string_n(e, text, sizeof(text));
    if (j > 0)
        (void)snprintf(place, sizeof(place), "certificates[%zu].", j - 1);
    buf_printf(report, "%s: listen[%zu].tls.%s%s: cannot use '%s': %s\n",
               cfg->file ? cfg->file : "configuration", i, place, what,
               *what == 'k' ? c->key : c->certificate, e != 0 ? text : "unknown reason");
    ERR_clear_error();
}

enum err server_check_tls(const struct config *cfg, struct buf *report)
{
    bool ok = true;
    for (size_t i = 0; i < cfg->n_listen; i++)
        for (size_t j = 0; j < cfg->listen[i].n_certificates; j++) {
            const char *what = "certificate";
            SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
            if (!ctx || !tls_use(ctx, &cfg->listen[i].certificates[j], &what)) {
                report_failure(report, cfg, i, j, what);
                ok = false;
            }
            SSL_CTX_free(ctx);
        }
    return ok ? ERR_OK : ERR_INVALID;
}

/* The contexts of a listener's further certificates. */
struct tls_names {
    size_t n;
    SSL_CTX *at[];
};

/* The first certificate that has the name that a client asks for; the listener's own when none has (RFC 6066,
 * 3). */
static int choose_certificate(SSL *ssl, int *alert UNUSED, void *arg)
{
    const struct tls_names *names = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name || X509_check_host(SSL_get_certificate(ssl), name, 0, 0, NULL) == 1)
        return SSL_TLSEXT_ERR_NOACK;
    for (size_t i = 0; i < names->n; i++)
        if (X509_check_host(SSL_CTX_get0_certificate(names->at[i]), name, 0, 0, NULL) == 1) {
            SSL_set_SSL_CTX(ssl, names->at[i]);
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_NOACK;
}

bool tls_open_names(void *ssl_ctx, const struct config_listener *l, struct tls_tickets *t,
                    struct tls_names **ret)
{
    const size_t n = l->n_certificates - 1;
    const char *what;
    struct tls_names *names = calloc(1, sizeof(*names) + n * sizeof(SSL_CTX *));
    if (!names)
        return false;
    *ret = names;
    for (; names->n < n; names->n++) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
        names->at[names->n] = ctx;
        if (!ctx || !tls_tune(ctx) || !tls_use(ctx, &l->certificates[names->n + 1], &what)) {
            SSL_CTX_free(ctx);
            return false;
        }
        if (t)
            tls_tickets_use(ctx, t);
    }
    if (t)
        tls_tickets_use(ssl_ctx, t);
    SSL_CTX_set_tlsext_servername_callback((SSL_CTX *)ssl_ctx, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg((SSL_CTX *)ssl_ctx, names);
    return true;
}

void tls_close_names(struct tls_names *names)
{
    if (!names)
        return;
    for (size_t i = 0; i < names->n; i++)
        SSL_CTX_free(names->at[i]);
    free(names);
}

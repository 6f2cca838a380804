#include "gateway/server/server_internal.h"
#include <openssl/err.h>
#include <openssl/ssl.h>

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

static void report_failure(struct buf *report, const struct config *cfg, size_t i, const char *what,
                           const char *file)
{
    char text[160];
    unsigned long e = ERR_peek_last_error();
    if (e != 0)
        ERR_error_string_n(e, text, sizeof(text));
    buf_printf(report, "%s: listen[%zu].tls.%s: cannot use '%s': %s\n",
               cfg->file ? cfg->file : "configuration", i, what, file, e != 0 ? text : "unknown reason");
    ERR_clear_error();
}

static bool check_one(const struct config *cfg, size_t i, struct buf *report)
{
    const struct config_listener *l = &cfg->listen[i];
    bool ok = false;
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, l->certificate) != 1)
        report_failure(report, cfg, i, "certificate", l->certificate);
    else if (SSL_CTX_use_PrivateKey_file(ctx, l->key, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(ctx) != 1)
        report_failure(report, cfg, i, "key", l->key);
    else
        ok = true;
    SSL_CTX_free(ctx);
    return ok;
}

enum err server_check_tls(const struct config *cfg, struct buf *report)
{
    bool ok = true;
    for (size_t i = 0; i < cfg->n_listen; i++)
        if (cfg->listen[i].tls && !check_one(cfg, i, report))
            ok = false;
    return ok ? ERR_OK : ERR_INVALID;
}

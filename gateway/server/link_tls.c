/* All of libwebsockets: in its raw socket role it carries the sockets that speak TLS. Its callbacks only
 * translate. */
#include "common/log.h"
#include "gateway/server/conn.h"
#include <libwebsockets.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>

#define PROTOCOL "sluice"

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct conn *c;
    switch (reason) {
    case LWS_CALLBACK_RAW_RX:
        c = lws_get_opaque_user_data(wsi);
        if (!c || conn_dead(c))
            return -1;
        /* It gives a TLS connection some seconds for its first bytes, and would close it in mid-stream. */
        if (!c->served)
            lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
        conn_input(c, in, len);
        return 0;
    case LWS_CALLBACK_RAW_WRITEABLE:
        c = lws_get_opaque_user_data(wsi);
        if (!c || conn_dead(c))
            return -1;
        conn_writable(c);
        return 0;
    case LWS_CALLBACK_RAW_CLOSE:
        c = lws_get_opaque_user_data(wsi);
        lws_set_opaque_user_data(wsi, NULL);
        if (lws_get_ssl(wsi))
            (void)SSL_set_app_data(lws_get_ssl(wsi), NULL);
        if (c)
            conn_closed(c);
        return 0;
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
        /* The context that a vhost under way is made with; there is no other way to it. */
        ((struct listener *)lws_vhost_user(lws_get_vhost(wsi)))->ssl_ctx = user;
        return 0;
    default:
        return 0;
    }
}

static void on_tls_event(const SSL *ssl, int where, int value UNUSED)
{
    struct conn *c = (where & SSL_CB_HANDSHAKE_DONE) ? SSL_get_app_data(ssl) : NULL;
    if (c)
        conn_secured(c);
}

static const struct lws_protocols protocols[] = {{.name = PROTOCOL, .callback = on_event}, {.name = NULL}};

/* No validity pings of its own: each would be a timer in a linear list. */
static const lws_retry_bo_t no_retry = {.secs_since_valid_ping = 0};

static void on_log(int level, const char *line)
{
    int n = (int)strcspn(line, "\n");
    if (level == LLL_ERR)
        LOG_WARN("libwebsockets says=%.*s", n, line);
    else
        LOG_DEBUG("libwebsockets says=%.*s", n, line);
}

static struct lws_vhost *make_vhost(struct server *s, size_t i, struct listener *l)
{
    struct lws_context_creation_info info = {0};
    char name[32];
    snprintf(name, sizeof(name), "listen-%zu", i);
    info.vhost_name = name;
    info.user = l;
    /* With the other "no listening" of its two, a vhost has no TLS. */
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.protocols = protocols;
    info.retry_and_idle_policy = &no_retry;
    /* Its certificate is not the library's to load: it knows files only. */
    info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS |
                   LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
    info.alpn = "http/1.1";
    return lws_create_vhost(s->context, &info);
}

static enum err make_context(struct server *s)
{
    struct lws_context_creation_info info = {0};
    void *loops[1] = {&s->o.loop->uv};
    lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.options =
        LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.foreign_loops = loops;
    info.pcontext = &s->context;
    info.pt_serv_buf_size = RECEIVE_BUFFER;
    info.retry_and_idle_policy = &no_retry;
    s->context = lws_create_context(&info);
    return s->context ? ERR_OK : ERR_NOMEM;
}

enum err link_tls_open(struct server *s)
{
    for (size_t i = 0; i < s->n_listeners; i++) {
        struct listener *l = &s->listeners[i];
        if (!l->cfg->tls)
            continue;
        if (!s->context && make_context(s) != ERR_OK)
            return ERR_NOMEM;
        l->vhost = make_vhost(s, i, l);
        /* Last, so that none of the library's own settings stays. */
        const char *what;
        if (!l->vhost || !l->ssl_ctx || !tls_tune(l->ssl_ctx) ||
            !tls_use(l->ssl_ctx, &l->cfg->certificates[0], &what) ||
            !tls_open_names(l->ssl_ctx, l->cfg, s->o.tickets, &l->names))
            return ERR_INVALID;
        SSL_CTX_set_info_callback(l->ssl_ctx, on_tls_event);
    }
    return ERR_OK;
}

void link_tls_close(struct server *s)
{
    if (s->context)
        lws_context_destroy(s->context);
}

static enum err adopt(struct listener *l, struct conn *c, int fd)
{
    lws_adopt_desc_t d = {0};
    d.vh = l->vhost;
    d.type = LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL;
    d.fd.sockfd = fd;
    d.vh_prot_name = PROTOCOL;
    d.opaque = c;
    c->link = lws_adopt_descriptor_vhost_via_info(&d);
    if (!c->link) {
        /* Where it has no memory, or cannot set the socket's flags, it forgets the descriptor. */
        (void)shutdown(fd, SHUT_RDWR);
        return ERR_CLOSED;
    }
    (void)SSL_set_app_data(lws_get_ssl(c->link), c);
    return ERR_OK;
}

/* Not lws_write: a raw socket of which it buffers a partial write is not read any more, while poll keeps
 * reporting what comes in on it: the loop spins, and the peer's pongs and leaving go unseen. A record at a
 * time, until the socket is full. */
static enum err tls_write(void *link, struct bytes data, size_t *ret_written)
{
    SSL *ssl = lws_get_ssl(link);
    size_t done = 0;
    while (done < data.len) {
        size_t n = 0;
        ERR_clear_error();
        if (SSL_write_ex(ssl, data.data + done, data.len - done, &n) != 1) {
            int e = SSL_get_error(ssl, 0);
            ERR_clear_error();
            if (e != SSL_ERROR_WANT_WRITE && e != SSL_ERROR_WANT_READ)
                return ERR_CLOSED;
            break;
        }
        done += n;
    }
    *ret_written = done;
    return ERR_OK;
}

static void want_write(void *link)
{
    lws_callback_on_writable(link);
}

static void shut(void *link)
{
    SSL *ssl = lws_get_ssl(link);
    if (ssl && SSL_is_init_finished(ssl)) {
        ERR_clear_error();
        SSL_shutdown(ssl);
        ERR_clear_error();
    }
    shutdown(lws_get_socket_fd(link), SHUT_WR);
}

static void give_up(void *link)
{
    const struct linger none = {.l_onoff = 1};
    setsockopt(lws_get_socket_fd(link), SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

static void kill_now(void *link)
{
    lws_set_timeout(link, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

const struct link_ops link_tls = {adopt, tls_write, want_write, shut, give_up, kill_now};

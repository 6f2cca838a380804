#pragma once
/* The whole server room, on a loop of its own in a child process, and a client that speaks bytes to it:
 * without TLS or with it. The child leaves with 0 only when it came down in order, leaks included. */
#include "common/clock.h"
#include "gateway/server/server.h"
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLAIN, TLS, TRANSPORTS };

struct rig {
    pid_t child;
    uint16_t port[TRANSPORTS];
    int provider; /* a listening socket: the provider that never answers */
    char directory[64];
};

/* The server and what it stands on. */
struct room {
    struct loop loop;
    struct upstream *upstream;
    struct response_pool pool;
    struct pipeline pipeline;
    struct session_env env;
    struct server *server;
    uv_signal_t on_drain, on_stop;
    struct door *door;
};

static inline void room_stop(struct room *r)
{
    if (!phase_enter(&r->loop.phase, PHASE_CLOSING))
        return;
    server_close(r->server);
    response_pool_close(&r->pool);
    upstream_close(r->upstream);
    uv_close((uv_handle_t *)&r->on_drain, NULL);
    uv_close((uv_handle_t *)&r->on_stop, NULL);
}

static inline void room_end_turn(void *ctx)
{
    struct room *r = ctx;
    server_reap(r->server);
    response_pool_reap(&r->pool, loop_now(&r->loop));
    if (phase_of(&r->loop.phase) < PHASE_CLOSING) {
        pipeline_tick(&r->pipeline);
        upstream_tick(r->upstream);
    }
    if (phase_of(&r->loop.phase) == PHASE_DRAINING && server_connections(r->server) == 0)
        room_stop(r);
    server_flush(r->server);
    if (pipeline_waiting(&r->pipeline))
        loop_again(&r->loop);
}

static inline void room_signal(uv_signal_t *h, int signum)
{
    struct room *r = h->data;
    if (signum == SIGTERM)
        room_stop(r);
    else if (phase_enter(&r->loop.phase, PHASE_DRAINING))
        server_drain(r->server, 5000);
}

static inline bool room_open(struct room *r, const struct config *cfg, const int *fds)
{
    r->door = door_create(1, cfg->limits.max_sessions);
    door_set_limits(r->door, cfg);
    signal(SIGPIPE, SIG_IGN);
    if (!loop_init(&r->loop))
        return false;
    uv_signal_init(&r->loop.uv, &r->on_drain);
    uv_signal_init(&r->loop.uv, &r->on_stop);
    r->on_drain.data = r->on_stop.data = r;
    uv_signal_start(&r->on_drain, room_signal, SIGUSR1);
    uv_signal_start(&r->on_stop, room_signal, SIGTERM);
    r->upstream = upstream_new(&r->loop, cfg);
    response_pool_init(&r->pool, r->upstream, cfg, &r->loop.wheel);
    if (pipeline_init(&r->pipeline, cfg, &r->pool) != ERR_OK)
        return false;
    r->env = (struct session_env){.cfg = cfg, .pipeline = &r->pipeline, .phase = &r->loop.phase};
    const struct server_opts o = {
        .loop = &r->loop, .cfg = cfg, .env = &r->env, .listen_fds = fds, .door = r->door};
    r->server = server_new(&o);
    if (r->server)
        loop_on_turn(&r->loop, room_end_turn, r);
    return r->server != NULL;
}

/* Runs until room_stop has emptied the loop; 0: it came down in order. */
static inline int room_end(struct room *r)
{
    loop_run(&r->loop);
    server_free(r->server);
    response_pool_reap(&r->pool, loop_now(&r->loop));
    response_pool_free(&r->pool);
    pipeline_free(&r->pipeline);
    upstream_free(r->upstream);
    uint64_t held = door_total(r->door);
    door_destroy(r->door);
    return !loop_free(&r->loop) ? 3 : held != 0 ? 4 : 0;
}

/* A listening socket on a free port of the loopback. */
static inline int rig_listen(uint16_t *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(fd, 64), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static inline void rig_certificate(const struct rig *rig)
{
    char path[96];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    ck_assert(key && x);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    ck_assert_int_gt(X509_sign(x, key, EVP_sha256()), 0);
    snprintf(path, sizeof(path), "%s/c.pem", rig->directory);
    FILE *f = fopen(path, "w");
    ck_assert(f && PEM_write_X509(f, x) == 1 && fclose(f) == 0);
    snprintf(path, sizeof(path), "%s/k.pem", rig->directory);
    f = fopen(path, "w");
    ck_assert(f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0);
    X509_free(x);
    EVP_PKEY_free(key);
}

/* Its connections begin with a PROXY protocol head. */
static UNUSED bool rig_proxy_protocol;

/* `more`: further lines of the configuration. */
static inline struct config *rig_config(struct rig *rig, const char *more, int fds[TRANSPORTS])
{
    const char *behind = rig_proxy_protocol ? "true" : "false";
    struct buf yaml, report;
    struct config *cfg;
    uint16_t provider;
    snprintf(rig->directory, sizeof(rig->directory), "/tmp/sluice-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(rig->directory));
    rig_certificate(rig);
    for (int i = 0; i < TRANSPORTS; i++)
        fds[i] = rig_listen(&rig->port[i]);
    rig->provider = rig_listen(&provider);
    buf_init(&yaml, 65536);
    buf_init(&report, 65536);
    buf_printf(
        &yaml,
        "listen:\n  - address: 127.0.0.1:0\n    proxy_protocol: %s\n  - address: 127.0.0.1:0\n"
        "    proxy_protocol: %s\n    tls: {certificate: %s/c.pem, key: %s/k.pem}\n"
        "workers: 1\norigins: [\"https://chat.example.com\"]\nhosts: [gw.example.com]\ndebug: {echo: "
        "true}\nlog: {level: error}\n"
        "providers:\n  - {name: demo, dialect: demo}\n"
        "  - {name: mute, dialect: chat_completions, base_url: \"http://127.0.0.1:%u/v1\", allow_plaintext: "
        "true}\n"
        "models:\n  - {name: demo, targets: [{provider: demo, model: demo}]}\n"
        "  - {name: mute, targets: [{provider: mute, model: x}]}\n"
        "keys:\n  - {name: dev, plaintext: sk-test-1, models: [\"*\"]}\n%s",
        behind, behind, rig->directory, rig->directory, (unsigned)provider, more);
    ck_assert_msg(config_parse("rig.yaml", buf_bytes(&yaml), &report, &cfg) == ERR_OK, "%.*s",
                  BYTES_FMT(buf_bytes(&report)));
    buf_free(&yaml);
    buf_free(&report);
    return cfg;
}

static inline void rig_start(struct rig *rig, const char *more)
{
    static struct room room;
    int fds[TRANSPORTS];
    struct config *cfg = rig_config(rig, more, fds);
    fflush(NULL);
    rig->child = fork();
    ck_assert_int_ge(rig->child, 0);
    if (rig->child == 0) {
        close(rig->provider);
        int status = room_open(&room, cfg, fds) ? room_end(&room) : 2;
        config_free(cfg);
        exit(status);
    }
    config_free(cfg);
    for (int i = 0; i < TRANSPORTS; i++)
        close(fds[i]);
}

static inline void rig_clear(struct rig *rig)
{
    char path[96];
    close(rig->provider);
    snprintf(path, sizeof(path), "%s/c.pem", rig->directory);
    unlink(path);
    snprintf(path, sizeof(path), "%s/k.pem", rig->directory);
    unlink(path);
    rmdir(rig->directory);
}

static inline void rig_ends(struct rig *rig)
{
    int status;
    ck_assert_int_eq(waitpid(rig->child, &status, 0), rig->child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the server left with %d", status);
    rig_clear(rig);
}

static inline void rig_stop(struct rig *rig)
{
    kill(rig->child, SIGTERM);
    rig_ends(rig);
}

/* The client. */
struct client {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    bool ended; /* the server has ended the stream, or broken it */
    struct buf in;
};

/* `receive` > 0: that small a receive buffer; `head`: sent before all else. */
static inline void client_connect(struct client *c, const struct rig *rig, int transport, int receive,
                                  struct bytes head)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(rig->port[transport]),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* So that a test that waits for what never comes ends. */
    const struct timeval limit = {.tv_sec = 20};
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM, 0)};
    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_ge(c->fd, 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (receive > 0)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof(receive));
    ck_assert_int_eq(connect(c->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    buf_init(&c->in, 64 << 20);
    ck_assert_int_eq(send(c->fd, head.data, head.len, 0), (ssize_t)head.len);
    if (transport == TLS) {
        c->ctx = SSL_CTX_new(TLS_client_method());
        c->ssl = SSL_new(c->ctx);
        SSL_set_fd(c->ssl, c->fd);
        ck_assert_int_eq(SSL_connect(c->ssl), 1);
    }
}

static inline void client_open(struct client *c, const struct rig *rig, int transport, int receive)
{
    client_connect(c, rig, transport, receive, BYTES(""));
}

static inline void client_close(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    close(c->fd);
    buf_free(&c->in);
}

/* These are called in loops, so they ask by themselves: check notes every assertion that it passes, and that
 * is slow. */

/* False when the server is gone. */
static inline bool client_send(struct client *c, struct bytes data)
{
    while (data.len > 0) {
        ssize_t n =
            c->ssl ? SSL_write(c->ssl, data.data, (int)data.len) : send(c->fd, data.data, data.len, 0);
        if (n <= 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            ck_abort_msg("the server does not read");
        if (n <= 0) {
            c->ended = true;
            return false;
        }
        data = bytes_skip(data, (size_t)n);
    }
    return true;
}

/* Reads once; false at the end of the stream. */
static inline bool client_read(struct client *c)
{
    if (buf_reserve(&c->in, 65536) != ERR_OK)
        ck_abort();
    errno = 0;
    ssize_t n = c->ssl ? SSL_read(c->ssl, c->in.data + c->in.len, 65536)
                       : recv(c->fd, c->in.data + c->in.len, 65536, 0);
    if (n <= 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        ck_abort_msg("the server says no more than: %.*s", BYTES_FMT(buf_bytes(&c->in)));
    if (n > 0)
        c->in.len += (size_t)n;
    else
        c->ended = true;
    return n > 0;
}

static inline bool client_has(const struct client *c, const char *text)
{
    return c->in.len > 0 && memmem(c->in.data, c->in.len, text, strlen(text)) != NULL;
}

static inline void client_read_until(struct client *c, const char *text)
{
    while (!client_has(c, text))
        ck_assert_msg(client_read(c), "ended without '%s' after: %.*s", text, BYTES_FMT(buf_bytes(&c->in)));
}

static inline void client_read_to_end(struct client *c)
{
    while (!c->ended)
        client_read(c);
}

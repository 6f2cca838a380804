/* A provider for load tests: OpenAI's Chat Completions and Responses, streamed and whole, cheaper than what
 * it feeds. */
#include "loadtest/kit/args.h"
#include "loadtest/kit/proc.h"
#include "loadtest/kit/tokens.h"
#include "loadtest/mock.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_THREADS = 64, BACKLOG = 4096 };

#define OPT(n, t, f, v, h)                                                                                   \
    {                                                                                                        \
        n, t, offsetof(struct mock_opts, f), v, h                                                            \
    }
static const struct arg_def options[] = {
    OPT("listen", ARG_TEXT, listen, "ADDRESS", "where to listen (127.0.0.1:0: any free port)"),
    OPT("tls-cert", ARG_TEXT, tls_cert, "FILE", "certificate (PEM): TLS, with HTTP/2 by ALPN"),
    OPT("tls-key", ARG_TEXT, tls_key, "FILE", "its key"),
    OPT("latency", ARG_MS, latency, "MS", "wait before the first token (0)"),
    OPT("tokens", ARG_COUNT, tokens, "N", "tokens in an answer (64)"),
    OPT("gap", ARG_MS, gap, "MS", "between tokens (0: all at once)"),
    OPT("size", ARG_COUNT, size, "BYTES", "of a token's text (8, the least)"),
    OPT("jitter", ARG_MS, jitter, "MS", "each gap is this much longer or shorter (0)"),
    OPT("error-rate", ARG_FRACTION, error_rate, "P", "share of requests answered by status 500 (0)"),
    OPT("cut-rate", ARG_FRACTION, cut_rate, "P", "share of answers broken off (0)"),
    OPT("stamp", ARG_FLAG, stamped, NULL, "each token says when it was sent (CLOCK_MONOTONIC)"),
    OPT("threads", ARG_COUNT, threads, "N", "event loops (1)"),
    OPT("max-streams", ARG_COUNT, max_streams, "N", "HTTP/2: concurrent streams a connection (1000)"),
    OPT("seed", ARG_COUNT, seed, "N", "of the random choices (1)"),
};
static const char usage[] =
    "mock-llm: POST /v1/chat/completions and /v1/responses, over HTTP/1.1 and HTTP/2.\n"
    "A request's model may change the settings for itself: "
    "\"mock:tokens=64+gap=20+latency=200+size=8+jitter=5"
    "+error=0.1+cut=0.1+stamp=1\".\nTokens are numbered: \"t000000 t000001 ...\". SIGTERM ends it with a "
    "JSON "
    "line of counts.";

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    (void)ssl, (void)arg;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *make_tls(const struct mock_opts *o)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (!tls || SSL_CTX_use_certificate_chain_file(tls, o->tls_cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, o->tls_key, SSL_FILETYPE_PEM) != 1) {
        SSL_CTX_free(tls);
        return NULL;
    }
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(tls, choose_protocol, NULL);
    return tls;
}

static void *run(void *loop)
{
    (void)prctl(PR_SET_TIMERSLACK, 1000UL);
    mock_loop_run(loop);
    return NULL;
}

static bool check_opts(const struct mock_opts *o)
{
    const char *wrong = NULL;
    if (o->threads < 1 || o->threads > MAX_THREADS)
        wrong = "--threads: 1 to 64";
    else if (o->size < TOKEN_MIN_SIZE || o->size > 65536)
        wrong = "--size: 8 to 65536";
    else if (o->tokens > TOKEN_MAX)
        wrong = "--tokens: at most 1000000";
    else if (o->latency > 3600000 || o->gap > 3600000 || o->jitter > 3600000)
        wrong = "--latency, --gap, --jitter: at most an hour";
    else if (!o->tls_cert != !o->tls_key)
        wrong = "--tls-cert and --tls-key go together";
    else if (o->max_streams < 1 || o->max_streams > 100000)
        wrong = "--max-streams: 1 to 100000";
    if (wrong)
        (void)fprintf(stderr, "%s\n", wrong);
    return !wrong;
}

/* All loops listen on one port; the first socket settles which. */
static bool open_listeners(const struct mock_opts *o, struct mock_loop *loops)
{
    struct sockaddr_storage address;
    socklen_t len;
    if (!address_parse(o->listen, &address, &len)) {
        (void)fprintf(stderr, "--listen: expected ADDRESS:PORT, not %s\n", o->listen);
        return false;
    }
    for (unsigned i = 0; i < o->threads; i++) {
        loops[i].listener = listen_tcp((struct sockaddr *)&address, len, BACKLOG, o->threads > 1);
        if (loops[i].listener < 0) {
            perror(o->listen);
            return false;
        }
        len = sizeof(address);
        if (getsockname(loops[i].listener, (struct sockaddr *)&address, &len) < 0)
            return false;
    }
    (void)fprintf(stderr, "listening address=%.*s:%u tls=%s\n", (int)(strrchr(o->listen, ':') - o->listen),
                  o->listen, socket_port(loops[0].listener), o->tls_cert ? "true" : "false");
    return true;
}

static void report(const struct mock_loop *loops, uint64_t n)
{
    struct mock_stats s = {0};
    struct proc_tree us = {.pids = {getpid()}, .n = 1};
    struct proc_sample self = {0};
    for (uint64_t i = 0; i < n; i++) {
        const struct mock_stats *t = &loops[i].stats;
        s.connections += t->connections, s.requests += t->requests, s.refused += t->refused;
        s.finished += t->finished, s.abandoned += t->abandoned, s.cut += t->cut;
        s.errors += t->errors, s.tokens += t->tokens;
    }
    if (proc_sample(&us, false, &self) != ERR_OK)
        self.cpu_ns = 0;
    double cpu_us = (double)self.cpu_ns / 1000;
    (void)printf("{\"connections\":%lu,\"requests\":%lu,\"refused\":%lu,\"finished\":%lu,\"abandoned\":%lu,"
                 "\"cut\":%lu,"
                 "\"errors\":%lu,\"tokens\":%lu,\"cpu_s\":%.3f,\"cpu_us_per_request\":%.2f,\"cpu_us_per_"
                 "token\":%.3f}\n",
                 s.connections, s.requests, s.refused, s.finished, s.abandoned, s.cut, s.errors, s.tokens,
                 cpu_us / 1e6, s.requests ? cpu_us / (double)s.requests : 0,
                 s.tokens ? cpu_us / (double)s.tokens : 0);
}

static struct answer_spec defaults(const struct mock_opts *o)
{
    return (struct answer_spec){.tokens = (uint32_t)o->tokens,
                                .size = (uint32_t)o->size,
                                .latency_ms = (uint32_t)o->latency,
                                .gap_ms = (uint32_t)o->gap,
                                .jitter_ms = (uint32_t)o->jitter,
                                .error_rate = o->error_rate,
                                .cut_rate = o->cut_rate,
                                .stamped = o->stamped};
}

/* Threads run until a signal; the stop descriptor wakes them all. */
static int serve(const struct mock_opts *o, struct mock_loop *loops, SSL_CTX *tls)
{
    pthread_t threads[MAX_THREADS];
    sigset_t signals;
    uint64_t one = 1, started = 0;
    int signal_number, stop_fd = eventfd(0, EFD_CLOEXEC);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0 || stop_fd < 0 || !open_listeners(o, loops))
        return 1;
    for (; started < o->threads; started++) {
        struct mock_loop *l = &loops[started];
        l->defaults = defaults(o);
        l->tls = tls;
        l->stop_fd = stop_fd;
        l->max_streams = (uint32_t)o->max_streams;
        l->random = (o->seed + started) * 0x9e3779b97f4a7c15u + 1;
        if (mock_loop_init(l) != ERR_OK || pthread_create(&threads[started], NULL, run, l) != 0)
            break;
    }
    if (started == o->threads)
        (void)sigwait(&signals, &signal_number);
    if (write(stop_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        return 1;
    for (uint64_t i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    report(loops, started);
    for (uint64_t i = 0; i < started; i++)
        mock_loop_free(&loops[i]);
    close(stop_fd);
    return started == o->threads ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct mock_opts o = {
        .listen = "127.0.0.1:0", .tokens = 64, .size = 8, .threads = 1, .max_streams = 1000, .seed = 1};
    enum err e = args_parse(options, ARRAY_LEN(options), usage, argc, argv, &o);
    if (e != ERR_OK)
        return e == ERR_CLOSED ? 0 : 2;
    if (!check_opts(&o))
        return 2;
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    SSL_CTX *tls = o.tls_cert ? make_tls(&o) : NULL;
    if (o.tls_cert && !tls) {
        (void)fprintf(stderr, "cannot use %s and %s\n", o.tls_cert, o.tls_key);
        return 1;
    }
    struct mock_loop *loops = calloc(o.threads, sizeof(*loops));
    int status = loops ? serve(&o, loops, tls) : 1;
    free(loops);
    SSL_CTX_free(tls);
    return status;
}

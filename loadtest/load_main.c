/* sluice-load: a load client that proves that no token is lost, doubled or reordered. */
#include "loadtest/kit/args.h"
#include "loadtest/kit/json_scan.h"
#include "loadtest/load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EVENTS = 512, MAX_LANES = 64, MAX_SESSIONS = 1000000, BACKLOG_MAX = 1 << 20 };

#define OPT(n, t, f, v, h)                                                                                   \
    {                                                                                                        \
        n, t, offsetof(struct load_opts, f), v, h                                                            \
    }
static const struct arg_def options[] = {
    OPT("url", ARG_TEXT, url, "URL",
        "http://127.0.0.1:8080 or https://...; a path in it replaces the mode's own"),
    OPT("mode", ARG_TEXT, mode, "MODE", "ws, chat-sse, responses-sse, chat-json or responses-json"),
    OPT("key", ARG_TEXT, key, "KEY", "sent as a bearer token"),
    OPT("model", ARG_TEXT, model, "NAME", "\"mock:tokens=64+gap=20\" tells mock-llm how to answer"),
    OPT("body", ARG_TEXT, body, "FILE", "send this body instead of one made here"),
    OPT("prompt-bytes", ARG_COUNT, prompt_bytes, "N", "length of the user's text (64)"),
    OPT("expect-tokens", ARG_COUNT, expect_tokens, "N",
        "tokens in an answer (from the model's name, or the answer's usage)"),
    OPT("sessions", ARG_COUNT, sessions, "N", "connections (1)"),
    OPT("lanes", ARG_COUNT, lanes, "N", "ws: answers at once on one connection (1)"),
    OPT("requests", ARG_COUNT, requests, "N", "in all; ends when they are answered"),
    OPT("duration", ARG_MS, duration_ms, "TIME", "start requests for that long"),
    OPT("warmup", ARG_COUNT, warmup, "N", "requests before measuring (0)"),
    OPT("ramp", ARG_MS, ramp_ms, "TIME", "spread the first requests over that long"),
    OPT("rate", ARG_NUMBER, rate, "N",
        "open loop: requests a second, timed from when they were due (0: closed loop)"),
    OPT("poisson", ARG_FLAG, poisson, NULL, "open loop: exponential times between arrivals"),
    OPT("think", ARG_MS, think_ms, "TIME", "closed loop: pause between a session's requests (0)"),
    OPT("churn", ARG_FLAG, churn, NULL, "a new connection for each request; latency counts from its start"),
    OPT("slow-readers", ARG_FRACTION, slow, "P", "share of sessions that read slowly; not in the latencies"),
    OPT("slow-bytes", ARG_COUNT, slow_bytes, "N", "how much they read at a time (4096)"),
    OPT("slow-every", ARG_MS, slow_every_ms, "TIME", "and how often (100 ms)"),
    OPT("leavers", ARG_FRACTION, leavers, "P",
        "share of sessions that disconnect in the middle of each answer"),
    OPT("idle", ARG_FLAG, idle, NULL, "open sessions in steps and hold them: memory of a session"),
    OPT("steps", ARG_COUNT, steps, "N", "idle: in how many steps (5)"),
    OPT("hold", ARG_MS, hold_ms, "TIME", "idle: how long to hold a step before measuring (1 s)"),
    OPT("touch", ARG_FLAG, touch, NULL, "idle: one request on each session first"),
    OPT("sources", ARG_COUNT, sources, "N", "connect from 127.0.0.1 to 127.0.0.N in turn (1)"),
    OPT("drain", ARG_MS, drain_ms, "TIME",
        "wait that long for what is unfinished: after --duration, or since anything came (30 s)"),
    OPT("steady", ARG_FLAG, steady, NULL,
        "the server's costs from the end of --ramp to the end of --duration only"),
    OPT("server-pid", ARG_COUNT, server_pid, "PID", "measure that process and its children"),
    OPT("syscalls", ARG_FLAG, syscalls, NULL,
        "count its system calls too, where the kernel allows (slows it a little)"),
    OPT("allow-errors", ARG_FLAG, allow_errors, NULL,
        "failed requests do not fail the run; wrong tokens still do"),
    OPT("json", ARG_TEXT, json, "FILE", "write the result there (-: standard output)"),
    OPT("quiet", ARG_FLAG, quiet, NULL, "no progress line, no summary"),
    OPT("seed", ARG_COUNT, seed, "N", "of the random choices (1)"),
};
static const char usage[] =
    "sluice-load: sessions and requests against an LLM endpoint; checks every token of mock-llm.\n"
    "Exit status: 0 all well, 1 errors or wrong tokens, 2 bad options.";

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = interrupted < 2 ? interrupted + 1 : 2;
}

static bool look_up(char *address, struct load_target *t)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char *colon = strrchr(address, ':');
    *colon = '\0';
    bool ok = getaddrinfo(address, colon + 1, &hints, &found) == 0 && found;
    if (ok) {
        memcpy(&t->address, found->ai_addr, found->ai_addrlen);
        t->address_len = found->ai_addrlen;
    }
    if (found)
        freeaddrinfo(found);
    return ok;
}

/* http://HOST:PORT/PATH */
static bool parse_url(const char *url, struct load_target *t)
{
    static const char *const schemes[] = {"http://", "https://", "ws://", "wss://"};
    char address[128];
    for (unsigned i = 0; i < ARRAY_LEN(schemes); i++) {
        if (strncmp(url, schemes[i], strlen(schemes[i])) != 0)
            continue;
        t->tls = i % 2 == 1;
        const char *host = url + strlen(schemes[i]);
        size_t len = strcspn(host, "/");
        if (len + 5 >= sizeof(t->host) || strlen(host + len) >= sizeof(t->path))
            return false;
        (void)snprintf(t->host, sizeof(t->host), "%.*s", (int)len, host);
        (void)snprintf(t->path, sizeof(t->path), "%s", host[len] ? host + len : "/");
        if (strncmp(t->host, "localhost", 9) == 0)
            (void)snprintf(address, sizeof(address), "127.0.0.1%.100s", t->host + 9);
        else
            (void)snprintf(address, sizeof(address), "%.110s", t->host);
        const char *colon = strrchr(address, ':');
        if (!colon || strchr(colon, ']'))
            (void)snprintf(address + strlen(address), sizeof(address) - strlen(address),
                           t->tls ? ":443" : ":80");
        return address_parse(address, &t->address, &t->address_len) || look_up(address, t);
    }
    return false;
}

static bool parse_mode(const char *name, enum load_mode *ret_mode)
{
    static const char *const names[] = {"ws", "chat-sse", "responses-sse", "chat-json", "responses-json"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *ret_mode = (enum load_mode)i;
            return true;
        }
    return false;
}

static const char *wrong_option(struct load *l)
{
    const struct load_opts *o = &l->o;
    if (!o->url || !parse_url(o->url, &l->target))
        return "--url: expected http(s)://HOST:PORT with a host that can be found";
    if (!parse_mode(o->mode, &l->mode))
        return "--mode: ws, chat-sse, responses-sse, chat-json or responses-json";
    if (o->sessions < 1 || o->sessions > MAX_SESSIONS)
        return "--sessions: 1 to 1000000";
    if (o->lanes < 1 || o->lanes > MAX_LANES || (o->lanes > 1 && l->mode != MODE_WS))
        return "--lanes: 1 to 64, and more than 1 for ws only";
    if (o->churn && o->lanes > 1)
        return "--churn takes one lane";
    if (!o->idle && !o->requests && !o->duration_ms)
        return "one of --requests, --duration or --idle";
    if (o->steps < 1 || o->steps > MAX_STEPS || (o->idle && o->steps > o->sessions))
        return "--steps: 1 to 64, at most one a session";
    if (o->sources < 1 || o->sources > 250)
        return "--sources: 1 to 250";
    if (o->rate > 0 && (o->think_ms || o->ramp_ms))
        return "--rate says when requests start: no --think, no --ramp";
    if (o->leavers > 0 && (l->mode == MODE_CHAT_JSON || l->mode == MODE_RESPONSES_JSON))
        return "--leavers leave in the middle of a stream: not with JSON";
    if (o->steady && (!o->duration_ms || o->ramp_ms >= o->duration_ms))
        return "--steady wants a --duration longer than the --ramp";
    if (o->syscalls && !o->server_pid)
        return "--syscalls wants --server-pid";
    if (o->slow_bytes < 1 || o->slow_every_ms < 1)
        return "--slow-bytes and --slow-every: at least 1";
    return NULL;
}

static void choose_expected(struct load *l)
{
    const char *at = strstr(l->o.model, "tokens=");
    uint64_t n = l->o.expect_tokens;
    if (!n && at)
        n = strtoull(at + 7, NULL, 10);
    l->expected = (uint32_t)MIN(n, (uint64_t)TOKEN_MAX);
}

static bool raise_file_limit(uint64_t needed)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return true;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (needed + 32 <= files.rlim_max)
        return true;
    (void)fprintf(stderr, "%lu sessions need more descriptors than the limit of %lu\n", (unsigned long)needed,
                  (unsigned long)files.rlim_max);
    return false;
}

static bool prepare(struct load *l)
{
    struct sigaction act = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &act, NULL);
    (void)sigaction(SIGTERM, &act, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_TIMERSLACK, 1000UL);
    l->random = l->arrival_random = (l->o.seed + 1) * 0x9e3779b97f4a7c15u | 1;
    choose_expected(l);
    if (l->target.tls) {
        static const unsigned char protocol[] = "\x08http/1.1";
        l->tls = SSL_CTX_new(TLS_client_method());
        if (!l->tls || SSL_CTX_set_alpn_protos(l->tls, protocol, sizeof(protocol) - 1) != 0)
            return false;
        SSL_CTX_set_mode(l->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                     SSL_MODE_RELEASE_BUFFERS);
    }
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->backlog = l->o.rate > 0 ? calloc(BACKLOG_MAX, sizeof(*l->backlog)) : NULL;
    ticks_init(&l->ticks, now_ns() / 1000000);
    return l->epoll >= 0 && (l->backlog || l->o.rate <= 0) && raise_file_limit(l->o.sessions) &&
           (l->mode == MODE_WS ? ws_build(l) : http_build(l)) && sessions_init(l);
}

static void run(struct load *l)
{
    struct epoll_event events[EVENTS];
    drive_start(l);
    while (l->phase != PHASE_OVER) {
        l->interrupted = (unsigned)interrupted;
        drive_turn(l);
        uint64_t next = drive_next(l), now = now_ns(), wait = next > now ? next - now : 0;
        struct timespec t = {(time_t)(wait / 1000000000), (long)(wait % 1000000000)};
        int n = epoll_pwait2(l->epoll, events, EVENTS, next == UINT64_MAX ? NULL : &t, NULL);
        if (n < 0 && errno != EINTR)
            return;
        l->now = now_ns();
        ticks_advance(&l->ticks, l->now / 1000000);
        for (int i = 0; i < n && l->phase != PHASE_OVER; i++)
            session_event(events[i].data.ptr, events[i].events);
    }
}

static bool write_json(const struct load *l)
{
    bool to_stdout = strcmp(l->o.json, "-") == 0;
    FILE *f = to_stdout ? stdout : fopen(l->o.json, "w");
    if (!f) {
        perror(l->o.json);
        return false;
    }
    bool ok = report_json(l, f);
    return (to_stdout || fclose(f) == 0) && ok;
}

static void load_free(struct load *l)
{
    sessions_free(l);
    buf_free(&l->http_request);
    buf_free(&l->scratch);
    for (uint64_t i = 0; l->ws_texts && i < l->o.lanes; i++)
        buf_free(&l->ws_texts[i]);
    free(l->ws_texts);
    free(l->backlog);
    SSL_CTX_free(l->tls);
    if (l->epoll >= 0)
        close(l->epoll);
    free(l);
}

int main(int argc, char **argv)
{
    struct load *l = calloc(1, sizeof(*l));
    if (!l)
        return 1;
    l->epoll = -1;
    l->o = (struct load_opts){.mode = "chat-sse",
                              .model = "mock",
                              .sessions = 1,
                              .lanes = 1,
                              .prompt_bytes = 64,
                              .steps = 5,
                              .hold_ms = 1000,
                              .sources = 1,
                              .drain_ms = 30000,
                              .slow_bytes = 4096,
                              .slow_every_ms = 100,
                              .seed = 1};
    enum err e = args_parse(options, ARRAY_LEN(options), usage, argc, argv, &l->o);
    const char *wrong = e == ERR_OK ? wrong_option(l) : NULL;
    if (wrong)
        (void)fprintf(stderr, "%s\n", wrong);
    if (e != ERR_OK || wrong) {
        free(l);
        return e == ERR_CLOSED ? 0 : 2;
    }
    bool ok = prepare(l);
    if (ok) {
        run(l);
        if (!l->o.quiet)
            report_text(l, stderr);
        ok = !l->o.json || write_json(l);
        ok = ok && load_correct(l) && (l->o.allow_errors || l->stats.n_errors == 0);
    }
    load_free(l);
    return ok ? 0 : 1;
}

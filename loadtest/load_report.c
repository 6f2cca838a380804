#include "loadtest/load.h"
#include <sys/ioctl.h>
#include <unistd.h>

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static double per(double amount, uint64_t count)
{
    return count ? amount / (double)count : 0;
}

static double wall_s(const struct load *l)
{
    return l->last_end > l->run_start ? (double)(l->last_end - l->run_start) / 1e9 : 0;
}

static uint64_t error_total(const struct load *l)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < l->stats.n_errors; i++)
        sum += l->stats.errors[i].count;
    return sum;
}

bool load_correct(const struct load *l)
{
    const struct load_stats *s = &l->stats;
    return !(s->lost | s->doubled | s->reordered | s->malformed | s->extra);
}

void report_progress(struct load *l)
{
    static const char *const phases[] = {"connecting", "warming up", "running", "over"};
    if (l->o.quiet || l->now - l->last_progress < 1000000000 || !isatty(STDERR_FILENO))
        return;
    double seconds = (double)(l->now - l->last_progress) / 1e9;
    uint64_t tokens = l->stats.tokens >= l->last_tokens ? l->stats.tokens - l->last_tokens : 0;
    char line[256];
    struct winsize window = {.ws_col = 0};
    (void)ioctl(STDERR_FILENO, TIOCGWINSZ, &window);
    (void)snprintf(
        line, sizeof(line),
        "%-10s %6.1f s  %lu of %lu sessions  %lu in flight  %lu done  %.0f tokens/s  first p50 %.2f ms  "
        "errors %lu",
        phases[l->phase], l->run_start ? (double)(l->now - l->run_start) / 1e9 : 0, l->ready, l->o.sessions,
        l->running, l->stats.ok, (double)tokens / seconds, ms(hist_quantile(&l->stats.first, 0.5)),
        error_total(l));
    (void)fprintf(stderr, "\r%.*s\x1b[K", window.ws_col ? window.ws_col - 1 : 79,
                  line); /* one that wraps piles up */
    l->last_tokens = l->stats.tokens;
    l->last_progress = l->now;
}

static void json_hist(FILE *f, const char *name, const struct hist *h)
{
    (void)fprintf(
        f,
        ",\n  \"%s_ms\":{\"count\":%lu,\"min\":%.4f,\"mean\":%.4f,\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,"
        "\"p999\":%.4f,\"max\":%.4f}",
        name, h->count, ms(h->min), hist_mean(h) / 1e6, ms(hist_quantile(h, 0.5)), ms(hist_quantile(h, 0.9)),
        ms(hist_quantile(h, 0.99)), ms(hist_quantile(h, 0.999)), ms(h->max));
}

static void json_memory(FILE *f, const char *name, const struct proc_sample *s)
{
    (void)fprintf(f, ",\n    \"%s\":{\"processes\":%u,\"rss_kb\":%lu,\"largest_rss_kb\":%lu,\"pss_kb\":%lu}",
                  name, s->processes, s->rss_kb, s->rss_max_kb, s->pss_kb);
}

/* Least squares over the steps of what one session costs. */
static double slope_bytes(const struct load *l, bool pss)
{
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (unsigned i = 0; i < l->n_steps; i++) {
        double x = (double)l->steps[i].sessions;
        double y = (double)(pss ? l->steps[i].server.pss_kb : l->steps[i].server.rss_kb) * 1024;
        n++, sx += x, sy += y, sxx += x * x, sxy += x * y;
    }
    double down = n * sxx - sx * sx;
    return down > 0 ? (n * sxy - sx * sy) / down : 0;
}

static void json_steps(const struct load *l, FILE *f)
{
    (void)fprintf(f, ",\n    \"steps\":[");
    for (unsigned i = 0; i < l->n_steps; i++)
        (void)fprintf(f, "%s{\"sessions\":%lu,\"rss_kb\":%lu,\"pss_kb\":%lu}", i ? "," : "",
                      l->steps[i].sessions, l->steps[i].server.rss_kb, l->steps[i].server.pss_kb);
    (void)fprintf(f, "],\n    \"rss_bytes_per_session\":%.1f,\"pss_bytes_per_session\":%.1f",
                  slope_bytes(l, false), slope_bytes(l, true));
}

/* A process of the tree may have ended meanwhile, and have taken what it had used along. */
static uint64_t since(uint64_t later, uint64_t earlier)
{
    return later > earlier ? later - earlier : 0;
}

static uint64_t switches(const struct load *l)
{
    const struct proc_sample *a = &l->begin.server, *b = &l->end.server;
    return since(b->switches_voluntary, a->switches_voluntary) +
           since(b->switches_forced, a->switches_forced);
}

static double server_cpu_us(const struct load *l)
{
    return (double)since(l->end.server.cpu_ns, l->begin.server.cpu_ns) / 1e3;
}

static uint64_t marked_tokens(const struct load *l)
{
    return since(l->end.tokens, l->begin.tokens);
}

static uint64_t marked_answers(const struct load *l)
{
    return since(l->end.answers, l->begin.answers);
}

/* Of the time in which the server was measured. */
static double server_s(const struct load *l)
{
    return l->o.steady ? (double)since(l->end.at, l->begin.at) / 1e9 : wall_s(l);
}

static void json_server(const struct load *l, FILE *f)
{
    const struct proc_sample *a = &l->begin.server, *b = &l->end.server;
    double cpu_us = server_cpu_us(l);
    (void)fprintf(
        f,
        ",\n  \"server\":{\n    "
        "\"seconds\":%.4f,\"cpu_s\":%.6f,\"user_s\":%.3f,\"system_s\":%.3f,\"cpu_us_per_request\":%.3f,"
        "\"cpu_us_per_token\":%.4f",
        server_s(l), cpu_us / 1e6, (double)since(b->user_ms, a->user_ms) / 1e3,
        (double)since(b->system_ms, a->system_ms) / 1e3, per(cpu_us, marked_answers(l)),
        per(cpu_us, marked_tokens(l)));
    (void)fprintf(f, ",\"tokens_per_s\":%.2f", server_s(l) > 0 ? (double)marked_tokens(l) / server_s(l) : 0);
    (void)fprintf(f, ",\n    \"switches_voluntary\":%lu,\"switches_forced\":%lu,\"switches_per_token\":%.4f",
                  since(b->switches_voluntary, a->switches_voluntary),
                  since(b->switches_forced, a->switches_forced), per((double)switches(l), marked_tokens(l)));
    if (l->counting)
        (void)fprintf(f, ",\n    \"syscalls\":%lu,\"syscalls_per_token\":%.4f,\"syscalls_per_request\":%.3f",
                      l->syscalls, per((double)l->syscalls, l->stats.tokens),
                      per((double)l->syscalls, l->stats.ok));
    json_memory(f, "at_first", &l->at_first);
    json_memory(f, "connected", &l->at_connected);
    json_memory(f, "peak", &l->peak);
    json_memory(f, "at_end", b);
    if (l->n_steps)
        json_steps(l, f);
    (void)fprintf(f, "\n  }");
}

static void json_text(FILE *f, const char *s)
{
    (void)fputc('"', f);
    for (; *s; s++)
        if (*s == '"' || *s == '\\' || (unsigned char)*s < 0x20)
            (void)fprintf(f, "\\u%04x", (unsigned)(unsigned char)*s);
        else
            (void)fputc(*s, f);
    (void)fputc('"', f);
}

bool report_json(const struct load *l, FILE *f)
{
    const struct load_stats *s = &l->stats;
    double wall = wall_s(l);
    double cpu = (double)(l->self_end.cpu_ns - l->self_start.cpu_ns) / 1e9;
    (void)fprintf(f, "{\n  \"url\":");
    json_text(f, l->o.url);
    (void)fprintf(f, ",\"mode\":\"%s\",\"model\":", l->o.mode);
    json_text(f, l->o.model);
    (void)fprintf(
        f,
        ",\"sessions\":%lu,\"lanes\":%lu,\"rate\":%g,\n  \"wall_s\":%.4f,\"started\":%lu,\"ok\":%lu,"
        "\"failed\":%lu,\"left\":%lu,\"slow_ok\":%lu,\"connects\":%lu,\"ready\":%lu,\n  \"tokens\":%lu,"
        "\"deltas\":%lu,\"bytes_in\":%lu,\"requests_per_s\":%.3f,\"tokens_per_s\":%.2f,\"client_cpu_s\":%.4f",
        l->o.sessions, l->o.lanes, l->o.rate, wall, s->started, s->ok, s->failed, s->left, s->slow_ok,
        s->connects, l->ready, s->tokens, s->deltas, s->bytes_in, wall > 0 ? (double)s->ok / wall : 0,
        wall > 0 ? (double)s->tokens / wall : 0, cpu);
    (void)fprintf(f,
                  ",\n  \"correct\":%s,\"token_errors\":{\"lost\":%lu,\"doubled\":%lu,\"reordered\":%lu,"
                  "\"malformed\":%lu,\"extra\":%lu},\n  \"errors\":{",
                  load_correct(l) ? "true" : "false", s->lost, s->doubled, s->reordered, s->malformed,
                  s->extra);
    for (unsigned i = 0; i < s->n_errors; i++) {
        (void)fprintf(f, "%s", i ? "," : "");
        json_text(f, s->errors[i].name);
        (void)fprintf(f, ":%lu", s->errors[i].count);
    }
    (void)fprintf(f, "}");
    json_hist(f, "connect", &s->connect);
    json_hist(f, "first_token", &s->first);
    json_hist(f, "gap", &s->gap);
    json_hist(f, "answer", &s->whole);
    json_hist(f, "transit", &s->transit);
    if (l->o.server_pid)
        json_server(l, f);
    (void)fprintf(f, "\n}\n");
    return fflush(f) == 0 && !ferror(f);
}

static void text_hist(FILE *f, const char *name, const struct hist *h)
{
    if (h->count)
        (void)fprintf(f, "%-12s p50 %9.3f  p90 %9.3f  p99 %9.3f  p99.9 %9.3f  max %9.3f ms  (%lu)\n", name,
                      ms(hist_quantile(h, 0.5)), ms(hist_quantile(h, 0.9)), ms(hist_quantile(h, 0.99)),
                      ms(hist_quantile(h, 0.999)), ms(h->max), h->count);
}

void report_text(const struct load *l, FILE *f)
{
    const struct load_stats *s = &l->stats;
    double wall = wall_s(l);
    (void)fprintf(
        f,
        "%s%lu answers in %.2f s (%.1f/s), %lu failed, %lu left early; %lu tokens (%.0f/s) in %lu deltas\n",
        isatty(STDERR_FILENO) && !l->o.quiet ? "\r\x1b[K" : "", s->ok, wall,
        wall > 0 ? (double)s->ok / wall : 0, s->failed, s->left, s->tokens,
        wall > 0 ? (double)s->tokens / wall : 0, s->deltas);
    if (!load_correct(l))
        (void)fprintf(f, "TOKENS WRONG: %lu lost, %lu doubled, %lu reordered, %lu malformed, %lu extra\n",
                      s->lost, s->doubled, s->reordered, s->malformed, s->extra);
    for (unsigned i = 0; i < s->n_errors; i++)
        (void)fprintf(f, "error %-40s %lu\n", s->errors[i].name, s->errors[i].count);
    text_hist(f, "connect", &s->connect);
    text_hist(f, "first token", &s->first);
    text_hist(f, "gap", &s->gap);
    text_hist(f, "answer", &s->whole);
    text_hist(f, "transit", &s->transit);
    if (!l->o.server_pid)
        return;
    double cpu_us = server_cpu_us(l);
    (void)fprintf(
        f,
        "server: %.1f us CPU/request, %.2f us CPU/token; %lu context switches; RSS %lu KB (PSS %lu) before, "
        "%lu KB peak, in %u processes\n",
        per(cpu_us, marked_answers(l)), per(cpu_us, marked_tokens(l)), switches(l), l->at_first.rss_kb,
        l->at_first.pss_kb, l->peak.rss_kb, l->end.server.processes);
    if (l->counting)
        (void)fprintf(f, "server: %.3f system calls/token\n", per((double)l->syscalls, s->tokens));
    if (l->n_steps > 1)
        (void)fprintf(f, "server: %.0f bytes RSS, %.0f bytes PSS a session (slope over %u steps)\n",
                      slope_bytes(l, false), slope_bytes(l, true), l->n_steps);
}

#include "gateway/worker.h"
#include "common/log.h"
#include "common/memory.h"
#include "gateway/control.h"
#include "gateway/sandbox.h"
#include "gateway/server/server.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* After so long without an answer and with no change in connections, memory is given back. */
enum { REST_MS = 5000 };

struct worker {
    const struct worker_opts *opts;
    struct loop loop;
    struct upstream *upstream;
    struct response_pool pool;
    struct pipeline pipeline;
    struct session_env env;
    struct server *server;
    uv_timer_t drain_timer;
    uv_timer_t rest_timer; /* runs while something happens */
    size_t connections;    /* open, as last seen */
    unsigned retained;     /* answers, as last seen */
    bool busy, resting;
    uv_signal_t sigterm;
    uv_poll_t control;
    bool controlled;              /* `control` is open */
    struct wheel_timer log_timer; /* while the log waits for who reads it */
};

/* Closes what is left; the loop then ends by itself. */
static void stop(struct worker *w)
{
    if (!phase_enter(&w->loop.phase, w->server ? PHASE_CLOSING : PHASE_CLOSED))
        return;
    if (w->server)
        server_close(w->server);
    if (w->upstream) {
        response_pool_close(&w->pool);
        upstream_close(w->upstream);
    }
    uv_close((uv_handle_t *)&w->drain_timer, NULL);
    uv_close((uv_handle_t *)&w->rest_timer, NULL);
    uv_close((uv_handle_t *)&w->sigterm, NULL);
    if (w->controlled)
        uv_close((uv_handle_t *)&w->control, NULL);
}

static void on_rest(uv_timer_t *t)
{
    struct worker *w = t->data;
    if (w->busy) {
        w->busy = false;
        return;
    }
    uv_timer_stop(t);
    w->resting = true;
    memory_trim();
    LOG_DEBUG("worker at rest");
}

static void note_work(struct worker *w)
{
    const size_t connections = server_connections(w->server);
    if (w->pool.n_live == 0 && connections == w->connections && w->pool.n_retained == w->retained)
        return;
    w->connections = connections;
    w->retained = w->pool.n_retained;
    w->busy = true;
    if (w->resting)
        uv_timer_start(&w->rest_timer, on_rest, REST_MS, REST_MS);
    w->resting = false;
}

static void count_state(const struct worker *w)
{
    const struct metrics_state now = {.connections = server_connections(w->server),
                                      .sessions = server_sessions(w->server),
                                      .responses = w->pool.n_live,
                                      .retained = w->pool.n_retained,
                                      .budget_used = w->pool.bytes,
                                      .budget_limit = w->pool.max_bytes,
                                      .serving = phase_serving(&w->loop.phase)};
    if (w->opts->metrics)
        metrics_state(w->opts->metrics, &now);
}

/* What every turn of the loop ends with, from the sockets of clients to those of providers and back. */
static void end_turn(void *ctx)
{
    struct worker *w = ctx;
    server_reap(w->server);
    response_pool_reap(&w->pool, loop_now(&w->loop));
    if (phase_of(&w->loop.phase) < PHASE_CLOSING) {
        pipeline_tick(&w->pipeline);
        upstream_tick(w->upstream);
        note_work(w);
    }
    if (phase_of(&w->loop.phase) == PHASE_DRAINING && server_connections(w->server) == 0)
        stop(w);
    server_flush(w->server);
    if (pipeline_waiting(&w->pipeline))
        loop_again(&w->loop);
    count_state(w);
    if (log_waiting() && !wheel_armed(&w->log_timer))
        loop_arm(&w->loop, &w->log_timer, LOG_RETRY_MS);
}

static void on_provider_event(void *ctx)
{
    const struct worker *w = ctx;
    if (phase_of(&w->loop.phase) < PHASE_CLOSING)
        server_flush_crowd(w->server);
}

static void on_log_timer(struct wheel_timer *t UNUSED)
{
    log_flush();
}

static void on_drain_deadline(uv_timer_t *t)
{
    stop(t->data);
}

static void drain(struct worker *w)
{
    if (!phase_enter(&w->loop.phase, PHASE_DRAINING))
        return;
    uint64_t ms = w->opts->cfg->timeouts.drain;
    uv_timer_start(&w->drain_timer, on_drain_deadline, ms, 0);
    server_drain(w->server, ms);
    if (w->opts->ready_fd >= 0)
        close(w->opts->ready_fd); /* tells the master that nothing is accepted here any more */
    LOG_INFO("worker draining connections=%zu deadline_ms=%llu", server_connections(w->server),
             (unsigned long long)ms);
}

static void on_sigterm(uv_signal_t *s, int signum UNUSED)
{
    drain(s->data);
}

static void obey(struct worker *w, const struct control_message *m)
{
    if (m->verb == CONTROL_COVER && m->n_fds == w->opts->cfg->n_listen && w->server)
        server_cover(w->server, m->slot, m->fds);
    else
        for (size_t i = 0; i < m->n_fds; i++)
            (void)close(m->fds[i]);
    if (m->verb == CONTROL_TICKETS && m->len == sizeof(*w->opts->tickets))
        memcpy(w->opts->tickets, m->data, m->len);
    if (m->verb == CONTROL_UNCOVER && w->server)
        server_uncover(w->server, m->slot);
}

static void on_control(uv_poll_t *p, int status UNUSED, int events UNUSED)
{
    struct worker *w = p->data;
    struct control_message m;
    enum err e;
    while ((e = control_receive(w->opts->control_fd, &m)) == ERR_OK)
        obey(w, &m);
    if (e == ERR_AGAIN)
        return;
    uv_poll_stop(p);
    LOG_WARN("worker draining reason=\"the master is gone\"");
    drain(w);
}

/* False: the worker could not hear its master. */
static bool init_handles(struct worker *w)
{
    uv_timer_init(&w->loop.uv, &w->drain_timer);
    uv_timer_init(&w->loop.uv, &w->rest_timer);
    uv_signal_init(&w->loop.uv, &w->sigterm);
    w->drain_timer.data = w->rest_timer.data = w->sigterm.data = w;
    w->resting = true;
    if (uv_signal_start(&w->sigterm, on_sigterm, SIGTERM) != 0)
        return false;
    if (w->opts->control_fd < 0)
        return true;
    if (uv_poll_init(&w->loop.uv, &w->control, w->opts->control_fd) != 0)
        return false;
    w->controlled = true;
    w->control.data = w;
    return uv_poll_start(&w->control, UV_READABLE | UV_DISCONNECT, on_control) == 0;
}

static bool start(struct worker *w)
{
    const struct worker_opts *o = w->opts;
    w->upstream = upstream_new(&w->loop, o->cfg);
    if (!w->upstream)
        return false;
    response_pool_init(&w->pool, w->upstream, o->cfg, &w->loop.wheel);
    if (pipeline_init(&w->pipeline, o->cfg, &w->pool) != ERR_OK)
        return false;
    w->env = (struct session_env){
        .cfg = o->cfg, .pipeline = &w->pipeline, .phase = &w->loop.phase, .metrics = o->metrics};
    const struct server_opts so = {.loop = &w->loop,
                                   .cfg = o->cfg,
                                   .env = &w->env,
                                   .listen_fds = o->listen_fds,
                                   .door = o->door,
                                   .tickets = o->tickets,
                                   .door_slot = o->door_slot};
    w->server = server_new(&so);
    if (!w->server)
        return false;
    upstream_after_each(w->upstream, on_provider_event, w);
    loop_on_turn(&w->loop, end_turn, w);
    return true;
}

/* False: the master would wait for it in vain. */
static bool report_ready(int fd)
{
    return fd < 0 || write(fd, "1", 1) == 1;
}

int worker_run(const struct worker_opts *o)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w || !loop_init(&w->loop)) {
        free(w);
        return 1;
    }
    w->opts = o;
    memory_tune();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    wheel_timer_init(&w->log_timer, on_log_timer);
    bool ok = init_handles(w) && start(w) && sandbox_enter(o->cfg) == ERR_OK && report_ready(o->ready_fd);
    if (ok) {
        memory_drop_zeros();
        memory_trim();
        loop_run(&w->loop);
    } else {
        LOG_ERROR("worker cannot start");
        stop(w);
        loop_run(&w->loop);
    }
    server_free(w->server);
    if (w->upstream) {
        response_pool_reap(&w->pool, loop_now(&w->loop));
        response_pool_free(&w->pool);
    }
    pipeline_free(&w->pipeline);
    upstream_free(w->upstream);
    const bool empty = loop_free(&w->loop);
    if (!empty)
        LOG_WARN("worker leaves open handles");
    free(w);
    log_finish();
    return ok && empty ? 0 : 1;
}

#include "gateway/master.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/secret.h"
#include "gateway/generation.h"
#include "gateway/process.h"
#include "gateway/server/server.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPORT_MAX = 64 * 1024, POLL_MAX = 1 + COLUMNS_MAX, START_MAX = 30000, RETRY_MS = 1000 };
/* A reload may raise limits.max_sessions so far at least: its default. */
enum { DOOR_ROOM = 100000 };

struct master {
    const char *file;
    struct forker forker;
    struct columns columns;
    struct list generations;
    struct generation *current; /* serves; NULL before the first does */
    struct generation *next;    /* being checked or started */
    unsigned numbers;
    int signal_fd;
    uint64_t tickets_ms; /* when their keys were made */
    bool stopping;
    bool reload_wanted;
    int status;
};

/* In a child: what it inherited of the master and has no use for. */
static void forget(void *ctx, const struct config *keep)
{
    struct master *m = ctx;
    LIST_EACH(&m->generations, node)
    {
        generation_forget(CONTAINER_OF(node, struct generation, node), keep);
    }
    list_init(&m->generations);
}

static void stop(struct master *m, int status)
{
    if (m->stopping)
        return;
    m->stopping = true;
    m->status = status;
    m->current = m->next = NULL;
    uint64_t now = clock_mono_ms();
    LIST_EACH(&m->generations, node)
    {
        struct generation *g = CONTAINER_OF(node, struct generation, node);
        if (g->state.state != GENERATION_DRAINING)
            generation_drain(g, now);
    }
}

/* The new generation cannot serve: what served before goes on. */
static void abandon_next(struct master *m, const char *reason)
{
    struct generation *g = m->next;
    m->next = NULL;
    LOG_ERROR("%s failed generation=%u reason=%s", m->current ? "reload" : "start", g->number, reason);
    generation_drain(g, clock_mono_ms());
    if (m->current)
        socket_set_trim(&m->current->sockets, m->current->n_slots);
    else
        stop(m, 1);
}

static void warn_of_descriptors(const struct config *cfg)
{
    const uint64_t room = server_room(cfg);
    if (room < UINT64_MAX / cfg->workers && room * cfg->workers < cfg->limits.max_sessions)
        LOG_WARN("limits.max_sessions is more than there are descriptors for; raise the limit on open files "
                 "(ulimit -n, LimitNOFILE) or lower it room=%llu workers=%u max_sessions=%llu",
                 (unsigned long long)(room * cfg->workers), cfg->workers,
                 (unsigned long long)cfg->limits.max_sessions);
}

static struct config *load(const struct master *m)
{
    struct config *cfg = NULL;
    struct buf report;
    buf_init(&report, REPORT_MAX);
    enum err e = config_load(m->file, &report, &cfg);
    report_log(buf_bytes(&report));
    buf_free(&report);
    if (e != ERR_OK)
        return NULL;
    if (!m->current)
        log_set(&cfg->log);
    warn_of_descriptors(cfg);
    if (geteuid() == 0 && cfg->uid == 0)
        LOG_WARN("workers run as root; user: gives them another");
    return cfg;
}

/* Takes `cfg` over. */
static void begin_generation(struct master *m, struct config *cfg)
{
    struct generation *g = generation_new(++m->numbers, cfg);
    if (!g) {
        LOG_ERROR("no memory for a generation generation=%u", m->numbers);
        if (!m->current)
            stop(m, 1);
        return;
    }
    list_append(&m->generations, &g->node);
    m->next = g;
    if (generation_check(g, &m->forker, clock_mono_ms()) != ERR_OK)
        abandon_next(m, strerror(errno));
}

static void reload(struct master *m)
{
    m->reload_wanted = false;
    LOG_INFO("reload begins file=%s", m->file);
    struct config *cfg = load(m);
    if (cfg && cfg->limits.max_sessions > door_room(m->forker.door)) {
        LOG_ERROR(
            "limits.max_sessions is more than there is room for since the start; restart for it room=%llu",
            (unsigned long long)door_room(m->forker.door));
        config_free(cfg);
        cfg = NULL;
    }
    if (cfg)
        begin_generation(m, cfg);
    else
        LOG_ERROR("reload failed; the former configuration stays generation=%u", m->current->number);
}

static void learn_endpoint(void *ctx, const char *path)
{
    metrics_learn_endpoint(ctx, path);
}

/* The names that figures may have: before those are forked who tell them. */
static void learn_names(struct metrics *m, const struct config *cfg)
{
    for (size_t i = 0; i < cfg->n_models; i++)
        for (size_t j = 0; j < cfg->models[i].n_targets; j++)
            metrics_learn_route(m, cfg->models[i].name, cfg->models[i].targets[j].provider->name);
    for (size_t i = 0; i < cfg->n_providers; i++)
        metrics_learn_route(m, NULL, cfg->providers[i].name);
    for (size_t i = 0; i < cfg->n_keys; i++)
        metrics_learn_principal(m, cfg->keys[i].name);
    server_each_endpoint(learn_endpoint, m);
}

static void on_checked(struct master *m, int status)
{
    struct generation *g = m->next;
    generation_take_report(g);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        bool refused = WIFEXITED(status) && WEXITSTATUS(status) == 1;
        abandon_next(m,
                     refused ? "its certificates were refused" : "the check of its certificates broke off");
        return;
    }
    learn_names(m->forker.metrics, g->cfg);
    const struct socket_set *former = m->current ? &m->current->sockets : NULL;
    enum err e = generation_start(g, &m->forker, &m->columns, former, clock_mono_ms());
    if (e == ERR_LIMIT)
        abandon_next(m, "too many workers beside those that are still draining; wait for them, or restart");
    else if (e)
        abandon_next(m, "no sockets or no processes for it");
}

/* All of its workers serve: from here on it is the one. */
static void switch_to_next(struct master *m)
{
    struct generation *g = m->next, *former = m->current;
    uint64_t now = clock_mono_ms();
    m->current = g;
    m->next = NULL;
    generation_serve(g, now);
    log_set(&g->cfg->log);
    if (former)
        generation_drain(former, now);
    socket_set_trim(&g->sockets, g->n_slots);
}

/* Tells that the current generation serves when no other one takes connections any more. */
static void announce(struct master *m, uint64_t now)
{
    struct generation *g = m->current;
    bool alone = true;
    LIST_EACH(&m->generations, node)
    {
        struct generation *other = CONTAINER_OF(node, struct generation, node);
        alone = alone && (other == g || other == m->next || !generation_accepts(other));
    }
    if (!alone && now < g->deadline_ms)
        return;
    g->announced = true;
    socket_set_log(&g->sockets, g->cfg);
    LOG_INFO("serving generation=%u workers=%u", g->number, g->n_slots);
    memory_trim();
}

static void on_died(struct master *m, pid_t pid, int status)
{
    LIST_EACH(&m->generations, node)
    {
        struct generation *g = CONTAINER_OF(node, struct generation, node);
        struct worker_slot *s = generation_find(g, pid);
        if (g->checker == pid) {
            g->checker = 0;
            if (g == m->next)
                on_checked(m, status);
            return;
        }
        if (s) {
            generation_worker_died(g, s, status, &m->forker, &m->columns, clock_mono_ms());
            if (g == m->next)
                abandon_next(m, "a worker died before all were ready");
            return;
        }
    }
}

static void reap(struct master *m)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        /* It has asked to be traced, which no worker does that is well: it is not dead, and must not live. */
        if (WIFSTOPPED(status))
            (void)kill(pid, SIGKILL);
        else
            on_died(m, pid, status);
    }
}

static void on_stop_signal(struct master *m)
{
    if (!m->stopping) {
        LOG_INFO("stopping");
        stop(m, 0);
        return;
    }
    LOG_WARN("stopping at once");
    LIST_EACH(&m->generations, node)
    {
        generation_signal(CONTAINER_OF(node, struct generation, node), SIGKILL);
    }
}

static void on_signals(struct master *m)
{
    struct signalfd_siginfo info;
    while (read(m->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            reap(m);
        else if (info.ssi_signo == SIGHUP)
            m->reload_wanted = !m->stopping;
        else
            on_stop_signal(m);
    }
}

static void earlier(uint64_t *due, uint64_t other)
{
    *due = MIN(*due, other);
}

/* Starts workers whose time has come and kills those that never said that they serve. */
static void tend_slots(struct master *m, struct generation *g, uint64_t now, uint64_t *due)
{
    for (unsigned i = 0; i < g->n_slots; i++) {
        struct worker_slot *s = &g->slots[i];
        if (s->pid == 0 && s->respawn_ms <= now &&
            generation_spawn(g, i, &m->forker, &m->columns, now) != ERR_OK)
            s->respawn_ms = now + RETRY_MS;
        if (s->pid == 0) {
            earlier(due, s->respawn_ms);
        } else if (!s->ready) {
            if (s->started_ms + START_MAX <= now)
                (void)kill(s->pid, SIGKILL);
            earlier(due, MAX(s->started_ms + START_MAX, now + RETRY_MS));
        }
    }
}

/* Workers that are started later have the new keys from their start. */
static void tend_tickets(struct master *m, uint64_t now, uint64_t *due)
{
    const uint64_t life = m->current->cfg->timeouts.tickets;
    if (now >= m->tickets_ms + life) {
        struct control_message told = {.verb = CONTROL_TICKETS, .len = sizeof(m->forker.tickets)};
        tls_tickets_rotate(&m->forker.tickets);
        memcpy(told.data, &m->forker.tickets, sizeof(m->forker.tickets));
        m->tickets_ms = now;
        LIST_EACH(&m->generations, node)
        {
            generation_tell(CONTAINER_OF(node, struct generation, node), &told);
        }
        secret_wipe(told.data, sizeof(told.data));
        LOG_DEBUG("keys of session tickets changed");
    }
    earlier(due, m->tickets_ms + life);
}

/* Does what is due, forgets what is over, and answers when to look again. */
static uint64_t tend(struct master *m, uint64_t now)
{
    uint64_t due = UINT64_MAX;
    log_flush();
    if (log_waiting())
        due = now + LOG_RETRY_MS;
    metrics_state(m->forker.metrics, &(struct metrics_state){.connections = 0});
    if (m->next && m->next->deadline_ms <= now)
        abandon_next(m, "it was not ready in time");
    if (m->current && !m->current->announced)
        announce(m, now);
    if (m->reload_wanted && m->current && !m->next)
        reload(m);
    if (m->current)
        tend_tickets(m, now, &due);
    LIST_EACH(&m->generations, node)
    {
        struct generation *g = CONTAINER_OF(node, struct generation, node);
        bool draining = g->state.state == GENERATION_DRAINING;
        if (draining && generation_alive(g) == 0) {
            const unsigned number = g->number;
            list_remove(node);
            generation_free(g);
            LOG_INFO("generation ended generation=%u", number);
            continue;
        }
        if (draining && g->deadline_ms <= now) {
            LOG_WARN("generation killed after its drain deadline generation=%u workers=%u", g->number,
                     generation_alive(g));
            generation_signal(g, SIGKILL);
            g->deadline_ms = now + RETRY_MS;
        }
        if (g == m->current) {
            tend_slots(m, g, now, &due);
            generation_cover(g);
        }
        if (g != m->current || !g->announced)
            earlier(&due, g->deadline_ms);
    }
    return due;
}

static void wait_for_events(struct master *m, uint64_t due, uint64_t now)
{
    struct pollfd fds[POLL_MAX] = {{.fd = m->signal_fd, .events = POLLIN}};
    struct worker_slot *slots[POLL_MAX];
    nfds_t n = 1;
    LIST_EACH(&m->generations, node)
    {
        struct generation *g = CONTAINER_OF(node, struct generation, node);
        for (unsigned i = 0; i < g->n_slots && n < POLL_MAX; i++) {
            if (g->slots[i].ready_fd < 0)
                continue;
            slots[n] = &g->slots[i];
            fds[n++] = (struct pollfd){.fd = g->slots[i].ready_fd, .events = POLLIN};
        }
    }
    int timeout = due == UINT64_MAX ? -1 : due <= now ? 0 : (int)MIN(due - now, UINT64_C(3600000));
    if (poll(fds, n, timeout) <= 0)
        return;
    for (nfds_t i = 1; i < n; i++)
        if (fds[i].revents)
            generation_read_ready(slots[i]);
    if (m->next && m->next->state.state == GENERATION_STARTING && generation_ready(m->next))
        switch_to_next(m);
    if (fds[0].revents)
        on_signals(m);
}

static bool open_master(struct master *m, const struct config *cfg)
{
    sigset_t mine;
    (void)signal(SIGPIPE, SIG_IGN);
    /* They mean nothing here, and would kill. */
    (void)signal(SIGUSR1, SIG_IGN);
    (void)signal(SIGUSR2, SIG_IGN);
    (void)sigemptyset(&mine);
    (void)sigaddset(&mine, SIGCHLD);
    (void)sigaddset(&mine, SIGHUP);
    (void)sigaddset(&mine, SIGINT);
    (void)sigaddset(&mine, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &mine, &m->forker.mask) != 0)
        return false;
    m->signal_fd = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
    tls_tickets_make(&m->forker.tickets);
    m->tickets_ms = clock_mono_ms();
    m->columns.n = MIN(MAX(cfg->workers * 4, 16U), (unsigned)COLUMNS_MAX);
    m->forker.door = door_create(m->columns.n, MAX(cfg->limits.max_sessions, DOOR_ROOM));
    m->forker.metrics = metrics_create(m->columns.n + 1);
    if (m->signal_fd < 0 || !m->forker.door || !m->forker.metrics)
        return false;
    metrics_attach(m->forker.metrics, m->columns.n, 0);
    return true;
}

static void close_master(struct master *m)
{
    if (m->signal_fd >= 0)
        (void)close(m->signal_fd);
    door_destroy(m->forker.door);
    metrics_destroy(m->forker.metrics);
}

int master_run(const char *config_file)
{
    struct master m = {.file = config_file, .signal_fd = -1};
    m.forker = (struct forker){.forget = forget, .master = &m};
    list_init(&m.generations);
    log_set_role("master");
    log_unblock();
    process_raise_files();
    struct config *cfg = load(&m);
    if (!cfg) {
        log_finish();
        return 1;
    }
    if (open_master(&m, cfg)) {
        begin_generation(&m, cfg);
        for (;;) {
            uint64_t now = clock_mono_ms();
            uint64_t due = tend(&m, now);
            if (list_empty(&m.generations))
                break;
            wait_for_events(&m, due, now);
        }
    } else {
        LOG_ERROR("cannot start reason=%s", strerror(errno));
        config_free(cfg);
        m.status = 1;
    }
    close_master(&m);
    LOG_INFO("stopped status=%d", m.status);
    log_finish();
    return m.status;
}

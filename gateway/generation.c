#include "gateway/generation.h"
#include "common/log.h"
#include "gateway/control.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPORT_MAX = 64 * 1024 };

/* Milliseconds. */
enum {
    CHECK_MAX = 15000,
    START_MAX = 30000,
    DRAIN_GRACE = 3000,  /* for a worker to close after its drain deadline */
    YOUNG = 10000,       /* a worker that lived for less died young */
    ANNOUNCE_MAX = 5000, /* for the workers of the former generation to stop accepting */
    BACK_OFF_FIRST = 100,
    BACK_OFF_MAX = 10000,
};

static const char *const state_names[] = {"checking", "starting", "serving", "draining"};
static const uint32_t allowed[] = {
    [GENERATION_CHECKING] = FSM_TO(GENERATION_STARTING) | FSM_TO(GENERATION_DRAINING),
    [GENERATION_STARTING] = FSM_TO(GENERATION_SERVING) | FSM_TO(GENERATION_DRAINING),
    [GENERATION_SERVING] = FSM_TO(GENERATION_DRAINING),
    [GENERATION_DRAINING] = 0,
};
static const struct fsm_def generation_fsm = {
    .name = "generation", .state_names = state_names, .allowed = allowed, .n_states = ARRAY_LEN(state_names)};

struct generation *generation_new(unsigned number, struct config *cfg)
{
    struct generation *g = calloc(1, sizeof(*g));
    struct worker_slot *slots = calloc(cfg->workers, sizeof(*slots));
    if (!g || !slots) {
        free(g);
        free(slots);
        config_free(cfg);
        return NULL;
    }
    list_init(&g->node);
    fsm_init(&g->state, &generation_fsm, GENERATION_CHECKING);
    g->number = number;
    g->cfg = cfg;
    g->slots = slots;
    g->n_slots = cfg->workers;
    g->report_fd = -1;
    for (unsigned i = 0; i < g->n_slots; i++)
        slots[i].ready_fd = slots[i].control_fd = slots[i].covered_by = -1;
    return g;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void generation_free(struct generation *g)
{
    if (!g)
        return;
    close_fd(&g->report_fd);
    socket_set_close(&g->sockets);
    config_free(g->cfg);
    free(g->slots);
    free(g);
}

void generation_forget(struct generation *g, const struct config *keep)
{
    socket_set_forget(&g->sockets);
    if (g->cfg != keep)
        config_free(g->cfg);
    free(g->slots);
    free(g);
}

enum err generation_check(struct generation *g, const struct forker *f, uint64_t now)
{
    pid_t pid = child_checker(f, g->cfg, &g->report_fd);
    if (pid < 0)
        return ERR_IO;
    g->checker = pid;
    g->deadline_ms = now + CHECK_MAX;
    return ERR_OK;
}

enum err generation_spawn(struct generation *g, unsigned slot, const struct forker *f, struct columns *c,
                          uint64_t now)
{
    struct worker_slot *s = &g->slots[slot];
    unsigned column = 0;
    while (column < c->n && c->used[column])
        column++;
    if (column == c->n)
        return ERR_LIMIT;
    const struct worker_place place = {
        .cfg = g->cfg, .sockets = &g->sockets, .slot = slot, .column = column, .generation = g->number};
    pid_t pid = child_worker(f, &place, &s->ready_fd, &s->control_fd);
    if (pid < 0) {
        LOG_ERROR("cannot fork slot=%u generation=%u reason=%s", slot, g->number, strerror(errno));
        return ERR_IO;
    }
    c->used[column] = true;
    s->pid = pid;
    s->column = column;
    s->ready = false;
    s->started_ms = now;
    LOG_INFO("worker started slot=%u generation=%u pid=%d", slot, g->number, (int)pid);
    return ERR_OK;
}

void generation_take_report(struct generation *g)
{
    char text[4096];
    struct buf report;
    buf_init(&report, REPORT_MAX);
    for (ssize_t n; (n = read(g->report_fd, text, sizeof(text))) > 0;)
        (void)buf_append(&report, text, (size_t)n);
    report_log(buf_bytes(&report));
    buf_free(&report);
    close_fd(&g->report_fd);
}

enum err generation_start(struct generation *g, const struct forker *f, struct columns *c,
                          const struct socket_set *former, uint64_t now)
{
    enum err e = socket_set_open(g->cfg, former, &g->sockets);
    if (e)
        return e;
    fsm_move(&g->state, GENERATION_STARTING);
    g->deadline_ms = now + START_MAX;
    for (unsigned i = 0; i < g->n_slots && e == ERR_OK; i++)
        e = generation_spawn(g, i, f, c, now);
    return e;
}

void generation_tell(const struct generation *g, const struct control_message *m)
{
    for (unsigned i = 0; i < g->n_slots; i++)
        if (g->slots[i].control_fd >= 0 && control_send(g->slots[i].control_fd, m) != ERR_OK)
            LOG_WARN("worker was not told slot=%u generation=%u", i, g->number);
}

static int find_helper(const struct generation *g)
{
    for (unsigned i = 0; i < g->n_slots; i++)
        if (g->slots[i].ready)
            return (int)i;
    return -1;
}

static void cover(struct generation *g, unsigned slot, int helper)
{
    struct control_message m = {.verb = CONTROL_COVER, .slot = slot, .n_fds = g->sockets.n};
    if (helper < 0 || m.n_fds > CONTROL_FDS_MAX)
        return;
    socket_set_fds(&g->sockets, slot, m.fds);
    if (control_send(g->slots[helper].control_fd, &m) != ERR_OK)
        return;
    g->slots[slot].covered_by = helper;
    LOG_INFO("worker covers another slot=%d generation=%u other=%u", helper, g->number, slot);
}

static void uncover(struct generation *g, unsigned slot)
{
    const struct control_message m = {.verb = CONTROL_UNCOVER, .slot = slot};
    /* Not heard: it goes on, beside the slot's own, which harms nobody. */
    if (control_send(g->slots[g->slots[slot].covered_by].control_fd, &m) != ERR_OK)
        LOG_WARN("worker was not told slot=%d generation=%u", g->slots[slot].covered_by, g->number);
    g->slots[slot].covered_by = -1;
}

void generation_cover(struct generation *g)
{
    for (unsigned i = 0; i < g->n_slots; i++) {
        struct worker_slot *s = &g->slots[i];
        if (!s->ready && s->covered_by < 0)
            cover(g, i, find_helper(g));
        else if (s->ready && s->covered_by >= 0)
            uncover(g, i);
    }
}

void generation_read_ready(struct worker_slot *s)
{
    char byte;
    ssize_t n = read(s->ready_fd, &byte, 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n == 1)
        s->ready = true;
    else
        close_fd(&s->ready_fd);
}

bool generation_ready(const struct generation *g)
{
    for (unsigned i = 0; i < g->n_slots; i++)
        if (!g->slots[i].ready)
            return false;
    return true;
}

bool generation_accepts(const struct generation *g)
{
    for (unsigned i = 0; i < g->n_slots; i++)
        if (g->slots[i].ready_fd >= 0)
            return true;
    return false;
}

void generation_serve(struct generation *g, uint64_t now)
{
    fsm_move(&g->state, GENERATION_SERVING);
    g->deadline_ms = now + ANNOUNCE_MAX;
}

void generation_drain(struct generation *g, uint64_t now)
{
    fsm_move(&g->state, GENERATION_DRAINING);
    g->deadline_ms = now + g->cfg->timeouts.drain + DRAIN_GRACE;
    LOG_INFO("generation draining generation=%u workers=%u", g->number, generation_alive(g));
    generation_signal(g, SIGTERM);
    socket_set_close(&g->sockets);
}

void generation_signal(const struct generation *g, int signum)
{
    if (g->checker > 0)
        (void)kill(g->checker, signum);
    for (unsigned i = 0; i < g->n_slots; i++)
        if (g->slots[i].pid > 0)
            (void)kill(g->slots[i].pid, signum);
}

unsigned generation_alive(const struct generation *g)
{
    unsigned n = g->checker > 0;
    for (unsigned i = 0; i < g->n_slots; i++)
        n += g->slots[i].pid > 0;
    return n;
}

struct worker_slot *generation_find(struct generation *g, pid_t pid)
{
    for (unsigned i = 0; i < g->n_slots; i++)
        if (g->slots[i].pid == pid)
            return &g->slots[i];
    return NULL;
}

/* At once the first time, then later and later while it keeps dying young. */
static uint64_t back_off(struct worker_slot *s, uint64_t now)
{
    if (now - s->started_ms >= YOUNG)
        s->young_deaths = 0;
    unsigned deaths = s->young_deaths++;
    if (deaths == 0)
        return 0;
    return deaths > 7 ? (uint64_t)BACK_OFF_MAX : (uint64_t)BACK_OFF_FIRST << (deaths - 1);
}

void generation_worker_died(struct generation *g, struct worker_slot *s, int status, const struct forker *f,
                            struct columns *c, uint64_t now)
{
    unsigned slot = (unsigned)(s - g->slots);
    bool serving = g->state.state == GENERATION_SERVING;
    uint64_t wait = serving ? back_off(s, now) : 0;
    if (WIFSIGNALED(status))
        LOG_WARN("worker died slot=%u generation=%u pid=%d signal=%d respawn_ms=%llu", slot, g->number,
                 (int)s->pid, WTERMSIG(status), (unsigned long long)wait);
    else if (serving || WEXITSTATUS(status) != 0)
        LOG_WARN("worker died slot=%u generation=%u pid=%d status=%d respawn_ms=%llu", slot, g->number,
                 (int)s->pid, WEXITSTATUS(status), (unsigned long long)wait);
    else
        LOG_INFO("worker ended slot=%u generation=%u pid=%d", slot, g->number, (int)s->pid);
    close_fd(&s->ready_fd);
    close_fd(&s->control_fd);
    for (unsigned i = 0; i < g->n_slots; i++)
        if (g->slots[i].covered_by == (int)slot)
            g->slots[i].covered_by = -1;
    door_reclaim(f->door, s->column);
    metrics_slot_ended(f->metrics, s->column);
    c->used[s->column] = false;
    s->pid = 0;
    s->ready = false;
    s->respawn_ms = now + wait;
}

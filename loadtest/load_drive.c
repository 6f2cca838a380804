#include "loadtest/load.h"
#include <math.h>
#include <unistd.h>

enum { CONNECTING_MAX = 64, TICK_MS = 250, FAILED_WAIT_MS = 100, BACKLOG_MAX = 1 << 20 };

double load_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (double)(*state >> 11) / 9007199254740992.0;
}

static bool open_loop(const struct load *l)
{
    return l->o.rate > 0 && l->phase == PHASE_RUN;
}

static void sample(struct load *l, bool with_pss, struct proc_sample *ret)
{
    if (!l->o.server_pid)
        return;
    if (proc_sample(&l->server, with_pss, ret) == ERR_OK) {
        l->last_good = *ret;
    } else {
        *ret = l->last_good;
        load_error(l, "server:gone");
    }
}

static void grow_peak(struct load *l, const struct proc_sample *s)
{
    l->peak.processes = s->processes;
    l->peak.rss_kb = MAX(l->peak.rss_kb, s->rss_kb);
    l->peak.rss_max_kb = MAX(l->peak.rss_max_kb, s->rss_max_kb);
    l->peak.pss_kb = MAX(l->peak.pss_kb, s->pss_kb);
}

static void set_mark(struct load *l, struct mark *m)
{
    if (m->set)
        return;
    sample(l, true, &m->server);
    grow_peak(l, &m->server);
    m->tokens = l->stats.tokens;
    m->answers = l->stats.ok + l->stats.left;
    m->at = l->now;
    m->set = true;
}

static void find_server(struct load *l)
{
    if (l->o.server_pid)
        proc_tree_find(&l->server, (pid_t)l->o.server_pid);
}

/* When requests stop: all are answered, or time is up. */
static void finish(struct load *l)
{
    l->stop_starting = true;
    set_mark(l, &l->end);
    if (proc_sample(&l->self, false, &l->self_end) != ERR_OK)
        l->self_end = l->self_start;
    if (l->counting) {
        l->syscalls = syscall_counter_read(&l->counter);
        syscall_counter_stop(&l->counter);
    }
    l->phase = PHASE_OVER;
    for (uint64_t i = 0; i < l->o.sessions * l->o.lanes; i++)
        if (l->lanes[i].running) {
            l->stats.failed++;
            load_error(l, "unfinished");
        }
}

static void start_if_allowed(struct lane *n, uint64_t intended)
{
    struct load *l = n->session->load;
    if (l->quota == 0 || l->stop_starting)
        return;
    l->quota--;
    lane_start(n, intended);
}

static void start_or_rest(struct lane *n)
{
    struct load *l = n->session->load;
    if (!open_loop(l)) {
        start_if_allowed(n, l->now);
    } else if (l->backlog_len) {
        uint64_t intended = l->backlog[l->backlog_head];
        l->backlog_head = (l->backlog_head + 1) % BACKLOG_MAX;
        l->backlog_len--;
        start_if_allowed(n, intended);
    } else {
        list_append(&l->idle_lanes, &n->idle_node);
    }
}

static void on_lane_timer(struct tick_timer *t)
{
    struct lane *n = CONTAINER_OF(t, struct lane, timer);
    if (!n->running && !list_linked(&n->idle_node))
        start_or_rest(n);
}

static void begin_run(struct load *l)
{
    uint64_t lanes = l->o.sessions * l->o.lanes;
    struct hist connect = l->stats.connect;
    uint64_t connects = l->stats.connects;
    memset(&l->stats, 0, sizeof(l->stats)); /* what the warm-up said is over */
    l->stats.connect = connect;
    l->stats.connects = connects;
    find_server(l);
    if (!l->o.steady)
        set_mark(l, &l->begin);
    if (proc_sample(&l->self, false, &l->self_start) != ERR_OK)
        l->self_start = (struct proc_sample){0};
    l->counting =
        l->o.syscalls && l->o.server_pid && syscall_counter_start(&l->counter, &l->server) == ERR_OK;
    if (l->o.syscalls && !l->counting)
        (void)fputs("system calls are not counted: is tracefs mounted (mount -t tracefs tracefs "
                    "/sys/kernel/tracing), and "
                    "kernel.perf_event_paranoid low enough?\n",
                    stderr);
    l->now = now_ns();
    l->phase = PHASE_RUN;
    l->run_start = l->last_end = l->now;
    l->run_end = l->o.duration_ms ? l->now + l->o.duration_ms * 1000000 : UINT64_MAX;
    l->quota = l->o.requests ? l->o.requests : UINT64_MAX;
    l->next_arrival = (double)l->now;
    for (uint64_t i = 0; i < lanes; i++) {
        if (l->o.rate > 0)
            list_append(&l->idle_lanes, &l->lanes[i].idle_node);
        else if (l->o.ramp_ms)
            ticks_arm(&l->ticks, &l->lanes[i].timer, l->ticks.now_ms + l->o.ramp_ms * i / lanes);
        else
            start_if_allowed(&l->lanes[i], l->now);
    }
}

static void begin_warmup(struct load *l)
{
    find_server(l);
    sample(l, true, &l->at_connected);
    l->quota = l->o.warmup;
    if (l->quota == 0 || l->o.idle) {
        begin_run(l);
        return;
    }
    l->phase = PHASE_WARMUP;
    for (uint64_t i = 0; i < l->o.sessions * l->o.lanes; i++)
        start_if_allowed(&l->lanes[i], l->now);
}

/* The sessions of a step have been held for a while: how big is the server now? */
static void on_hold_over(struct tick_timer *t)
{
    struct load *l = CONTAINER_OF(t, struct load, hold);
    struct step *step = &l->steps[l->n_steps++];
    find_server(l);
    step->sessions = l->ready;
    sample(l, true, &step->server);
    grow_peak(l, &step->server);
    if (l->n_steps < l->o.steps) {
        l->open_goal = l->o.sessions * (l->n_steps + 1) / l->o.steps;
        l->hold.due_ms = 0;
        return;
    }
    if (l->o.duration_ms && !l->stop_starting) {
        l->n_steps--; /* held on: the last step is measured again at the end */
        if (!l->o.quiet)
            (void)fprintf(stderr, "holding sessions=%lu\n", (unsigned long)l->ready);
        ticks_arm(&l->ticks, &l->hold, l->ticks.now_ms + l->o.duration_ms);
        l->o.duration_ms = 0;
        return;
    }
    l->last_end = l->now;
    finish(l);
}

static void connect_more(struct load *l)
{
    while (l->opened < l->open_goal && l->connecting < CONNECTING_MAX)
        session_connect(&l->sessions[l->opened++]);
    if (l->settled < l->open_goal || list_linked(&l->hold.node_))
        return;
    if (!l->o.idle) {
        begin_warmup(l);
        return;
    }
    if (l->hold.due_ms == 0) { /* each step is held once */
        l->begin.set = false;
        set_mark(l, &l->begin);
        l->run_start = l->now;
        ticks_arm(&l->ticks, &l->hold, l->ticks.now_ms + l->o.hold_ms);
    }
}

void drive_settled(struct session *s)
{
    struct load *l = s->load;
    l->connecting--;
    if (l->phase != PHASE_CONNECT)
        return;
    if (s->state == SESSION_READY)
        l->ready++;
    if (s->state == SESSION_READY && l->o.idle && l->o.touch)
        lane_start(&s->lanes[0], l->now); /* settled when it is answered */
    else
        l->settled++;
}

void drive_lane_over(struct lane *n, bool ok)
{
    struct load *l = n->session->load;
    if (l->phase == PHASE_OVER)
        return;
    if (l->phase == PHASE_CONNECT) {
        l->settled++;
        return;
    }
    if (l->o.churn && n->session->running == 0)
        session_close(n->session);
    if (!ok)
        ticks_arm(&l->ticks, &n->timer, l->ticks.now_ms + FAILED_WAIT_MS);
    else if (l->o.think_ms && !open_loop(l))
        ticks_arm(&l->ticks, &n->timer, l->ticks.now_ms + l->o.think_ms);
    else
        start_or_rest(n);
}

static void arrive(struct load *l)
{
    while (!l->stop_starting && !l->no_arrivals && l->quota > l->backlog_len &&
           (double)l->now >= l->next_arrival) {
        uint64_t intended = (uint64_t)l->next_arrival;
        double spread = l->o.poisson ? -log(1 - load_random(&l->arrival_random)) : 1;
        l->next_arrival += 1e9 / l->o.rate * spread;
        if (!list_empty(&l->idle_lanes)) {
            struct lane *n = LIST_FIRST(&l->idle_lanes, struct lane, idle_node);
            list_remove(&n->idle_node);
            start_if_allowed(n, intended);
        } else if (l->backlog_len < BACKLOG_MAX) {
            l->backlog[(l->backlog_head + l->backlog_len++) % BACKLOG_MAX] = intended;
        } else {
            load_error(l, "arrival:backlog_full");
        }
    }
}

static void on_tick(struct tick_timer *t)
{
    struct load *l = CONTAINER_OF(t, struct load, tick);
    struct proc_sample s = {0};
    ticks_arm(&l->ticks, t, l->ticks.now_ms + TICK_MS);
    if (l->phase == PHASE_RUN) {
        sample(l, l->now / 1000000 % 1000 < TICK_MS, &s); /* PSS costs: once a second */
        grow_peak(l, &s);
    }
    report_progress(l);
}

/* The end of the ramp, with --steady. */
static uint64_t steady_from(const struct load *l)
{
    return l->run_start + l->o.ramp_ms * 1000000;
}

/* Something is waited for, and nothing has come for so long that nothing will. While a --duration runs, that
 * is the user's own affair. */
static bool hopeless(const struct load *l)
{
    const uint64_t patience = l->o.drain_ms * 1000000;
    bool limited = l->stop_starting || l->no_arrivals || l->phase != PHASE_RUN || !l->o.duration_ms;
    bool waits = (l->running > 0 || l->phase == PHASE_CONNECT) && !list_linked(&l->hold.node_);
    if (l->interrupted > 1 || (l->run_end != UINT64_MAX && l->run_end && l->now > l->run_end + patience))
        return true;
    return limited && waits && l->now > l->last_news + patience;
}

static void turn_run(struct load *l)
{
    if (open_loop(l))
        arrive(l);
    if (l->o.steady && l->now >= steady_from(l))
        set_mark(l, &l->begin);
    if (l->now >= l->run_end && !l->stop_starting) {
        if (l->o.steady)
            set_mark(l, &l->end);
        l->no_arrivals = true; /* those that wait for a connection are still served */
        l->stop_starting = l->backlog_len == 0;
    }
    if (l->running == 0 && (l->stop_starting || l->quota == 0))
        finish(l);
}

void drive_turn(struct load *l)
{
    l->now = now_ns();
    if (l->interrupted)
        l->stop_starting = true;
    if (hopeless(l)) {
        for (; l->backlog_len; l->backlog_len--)
            load_error(l, "arrival:never_started");
        if (l->phase != PHASE_RUN)
            load_error(l, "unfinished");
        finish(l);
    } else if (l->phase == PHASE_CONNECT) {
        if (l->interrupted)
            finish(l);
        else
            connect_more(l);
    } else if (l->phase == PHASE_WARMUP) {
        if (l->running == 0 && (l->quota == 0 || l->stop_starting))
            begin_run(l);
    } else if (l->phase == PHASE_RUN) {
        turn_run(l);
    }
}

uint64_t drive_next(struct load *l)
{
    uint64_t next = ticks_next_ms(&l->ticks);
    next = next == UINT64_MAX ? next : next * 1000000;
    if (open_loop(l) && !l->stop_starting && !l->no_arrivals && l->quota > l->backlog_len)
        next = MIN(next, (uint64_t)l->next_arrival);
    if (l->phase == PHASE_RUN && !l->stop_starting && !l->no_arrivals)
        next = MIN(next, l->run_end);
    if (l->phase == PHASE_RUN && l->o.steady && !l->begin.set)
        next = MIN(next, steady_from(l));
    return next;
}

void drive_start(struct load *l)
{
    for (uint64_t i = 0; i < l->o.sessions * l->o.lanes; i++) {
        tick_timer_init(&l->lanes[i].timer, on_lane_timer);
        list_init(&l->lanes[i].idle_node);
    }
    list_init(&l->idle_lanes);
    tick_timer_init(&l->tick, on_tick);
    tick_timer_init(&l->hold, on_hold_over);
    l->open_goal = l->o.churn ? 0 : l->o.idle ? l->o.sessions / l->o.steps : l->o.sessions;
    l->self = (struct proc_tree){.pids = {getpid()}, .n = 1};
    l->phase = PHASE_CONNECT;
    l->now = l->last_news = l->last_progress = now_ns();
    find_server(l);
    sample(l, true, &l->at_first);
    ticks_arm(&l->ticks, &l->tick, l->ticks.now_ms + TICK_MS);
}

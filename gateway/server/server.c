#include "gateway/server/server.h"
#include "common/log.h"
#include "gateway/server/conn.h"
#include "gateway/server/endpoint.h"
#include <stdlib.h>
#include <sys/resource.h>

size_t server_out_max(const struct config *cfg)
{
    /* An answer's text, or an echoed request, in which every byte had to be escaped; twice, as a terminal
     * event repeats it. */
    const size_t worst = 12, rest = (size_t)1 << 20;
    return (size_t)(cfg->limits.max_response_bytes + cfg->limits.max_message_bytes) * worst + rest;
}

void server_take_down(uv_timer_t *t)
{
    struct server *s = t->data;
    if (!phase_enter(&s->o.loop->phase, PHASE_CLOSED))
        return;
    LIST_EACH(&s->conns, node)
    {
        struct conn *c = CONTAINER_OF(node, struct conn, all_);
        list_remove(&c->fate_);
        if (c->link)
            c->ops->kill(c->link);
    }
    server_reap(s);
    accept_close(s);
    uv_close((uv_handle_t *)&s->last, NULL);
    link_tls_close(s);
}

static void init_handles(struct server *s)
{
    uv_timer_init(&s->o.loop->uv, &s->last);
    s->last.data = s;
}

uint64_t server_room(const struct config *cfg)
{
    /* Besides sockets: the loop's own, the log, what libraries open for a moment; and a crowd that is told
     * why it is refused. */
    const uint64_t others = 32, least = 1;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return UINT64_MAX;
    uint64_t kept = cfg->limits.reserved_descriptors;
    if (kept == 0)
        kept = MIN((uint64_t)limit.rlim_cur / 4, UINT64_C(4096));
    kept += others + cfg->n_listen;
    return limit.rlim_cur > kept + least ? limit.rlim_cur - kept : least;
}

static struct server *alloc_server(const struct server_opts *o)
{
    struct server *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->o = *o;
    s->cfg = o->cfg;
    s->n_listeners = o->cfg->n_listen;
    s->room = server_room(o->cfg);
    s->listeners = calloc(s->n_listeners, sizeof(*s->listeners));
    s->input = malloc(RECEIVE_BUFFER);
    if (!s->listeners || !s->input) {
        free(s->listeners);
        free(s->input);
        free(s);
        return NULL;
    }
    for (size_t i = 0; i < s->n_listeners; i++) {
        s->listeners[i].server = s;
        s->listeners[i].cfg = &o->cfg->listen[i];
        s->listeners[i].fd = o->listen_fds[i];
        s->listeners[i].endpoints = o->cfg->listen[i].admin ? admin_endpoints : client_endpoints;
        s->listeners[i].ops = o->cfg->listen[i].tls ? &link_tls : &link_plain;
    }
    list_init(&s->acceptors);
    list_init(&s->prefaces);
    list_init(&s->conns);
    list_init(&s->dirty);
    list_init(&s->doomed);
    list_init(&s->gone);
    wheel_timer_init(&s->accept_pause, NULL);
    buf_init(&s->out, server_out_max(o->cfg));
    s->date_s = INT64_MIN;
    return s;
}

static void free_all(struct server *s)
{
    for (size_t i = 0; i < s->n_listeners; i++)
        tls_close_names(s->listeners[i].names);
    buf_free(&s->out);
    free(s->listeners);
    free(s->input);
    free(s);
}

/* The library takes itself down in steps, with turns of the loop between them; without the last of them, what
 * it has still open would call into code that is no longer there. */
static void destroy_context(struct server *s, uv_run_mode mode)
{
    enum { STEPS = 4, TURNS = 8 };
    for (int i = 0; i < STEPS && s->context; i++) {
        link_tls_close(s);
        for (int k = 0; k < TURNS; k++)
            uv_run(&s->o.loop->uv, mode);
    }
}

struct server *server_new(const struct server_opts *o)
{
    struct buf report;
    buf_init(&report, 4096);
    if (server_check_tls(o->cfg, &report) != ERR_OK) {
        LOG_ERROR("server tls=%.*s", BYTES_FMT(buf_bytes(&report)));
        buf_free(&report);
        return NULL;
    }
    buf_free(&report);
    struct server *s = alloc_server(o);
    if (!s)
        return NULL;
    if (accept_open(s) != ERR_OK || link_tls_open(s) != ERR_OK) {
        LOG_ERROR("server libwebsockets or its sockets do not start");
        accept_close(s);
        uv_run(&s->o.loop->uv, UV_RUN_NOWAIT);
        destroy_context(s, UV_RUN_NOWAIT);
        free_all(s);
        return NULL;
    }
    init_handles(s);
    return s;
}

void server_drain(struct server *s, uint64_t deadline_ms)
{
    s->drain_ms = deadline_ms;
    s->drain_since_ms = server_now(s);
    accept_stop(s);
    LIST_EACH(&s->conns, node)
    conn_drain(CONTAINER_OF(node, struct conn, all_));
}

size_t server_sessions(const struct server *s)
{
    return s->n_sessions;
}

size_t server_connections(const struct server *s)
{
    return s->n_conns;
}

void server_close(struct server *s)
{
    accept_stop(s);
    server_reap(s);
    LIST_EACH(&s->conns, node)
    conn_shut(CONTAINER_OF(node, struct conn, all_));
    uv_timer_start(&s->last, server_take_down, s->n_conns == 0 ? 0 : LAST_MS, 0);
}

void server_free(struct server *s)
{
    if (!s)
        return;
    destroy_context(s, UV_RUN_DEFAULT);
    server_reap(s);
    free_all(s);
}

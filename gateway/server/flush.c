/* What happens once a loop turn, between the timers and the wait for sockets. */
#include "gateway/server/ws_conn.h"

void server_reap(struct server *s)
{
    while (!list_empty(&s->gone)) {
        struct conn *c = LIST_FIRST(&s->gone, struct conn, fate_);
        list_remove(&c->fate_);
        conn_free(c);
    }
}

static void flush_dirty(struct server *s)
{
    struct list now;
    s->n_marked = 0;
    list_init(&now);
    list_splice(&now, &s->dirty);
    while (!list_empty(&now)) {
        struct conn *c = LIST_FIRST(&now, struct conn, dirty_);
        list_remove(&c->dirty_);
        if (!list_empty(&now)) {
            const struct ws_conn *next = LIST_FIRST(&now, struct conn, dirty_)->ws;
            if (next)
                __builtin_prefetch(next->session);
        }
        conn_flush(c);
    }
    if (s->out.cap > OUT_KEEP)
        buf_free(&s->out);
}

/* A token waits for seven others, not for a hundred. */
void server_flush_crowd(struct server *s)
{
    if (s->n_marked >= FLUSH_CROWD && server_phase(s) != PHASE_CLOSED)
        flush_dirty(s);
}

static void kill_doomed(struct server *s)
{
    while (!list_empty(&s->doomed)) {
        struct conn *c = LIST_FIRST(&s->doomed, struct conn, fate_);
        list_remove(&c->fate_);
        c->ops->kill(c->link);
    }
}

void server_flush(struct server *s)
{
    if (server_phase(s) == PHASE_CLOSED)
        return;
    flush_dirty(s);
    kill_doomed(s);
    if (!list_empty(&s->dirty) || !list_empty(&s->gone))
        loop_again(s->o.loop);
    if (server_phase(s) == PHASE_CLOSING && s->n_conns == 0)
        uv_timer_start(&s->last, server_take_down, 0, 0);
}

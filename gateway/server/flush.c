/* What happens once a loop turn, between the timers and the wait for sockets. */
#include "gateway/server/ws_conn.h"

void flush_reap(struct server *s)
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
    if (s->n_marked >= FLUSH_CROWD && s->phase != SERVER_CLOSED)
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

static void run_again(uv_idle_t *h UNUSED)
{
    /* That it runs keeps the loop from waiting. */
}

void flush_turn(struct server *s)
{
    /* First, so that transfers whose clients have left are closed by this very tick. */
    flush_reap(s);
    s->timer_armed = false;
    if (s->o.before_flush)
        s->o.before_flush(s->o.ctx);
    s->timer_armed = false;
    if (s->phase == SERVER_CLOSED)
        return;
    flush_dirty(s);
    kill_doomed(s);
    if (!list_empty(&s->dirty) || !list_empty(&s->gone) || s->timer_armed)
        uv_idle_start(&s->again, run_again);
    else
        uv_idle_stop(&s->again);
}

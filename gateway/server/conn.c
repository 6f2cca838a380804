#include "gateway/server/conn.h"
#include "common/log.h"
#include "gateway/server/http_conn.h"
#include "gateway/server/ws_conn.h"
#include <stdlib.h>

static const char *const state_names[] = {"idle", "request", "answer", "open", "closing", "linger", "dead"};

static const uint32_t allowed[] = {
    [CONN_IDLE] = FSM_TO(CONN_REQUEST) | FSM_TO(CONN_LINGER) | FSM_TO(CONN_DEAD),
    [CONN_REQUEST] = FSM_TO(CONN_ANSWER) | FSM_TO(CONN_OPEN) | FSM_TO(CONN_LINGER) | FSM_TO(CONN_DEAD),
    [CONN_ANSWER] = FSM_TO(CONN_IDLE) | FSM_TO(CONN_LINGER) | FSM_TO(CONN_DEAD),
    [CONN_OPEN] = FSM_TO(CONN_CLOSING) | FSM_TO(CONN_LINGER) | FSM_TO(CONN_DEAD),
    [CONN_CLOSING] = FSM_TO(CONN_LINGER) | FSM_TO(CONN_DEAD),
    [CONN_LINGER] = FSM_TO(CONN_DEAD),
    [CONN_DEAD] = 0,
};

const struct fsm_def conn_fsm = {"conn", state_names, allowed, ARRAY_LEN(allowed)};

static void on_timer(struct wheel_timer *t);

static void set_address(struct conn *c, struct bytes address)
{
    c->address_len = (uint8_t)address.len;
    if (address.len > 0)
        memcpy(c->address, address.data, address.len);
}

struct conn *conn_new(struct listener *l, struct bytes address, unsigned refusal, uint8_t held)
{
    struct server *s = l->server;
    struct conn *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    list_init(&c->all_);
    list_init(&c->dirty_);
    list_init(&c->fate_);
    wheel_timer_init(&c->timer_, on_timer);
    fsm_init(&c->fsm, &conn_fsm, CONN_IDLE);
    buf_init(&c->unsent_, s->out.max + HELD_MAX);
    c->fsm.ids = &c->ids;
    c->ids.conn = ++s->conn_number;
    c->server = s;
    c->listener = l;
    c->tls = l->cfg->tls;
    c->local = c->peer_local = l->cfg->loopback;
    c->secure = c->peer_secure = c->tls;
    c->ops = l->ops;
    c->since_ms = c->rx_ms = c->accepted_ms = server_now(s);
    c->refusal = (uint16_t)refusal;
    c->held = held;
    set_address(c, address);
    list_append(&s->conns, &c->all_);
    s->n_conns++;
    s->n_admin += l->cfg->admin;
    s->n_refused += refusal != 0;
    return c;
}

void conn_free(struct conn *c)
{
    http_conn_free(c->http);
    ws_conn_free(c->ws);
    buf_free(&c->unsent_);
    free(c);
}

static void leave(struct conn *c, uint8_t parts)
{
    const struct server_opts *o = &c->server->o;
    door_leave(o->door, o->door_slot, bytes_of(c->address, c->address_len), &c->held, parts);
}

void conn_told(struct conn *c, const struct address *client, bool tls)
{
    c->local = c->peer_local = c->listener->cfg->loopback && address_is_loopback(client);
    c->secure = c->peer_secure = c->tls || tls;
}

bool conn_readdress(struct conn *c, struct bytes address)
{
    const struct server_opts *o = &c->server->o;
    const uint8_t held = c->held & (DOOR_SESSION | DOOR_STRANGER);
    uint8_t now_held;
    const char *key;
    if (held == 0 || bytes_eq(address, bytes_of(c->address, c->address_len)))
        return true;
    leave(c, held);
    set_address(c, address);
    enum door_verdict verdict =
        door_enter(o->door, o->door_slot, address, false, server_now(c->server), &now_held, &key);
    c->held |= now_held;
    if (!(held & DOOR_STRANGER))
        leave(c, DOOR_STRANGER);
    if (verdict == DOOR_OPEN)
        return true;
    refusal_of_connection(c->server, address, key);
    c->refusal = verdict == DOOR_ADDRESS ? 429 : 503;
    c->server->n_refused++;
    return false;
}

void conn_secured(struct conn *c)
{
    leave(c, DOOR_HANDSHAKE);
}

void conn_known(struct conn *c)
{
    leave(c, DOOR_STRANGER);
}

void conn_mark(struct conn *c)
{
    if (conn_dead(c) || list_linked(&c->dirty_))
        return;
    list_append(&c->server->dirty, &c->dirty_);
    c->server->n_marked++;
    /* What its flush at the end of the turn will read. */
    __builtin_prefetch(c->ws);
    __builtin_prefetch(c->link);
}

void conn_move(struct conn *c, enum conn_state to)
{
    fsm_move(&c->fsm, to);
    c->since_ms = server_now(c->server);
    if (to != CONN_DEAD)
        conn_arm(c);
}

/* Until when something of it must have authenticated; UINT64_MAX: it has. Neither requests nor answers move
 * this. */
static uint64_t stranger_until(const struct conn *c)
{
    return c->held & DOOR_STRANGER ? c->accepted_ms + c->server->cfg->timeouts.unauthenticated : UINT64_MAX;
}

/* When the timer has something to do; UINT64_MAX: never. */
static uint64_t due(const struct conn *c)
{
    const struct config *cfg = c->server->cfg;
    uint64_t at = UINT64_MAX;
    /* While the last bytes wait for the socket, no deadline but theirs can do anything. */
    if (c->finishing_ && conn_state(c) != CONN_LINGER)
        return MIN(stranger_until(c), conn_blocked(c) ? c->progress_ms_ + cfg->timeouts.write : at);
    switch (conn_state(c)) {
    case CONN_IDLE:
        at = c->since_ms + (c->served ? cfg->timeouts.keep_alive : cfg->timeouts.handshake);
        break;
    case CONN_REQUEST:
        at = c->since_ms + cfg->timeouts.handshake;
        break;
    case CONN_ANSWER:
        at = http_due(c);
        break;
    case CONN_OPEN:
    case CONN_CLOSING:
        at = ws_due(c);
        break;
    case CONN_LINGER:
        at = c->since_ms + LINGER_MS;
        break;
    case CONN_DEAD:
        break;
    }
    if (conn_state(c) != CONN_LINGER)
        at = MIN(at, stranger_until(c));
    if (!c->served && conn_state(c) == CONN_IDLE && server_phase(c->server) != PHASE_SERVING)
        at = MIN(at, c->server->drain_since_ms + DRAIN_GRACE_MS);
    if (c->refusal != 0 && conn_state(c) < CONN_ANSWER)
        at = MIN(at, c->since_ms + LINGER_MS);
    if (conn_blocked(c))
        at = MIN(at, c->progress_ms_ + cfg->timeouts.write);
    return at;
}

/* Lazily: a timer that is armed for earlier than is needed now fires, finds nothing, and is armed again. A
 * message costs the wheel nothing. */
void conn_arm(struct conn *c)
{
    const uint64_t now = server_now(c->server);
    const uint64_t at = due(c);
    if (conn_dead(c) || at == UINT64_MAX || (wheel_armed(&c->timer_) && c->armed_ms_ <= at))
        return;
    c->armed_ms_ = at;
    loop_arm(c->server->o.loop, &c->timer_, at > now ? at - now : 0);
}

static void on_due(struct conn *c, uint64_t now)
{
    if (stranger_until(c) <= now && conn_state(c) > CONN_IDLE && conn_state(c) < CONN_LINGER) {
        LOG_DEBUG_OF(&c->ids, "conn closed reason=\"nothing authenticated\"");
        conn_doom(c);
        return;
    }
    if (conn_blocked(c) && now >= c->progress_ms_ + c->server->cfg->timeouts.write) {
        LOG_DEBUG_OF(&c->ids, "conn closed reason=\"the client does not read\"");
        c->ops->give_up(c->link);
        conn_doom(c);
        return;
    }
    switch (conn_state(c)) {
    case CONN_IDLE:
        if (c->served)
            conn_finish(c);
        else
            conn_doom(c);
        break;
    case CONN_REQUEST:
    case CONN_ANSWER:
        http_timer(c, now);
        break;
    case CONN_OPEN:
    case CONN_CLOSING:
        ws_timer(c, now);
        break;
    case CONN_LINGER:
    case CONN_DEAD:
        conn_doom(c);
        break;
    }
}

static void on_timer(struct wheel_timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer_);
    const uint64_t now = server_now(c->server);
    if (due(c) <= now)
        on_due(c, now);
    conn_arm(c);
}

/* Our half ends here, behind the last byte. */
static void shut_half(struct conn *c)
{
    c->ops->shutdown(c->link);
    conn_move(c, CONN_LINGER);
}

void conn_send(struct conn *c, struct bytes data)
{
    size_t written = 0;
    if (conn_dead(c) || conn_state(c) == CONN_LINGER || data.len == 0)
        return;
    if (!conn_blocked(c)) {
        if (c->ops->write(c->link, data, &written) != ERR_OK) {
            conn_doom(c);
            return;
        }
        if (written == data.len)
            return;
        c->progress_ms_ = server_now(c->server);
        c->ops->want_write(c->link);
    }
    if (buf_append_bytes(&c->unsent_, bytes_skip(data, written)) != ERR_OK)
        conn_doom(c);
    conn_arm(c);
}

void conn_writable(struct conn *c)
{
    size_t written = 0;
    if (!conn_blocked(c))
        return;
    if (c->ops->write(c->link, bytes_skip(buf_bytes(&c->unsent_), c->unsent_at_), &written) != ERR_OK) {
        conn_doom(c);
        return;
    }
    if (written > 0)
        c->progress_ms_ = server_now(c->server);
    c->unsent_at_ += written;
    if (c->unsent_at_ < c->unsent_.len) {
        c->ops->want_write(c->link);
        return;
    }
    buf_free(&c->unsent_);
    c->unsent_at_ = 0;
    if (c->finishing_) {
        shut_half(c);
        return;
    }
    conn_mark(c);
    conn_arm(c); /* pings and heartbeats count again */
}

void conn_finish(struct conn *c)
{
    if (conn_dead(c) || conn_state(c) == CONN_LINGER || c->finishing_)
        return;
    c->finishing_ = true;
    if (!conn_blocked(c))
        shut_half(c);
}

void conn_doom(struct conn *c)
{
    if (conn_dead(c))
        return;
    conn_move(c, CONN_DEAD);
    loop_cancel(c->server->o.loop, &c->timer_);
    list_remove(&c->dirty_);
    if (c->link)
        list_append(&c->server->doomed, &c->fate_);
}

void conn_closed(struct conn *c)
{
    struct server *s = c->server;
    if (c->closed_)
        return;
    c->closed_ = true;
    conn_doom(c);
    c->link = NULL;
    list_remove(&c->fate_);
    list_remove(&c->all_);
    list_append(&s->gone, &c->fate_);
    s->n_conns--;
    if (c->ws) {
        s->n_sessions--;
        ws_log_end(c);
    }
    s->n_admin -= c->listener->cfg->admin;
    if (c->refusal != 0)
        s->n_refused--;
    leave(c, DOOR_SESSION | DOOR_STRANGER | DOOR_HANDSHAKE);
}

void conn_input(struct conn *c, char *data, size_t len)
{
    c->rx_ms = server_now(c->server);
    if (c->finishing_ || conn_dead(c))
        return;
    if (conn_state(c) <= CONN_ANSWER)
        http_input(c, data, len);
    else
        ws_input(c, data, len);
}

void conn_flush(struct conn *c)
{
    if (conn_dead(c) || conn_blocked(c) || c->finishing_)
        return;
    if (conn_state(c) <= CONN_ANSWER)
        http_flush(c);
    else
        ws_flush(c);
}

void conn_drain(struct conn *c)
{
    if (conn_state(c) == CONN_IDLE && c->served)
        conn_finish(c);
    else if (conn_state(c) == CONN_OPEN)
        ws_drain(c);
    else
        conn_arm(c); /* for its request, that may be under way, there is DRAIN_GRACE_MS */
}

void conn_shut(struct conn *c)
{
    if (conn_state(c) == CONN_OPEN)
        ws_close_now(c, WS_RESTART, "restart");
    ws_abandon(c->ws);
    http_abandon(c->http);
    if (conn_state(c) < CONN_OPEN)
        conn_finish(c);
}

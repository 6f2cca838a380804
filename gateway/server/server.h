#pragma once
/* Sockets in, sessions and exchanges out. The only room that knows libwebsockets, which carries TLS, the
 * event loop's view of the sockets and the partial writes; HTTP/1.1 (RFC 9112) and WebSocket (RFC 6455)
 * framing are ours (see README.md here for why). */
#include "gateway/loop/loop.h"
#include "gateway/server/door.h"
#include "gateway/server/tickets.h"
#include "gateway/session/exchange.h"

struct server;

struct server_opts {
    struct loop *loop;
    const struct config *cfg;
    struct session_env *env;
    const int *listen_fds;       /* one for each cfg->listen, bound and listening, non-blocking; borrowed */
    struct tls_tickets *tickets; /* may change; NULL: each worker its own */
    struct door *door;           /* shared by all workers */
    unsigned door_slot;          /* this worker's column */
};

/* NULL with a logged reason (bad certificate, no memory). */
struct server *server_new(const struct server_opts *o);
/* Takes connections from another slot's sockets too, one for each cfg->listen; takes the descriptors over. */
void server_cover(struct server *s, unsigned slot, const int *fds);
/* No longer; what has come from there stays. */
void server_uncover(struct server *s, unsigned slot);
/* What a turn of the loop ends with. First: connections whose sockets have closed are freed, so that what
 * they asked for can be taken down in this very turn. */
void server_reap(struct server *s);
/* Last: writes what there is to be written, and closes what is to be closed. */
void server_flush(struct server *s);
/* PHASE_DRAINING has been entered: accept no more, tell every session (session.going_away), close idle ones;
 * answers in flight may finish. */
void server_drain(struct server *s, uint64_t deadline_ms);
/* Writes what is there to be written, if many connections have something: for between the events of one loop
 * turn. */
void server_flush_crowd(struct server *s);
/* Connections that a worker may have with the descriptors that the system allows it now, when those that
 * providers need are left to them. */
uint64_t server_room(const struct config *cfg);
/* Connections still open; WebSockets of these. */
size_t server_connections(const struct server *s);
size_t server_sessions(const struct server *s);
/* `see` each path that has requests for an answer, for the names of figures. */
void server_each_endpoint(void (*see)(void *ctx, const char *path), void *ctx);
/* PHASE_CLOSING has been entered: closes everything that is left (1012): every session and exchange is gone
 * when it returns; the sockets, and libwebsockets' context, go in the next turns, with PHASE_CLOSED at their
 * end: run the loop until it is empty, then server_free. */
void server_close(struct server *s);
void server_free(struct server *s);
/* Loads certificate and key as server_new would: for `sluice check` and before a reload. Problems go to
 * `report`. */
enum err server_check_tls(const struct config *cfg, struct buf *report) MUST_USE;

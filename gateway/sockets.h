#pragma once
/* The listening sockets, which the master opens and keeps: what waits in the queue of a socket survives the
 * death of the worker that was to take it. TCP: one socket with SO_REUSEPORT for each worker slot; Unix: one
 * for all. */
#include "gateway/config/config.h"

struct listen_socket;

/* One for each cfg->listen, in its order. Sets of successive generations share what has the same address. */
struct socket_set {
    struct listen_socket **items;
    size_t n;
};

/* Opens what `cfg` names; takes over from `former` (may be NULL) what is open already. ERR_IO with a logged
 * reason: *ret is untouched, and so is `former`. */
enum err socket_set_open(const struct config *cfg, const struct socket_set *former,
                         struct socket_set *ret) MUST_USE;
/* Closes the sockets of slots beyond `workers`, in all processes: a queue that nobody serves must not stand
 * open. */
void socket_set_trim(struct socket_set *s, unsigned workers);
/* Closes, in all processes, what no other set shares; Unix sockets lose their path. Harmless when empty. */
void socket_set_close(struct socket_set *s);
/* The same in a forked child: memory only. The descriptors are the child's to close; the paths are its
 * parent's. */
void socket_set_forget(struct socket_set *s);
/* The descriptors of a slot, one for each listener. */
void socket_set_fds(const struct socket_set *s, unsigned slot, int *ret_fds);
/* Logs where `s` listens, for those that were not logged yet. */
void socket_set_log(struct socket_set *s, const struct config *cfg);

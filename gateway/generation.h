#pragma once
/* A generation: one configuration and the workers that serve it. A reload makes a new one; the old one
 * drains. */
#include "common/fsm.h"
#include "common/list.h"
#include "gateway/children.h"
#include "gateway/control.h"

enum generation_state {
    GENERATION_CHECKING, /* a child looks at the certificates */
    GENERATION_STARTING, /* workers are on their way; not all have said that they serve */
    GENERATION_SERVING,  /* dead workers are replaced */
    GENERATION_DRAINING, /* over; waits for its workers to end */
};

struct worker_slot {
    pid_t pid;       /* 0: none */
    int ready_fd;    /* open until it accepts no more; -1 */
    int control_fd;  /* to tell it things; -1 */
    int covered_by;  /* the slot that takes its connections meanwhile; -1: none */
    bool ready;      /* serves */
    unsigned column; /* at the door, while there is a pid */
    uint64_t started_ms;
    uint64_t respawn_ms; /* without a pid: when to start one */
    unsigned young_deaths;
};

struct generation {
    struct list node;
    struct fsm state;
    unsigned number;
    struct config *cfg;
    struct socket_set sockets;
    struct worker_slot *slots;
    unsigned n_slots;
    pid_t checker;        /* 0: none */
    int report_fd;        /* what the checker has to say; -1 */
    bool announced;       /* the log has told that it serves */
    uint64_t deadline_ms; /* checking, starting: give up; serving: announce; draining: kill */
};

enum { COLUMNS_MAX = 1024 };

/* The columns at the door that living workers have. Every address that is connected costs 4 bytes a column,
 * so they are as many as a few generations side by side need, and no more. */
struct columns {
    bool used[COLUMNS_MAX];
    unsigned n; /* that there are */
};

/* Takes `cfg` over, also on failure. NULL: no memory. */
struct generation *generation_new(unsigned number, struct config *cfg);
/* Frees its memory and closes its sockets. NULL-safe. */
void generation_free(struct generation *g);
/* In a forked child: frees its memory, but not the configuration `keep`; descriptors and paths stay as they
 * are. */
void generation_forget(struct generation *g, const struct config *keep);

/* Forks the checker. ERR_IO. Its report is to be taken when it has ended. */
enum err generation_check(struct generation *g, const struct forker *f, uint64_t now) MUST_USE;
/* Logs what the checker reported. */
void generation_take_report(struct generation *g);
/* Opens sockets, sharing those of `former` (may be NULL), and forks all workers. ERR_IO (logged), ERR_LIMIT:
 * no columns. */
enum err generation_start(struct generation *g, const struct forker *f, struct columns *c,
                          const struct socket_set *former, uint64_t now) MUST_USE;
/* Forks one worker into an empty slot. ERR_IO, ERR_LIMIT. */
enum err generation_spawn(struct generation *g, unsigned slot, const struct forker *f, struct columns *c,
                          uint64_t now) MUST_USE;
/* Sees to it that somebody takes the connections of slots whose workers do not serve: what has queued on
 * their sockets, and what the kernel goes on to send there. For a generation that serves. */
void generation_cover(struct generation *g);
/* Tells all its workers. */
void generation_tell(const struct generation *g, const struct control_message *m);
/* Reads the slot's ready_fd. */
void generation_read_ready(struct worker_slot *s);
/* All slots serve. */
bool generation_ready(const struct generation *g);
/* A worker of it may still take new connections. */
bool generation_accepts(const struct generation *g);
/* From now on it is the one that serves, which is to be announced at `deadline_ms` at the latest. */
void generation_serve(struct generation *g, uint64_t now);
/* Asks its workers to finish, and lets go of its sockets. */
void generation_drain(struct generation *g, uint64_t now);
void generation_signal(const struct generation *g, int signum);
/* Workers and checker that live. */
unsigned generation_alive(const struct generation *g);
/* The slot that has this pid; NULL: none. */
struct worker_slot *generation_find(struct generation *g, pid_t pid);
/* A worker was reaped: logs it, gives its column back, and in a serving generation says when to start the
 * next. */
void generation_worker_died(struct generation *g, struct worker_slot *s, int status, const struct forker *f,
                            struct columns *c, uint64_t now);

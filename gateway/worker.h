#pragma once
/* One worker process: wires loop, upstream, pipeline, sessions and server together, runs them, and takes them
 * down in order. */
#include "gateway/config/config.h"
#include "gateway/ops/metrics.h"
#include "gateway/server/door.h"
#include "gateway/server/tickets.h"

struct worker_opts {
    const struct config *cfg;
    unsigned slot; /* 0.. : the worker's number, and its column at the door is door_slot */
    unsigned door_slot;
    const int *listen_fds; /* this slot's, one for each cfg->listen */
    struct door *door;
    struct tls_tickets *tickets; /* changed when the master says so */
    struct metrics *metrics;     /* attached to this worker's slot */
    int ready_fd;   /* one byte is written when it serves; closed when it accepts no more. -1: none */
    int control_fd; /* what the master says; closed when it is gone: drain then. -1: none */
};

/* Runs until drained by SIGTERM (or the master's death); the exit status. */
int worker_run(const struct worker_opts *o);

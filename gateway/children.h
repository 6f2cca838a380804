#pragma once
/* Forking. A child keeps of its parent only what it was given: every other descriptor is closed, every other
 * memory freed. */
#include "gateway/config/config.h"
#include "gateway/ops/metrics.h"
#include "gateway/server/door.h"
#include "gateway/server/tickets.h"
#include "gateway/sockets.h"
#include <signal.h>
#include <sys/types.h>

/* What the children of one master have in common. */
struct forker {
    struct door *door;
    struct tls_tickets tickets; /* as they are now; workers that live are told of later ones */
    sigset_t mask;              /* of signals, as a child shall have it */
    struct metrics *metrics;
    /* In a child: frees the master's memory, but for the door and the configuration that the child uses. */
    void (*forget)(void *master, const struct config *keep);
    void *master;
};

struct worker_place {
    struct config *cfg; /* becomes the child's */
    const struct socket_set *sockets;
    unsigned slot;
    unsigned column; /* at the door */
    unsigned generation;
};

/* The child's pid, or -1 (errno). *ret_ready_fd gives one byte when it serves, and ends when
 * it accepts no more or dies; what it is told goes to *ret_control_fd (control.h). */
pid_t child_worker(const struct forker *f, const struct worker_place *p, int *ret_ready_fd,
                   int *ret_control_fd);
/* A child that looks at the certificates and exits with 0 if all is well; else with 1, and *ret_report_fd
 * gives the reasons, at most a pipe full. The master itself must never start OpenSSL, because what it starts
 * its workers inherit. -1: errno. */
pid_t child_checker(const struct forker *f, struct config *cfg, int *ret_report_fd);

/* One record for each line of a configuration's problems. */
void report_log(struct bytes report);

#pragma once
/* What the master tells a worker: a socket pair for each, whose master's end closes with the master. A worker
 * has nothing to say there. */
#include "common/err.h"
#include <stddef.h>
#include <stdint.h>

enum { CONTROL_FDS_MAX = 65, CONTROL_DATA_MAX = 256 };

enum control_verb {
    CONTROL_COVER,   /* take connections from these listening sockets too: those of slot `slot` */
    CONTROL_UNCOVER, /* its own worker serves again */
    CONTROL_TICKETS, /* `data`: new keys of TLS session tickets */
};

struct control_message {
    enum control_verb verb;
    unsigned slot;
    int fds[CONTROL_FDS_MAX]; /* the receiver's to close */
    size_t n_fds;
    unsigned char data[CONTROL_DATA_MAX];
    size_t len;
};

/* ret[0]: the master's end; ret[1]: the worker's. Both non-blocking, close-on-exec. ERR_IO: errno. */
enum err control_open(int ret[2]) MUST_USE;
/* ERR_IO: the worker is gone, or does not listen. */
enum err control_send(int fd, const struct control_message *m) MUST_USE;
/* ERR_AGAIN: nothing (more); ERR_CLOSED: the master is gone; ERR_INVALID: not understood. */
enum err control_receive(int fd, struct control_message *ret) MUST_USE;

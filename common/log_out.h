#pragma once
/* Private to common/: stderr, written without ever waiting for who reads it.
 *
 * stderr's file description is shared with whoever started us: O_NONBLOCK set on it would be set for the
 * shell, and for every other program on the same terminal or pipe. So a pipe or terminal is opened anew
 * through /proc/self/fd/2, which makes a description of our own, and that one, nonblocking, takes the place
 * of descriptor 2: all that our processes inherit, and nobody else has. A socket (journald) cannot be opened
 * anew, but is asked for one write at a time not to block. A file never makes its writer wait in this sense,
 * and a second description of it would have a place of its own in it: it is written as it is. Where opening
 * is not allowed (a pipe of another user's), poll is asked before each write; then, of several workers that
 * write into the last free page at the same moment, one may wait.
 *
 * Lines are written whole and, into pipes, by writes of at most PIPE_BUF bytes, which the kernel does not mix
 * with those of other processes (POSIX write). */
#include "common/bytes.h"

/* log_unblock's part. */
void log_out_unblock(void);
void log_out_set_max(uint64_t max_waiting);
/* One whole line, at most LOG_LINE_SIZE bytes. False: dropped, and counted. */
bool log_out_put(struct bytes line);
/* Writes what stderr takes. True: nothing waits any more. */
bool log_out_flush(void);
bool log_out_waiting(void);
/* Until it may take more, or so long. */
void log_out_wait(unsigned ms);
void log_out_forget(void);
uint64_t log_out_dropped(void);

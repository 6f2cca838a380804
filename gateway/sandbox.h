#pragma once
/* What a worker gives up before it serves, so that one that was taken over can do little: README.md says
 * what. Everything that needs a right was opened by the master. */
#include "gateway/config/config.h"

/* At the start of a worker: another user, no capabilities, no core files, not dumpable, no new privileges.
 * ERR_INVALID: the user or the group cannot be had (logged). */
enum err sandbox_drop(const struct config *cfg) MUST_USE;
/* When all is opened, while there is but one thread: Landlock and seccomp, as configured. What the kernel
 * does not have is logged, and done without. ERR_IO: refused (logged). */
enum err sandbox_enter(const struct config *cfg) MUST_USE;

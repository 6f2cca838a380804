#pragma once
/* The rules of the sandbox (sandbox.h): for files by Landlock, for system calls by seccomp. */
#include "common/err.h"

/* Both: ERR_NOT_FOUND: the kernel does not have it; ERR_IO: errno tells. */
enum err landlock_rules(void) MUST_USE;
enum err seccomp_rules(void) MUST_USE;

#pragma once
/* The URLs that a configuration holds. Answers are NULL, or what is wrong (static text that never repeats the
 * URL, which may hold a password). */
#include "common/bytes.h"

/* http:// or https://, a host, perhaps a port and a path; nothing else. *ret_plaintext: http://. */
const char *url_check_base(struct bytes url, bool *ret_plaintext);
/* SCHEME://HOST[:PORT] as in an Origin header. */
const char *url_check_origin(struct bytes url);

#pragma once
/* The account that is given of a request at its end, in the log and in the counters: one line, whatever
 * became of it. */
#include "gateway/session/session.h"

/* A request has come. Each is followed by one of the two below. */
void account_begin(const struct session_env *env, const struct carrier *carrier, void *conn);
/* It is refused before anything was asked of a provider. `c` NULL: not even its text could be read; `who`
 * asked. */
void account_refused(const struct session_env *env, const struct carrier *carrier, void *conn,
                     const struct principal *who, const struct call *c, const struct api_error *e);
/* It had an answer, which is over for its reader: `told` the end of it, or gone before. `status`: of an
 * answer over HTTP; 0: an error's own. */
void account_ended(const struct session_env *env, const struct carrier *carrier, void *conn,
                   const struct call *c, const struct response *r, bool told, int status);
/* It had not begun yet when its client left. */
void account_dropped(const struct session_env *env, const struct carrier *carrier, void *conn,
                     const struct call *c);

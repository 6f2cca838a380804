#pragma once
/* What the paths of a listener do: one const table a listener, each row one thing that a path does. Several
 * rows may have the same path. */
#include "gateway/session/ws_endpoint.h"

struct conn;

struct endpoint {
    const char *path;              /* ends in '/': whatever name lies below it; NULL: the dialect's own */
    const struct dialect *dialect; /* POST: a request in its words */
    const struct ws_endpoint *websocket; /* GET with an upgrade */
    /* GET and HEAD: appends the body of a 200; or sets *ret_error. `name` is what lies below the path.
     */
    enum err (*get)(const struct conn *c, struct bytes name, struct buf *out, struct api_error *ret_error);
    const char *content_type; /* get: of the body; NULL: JSON */
    bool open_to_all;         /* get: asks for no key */
    bool for_tests;           /* there with debug.echo, on loopback listeners */
};

/* Each ends with a row without path and dialect. */
extern const struct endpoint client_endpoints[];
extern const struct endpoint admin_endpoints[]; /* admin.c */

enum { ENDPOINT_ALLOW_MAX = 40, ENDPOINT_HINT_MAX = 300 };

/* Its own, or its dialect's. */
const char *endpoint_path(const struct endpoint *e);

/* What a path has. */
struct endpoints_at {
    const struct endpoint *get, *post, *websocket; /* NULL: not that */
    struct bytes name;                             /* below the path; still percent-encoded */
};

/* False: nothing is there. `tests`: what is there for tests counts. */
bool endpoint_find(const struct endpoint *table, struct bytes path, bool tests, struct endpoints_at *ret);
/* For Allow: "GET, HEAD, OPTIONS". */
void endpoint_methods(const struct endpoints_at *at, char ret[ENDPOINT_ALLOW_MAX]);
/* A sentence that tells which path was meant, or, when none is near, which there are. */
void endpoint_hint(const struct endpoint *table, struct bytes path, char ret[ENDPOINT_HINT_MAX]);

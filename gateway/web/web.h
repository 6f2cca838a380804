#pragma once
/* The files of this folder, built into the program (CMake makes them into assets.c). */
#include "common/bytes.h"

struct web_asset {
    const char *path; /* "/", "/sluice.js", ... */
    const char *content_type;
    const char *etag; /* quoted; of the content */
    struct bytes body;
};

/* NULL: no such file. */
const struct web_asset *web_find(struct bytes path);
/* The Content-Security-Policy that all of them are served with. */
extern const char web_csp[];

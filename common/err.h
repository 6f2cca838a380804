#pragma once
/* What a function that can fail answers. `ret_` parameters are untouched unless it is ERR_OK. */
#include "common/attr.h"

enum err {
    ERR_OK = 0,
    ERR_NOMEM,     /* the allocator said no */
    ERR_LIMIT,     /* a configured ceiling was met */
    ERR_SYNTAX,    /* the bytes are not what the format says */
    ERR_INVALID,   /* well-formed, but not allowed here */
    ERR_NOT_FOUND, /* no such thing (or not yours) */
    ERR_AGAIN,     /* not now; try later */
    ERR_CLOSED,    /* the other side is gone */
    ERR_IO,        /* the operating system said no; errno tells */
};

/* The name of the value, for logs: "ERR_LIMIT". Never NULL. */
const char *err_name(enum err e);

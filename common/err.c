#include "common/err.h"

const char *err_name(enum err e)
{
    switch (e) {
    case ERR_OK:
        return "ERR_OK";
    case ERR_NOMEM:
        return "ERR_NOMEM";
    case ERR_LIMIT:
        return "ERR_LIMIT";
    case ERR_SYNTAX:
        return "ERR_SYNTAX";
    case ERR_INVALID:
        return "ERR_INVALID";
    case ERR_NOT_FOUND:
        return "ERR_NOT_FOUND";
    case ERR_AGAIN:
        return "ERR_AGAIN";
    case ERR_CLOSED:
        return "ERR_CLOSED";
    case ERR_IO:
        return "ERR_IO";
    }
    return "ERR_UNKNOWN";
}

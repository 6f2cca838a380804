#pragma once
/* Whose a response is: what this room needs to know of who asked. Outlives the response. */
#include "gateway/config/config.h"

struct owner {
    const char *id; /* the same in every process and generation; nobody else has it */
    enum on_disconnect on_disconnect;
};

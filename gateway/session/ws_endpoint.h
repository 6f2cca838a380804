#pragma once
/* What a WebSocket path does with its messages, as one const table of functions. The connection below feeds
 * messages and pulls events; it knows of the object only what stands here. */
#include "gateway/session/session.h"

struct ws_endpoint {
    const char *protocol; /* selected when the client offers it; NULL: none */
    bool open_to_all;     /* asks for no key */
    bool binary;          /* takes binary messages, too */
    /* `who` NULL where none is asked for. NULL: no memory. */
    void *(*open)(struct session_env *env, const struct principal *who, const struct carrier *carrier,
                  void *conn);
    /* Ends what it has begun. Never called from inside `message` or `pull`; NULL-safe. */
    void (*free)(void *object);
    void (*message)(void *object, struct bytes data, bool binary, int64_t now_s);
    /* Encodes what waits, until `budget` bytes are in sink->out. True when more is left. */
    bool (*pull)(void *object, struct event_sink *sink, size_t budget);
    /* Something is under way: a drain waits for it. */
    bool (*busy)(const void *object);
    /* Tells the client of a drain. */
    void (*going_away)(void *object, uint64_t deadline_ms);
};

extern const struct ws_endpoint ws_responses; /* session.c: the Responses WebSocket mode */
extern const struct ws_endpoint ws_echo;      /* echo.c: every message comes back; for tests */

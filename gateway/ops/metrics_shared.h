#pragma once
/* Private to ops/: what lies in the shared memory. Fixed places, no pointers. */
#include "gateway/ops/metrics.h"
#include <stdatomic.h>

/* Bounds as OpenTelemetry's GenAI conventions advise them; the last bucket has none. */
enum { DURATION_BUCKETS = 14, FIRST_TOKEN_BUCKETS = 16, TOKEN_BUCKETS = 14, BUCKETS_MAX = 17 };

enum { TRANSPORT_HTTP, TRANSPORT_WEBSOCKET, TRANSPORTS };

typedef _Atomic uint64_t cell;

struct histogram {
    cell buckets[BUCKETS_MAX]; /* each for itself */
    cell sum;                  /* milliseconds, or tokens */
};

struct route_cells {
    cell ends[REQUEST_ENDS];
    cell cached_tokens;
    struct histogram input, output, first_token, duration;
};

struct principal_cells {
    cell ends[REQUEST_ENDS];
    cell input, output, cached;
};

struct endpoint_cells {
    cell ends[REQUEST_ENDS];
    cell in_flight; /* of the present process */
};

struct slot {
    cell ever;       /* somebody has had it */
    cell generation; /* 0: nobody's at present */
    cell serving;
    cell connections, sessions, responses, retained, budget_used, budget_limit;
    cell log_dropped;
    cell refusals[REFUSALS];
    struct endpoint_cells endpoints[METRICS_ENDPOINTS][TRANSPORTS];
    struct principal_cells principals[METRICS_PRINCIPALS];
    struct route_cells routes[METRICS_ROUTES];
};

/* Ends with a NUL, or with its room. The first of each kind is "other". */
struct shared_name {
    char text[METRICS_NAME_MAX + 1];
};
struct shared_names {
    cell n_endpoints, n_principals, n_routes;
    struct shared_name endpoints[METRICS_ENDPOINTS];
    struct shared_name principals[METRICS_PRINCIPALS];
    struct {
        struct shared_name entry, provider;
    } routes[METRICS_ROUTES];
};

struct shared {
    struct shared_names names; /* the master's to write */
    struct slot slots[];
};

/* A name's row, in memory of the process's own: inherited from the master as it stood at the fork. */
struct row {
    char *name; /* of a route: entry NUL provider */
    size_t len;
    uint32_t index;
};
struct rows {
    struct row *buckets; /* open addressing; a power of two */
    uint32_t n_buckets, n, max;
};

struct metrics {
    struct shared *shared;
    size_t mapped;
    unsigned slots;
    struct slot *own;
    uint64_t dropped_before; /* by those who had the slot */
    struct rows endpoints, principals, routes;
};

extern const uint32_t duration_bounds_ms[DURATION_BUCKETS];
extern const uint32_t first_token_bounds_ms[FIRST_TOKEN_BUCKETS];
extern const uint32_t token_bounds[TOKEN_BUCKETS];

static inline uint64_t cell_read(const cell *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}
static inline void cell_set(cell *c, uint64_t value)
{
    atomic_store_explicit(c, value, memory_order_relaxed);
}
/* Its writer's only. */
static inline void cell_add(cell *c, uint64_t n)
{
    cell_set(c, cell_read(c) + n);
}

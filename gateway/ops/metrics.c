#include "gateway/ops/metrics_shared.h"
#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

const uint32_t duration_bounds_ms[] = {10,   20,   40,   80,    160,   320,   640,
                                       1280, 2560, 5120, 10240, 20480, 40960, 81920};
const uint32_t first_token_bounds_ms[] = {1,   5,   10,  20,   40,   60,   80,   100,
                                          250, 500, 750, 1000, 2500, 5000, 7500, 10000};
const uint32_t token_bounds[] = {1,     4,     16,     64,      256,     1024,     4096,
                                 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};

const char *const request_end_names[] = {"done", "cancelled", "client_left", "refused", "failed"};
const char *const refusal_names[] = {"key", "origin", "cap", "not_found", "invalid", "draining", "other"};

static bool rows_init(struct rows *r, uint32_t max)
{
    *r = (struct rows){.n_buckets = max * 2, .n = 1, .max = max};
    r->buckets = calloc(r->n_buckets, sizeof(*r->buckets));
    return r->buckets != NULL;
}

static void rows_free(struct rows *r)
{
    for (uint32_t i = 0; r->buckets && i < r->n_buckets; i++)
        free(r->buckets[i].name);
    free(r->buckets);
}

/* Where the name is, or where it would go: half of the places are free. */
static struct row *rows_place(const struct rows *r, struct bytes name)
{
    uint32_t i = (uint32_t)bytes_hash(name) & (r->n_buckets - 1);
    while (r->buckets[i].name && !bytes_eq(name, bytes_of(r->buckets[i].name, r->buckets[i].len)))
        i = (i + 1) & (r->n_buckets - 1);
    return &r->buckets[i];
}

/* 0: "other". */
static uint32_t rows_find(const struct rows *r, struct bytes name)
{
    const struct row *row = rows_place(r, name);
    return row->name ? row->index : 0;
}

/* The index of a new row; 0: it is known, or there is no room. */
static uint32_t rows_add(struct rows *r, struct bytes name)
{
    struct row *row = rows_place(r, name);
    if (row->name || r->n == r->max)
        return 0;
    char *copy = malloc(name.len + 1);
    if (!copy)
        return 0;
    memcpy(copy, name.data, name.len);
    *row = (struct row){.name = copy, .len = name.len, .index = r->n};
    return r->n++;
}

static void set_name(struct shared_name *to, const char *name)
{
    (void)strncpy(to->text, name, sizeof(to->text) - 1);
}

struct metrics *metrics_create(unsigned slots)
{
    struct metrics *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->slots = slots;
    m->mapped = sizeof(*m->shared) + slots * sizeof(m->shared->slots[0]);
    void *map =
        mmap(NULL, m->mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map != MAP_FAILED)
        m->shared = map;
    const bool ok = rows_init(&m->endpoints, METRICS_ENDPOINTS) &&
                    rows_init(&m->principals, METRICS_PRINCIPALS) && rows_init(&m->routes, METRICS_ROUTES);
    if (!m->shared || !ok) {
        metrics_destroy(m);
        return NULL;
    }
    struct shared_names *names = &m->shared->names;
    set_name(&names->endpoints[0], "other");
    set_name(&names->principals[0], "other");
    set_name(&names->routes[0].entry, "other");
    set_name(&names->routes[0].provider, "other");
    cell_set(&names->n_endpoints, 1);
    cell_set(&names->n_principals, 1);
    cell_set(&names->n_routes, 1);
    return m;
}

void metrics_destroy(struct metrics *m)
{
    if (!m)
        return;
    rows_free(&m->endpoints);
    rows_free(&m->principals);
    rows_free(&m->routes);
    if (m->shared)
        munmap(m->shared, m->mapped);
    free(m);
}

void metrics_learn_endpoint(struct metrics *m, const char *path)
{
    const uint32_t i = rows_add(&m->endpoints, bytes_cstr(path));
    if (i == 0)
        return;
    set_name(&m->shared->names.endpoints[i], path);
    cell_set(&m->shared->names.n_endpoints, m->endpoints.n);
}

void metrics_learn_principal(struct metrics *m, const char *name)
{
    const uint32_t i = rows_add(&m->principals, bytes_cstr(name));
    if (i == 0)
        return;
    set_name(&m->shared->names.principals[i], name);
    cell_set(&m->shared->names.n_principals, m->principals.n);
}

enum { ROUTE_MAX = 2 * METRICS_NAME_MAX + 1 };

static struct bytes route_name(char room[ROUTE_MAX], const char *entry, const char *provider)
{
    const size_t e = strnlen(entry, METRICS_NAME_MAX), p = strnlen(provider, METRICS_NAME_MAX);
    memcpy(room, entry, e);
    room[e] = '\0';
    memcpy(room + e + 1, provider, p);
    return bytes_of(room, e + 1 + p);
}

void metrics_learn_route(struct metrics *m, const char *entry, const char *provider)
{
    char room[ROUTE_MAX];
    const char *name = entry ? entry : "other";
    const uint32_t i = rows_add(&m->routes, route_name(room, name, provider));
    if (i == 0)
        return;
    set_name(&m->shared->names.routes[i].entry, name);
    set_name(&m->shared->names.routes[i].provider, provider);
    cell_set(&m->shared->names.n_routes, m->routes.n);
}

/* What tells a present state, and is nobody's now. */
static void clear_state(struct slot *s)
{
    cell *const cells[] = {&s->generation, &s->serving,  &s->connections, &s->sessions,
                           &s->responses,  &s->retained, &s->budget_used, &s->budget_limit};
    for (size_t i = 0; i < ARRAY_LEN(cells); i++)
        cell_set(cells[i], 0);
    for (size_t i = 0; i < METRICS_ENDPOINTS; i++)
        for (size_t t = 0; t < TRANSPORTS; t++)
            cell_set(&s->endpoints[i][t].in_flight, 0);
}

void metrics_slot_ended(struct metrics *m, unsigned slot)
{
    assert(slot < m->slots);
    clear_state(&m->shared->slots[slot]);
}

void metrics_attach(struct metrics *m, unsigned slot, unsigned generation)
{
    assert(slot < m->slots);
    m->own = &m->shared->slots[slot];
    clear_state(m->own);
    cell_set(&m->own->ever, 1);
    m->dropped_before = cell_read(&m->own->log_dropped);
    cell_set(&m->own->generation, generation);
}

void metrics_state(struct metrics *m, const struct metrics_state *now)
{
    struct slot *s = m->own;
    cell_set(&s->connections, now->connections);
    cell_set(&s->sessions, now->sessions);
    cell_set(&s->responses, now->responses);
    cell_set(&s->retained, now->retained);
    cell_set(&s->budget_used, now->budget_used);
    cell_set(&s->budget_limit, now->budget_limit);
    cell_set(&s->serving, now->serving);
    cell_set(&s->log_dropped, m->dropped_before + log_dropped());
}

static void observe(struct histogram *h, const uint32_t *bounds, size_t n, uint64_t value)
{
    size_t i = 0;
    while (i < n && value > bounds[i])
        i++;
    cell_add(&h->buckets[i], 1);
    cell_add(&h->sum, value);
}

static struct endpoint_cells *endpoint_cells(struct metrics *m, const char *endpoint, bool websocket)
{
    const uint32_t row = rows_find(&m->endpoints, bytes_cstr(endpoint));
    return &m->own->endpoints[row][websocket ? TRANSPORT_WEBSOCKET : TRANSPORT_HTTP];
}

void metrics_begin(struct metrics *m, const char *endpoint, bool websocket)
{
    cell_add(&endpoint_cells(m, endpoint, websocket)->in_flight, 1);
}

static void count_route(struct metrics *m, const struct request_record *r)
{
    char room[ROUTE_MAX];
    const struct bytes name =
        route_name(room, r->entry ? r->entry : "other", r->provider ? r->provider : "other");
    struct route_cells *c = &m->own->routes[rows_find(&m->routes, name)];
    cell_add(&c->ends[r->end], 1);
    if (r->attempts > 0)
        observe(&c->duration, duration_bounds_ms, DURATION_BUCKETS, r->total_ms);
    if (r->begun)
        observe(&c->first_token, first_token_bounds_ms, FIRST_TOKEN_BUCKETS, r->first_token_ms);
    if (!r->has_usage)
        return;
    observe(&c->input, token_bounds, TOKEN_BUCKETS, r->input_tokens);
    observe(&c->output, token_bounds, TOKEN_BUCKETS, r->output_tokens);
    cell_add(&c->cached_tokens, r->cached_tokens);
}

void metrics_request(struct metrics *m, const struct request_record *r)
{
    struct endpoint_cells *e = endpoint_cells(m, r->endpoint, r->websocket);
    struct principal_cells *p = &m->own->principals[rows_find(&m->principals, bytes_cstr(r->principal))];
    cell_add(&e->ends[r->end], 1);
    if (cell_read(&e->in_flight) > 0)
        cell_set(&e->in_flight, cell_read(&e->in_flight) - 1);
    cell_add(&p->ends[r->end], 1);
    if (r->has_usage) {
        cell_add(&p->input, r->input_tokens);
        cell_add(&p->output, r->output_tokens);
        cell_add(&p->cached, r->cached_tokens);
    }
    count_route(m, r);
}

void metrics_refusal(struct metrics *m, enum refusal why)
{
    cell_add(&m->own->refusals[why], 1);
}

static bool serves_with(const struct metrics *m, const struct slot *s)
{
    return cell_read(&s->generation) == cell_read(&m->own->generation) && cell_read(&s->serving) != 0;
}

unsigned metrics_serving(const struct metrics *m)
{
    unsigned n = 0;
    for (unsigned i = 0; i < m->slots; i++)
        n += serves_with(m, &m->shared->slots[i]);
    return n;
}

unsigned metrics_over_budget(const struct metrics *m)
{
    unsigned n = 0;
    for (unsigned i = 0; i < m->slots; i++) {
        const struct slot *s = &m->shared->slots[i];
        n += serves_with(m, s) && cell_read(&s->retained) == 0 &&
             cell_read(&s->budget_used) >= cell_read(&s->budget_limit);
    }
    return n;
}

#include "gateway/pipeline/stages.h"

static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state; /* xorshift64: fair enough for a choice that no one can profit from */
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static const struct config_target *choose(struct pipeline *p, const struct config_model *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < m->n_targets; i++)
        sum += m->targets[i].weight;
    uint64_t at = m->n_targets > 1 ? next_random(&p->route_seed) % sum : 0;
    size_t i = 0;
    while (at >= m->targets[i].weight)
        at -= m->targets[i++].weight;
    return &m->targets[i];
}

/* The provider's name for the model: a '*' in it stands for what the alias's '*' matched. */
static bool fill_in(struct arena *a, const char *pattern, struct bytes rest, struct bytes *ret)
{
    const char *star = strchr(pattern, '*');
    if (!star) {
        *ret = bytes_cstr(pattern);
        return true;
    }
    const struct bytes before = bytes_of(pattern, (size_t)(star - pattern)), after = bytes_cstr(star + 1);
    char *s = arena_alloc(a, before.len + rest.len + after.len);
    if (!s)
        return false;
    *ret = bytes_of(s, before.len + rest.len + after.len);
    memcpy(s, before.data, before.len);
    if (rest.len > 0)
        memcpy(s + before.len, rest.data, rest.len);
    memcpy(s + before.len + rest.len, after.data, after.len);
    return true;
}

static const struct config_model *model_at(const struct pipeline *p, size_t i)
{
    return i == NAMES_NONE ? NULL : &p->cfg->models[i];
}

/* PROVIDER/NAME */
static const struct config_provider *find_provider(const struct pipeline *p, struct bytes name,
                                                   struct bytes *ret_model)
{
    const char *slash = name.len > 0 ? memchr(name.data, '/', name.len) : NULL;
    const size_t len = slash ? (size_t)(slash - name.data) : 0;
    if (len == 0 || name.len == len + 1)
        return NULL;
    const size_t i = names_exact(&p->providers_, bytes_of(name.data, len));
    if (i == NAMES_NONE)
        return NULL;
    *ret_model = bytes_skip(name, len + 1);
    return &p->cfg->providers[i];
}

static enum verdict no_memory(struct call *c)
{
    api_error_no_memory(&c->error);
    return STAGE_REJECT;
}

struct resolved pipeline_resolve(const struct pipeline *p, struct bytes name)
{
    struct resolved r = {.model = model_at(p, names_exact(&p->models_, name))};
    size_t stem;
    if (!r.model)
        r.provider = find_provider(p, name, &r.rest);
    if (!r.model && !r.provider) {
        r.model = model_at(p, names_open(&p->models_, name, &stem));
        if (r.model)
            r.rest = bytes_skip(name, stem);
    }
    return r;
}

void call_resolve(const struct pipeline *p, struct call *c)
{
    if (c->resolved)
        return;
    const struct resolved r = pipeline_resolve(p, c->request.model);
    c->resolved = true;
    c->model = r.model;
    c->provider = r.provider;
    c->model_rest = r.rest;
}

enum verdict stage_route(struct pipeline *p, struct call *c)
{
    const struct bytes name = c->request.model;
    struct attempt_target *t = arena_alloc(&c->arena, sizeof(*t));
    if (!t)
        return no_memory(c);
    c->plan = (struct attempt_plan){.targets = t, .n_targets = 1};
    call_resolve(p, c);
    if (c->provider) {
        *t = (struct attempt_target){.provider = c->provider, .model = c->model_rest};
        return STAGE_OK;
    }
    if (!c->model) {
        api_error_set(&c->error, 404, API_INVALID, "model_not_found", "model",
                      "The model '%.*s' does not exist. GET /v1/models lists those that do.",
                      (int)MIN(name.len, 100), name.data);
        return STAGE_REJECT;
    }
    const struct config_target *target = choose(p, c->model);
    t->provider = target->provider;
    return fill_in(&c->arena, target->model, c->model_rest, &t->model) ? STAGE_OK : no_memory(c);
}

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

static const struct config_model *find_exact(const struct config *cfg, struct bytes name)
{
    for (size_t i = 0; i < cfg->n_models; i++)
        if (bytes_is(name, cfg->models[i].name))
            return &cfg->models[i];
    return NULL;
}

/* The wildcard that says most. */
static const struct config_model *find_wildcard(const struct config *cfg, struct bytes name,
                                                struct bytes *ret_rest)
{
    const struct config_model *best = NULL;
    struct bytes rest;
    for (size_t i = 0; i < cfg->n_models; i++) {
        const struct config_model *m = &cfg->models[i];
        if (m->name[strlen(m->name) - 1] == '*' && config_match(m->name, name, &rest) &&
            (!best || strlen(m->name) > strlen(best->name))) {
            best = m;
            *ret_rest = rest;
        }
    }
    return best;
}

static const struct config_provider *find_provider(const struct config *cfg, struct bytes name,
                                                   struct bytes *ret_model)
{
    for (size_t i = 0; i < cfg->n_providers; i++) {
        struct bytes p = bytes_cstr(cfg->providers[i].name);
        if (bytes_starts(name, p) && name.len > p.len + 1 && name.data[p.len] == '/') {
            *ret_model = bytes_skip(name, p.len + 1);
            return &cfg->providers[i];
        }
    }
    return NULL;
}

static enum verdict no_memory(struct call *c)
{
    api_error_no_memory(&c->error);
    return STAGE_REJECT;
}

struct resolved pipeline_resolve(const struct pipeline *p, struct bytes name)
{
    struct resolved r = {.model = find_exact(p->cfg, name)};
    if (!r.model)
        r.provider = find_provider(p->cfg, name, &r.rest);
    if (!r.model && !r.provider)
        r.model = find_wildcard(p->cfg, name, &r.rest);
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

#include "gateway/pipeline/stages.h"

static const struct {
    const char *name;
    enum verdict (*run)(struct pipeline *p, struct call *c);
} stages[] = {
    {"authorize", stage_authorize}, {"normalize", stage_normalize}, {"admit", stage_admit},
    {"route", stage_route},         {"dispatch", stage_dispatch},
};

enum err pipeline_init(struct pipeline *p, const struct config *cfg, struct response_pool *pool)
{
    *p = (struct pipeline){.cfg = cfg, .pool = pool};
    random_bytes(&p->route_seed, sizeof(p->route_seed));
    p->route_seed |= 1;
    arena_init(&p->arena_, SIZE_MAX);
    enum err err = principals_init(&p->principals, cfg);
    if (err == ERR_OK)
        err =
            names_init(&p->models_, &p->arena_, &cfg->models[0].name, cfg->n_models, sizeof(cfg->models[0]));
    if (err == ERR_OK)
        err = names_init(&p->providers_, &p->arena_, &cfg->providers[0].name, cfg->n_providers,
                         sizeof(cfg->providers[0]));
    return err;
}

void pipeline_free(struct pipeline *p)
{
    principals_free(&p->principals);
    arena_free(&p->arena_);
}

enum verdict pipeline_run(struct pipeline *p, struct call *c)
{
    enum verdict v = STAGE_OK;
    while (c->stage < ARRAY_LEN(stages)) {
        v = stages[c->stage].run(p, c);
        if (v == STAGE_AGAIN)
            return v;
        c->stage++;
        if (v != STAGE_OK)
            break;
    }
    return v;
}

#include "gateway/pipeline/stages.h"

static const struct stage stages[] = {
#ifdef SLUICE_TEST_STAGE
    {"test", stage_test},
#endif
    {"authorize", stage_authorize}, {"normalize", stage_normalize},
    {"admit", stage_admit},         {"route", stage_route},
#ifdef SLUICE_TEST_STAGE
    {"test", stage_test},
#endif
    {"dispatch", stage_dispatch},
};

enum err pipeline_init(struct pipeline *p, const struct config *cfg, struct response_pool *pool)
{
    *p = (struct pipeline){.cfg = cfg, .pool = pool, .stages = stages, .n_stages = ARRAY_LEN(stages)};
    list_init(&p->ready_);
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
    if (c->suspended_) {
        v = c->verdict_;
        c->suspended_ = false;
        c->stage++;
    }
    while (v == STAGE_OK && c->stage < p->n_stages) {
        v = p->stages[c->stage].run(p, c);
        if (v == STAGE_AGAIN)
            return v;
        c->stage++;
    }
    return v;
}

enum verdict call_suspend(struct call *c, void (*left)(void *ctx), void *ctx)
{
    assert(!c->suspended_ && left);
    c->suspended_ = true;
    c->left_ = left;
    c->left_ctx_ = ctx;
    return STAGE_AGAIN;
}

void pipeline_resume(struct pipeline *p, struct call *c, enum verdict verdict)
{
    assert(c->suspended_ && verdict != STAGE_AGAIN);
    c->left_ = NULL;
    c->verdict_ = verdict;
    list_append(&p->ready_, &c->ready_);
}

void pipeline_cancel(struct pipeline *p, struct call *c)
{
    if (c->cancelled)
        return;
    assert(c->suspended_);
    c->cancelled = true;
    if (c->left_) {
        c->left_(c->left_ctx_);
        pipeline_resume(p, c, STAGE_OK);
    }
    c->suspended_ = false;
    c->stage = p->n_stages - 1;
}

void pipeline_tick(struct pipeline *p)
{
    struct list now;
    list_init(&now);
    list_splice(&now, &p->ready_);
    for (struct list *node; (node = list_take(&now));) {
        struct call *c = CONTAINER_OF(node, struct call, ready_);
        c->owner_ops->resumed(c->owner);
    }
}

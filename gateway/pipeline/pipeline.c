#include "gateway/pipeline/stages.h"

static const struct {
    const char *name;
    enum verdict (*run)(struct pipeline *p, struct call *c);
} stages[] = {
    {"authorize", stage_authorize}, {"normalize", stage_normalize}, {"admit", stage_admit},
    {"route", stage_route},         {"dispatch", stage_dispatch},
};

void pipeline_init(struct pipeline *p, const struct config *cfg, struct response_pool *pool)
{
    *p = (struct pipeline){.cfg = cfg, .pool = pool};
    random_bytes(&p->route_seed, sizeof(p->route_seed));
    p->route_seed |= 1;
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

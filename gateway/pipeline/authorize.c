#include "gateway/pipeline/stages.h"

bool pipeline_origin_listed(const struct pipeline *p, struct bytes origin)
{
    for (size_t i = 0; i < p->cfg->n_origins; i++)
        if (bytes_is(origin, p->cfg->origins[i]))
            return true;
    return false;
}

enum verdict stage_authorize(struct pipeline *p, struct call *c)
{
    const struct bytes name = c->request.model;
    call_resolve(p, c);
    if (principal_may_use(c->principal, name, c->provider))
        return STAGE_OK;
    if (c->provider && principal_may_use(c->principal, name, NULL))
        api_error_set(&c->error, 403, API_PERMISSION, "model_not_allowed", "model",
                      "The key '%s' may use configured models only: to pass '%.*s' through to the provider "
                      "'%s', its models must list '%s/*' or that name.",
                      c->principal->name, (int)MIN(name.len, 100), name.data, c->provider->name,
                      c->provider->name);
    else
        api_error_set(&c->error, 403, API_PERMISSION, "model_not_allowed", "model",
                      "The key '%s' may not use the model '%.*s'.", c->principal->name,
                      (int)MIN(name.len, 100), name.data);
    return STAGE_REJECT;
}

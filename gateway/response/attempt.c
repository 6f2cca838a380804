#include "gateway/response/response.h"

static void copy_cut(char *to, size_t size, struct bytes from)
{
    size_t n = MIN(from.len, size - 1);
    if (n > 0)
        memcpy(to, from.data, n);
    to[n] = '\0';
}

static bool same_target(const struct attempt_target *a, const struct attempt_target *b)
{
    return a->provider == b->provider && bytes_eq(a->model, b->model);
}

/* The next target at which another attempt may help; n_targets: there is none. */
static unsigned next_target(const struct attempt_plan *plan, unsigned failed, enum fault_kind fault)
{
    unsigned i = failed + 1;
    while (i < plan->n_targets &&
           !fault_may_retry(fault, same_target(&plan->targets[i], &plan->targets[failed])))
        i++;
    return i;
}

static void begin(struct response *r, unsigned target, void (*progress)(void *ctx))
{
    struct attempts *a = &r->attempts;
    const struct attempt_plan *plan = a->plan;
    const struct attempt_target *t = &plan->targets[target];
    a->target = target;
    a->count++;
    a->provider = t->provider;
    a->report = (struct upstream_report){0};
    copy_cut(a->model, sizeof(a->model), t->model);
    const struct upstream_call call = {.provider = t->provider,
                                       .model = t->model,
                                       .request = plan->request,
                                       .request_id = a->request_id,
                                       .response_id = r->id,
                                       .builder = &r->builder,
                                       .report = &a->report,
                                       .since_ms = a->since_ms,
                                       .progress = progress,
                                       .ctx = r};
    a->transfer = upstream_start(r->pool->upstream, &call);
    if (!a->transfer) {
        struct fault f;
        fault_no_memory(&f);
        llm_builder_fail(&r->builder, &f);
    }
}

/* The request has been read for the last time. */
static bool is_last(const struct attempts *a)
{
    return !a->transfer || a->target + 1 == a->plan->n_targets;
}

void attempts_start(struct response *r, const struct attempt_plan *plan, void (*progress)(void *ctx))
{
    struct attempts *a = &r->attempts;
    assert(!a->plan && a->count == 0 && plan->n_targets > 0);
    a->plan = plan;
    a->since_ms = upstream_now(r->pool->upstream);
    copy_cut(a->request_id, sizeof(a->request_id), plan->request_id);
    begin(r, 0, progress);
    if (is_last(a))
        a->plan = NULL;
}

static void let_request_go(struct attempts *a)
{
    const struct attempt_plan *plan = a->plan;
    a->plan = NULL;
    if (plan->request_done)
        plan->request_done(plan->ctx);
}

bool attempts_progress(struct response *r, void (*progress)(void *ctx))
{
    struct attempts *a = &r->attempts;
    const bool ended = llm_builder_ended(&r->builder);
    unsigned next;
    if (ended)
        a->transfer = NULL;
    if (!a->plan)
        return false;
    const bool may_follow = r->builder.outcome == LLM_FAILED && !llm_builder_begun(&r->builder);
    next = may_follow ? next_target(a->plan, a->target, r->builder.fault) : a->plan->n_targets;
    if (next < a->plan->n_targets) {
        llm_builder_again(&r->builder);
        begin(r, next, progress);
        if (is_last(a))
            let_request_go(a);
        return a->transfer != NULL;
    }
    if (ended || llm_builder_begun(&r->builder))
        let_request_go(a);
    return false;
}

void attempts_stop(struct response *r)
{
    upstream_cancel(r->attempts.transfer);
    r->attempts.transfer = NULL;
    r->attempts.plan = NULL;
}

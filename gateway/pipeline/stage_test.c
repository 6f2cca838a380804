/* Not a part of the product: built by -DSLUICE_TEST_STAGE=ON, so that all that the tests do is done by
 * requests that had to wait. */
#include "common/clock.h"
#include "gateway/pipeline/stages.h"
#include <stdlib.h>

enum { AT_MOST_MS = 20, AT_ONCE_IN = 4 };

struct wait {
    struct wheel_timer timer;
    struct pipeline *pipeline;
    struct call *call;
};

static void on_timer(struct wheel_timer *t)
{
    struct wait *w = CONTAINER_OF(t, struct wait, timer);
    pipeline_resume(w->pipeline, w->call, STAGE_OK);
    free(w);
}

static void on_left(void *ctx)
{
    struct wait *w = ctx;
    wheel_cancel(w->pipeline->pool->wheel, &w->timer);
    free(w);
}

static unsigned below(unsigned n)
{
    unsigned r;
    random_bytes(&r, sizeof(r));
    return r % n;
}

enum verdict stage_test(struct pipeline *p, struct call *c)
{
    struct wait *w = calloc(1, sizeof(*w));
    if (!w) {
        api_error_no_memory(&c->error);
        return STAGE_REJECT;
    }
    w->pipeline = p;
    w->call = c;
    wheel_timer_init(&w->timer, on_timer);
    const enum verdict v = call_suspend(c, on_left, w);
    if (below(AT_ONCE_IN) == 0)
        on_timer(&w->timer);
    else
        wheel_arm(p->pool->wheel, &w->timer, clock_mono_ms(), below(AT_MOST_MS + 1));
    return v;
}

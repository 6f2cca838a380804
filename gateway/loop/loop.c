#include "gateway/loop/loop.h"

static void on_timer(uv_timer_t *t)
{
    struct loop *l = t->data;
    l->due_ms_ = UINT64_MAX;
    wheel_advance(&l->wheel, loop_now(l));
}

static void on_idle(uv_idle_t *h UNUSED)
{
    /* That it runs keeps the loop from waiting. */
}

static void arm_timer(struct loop *l)
{
    const uint64_t now = loop_now(l), in = wheel_next_ms(&l->wheel, now);
    if (in == UINT64_MAX || now + in >= l->due_ms_)
        return;
    l->due_ms_ = now + in;
    uv_timer_start(&l->timer_, on_timer, in, 0);
}

static void on_prepare(uv_prepare_t *h)
{
    struct loop *l = h->data;
    l->again_ = false;
    if (l->end_turn_)
        l->end_turn_(l->ctx_);
    if (phase_of(&l->phase) == PHASE_CLOSED) {
        uv_close((uv_handle_t *)&l->prepare_, NULL);
        uv_close((uv_handle_t *)&l->idle_, NULL);
        uv_close((uv_handle_t *)&l->timer_, NULL);
        return;
    }
    arm_timer(l);
    if (l->again_)
        uv_idle_start(&l->idle_, on_idle);
    else
        uv_idle_stop(&l->idle_);
}

bool loop_init(struct loop *l)
{
    *l = (struct loop){.due_ms_ = UINT64_MAX};
    if (uv_loop_init(&l->uv) != 0)
        return false;
    phase_init(&l->phase);
    wheel_init(&l->wheel, loop_now(l));
    uv_prepare_init(&l->uv, &l->prepare_);
    uv_idle_init(&l->uv, &l->idle_);
    uv_timer_init(&l->uv, &l->timer_);
    l->prepare_.data = l->idle_.data = l->timer_.data = l;
    uv_prepare_start(&l->prepare_, on_prepare);
    return true;
}

void loop_on_turn(struct loop *l, void (*end_turn)(void *ctx), void *ctx)
{
    l->end_turn_ = end_turn;
    l->ctx_ = ctx;
}

void loop_again(struct loop *l)
{
    l->again_ = true;
}

void loop_run(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

bool loop_free(struct loop *l)
{
    loop_run(l);
    return uv_loop_close(&l->uv) == 0;
}

/* The deadlines of a transfer. One wheel timer each; the time of the last sign of life is only written down,
 * and looked at when the timer goes off: a token arms nothing, but for the first one. `connect` is curl's own
 * (CURLOPT_CONNECTTIMEOUT_MS).
 *
 * A token is an event that was worth logging; heartbeats do not make up for the first one. After it every
 * event and every comment is a sign of life. */
#include "gateway/upstream/internal.h"

/* `due`: as loop_now tells the time. */
static void arm(struct transfer *t, uint64_t due)
{
    const uint64_t now = loop_now(t->u->loop);
    loop_arm(t->u->loop, &t->timer, due > now ? due - now : 1);
}

static void expire(struct transfer *t, enum fault_kind kind, uint64_t ms)
{
    struct fault f;
    fault_timeout(t, kind, ms, &f);
    if (t->status > 299 && t->state.state >= TRANSFER_HEAD)
        transfer_end(t); /* an error whose body hangs */
    else
        transfer_fail(t, &f);
    transfer_mark(t);
}

static void on_due(struct wheel_timer *timer)
{
    struct transfer *t = CONTAINER_OF(timer, struct transfer, timer);
    const struct config *cfg = t->u->cfg;
    uint64_t now = loop_now(t->u->loop);
    uint64_t total = t->total_ms;
    const bool begun = t->state.state == TRANSFER_TOKENS;
    if (!transfer_owned(t) || llm_builder_ended(t->builder))
        return;
    uint64_t next =
        begun ? t->alive_ms + cfg->timeouts.between_tokens : t->started_ms + cfg->timeouts.first_token;
    if (now >= total)
        expire(t, FAULT_TIMEOUT_TOTAL, cfg->timeouts.total);
    else if (now < next)
        arm(t, MIN(next, total));
    else if (begun)
        expire(t, FAULT_TIMEOUT_BETWEEN_TOKENS, cfg->timeouts.between_tokens);
    else
        expire(t, FAULT_TIMEOUT_FIRST_TOKEN, cfg->timeouts.first_token);
}

static void on_drained_too_long(struct wheel_timer *timer)
{
    transfer_close(CONTAINER_OF(timer, struct transfer, timer));
}

void deadline_start(struct transfer *t)
{
    const struct config *cfg = t->u->cfg;
    wheel_timer_init(&t->timer, on_due);
    arm(t, MIN(t->started_ms + cfg->timeouts.first_token, t->total_ms));
}

void deadline_alive(struct transfer *t)
{
    const struct config *cfg = t->u->cfg;
    t->alive_ms = loop_now(t->u->loop);
    if (t->state.state == TRANSFER_TOKENS || !llm_builder_begun(t->builder))
        return;
    fsm_move(&t->state, TRANSFER_TOKENS);
    arm(t, MIN(t->alive_ms + cfg->timeouts.between_tokens, t->total_ms));
}

void deadline_drain(struct transfer *t)
{
    deadline_stop(t);
    wheel_timer_init(&t->timer, on_drained_too_long);
    arm(t, loop_now(t->u->loop) + DRAIN_MS);
}

void deadline_stop(struct transfer *t)
{
    loop_cancel(t->u->loop, &t->timer);
}

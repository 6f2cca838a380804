#include "loadtest/kit/tokens.h"
#include "loadtest/mock.h"

enum { SLICE = 256 * 1024 }; /* bytes handed to the transport at a time */

static uint64_t gap_of(struct answer *a)
{
    if (!a->spec.jitter_ms)
        return a->spec.gap_ms;
    double swing = (mock_random(a->loop) * 2 - 1) * (double)a->spec.jitter_ms;
    double gap = (double)a->spec.gap_ms + swing;
    return gap > 0 ? (uint64_t)(gap + 0.5) : 0;
}

static void forget(struct answer *a)
{
    ticks_cancel(&a->timer);
    script_put(a->loop, a->script);
    a->script = NULL;
    a->blocked = false;
}

static void finish(struct answer *a)
{
    forget(a);
    a->loop->stats.finished++;
    a->out->done(a);
}

/* Sends all parts that are due, a slice at a time; answers false when the answer is over (and may be gone).
 */
static bool send_due(struct answer *a)
{
    const struct script *s = a->script;
    while (a->next < s->n_parts && a->due_ms <= a->loop->ticks.now_ms) {
        if (a->next >= a->cut_at) {
            a->loop->stats.cut++;
            forget(a);
            a->out->cut(a);
            return false;
        }
        if (a->out->full(a)) {
            a->blocked = true;
            return true;
        }
        size_t from = a->next ? s->ends[a->next - 1] : 0;
        do {
            a->next++;
            a->due_ms += gap_of(a);
        } while (a->next < s->n_parts && a->next < a->cut_at && a->due_ms <= a->loop->ticks.now_ms &&
                 s->ends[a->next] - from <= SLICE);
        a->out->send(a, from, s->ends[a->next - 1]);
    }
    if (a->next < s->n_parts) {
        ticks_arm(&a->loop->ticks, &a->timer, a->due_ms);
        return true;
    }
    if (s->key.stream && !s->key.error)
        a->loop->stats.tokens += s->key.tokens;
    finish(a);
    return false;
}

static void on_timer(struct tick_timer *t)
{
    (void)send_due(CONTAINER_OF(t, struct answer, timer));
}

void answer_init(struct answer *a, struct mock_loop *l, const struct answer_out *out)
{
    *a = (struct answer){.loop = l, .out = out};
    tick_timer_init(&a->timer, on_timer);
}

static bool chance(struct mock_loop *l, double rate)
{
    return rate > 0 && mock_random(l) < rate;
}

bool answer_start(struct answer *a, const struct mock_request *r, bool chunked)
{
    struct script_key key;
    memset(&key, 0, sizeof(key)); /* it is compared as bytes */
    key.error = chance(a->loop, r->spec.error_rate);
    key.tokens = key.error ? 0 : r->spec.tokens;
    key.size = r->spec.size;
    key.format = (uint8_t)r->format;
    key.stream = r->stream;
    key.chunked = chunked && r->stream && !key.error;
    key.include_usage = r->include_usage;
    key.stamped = r->spec.stamped && r->stream;
    a->script = script_get(a->loop, &key);
    if (!a->script)
        return false;
    a->spec = r->spec;
    a->next = 0;
    a->blocked = false;
    a->cut_at = UINT32_MAX;
    if (!key.error && chance(a->loop, r->spec.cut_rate))
        a->cut_at = (uint32_t)(mock_random(a->loop) * a->script->n_parts);
    a->loop->stats.errors += key.error;
    uint64_t wait = r->spec.latency_ms;
    if (!r->stream) /* as long as the streamed answer would have taken */
        wait += (uint64_t)r->spec.gap_ms * (r->spec.tokens ? r->spec.tokens - 1 : 0);
    if (wait == 0) {
        a->due_ms = a->loop->ticks.now_ms;
        (void)send_due(a);
        return true;
    }
    a->due_ms = ns_to_ms_up(now_ns()) + wait;
    ticks_arm(&a->loop->ticks, &a->timer, a->due_ms);
    return true;
}

void answer_continue(struct answer *a)
{
    if (a->script && a->blocked) {
        a->blocked = false;
        (void)send_due(a);
    }
}

void answer_abandon(struct answer *a)
{
    if (!a->script)
        return;
    forget(a);
    a->loop->stats.abandoned++;
}

const char *answer_stamped(struct answer *a, size_t from, size_t to)
{
    struct buf *copy = &a->loop->scratch;
    const struct script *s = a->script;
    uint64_t now_us = now_ns() / 1000;
    buf_reset(copy);
    if (buf_append(copy, s->bytes.data + from, to - from) != ERR_OK)
        return NULL;
    for (uint32_t i = a->next; i-- > 0 && s->ends[i] > from;)
        if (s->stamps[i] && s->stamps[i] >= from && s->stamps[i] < to)
            token_write_stamp(copy->data + (s->stamps[i] - from), now_us);
    return copy->data;
}

bool answer_is_error(const struct answer *a)
{
    return a->script->key.error;
}

const char *answer_content_type(const struct answer *a)
{
    return a->script->key.stream && !a->script->key.error ? "text/event-stream" : "application/json";
}

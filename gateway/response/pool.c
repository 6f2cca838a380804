#include "gateway/response/response.h"
#include <stdlib.h>

enum { BUCKETS_FIRST = 64 };

/* ---- By id ---- */

/* Ours are random: a few of their digits are as good as all. */
static size_t hash_of(struct bytes id)
{
    uint64_t digits = 0;
    size_t n = MIN(id.len, sizeof(digits));
    if (n > 0)
        memcpy(&digits, id.data + id.len - n, n);
    return (size_t)(digits * UINT64_C(0x9E3779B97F4A7C15) >> 32);
}

static struct response **bucket_of(const struct response_pool *p, struct bytes id)
{
    return &p->buckets_[hash_of(id) & (p->n_buckets_ - 1)];
}

/* Twice as many buckets. Without memory the chains grow longer. */
static bool grow(struct response_pool *p)
{
    size_t n = p->n_buckets_ ? 2 * p->n_buckets_ : BUCKETS_FIRST, old_n = p->n_buckets_;
    struct response **old = p->buckets_, **buckets = calloc(n, sizeof(struct response *));
    if (!buckets)
        return old != NULL;
    p->buckets_ = buckets;
    p->n_buckets_ = n;
    for (size_t i = 0; i < old_n; i++) {
        for (struct response *r = old[i], *next; r; r = next) {
            struct response **at = bucket_of(p, bytes_cstr(r->id));
            next = r->next_in_bucket_;
            r->next_in_bucket_ = *at;
            *at = r;
        }
    }
    free(old);
    return true;
}

static void unindex(struct response_pool *p, struct response *r)
{
    struct response **at = bucket_of(p, bytes_cstr(r->id));
    while (*at != r)
        at = &(*at)->next_in_bucket_;
    *at = r->next_in_bucket_;
    p->n_indexed_--;
}

struct response *response_find(const struct response_pool *p, const struct owner *owner, struct bytes id)
{
    if (p->n_buckets_ == 0)
        return NULL;
    struct response *r = *bucket_of(p, id);
    while (r && !(bytes_is(id, r->id) && strcmp(r->owner->id, owner->id) == 0))
        r = r->next_in_bucket_;
    return r;
}

/* ---- The lists ---- */

static void leave_list(struct response_pool *p, struct response *r)
{
    if (r->state.state == RESPONSE_RETAINED)
        p->n_retained--;
    else
        p->n_live--;
    list_remove(&r->node_);
}

bool pool_add(struct response_pool *p, struct response *r)
{
    if (p->n_indexed_ >= p->n_buckets_ && !grow(p))
        return false;
    struct response **at = bucket_of(p, bytes_cstr(r->id));
    r->next_in_bucket_ = *at;
    *at = r;
    p->n_indexed_++;
    list_append(&p->live, &r->node_);
    p->n_live++;
    p->bytes += sizeof(*r);
    return true;
}

void pool_to_live(struct response_pool *p, struct response *r)
{
    leave_list(p, r);
    list_append(&p->live, &r->node_);
    p->n_live++;
}

static void append_timed(struct response_pool *p, struct list *to, struct response *r)
{
    r->term_ms_ = 0;
    p->untimed = true;
    list_append(to, &r->node_);
}

void pool_to_unread(struct response_pool *p, struct response *r, bool has_term)
{
    leave_list(p, r);
    if (has_term)
        append_timed(p, &p->unread, r);
    else
        list_append(&p->live, &r->node_);
    p->n_live++;
}

void pool_to_retained(struct response_pool *p, struct response *r)
{
    leave_list(p, r);
    append_timed(p, &p->retained, r);
    p->n_retained++;
}

void pool_to_reap(struct response_pool *p, struct response *r)
{
    leave_list(p, r);
    unindex(p, r);
    p->bytes -= r->accounted_ + sizeof(*r);
    list_append(&p->reap, &r->node_);
}

/* ---- Terms ---- */

static struct response *oldest(const struct list *l)
{
    return list_empty(l) ? NULL : LIST_FIRST(l, struct response, node_);
}

static void set_terms(struct list *l, uint64_t term_ms)
{
    for (struct list *node = l->prev; node != l; node = node->prev) {
        struct response *r = CONTAINER_OF(node, struct response, node_);
        if (r->term_ms_ != 0)
            return;
        r->term_ms_ = term_ms;
    }
}

/* The reap that follows in this turn does the work. */
static void on_timer(struct wheel_timer *t UNUSED) {}

static void arm(struct response_pool *p, uint64_t now_ms)
{
    const struct response *a = oldest(&p->unread), *b = oldest(&p->retained);
    const uint64_t due = MIN(a ? a->term_ms_ : UINT64_MAX, b ? b->term_ms_ : UINT64_MAX);
    p->next_term_ms = due;
    if (wheel_armed(&p->timer) || due == UINT64_MAX)
        return;
    wheel_arm(p->wheel, &p->timer, now_ms, due > now_ms ? due - now_ms : 1);
}

static void end_terms(struct response_pool *p, uint64_t now_ms)
{
    struct response *r;
    while ((r = oldest(&p->unread)) && r->term_ms_ <= now_ms)
        response_drop(r);
    while ((r = oldest(&p->retained)) && (r->term_ms_ <= now_ms || p->bytes > p->max_bytes))
        response_drop(r);
}

void response_pool_reap(struct response_pool *p, uint64_t now_ms)
{
    if (!p->untimed && list_empty(&p->reap) && now_ms < p->next_term_ms && p->bytes <= p->max_bytes)
        return;
    if (p->untimed) {
        set_terms(&p->unread, now_ms + p->resume_ttl);
        set_terms(&p->retained, now_ms + p->resume_ttl);
        p->untimed = false;
    }
    end_terms(p, now_ms);
    for (struct list *node; (node = list_take(&p->reap));) {
        struct response *r = CONTAINER_OF(node, struct response, node_);
        response_free(r);
    }
    arm(p, now_ms);
}

bool response_pool_full(struct response_pool *p)
{
    struct response *r;
    while (p->bytes >= p->max_bytes && (r = oldest(&p->retained)))
        response_drop(r);
    return p->bytes >= p->max_bytes;
}

/* ---- Its life ---- */

void response_pool_init(struct response_pool *p, struct upstream *u, const struct config *cfg,
                        struct wheel *wheel)
{
    *p = (struct response_pool){.upstream = u,
                                .max_bytes = cfg->limits.max_responses_bytes,
                                .max_response_bytes = cfg->limits.max_response_bytes,
                                .resume_ttl = cfg->timeouts.resume_ttl,
                                .next_term_ms = UINT64_MAX,
                                .wheel = wheel};
    list_init(&p->live);
    list_init(&p->unread);
    list_init(&p->retained);
    list_init(&p->reap);
    wheel_timer_init(&p->timer, on_timer);
}

void response_pool_close(struct response_pool *p)
{
    struct response *r;
    p->closing = true;
    while ((r = oldest(&p->retained)))
        response_drop(r);
    while ((r = oldest(&p->unread)))
        response_drop(r);
    LIST_EACH(&p->live, node)
    {
        r = CONTAINER_OF(node, struct response, node_);
        if (r->state.state == RESPONSE_UNREAD)
            response_drop(r);
    }
    wheel_cancel(p->wheel, &p->timer);
}

void response_pool_free(struct response_pool *p)
{
    free(p->buckets_);
    p->buckets_ = NULL;
    p->n_buckets_ = 0;
}

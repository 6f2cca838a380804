#include "gateway/session/context.h"
#include "protocols/responses/output_item.h"
#include <stdlib.h>

static void gather_piece(void *ctx, struct bytes text)
{
    buf_append_bytes(ctx, text);
}

static bool part_text(struct arena *a, const struct llm_log *log, unsigned item, unsigned part,
                      enum llm_part_kind kind, struct bytes *ret)
{
    struct buf text;
    buf_init(&text, log->max_bytes);
    llm_log_each_delta(log, NULL, item, part, kind, gather_piece, &text);
    bool ok = !text.failed && arena_dup(a, buf_bytes(&text), ret);
    buf_free(&text);
    return ok;
}

static bool copy_message(struct arena *a, const struct llm_log *log, unsigned index, unsigned n_parts,
                         struct llm_item *ret)
{
    ret->kind = LLM_ITEM_MESSAGE;
    ret->role = LLM_ROLE_ASSISTANT;
    ret->contents = arena_array(a, n_parts ? n_parts : 1, sizeof(*ret->contents));
    if (!ret->contents)
        return false;
    for (unsigned part = 0; part < n_parts; part++) {
        struct llm_content *c = &ret->contents[ret->n_contents];
        if (!part_text(a, log, index, part, LLM_PART_TEXT, &c->text))
            return false;
        c->kind = LLM_CONTENT_TEXT;
        if (c->text.len == 0) {
            if (!part_text(a, log, index, part, LLM_PART_REFUSAL, &c->text))
                return false;
            if (c->text.len > 0)
                c->kind = LLM_CONTENT_REFUSAL;
        }
        ret->n_contents++;
    }
    return true;
}

/* The item whole, in Responses form. */
static bool copy_raw(struct arena *a, const struct llm_log *log, unsigned index, enum llm_item_kind kind,
                     struct llm_item *ret)
{
    struct buf raw;
    struct json_writer w;
    buf_init(&raw, log->max_bytes * 2);
    jw_init(&w, &raw);
    responses_write_output_item(log, index, &w);
    ret->kind = kind;
    bool ok = !raw.failed && arena_dup(a, buf_bytes(&raw), &ret->raw);
    buf_free(&raw);
    return ok;
}

static bool copy_output(struct arena *a, const struct llm_log *log, unsigned index, struct llm_item *ret)
{
    const struct llm_output_item *item = llm_log_item(log, index);
    *ret = (struct llm_item){0};
    if (!arena_dup(a, item->id, &ret->id) || !arena_dup(a, item->call_id, &ret->call_id) ||
        !arena_dup(a, item->name, &ret->name))
        return false;
    /* What the item has in the client's own words (phase, namespace) goes back to the provider with it. */
    if (log->extra_dialect == &dialect_responses && !arena_dup(a, item->extra, &ret->raw))
        return false;
    switch (item->kind) {
    case LLM_OUT_MESSAGE:
        return copy_message(a, log, index, item->n_parts, ret);
    case LLM_OUT_FUNCTION_CALL:
        ret->kind = LLM_ITEM_FUNCTION_CALL;
        return part_text(a, log, index, 0, LLM_PART_ARGUMENTS, &ret->text);
    case LLM_OUT_REASONING:
        return copy_raw(a, log, index, LLM_ITEM_REASONING, ret) &&
               part_text(a, log, index, 0, LLM_PART_REASONING, &ret->text);
    case LLM_OUT_OPAQUE:
        return copy_raw(a, log, index, LLM_ITEM_OPAQUE, ret);
    }
    return false;
}

/* Room for `n` more items; what is left of the ceiling is the arena's. */
static bool make_room(struct context *c, size_t n)
{
    const size_t size = (c->n_items + n + 1) * sizeof(*c->items);
    if (size < sizeof(*c->items) || size > c->max_bytes - MIN(c->arena.used, c->max_bytes))
        return false;
    struct llm_item *items = realloc(c->items, size);
    if (!items)
        return false;
    c->items = items;
    c->arena.max = c->max_bytes - size;
    return true;
}

static void give_up(struct context *c)
{
    arena_free(&c->arena);
    free(c->items);
    c->items = NULL;
    c->n_items = 0;
    c->too_large = true;
}

static bool copy_items(struct context *c, const struct llm_item *items, size_t n)
{
    if (!make_room(c, n))
        return false;
    for (size_t i = 0; i < n; i++)
        if (llm_item_copy(&c->arena, &items[i], &c->items[c->n_items++]) != ERR_OK)
            return false;
    return true;
}

static bool copy_outputs(struct context *c, const struct llm_log *log)
{
    const unsigned n = llm_log_n_items(log);
    if (!make_room(c, n))
        return false;
    for (unsigned i = 0; i < n; i++)
        if (!copy_output(&c->arena, log, i, &c->items[c->n_items++]))
            return false;
    return true;
}

struct context *context_begin(const struct llm_request *r, size_t max_bytes)
{
    struct context *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->refs = 1;
    c->max_bytes = max_bytes;
    arena_init(&c->arena, max_bytes);
    if (!copy_items(c, r->items, r->n_items))
        give_up(c);
    return c;
}

void context_finish(struct context *c, struct bytes response_id, const struct llm_log *log)
{
    const size_t n = MIN(response_id.len, sizeof(c->response_id) - 1);
    if (!c->too_large && !copy_outputs(c, log))
        give_up(c);
    memcpy(c->response_id, response_id.data, n);
}

size_t context_bytes(const struct context *c)
{
    return sizeof(*c) + c->arena.used + (c->items ? (c->n_items + 1) * sizeof(*c->items) : 0);
}

struct context *context_ref(struct context *c)
{
    if (c)
        c->refs++;
    return c;
}

void context_free(struct context *c)
{
    if (!c || --c->refs > 0)
        return;
    arena_free(&c->arena);
    free(c->items);
    free(c);
}

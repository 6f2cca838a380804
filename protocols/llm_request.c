#include "protocols/llm_request.h"

void llm_request_init(struct llm_request *r, struct arena *a, const struct dialect *d)
{
    memset(r, 0, sizeof *r);
    r->arena = a;
    r->dialect = d;
    r->parallel_tool_calls = -1;
    r->format.strict = -1;
    r->store = -1;
}

enum err llm_request_prepend(struct llm_request *r, const struct llm_item *items, size_t n)
{
    if (n == 0)
        return ERR_OK;
    if (n > SIZE_MAX - r->n_items)
        return ERR_NOMEM;
    struct llm_item *all = arena_array(r->arena, n + r->n_items, sizeof *all);
    if (!all)
        return ERR_NOMEM;
    memcpy(all, items, n * sizeof *all);
    if (r->n_items)
        memcpy(all + n, r->items, r->n_items * sizeof *all);
    r->items = all;
    r->n_items += n;
    return ERR_OK;
}

static bool copy_contents(struct arena *a, const struct llm_item *from, struct llm_item *to)
{
    to->contents = NULL;
    if (from->n_contents == 0)
        return true;
    to->contents = arena_array(a, from->n_contents, sizeof *to->contents);
    if (!to->contents)
        return false;
    for (size_t i = 0; i < from->n_contents; i++) {
        const struct llm_content *c = &from->contents[i];
        struct llm_content *copy = &to->contents[i];
        copy->kind = c->kind;
        if (!arena_dup(a, c->text, &copy->text) || !arena_dup(a, c->detail, &copy->detail) ||
            !arena_dup(a, c->raw, &copy->raw))
            return false;
    }
    return true;
}

enum err llm_item_copy(struct arena *a, const struct llm_item *from, struct llm_item *ret)
{
    struct llm_item copy = *from;
    if (!arena_dup(a, from->id, &copy.id) || !arena_dup(a, from->call_id, &copy.call_id) ||
        !arena_dup(a, from->name, &copy.name) || !arena_dup(a, from->text, &copy.text) ||
        !arena_dup(a, from->raw, &copy.raw) || !copy_contents(a, from, &copy))
        return ERR_NOMEM;
    *ret = copy;
    return ERR_OK;
}

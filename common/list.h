#pragma once
/* An intrusive, circular, doubly linked list. A node is in at most one list; an unlinked node points to
 * itself. */
#include "common/attr.h"
#include <assert.h>
#include <stdbool.h>

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}
static inline bool list_linked(const struct list *node)
{
    return node->next != node;
}
static inline void list_append(struct list *l, struct list *node)
{
    assert(!list_linked(node));
    node->prev = l->prev;
    node->next = l;
    l->prev->next = node;
    l->prev = node;
}
/* Unlinks; harmless on an unlinked node. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}
/* Takes the first node off; NULL when there is none. */
struct list *list_take(struct list *l);
/* Moves all nodes of `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}
#define LIST_FIRST(l, type, member) CONTAINER_OF((l)->next, type, member)
/* NOLINTBEGIN(bugprone-macro-parentheses): a declaration cannot be put in any. */
/* The body may unlink or free the current node, and no other. */
#define LIST_EACH(l, node)                                                                                   \
    for (struct list *node = (l)->next, *node##_next = node->next; node != (l);                              \
         node = node##_next, node##_next = node->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#include "common/arena.h"
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The smallest is as much, with its head, as malloc keeps at hand. */
enum { BLOCK_MIN = 960, BLOCK_MAX = 64 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    alignas(max_align_t) unsigned char data[];
};

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_EXACT 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(ARENA_EXACT)
#define ARENA_EXACT 1
#endif
#ifndef ARENA_EXACT
#define ARENA_EXACT 0
#endif

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

void arena_wipe(struct arena *a)
{
    for (struct arena_block *b = a->head; b; b = b->next)
        explicit_bzero(b->data, b->size);
    arena_free(a);
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    for (struct arena_block *b = a->head; b;) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
    arena_init(a, a->max);
}

static struct arena_block *block_new(size_t size)
{
    if (size > SIZE_MAX - sizeof(struct arena_block))
        return NULL;
    struct arena_block *b = malloc(sizeof(*b) + size);
    if (b)
        *b = (struct arena_block){.size = size};
    return b;
}

/* The block that has `size` bytes left: the head, a new head, or one that only this allocation uses. */
static struct arena_block *block_for(struct arena *a, size_t size)
{
    struct arena_block *head = a->head;

    if (head && size <= head->size - head->used)
        return head;
    size_t grown = head ? MIN(head->size * 2, (size_t)BLOCK_MAX) : (size_t)BLOCK_MIN;
    bool own = ARENA_EXACT || size > grown / 4;
    struct arena_block *b = block_new(own ? size : MAX(grown, (size_t)BLOCK_MIN));
    if (!b)
        return NULL;
    if (own && head) {
        /* Behind the head, which stays the one that is filled. */
        b->next = head->next;
        head->next = b;
    } else {
        b->next = head;
        a->head = b;
    }
    return b;
}

static void *take(struct arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);

    if (size > a->max || size > SIZE_MAX - align)
        return NULL;
    /* Rounded up, so that the next one is aligned too; nothing is one unit, so that no two are the same
     * pointer. */
    size_t rounded = size == 0 ? align : (size + align - 1) / align * align;
    if (rounded > a->max - a->used)
        return NULL;
    struct arena_block *b = block_for(a, ARENA_EXACT ? size : rounded);
    if (!b)
        return NULL;
    void *p = b->data + b->used;
    b->used += ARENA_EXACT ? size : rounded;
    a->used += rounded;
    return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    void *p = take(a, size);

    return p ? memset(p, 0, size) : NULL;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    if (size > 0 && n > SIZE_MAX / size)
        return NULL;
    return arena_alloc(a, n * size);
}

bool arena_dup(struct arena *a, struct bytes s, struct bytes *ret_copy)
{
    char *copy = s.len < SIZE_MAX ? take(a, s.len + 1) : NULL;

    if (!copy) {
        *ret_copy = (struct bytes){NULL, 0};
        return false;
    }
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    *ret_copy = (struct bytes){copy, s.len};
    return true;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        return NULL;
    char *text = arena_alloc(a, (size_t)n + 1);
    if (!text)
        return NULL;
    va_start(args, fmt);
    (void)vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

#pragma once
/* A YAML text as a small tree in which every value knows its line and its path. A strict part of YAML: one
 * document, maps with plain keys, lists and scalars; no anchors, aliases or tags; no key twice. ${NAME} in a
 * value stands for the environment's NAME, and $$ for a dollar sign. */
#include "common/arena.h"
#include "gateway/config/problems.h"

enum { YAML_TREE_DEPTH = 12, YAML_TREE_NODES = 100000, YAML_MAP_KEYS = 64, YAML_KEY_SIZE = 64 };

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    size_t line;      /* from 1; a map's member: its key's */
    const char *path; /* "listen[0].tls.key" */
    const char *key;  /* member of a map: its key; unprintable characters as '?' */
    bool quoted;      /* scalar: in quotes, or a block */
    bool interpolated;
    bool bad;             /* has a problem that is already reported: not to be used */
    struct bytes written; /* scalar: as in the file, which is what messages may show */
    struct bytes text;    /* scalar: after interpolation; NUL-terminated */
    struct node *first, *next;
    size_t n; /* children */
};

/* *ret is the arena's, and a map. ERR_INVALID: nothing that could be looked at further; reported. ERR_OK may
 * also come with problems. */
enum err yaml_tree_parse(struct bytes yaml, struct arena *a, struct problems *p, struct node **ret) MUST_USE;
/* NULL when absent, or when `map` is NULL or no map. */
struct node *node_get(const struct node *map, const char *key);
/* A plain scalar that YAML reads as nothing, and not as a string. */
bool node_is_null(const struct node *n);
/* Reports at the node's place. */
void node_problem(struct problems *p, const struct node *n, const char *fmt, ...) PRINTF_LIKE(3, 4);

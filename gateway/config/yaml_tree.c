#include "gateway/config/yaml_tree.h"
#include "gateway/config/interpolate.h"
#include <stdio.h>
#include <yaml.h>

struct builder {
    yaml_parser_t yaml;
    struct bytes source;
    struct arena *arena;
    struct problems *problems;
    size_t nodes;
};

static enum err read_value(struct builder *b, const yaml_event_t *event, struct node *node, unsigned depth);

void node_problem(struct problems *p, const struct node *n, const char *fmt, ...)
{
    char text[700];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    problem_at(p, n->line, n->path, "%s", text);
}

static size_t line_of_offset(struct bytes source, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < offset && i < source.len; i++)
        line += source.data[i] == '\n';
    return line;
}

/* A tab where only spaces may stand is the commonest slip, and libyaml's words for it do not name it. */
static bool indented_by_tab(struct bytes source, size_t line)
{
    size_t at = 0;
    for (size_t n = 1; n < line && at < source.len; at++)
        n += source.data[at] == '\n';
    while (at < source.len && source.data[at] == ' ')
        at++;
    return at < source.len && source.data[at] == '\t';
}

static void report_syntax(struct builder *b)
{
    const yaml_parser_t *y = &b->yaml;
    if (y->error == YAML_MEMORY_ERROR) {
        problem_at(b->problems, 0, "", "out of memory");
        return;
    }
    const char *what = y->problem ? y->problem : "cannot be read";
    if (y->error == YAML_READER_ERROR) {
        problem_at(b->problems, line_of_offset(b->source, y->problem_offset), "",
                   "not valid text: %s; allowed: UTF-8 without control characters", what);
        return;
    }
    size_t line = y->problem_mark.line + 1;
    bool tab = indented_by_tab(b->source, line);
    problem_at(b->problems, line, "", "not valid YAML: %s%s%s%s", y->context ? y->context : "",
               y->context ? ", " : "", what, tab ? "; allowed: indentation by spaces, not by tabs" : "");
}

static enum err next_event(struct builder *b, yaml_event_t *event)
{
    if (yaml_parser_parse(&b->yaml, event))
        return ERR_OK;
    report_syntax(b);
    return ERR_INVALID;
}

static enum err no_memory(struct builder *b)
{
    problem_at(b->problems, 0, "", "out of memory");
    return ERR_NOMEM;
}

static struct node *new_node(struct builder *b, const char *path, size_t line)
{
    if (++b->nodes > YAML_TREE_NODES) {
        problem_at(b->problems, line, "", "too many values; allowed: %d in all", YAML_TREE_NODES);
        return NULL;
    }
    struct node *n = arena_alloc(b->arena, sizeof(*n));
    if (!n || !path) {
        (void)no_memory(b);
        return NULL;
    }
    n->path = path;
    n->line = line;
    return n;
}

static enum err read_scalar(struct builder *b, const yaml_event_t *event, struct node *node)
{
    node->kind = NODE_SCALAR;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    struct bytes value = bytes_of(event->data.scalar.value, event->data.scalar.length);
    if (!arena_dup(b->arena, value, &node->written))
        return no_memory(b);
    struct interpolation done;
    switch (interpolate(node->written, b->arena, &done)) {
    case ERR_OK:
        node->text = done.text;
        node->interpolated = done.changed;
        return ERR_OK;
    case ERR_NOT_FOUND:
        node_problem(b->problems, node,
                     "the environment variable %.*s is not set; set it, or write ${%.*s:-DEFAULT}, or $$ for "
                     "a dollar sign",
                     BYTES_FMT(done.name), BYTES_FMT(done.name));
        break;
    case ERR_SYNTAX:
        node_problem(b->problems, node,
                     "${ without a name and a }; allowed: ${NAME} or ${NAME:-DEFAULT} for an environment "
                     "variable, $$ for a dollar sign");
        break;
    case ERR_LIMIT:
        node_problem(b->problems, node, "too long with its variables; allowed: %d bytes", INTERPOLATED_MAX);
        break;
    default:
        return no_memory(b);
    }
    node->bad = true;
    return ERR_OK;
}

static enum err read_list(struct builder *b, struct node *list, unsigned depth)
{
    list->kind = NODE_LIST;
    struct node **link = &list->first;
    for (;;) {
        yaml_event_t event;
        enum err e = next_event(b, &event);
        if (e)
            return e;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return ERR_OK;
        }
        struct node *item =
            new_node(b, arena_printf(b->arena, "%s[%zu]", list->path, list->n), event.start_mark.line + 1);
        e = item ? read_value(b, &event, item, depth + 1) : ERR_LIMIT;
        yaml_event_delete(&event);
        if (e)
            return e;
        *link = item;
        link = &item->next;
        list->n++;
    }
}

/* The key as messages may show it. */
static const char *key_text(struct builder *b, const yaml_event_t *event)
{
    size_t len = MIN(event->data.scalar.length, (size_t)YAML_KEY_SIZE);
    char text[YAML_KEY_SIZE + 1];
    for (size_t i = 0; i < len; i++) {
        unsigned char c = event->data.scalar.value[i];
        text[i] = '?';
        if (c > 0x20 && c < 0x7f)
            text[i] = (char)c;
    }
    text[len] = '\0';
    return arena_printf(b->arena, "%s%s", text, event->data.scalar.length > len ? "..." : "");
}

static enum err read_member(struct builder *b, const yaml_event_t *key, struct node *map, struct node ***link,
                            unsigned depth)
{
    size_t line = key->start_mark.line + 1;
    if (key->type != YAML_SCALAR_EVENT || key->data.scalar.anchor || key->data.scalar.tag) {
        problem_at(b->problems, line, map->path, "a key is not a plain word; allowed: KEY: VALUE");
        return ERR_INVALID;
    }
    const char *name = key_text(b, key);
    const char *path = !name ? NULL : *map->path ? arena_printf(b->arena, "%s.%s", map->path, name) : name;
    struct node *member = new_node(b, path, line);
    if (!member)
        return ERR_LIMIT;
    member->key = name;
    yaml_event_t event;
    enum err e = next_event(b, &event);
    if (e)
        return e;
    e = read_value(b, &event, member, depth + 1);
    yaml_event_delete(&event);
    if (e)
        return e;
    const struct node *before = node_get(map, name);
    if (before) {
        node_problem(b->problems, member, "stands twice, first in line %zu; allowed: once", before->line);
        return ERR_OK;
    }
    **link = member;
    *link = &member->next;
    if (++map->n <= YAML_MAP_KEYS)
        return ERR_OK;
    node_problem(b->problems, map, "too many keys; allowed: %d", YAML_MAP_KEYS);
    return ERR_LIMIT;
}

static enum err read_map(struct builder *b, struct node *map, unsigned depth)
{
    map->kind = NODE_MAP;
    struct node **link = &map->first;
    for (;;) {
        yaml_event_t event;
        enum err e = next_event(b, &event);
        if (e)
            return e;
        bool end = event.type == YAML_MAPPING_END_EVENT;
        if (!end)
            e = read_member(b, &event, map, &link, depth);
        yaml_event_delete(&event);
        if (end || e)
            return e;
    }
}

static enum err read_value(struct builder *b, const yaml_event_t *event, struct node *node, unsigned depth)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (event->type == YAML_ALIAS_EVENT || anchor || tag) {
        node_problem(b->problems, node, "YAML %s are not read here; write the value itself",
                     tag ? "tags (!)" : "anchors and aliases (&, *)");
        return ERR_INVALID;
    }
    if (depth > YAML_TREE_DEPTH) {
        node_problem(b->problems, node, "nested too deeply; allowed: %d levels", YAML_TREE_DEPTH);
        return ERR_LIMIT;
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(b, event, node);
    case YAML_SEQUENCE_START_EVENT:
        return read_list(b, node, depth);
    default:
        return read_map(b, node, depth);
    }
}

/* The events around the one document. */
static enum err read_stream(struct builder *b, struct node **ret)
{
    struct node *root = NULL;
    for (;;) {
        yaml_event_t event;
        enum err e = next_event(b, &event);
        if (e)
            return e;
        yaml_event_type_t type = event.type;
        size_t line = event.start_mark.line + 1;
        if (type == YAML_DOCUMENT_START_EVENT && root) {
            problem_at(b->problems, line, "", "a second document begins here; allowed: one");
            e = ERR_INVALID;
        } else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
                   type == YAML_MAPPING_START_EVENT || type == YAML_ALIAS_EVENT) {
            root = new_node(b, "", line);
            e = root ? read_value(b, &event, root, 0) : ERR_LIMIT;
        }
        yaml_event_delete(&event);
        if (e)
            return e;
        if (type == YAML_STREAM_END_EVENT)
            break;
    }
    if (!root || node_is_null(root)) {
        problem_at(b->problems, 0, "", "is empty; needed: listen, models, providers and keys");
        return ERR_INVALID;
    }
    if (root->kind != NODE_MAP) {
        problem_at(b->problems, root->line, "", "is not a map; allowed: KEY: VALUE lines");
        return ERR_INVALID;
    }
    *ret = root;
    return ERR_OK;
}

enum err yaml_tree_parse(struct bytes yaml, struct arena *a, struct problems *p, struct node **ret)
{
    struct builder b = {.source = yaml, .arena = a, .problems = p};
    if (!yaml_parser_initialize(&b.yaml))
        return no_memory(&b);
    yaml_parser_set_encoding(&b.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.yaml, (const unsigned char *)(yaml.data ? yaml.data : ""), yaml.len);
    enum err e = read_stream(&b, ret);
    yaml_parser_delete(&b.yaml);
    return e == ERR_OK ? ERR_OK : ERR_INVALID;
}

struct node *node_get(const struct node *map, const char *key)
{
    if (!map || map->kind != NODE_MAP)
        return NULL;
    for (struct node *n = map->first; n; n = n->next)
        if (strcmp(n->key, key) == 0)
            return n;
    return NULL;
}

bool node_is_null(const struct node *n)
{
    if (n->kind != NODE_SCALAR || n->quoted || n->interpolated || n->bad)
        return false;
    return n->text.len == 0 || bytes_is(n->text, "~") || bytes_is(n->text, "null") ||
           bytes_is(n->text, "Null") || bytes_is(n->text, "NULL");
}

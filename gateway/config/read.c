#include "gateway/config/read.h"
#include "gateway/config/interpolate.h"
#include "gateway/config/suggest.h"
#include "gateway/config/value.h"
#include <stdio.h>

enum { ALLOWED_MAX = 600, SHOWN_MAX = 48, PATH_MAX_LEN = 128 };

struct reader {
    struct config *cfg;
    struct problems *problems;
};

static void read_map(struct reader *r, struct node *map, const char *table_path, char *record);

/* The value as messages may show it. */
static void shown(const struct node *n, char out[SHOWN_MAX + 8])
{
    size_t len = MIN(n->written.len, (size_t)SHOWN_MAX);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)n->written.data[i];
        out[i] = '?';
        if (c >= 0x20 && c != 0x7f)
            out[i] = n->written.data[i];
    }
    (void)snprintf(out + len, 8, "%s", n->written.len > len ? "..." : "");
}

static const char *kind_name(const struct node *n)
{
    if (n->kind == NODE_SCALAR)
        return node_is_null(n) ? "nothing" : "a single value";
    return n->kind == NODE_LIST ? "a list" : "a map";
}

/* "WHAT; allowed: ..." */
static void refuse(struct reader *r, struct node *n, const struct config_keydef *d, const char *what)
{
    n->bad = true;
    struct buf allowed;
    buf_init(&allowed, ALLOWED_MAX);
    value_allowed(d, &allowed);
    node_problem(r->problems, n, "%s; allowed: %.*s", what, BYTES_FMT(buf_bytes(&allowed)));
    buf_free(&allowed);
}

static void refuse_kind(struct reader *r, struct node *n, const struct config_keydef *d)
{
    char what[64];
    (void)snprintf(what, sizeof(what), "is %s", kind_name(n));
    refuse(r, n, d, what);
}

static void no_memory(struct reader *r, struct node *n)
{
    node_problem(r->problems, n, "out of memory");
}

static void unknown_key(struct reader *r, struct node *n, const char *table_path)
{
    struct buf names;
    buf_init(&names, ALLOWED_MAX);
    struct suggestion best;
    suggest_init(&best, bytes_cstr(n->key));
    for (size_t i = 0; i < config_n_keys; i++) {
        if (!config_key_in(&config_keys[i], table_path))
            continue;
        const char *leaf = config_key_leaf(&config_keys[i]);
        (void)buf_printf(&names, "%s%s", names.len ? ", " : "", leaf);
        suggest_consider(&best, leaf);
    }
    const char *near = suggest_best(&best);
    node_problem(r->problems, n, "unknown key%s%s%s; allowed here: %.*s", near ? ", did you mean " : "",
                 near ? near : "", near ? "?" : "", BYTES_FMT(buf_bytes(&names)));
    buf_free(&names);
}

static void store(char *record, const struct config_keydef *d, uint64_t value)
{
    if (d->at == CONFIG_ELSEWHERE)
        return;
    uint32_t narrow = (uint32_t)value;
    bool flag = value != 0;
    if (d->type == CONFIG_BOOL)
        memcpy(record + d->at, &flag, sizeof(flag));
    else if (d->width == sizeof(narrow))
        memcpy(record + d->at, &narrow, sizeof(narrow));
    else
        memcpy(record + d->at, &value, sizeof(value));
}

/* A string that may be used: *ret is the tree's. */
static bool read_text(struct reader *r, struct node *n, const struct config_keydef *d, struct bytes *ret)
{
    if (n->kind != NODE_SCALAR || node_is_null(n)) {
        refuse_kind(r, n, d);
        return false;
    }
    if (n->bad)
        return false;
    if (!n->quoted && !n->interpolated && value_not_string(n->text)) {
        refuse(r, n, d, "reads as a number or a truth value, put quotes around it");
        return false;
    }
    for (size_t i = 0; i < n->text.len; i++) {
        unsigned char c = (unsigned char)n->text.data[i];
        if (c < 0x20 || c == 0x7f) {
            refuse(r, n, d, "holds a control character (a line's end?)");
            return false;
        }
    }
    bool list = d->type == CONFIG_STRINGS;
    if (n->text.len < (list ? 1 : d->min) || n->text.len > (list ? 1024 : d->max)) {
        refuse(r, n, d, n->text.len ? "is too long" : "is empty");
        return false;
    }
    *ret = n->text;
    return true;
}

static void read_string(struct reader *r, struct node *n, const struct config_keydef *d, char *record)
{
    struct bytes text;
    if (!read_text(r, n, d, &text) || d->at == CONFIG_ELSEWHERE)
        return;
    if (d->type == CONFIG_SECRET) {
        if (secret_set((struct secret *)(void *)(record + d->at), text) != ERR_OK)
            no_memory(r, n);
        return;
    }
    struct bytes copy;
    if (!arena_dup(&r->cfg->arena, text, &copy)) {
        no_memory(r, n);
        return;
    }
    memcpy(record + d->at, &copy.data, sizeof(copy.data));
}

static void read_scalar(struct reader *r, struct node *n, const struct config_keydef *d, char *record)
{
    if (n->kind != NODE_SCALAR || node_is_null(n)) {
        refuse_kind(r, n, d);
        return;
    }
    if (n->bad)
        return;
    char what[SHOWN_MAX + 80], text[SHOWN_MAX + 8];
    shown(n, text);
    bool literal = d->type == CONFIG_NUMBER || d->type == CONFIG_BOOL;
    if (literal && n->quoted && !n->interpolated && !d->words) {
        (void)snprintf(what, sizeof(what), "\"%s\" is in quotes and so a string", text);
        refuse(r, n, d, what);
        return;
    }
    uint64_t value;
    enum err e = value_parse(d, n->text, &value);
    if (e == ERR_OK) {
        store(record, d, value);
        return;
    }
    const char *why = e == ERR_LIMIT ? "is out of range" : "is no such value";
    if (value_is_other(d, n->text))
        why = d->others_why;
    (void)snprintf(what, sizeof(what), "'%s' %s", text, why);
    refuse(r, n, d, what);
}

static bool read_list_head(struct reader *r, struct node *n, const struct config_keydef *d, char *record,
                           char **ret_items)
{
    if (n->kind != NODE_LIST) {
        refuse_kind(r, n, d);
        return false;
    }
    if (n->n < d->min || n->n > d->max) {
        refuse(r, n, d, n->n ? "has too many items" : "has no items");
        return false;
    }
    if (n->n == 0)
        return false;
    char *items = arena_array(&r->cfg->arena, n->n, d->width);
    if (!items) {
        no_memory(r, n);
        return false;
    }
    memcpy(record + d->at, &items, sizeof(items));
    memcpy(record + d->count_at, &n->n, sizeof(n->n));
    *ret_items = items;
    return true;
}

static void read_strings(struct reader *r, struct node *n, const struct config_keydef *d, char *record)
{
    char *items;
    if (!read_list_head(r, n, d, record, &items))
        return;
    for (struct node *item = n->first; item; item = item->next, items += d->width) {
        struct bytes text, copy;
        if (!read_text(r, item, d, &text))
            continue;
        if (arena_dup(&r->cfg->arena, text, &copy))
            memcpy(items, &copy.data, sizeof(copy.data));
        else
            no_memory(r, item);
    }
}

static void read_maps(struct reader *r, struct node *n, const struct config_keydef *d, char *record)
{
    char *items;
    if (!read_list_head(r, n, d, record, &items))
        return;
    char item_path[PATH_MAX_LEN];
    (void)snprintf(item_path, sizeof(item_path), "%s[]", d->path);
    for (struct node *item = n->first; item; item = item->next, items += d->width) {
        if (item->kind == NODE_MAP)
            read_map(r, item, item_path, items);
        else
            node_problem(r->problems, item, "is %s; allowed: a map of keys", kind_name(item));
    }
}

static void read_value(struct reader *r, struct node *n, const struct config_keydef *d, char *record)
{
    switch (d->type) {
    case CONFIG_MAP:
        if (n->kind == NODE_MAP)
            read_map(r, n, d->path, record);
        else
            refuse_kind(r, n, d);
        break;
    case CONFIG_MAPS:
        read_maps(r, n, d, record);
        break;
    case CONFIG_STRINGS:
        read_strings(r, n, d, record);
        break;
    case CONFIG_SECRET:
        if (n->interpolated && environment_hide(n->written) != ERR_OK)
            no_memory(r, n);
        read_string(r, n, d, record);
        break;
    case CONFIG_STRING:
        read_string(r, n, d, record);
        break;
    default:
        read_scalar(r, n, d, record);
    }
}

/* The key is not written: its default, or a problem if it must be. `map` NULL: its map is not written either.
 */
static void read_absent(struct reader *r, struct node *map, const struct config_keydef *d, char *record)
{
    if (d->type == CONFIG_MAP) {
        read_map(r, NULL, d->path, record);
        return;
    }
    uint64_t value;
    if (d->preset && value_parse(d, bytes_cstr(d->preset), &value) == ERR_OK)
        store(record, d, value);
    if (!d->required || !map)
        return;
    struct buf allowed;
    buf_init(&allowed, ALLOWED_MAX);
    value_allowed(d, &allowed);
    char path[PATH_MAX_LEN];
    (void)snprintf(path, sizeof(path), "%s%s%s", map->path, *map->path ? "." : "", config_key_leaf(d));
    problem_at(r->problems, map->line, path, "is missing; allowed: %.*s", BYTES_FMT(buf_bytes(&allowed)));
    buf_free(&allowed);
}

/* `map` NULL: not written. `record` is where the offsets of its keys count from. */
static void read_map(struct reader *r, struct node *map, const char *table_path, char *record)
{
    for (size_t i = 0; i < config_n_keys; i++) {
        const struct config_keydef *d = &config_keys[i];
        if (!config_key_in(d, table_path))
            continue;
        struct node *n = node_get(map, config_key_leaf(d));
        if (n)
            read_value(r, n, d, record);
        else
            read_absent(r, map, d, record);
    }
    for (struct node *n = map ? map->first : NULL; n; n = n->next) {
        char path[PATH_MAX_LEN];
        (void)snprintf(path, sizeof(path), "%s%s%s", table_path, *table_path ? "." : "", n->key);
        const struct config_keydef *d = config_key_find(path);
        if (!d || !config_key_in(d, table_path))
            unknown_key(r, n, table_path);
    }
}

void read_config(struct config *cfg, struct node *root, struct problems *p)
{
    struct reader r = {.cfg = cfg, .problems = p};
    read_map(&r, root, "", (char *)cfg);
}

#include "gateway/config/check.h"
#include "gateway/config/key_text.h"

/* A browser sends its key as part of a subprotocol, which must be a token (RFC 9110, 5.6.2). */
static bool is_token(struct bytes s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return true;
}

static void check_plaintext(struct config *cfg, size_t i, const struct node *n, struct problems *p)
{
    struct config_key *k = &cfg->keys[i];
    struct bytes text = n->kind == NODE_SCALAR && !n->bad ? n->text : bytes_of(NULL, 0);
    if (text.len == 0)
        return;
    k->plaintext = true;
    if (!is_token(text)) {
        node_problem(p, n, "has a character that a key may not have; allowed: letters, digits and -._~+");
        return;
    }
    if (secret_set(&k->value, text) != ERR_OK)
        node_problem(p, n, "out of memory");
    if (!check_has_loopback(cfg))
        node_problem(p, n,
                     "counts on loopback listeners only, and there is none; allowed: hash, or a listener on "
                     "127.0.0.1, [::1] or unix:/PATH");
    for (size_t j = 0; j < i; j++)
        if (secret_is_set(&cfg->keys[j].value) && secret_eq(&cfg->keys[j].value, text))
            node_problem(p, n, "is also the key of keys[%zu]; allowed: each key once", j);
}

static void check_hash(struct config *cfg, size_t i, const struct node *n, struct problems *p)
{
    struct config_key *k = &cfg->keys[i];
    if (n->kind != NODE_SCALAR || n->bad || n->text.len == 0)
        return;
    if (!key_hash_parse(n->text, &cfg->arena, k)) {
        node_problem(
            p, n,
            "is not a key's hash; allowed: hmac-sha256:ID:SALT:HASH, as `sluice key new NAME` prints it");
        return;
    }
    for (size_t j = 0; j < i; j++)
        if (cfg->keys[j].id && strcmp(cfg->keys[j].id, k->id) == 0)
            node_problem(p, n, "has the id of keys[%zu]; allowed: each key once", j);
}

static void check_key(struct config *cfg, size_t i, const struct node *n, struct problems *p)
{
    struct config_key *k = &cfg->keys[i];
    const struct node *hash = node_get(n, "hash"), *plaintext = node_get(n, "plaintext");
    if (n->kind == NODE_MAP && !hash == !plaintext)
        node_problem(p, n, "%s hash and plaintext; allowed: one of them", hash ? "has both" : "has neither");
    if (hash)
        check_hash(cfg, i, hash, p);
    if (plaintext)
        check_plaintext(cfg, i, plaintext, p);
    for (size_t j = 0; k->name && j < i; j++)
        if (cfg->keys[j].name && strcmp(cfg->keys[j].name, k->name) == 0)
            node_problem(p, node_get(n, "name"),
                         "'%s' is also the name of keys[%zu]; allowed: each name once", k->name, j);
    const struct node *models = node_get(n, "models");
    const struct node *m = models ? models->first : NULL;
    for (size_t j = 0; j < k->n_models && m; j++, m = m->next)
        if (k->models[j] && !check_pattern(bytes_cstr(k->models[j])))
            node_problem(p, m, "has a * before its end; allowed: an exact name, or one * at the end");
}

void check_keys(struct config *cfg, const struct node *root, struct problems *p)
{
    const struct node *list = node_get(root, "keys");
    const struct node *n = list ? list->first : NULL;
    for (size_t i = 0; i < cfg->n_keys && n; i++, n = n->next)
        check_key(cfg, i, n, p);
}

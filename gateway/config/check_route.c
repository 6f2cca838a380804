#include "gateway/config/check.h"
#include "gateway/config/suggest.h"
#include "gateway/config/url.h"

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("_.-", c);
}

/* Clients may ask for PROVIDER/MODEL, so a provider's name must not be able to look like more than a name. */
static bool name_valid(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!name_char(*c))
            return false;
    return true;
}

static void check_base_url(struct config *cfg, struct config_provider *v, const struct node *n,
                           struct problems *p)
{
    const struct node *url = node_get(n, "base_url");
    struct bytes text = check_text(n, "base_url");
    if (text.len == 0)
        return;
    bool plaintext;
    const char *wrong = url_check_base(text, &plaintext);
    if (wrong) {
        node_problem(p, url, "%s; allowed: https://HOST[:PORT][/PATH], or http:// with allow_plaintext: true",
                     wrong);
        return;
    }
    if (plaintext && !v->allow_plaintext)
        node_problem(p, url, "goes without TLS; allowed: https://, or allow_plaintext: true beside it");
    while (text.data[text.len - 1] == '/')
        text.len--;
    struct bytes copy;
    if (arena_dup(&cfg->arena, text, &copy))
        v->base_url = copy.data;
    else
        node_problem(p, url, "out of memory");
}

/* A key from a file: what stands in it, but for white space behind. */
static void check_key_file(struct config *cfg, struct config_provider *v, const struct node *n,
                           struct problems *p)
{
    struct secret file = {NULL, 0};
    const struct node *place = node_get(n, "api_key_file");
    if (!place)
        return;
    if (node_get(n, "api_key"))
        node_problem(p, place, "stands beside api_key; allowed: one of them");
    if (!check_file(cfg, n, "api_key_file", "a file", &file, p) || !secret_is_set(&file))
        return;
    struct bytes text = secret_reveal(&file);
    while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]))
        text.len--;
    if (secret_set(&v->api_key, text) != ERR_OK)
        node_problem(p, place, "holds no key; allowed: a file with one line");
    secret_free(&file);
}

static void check_provider(struct config *cfg, struct config_provider *v, const struct node *n,
                           struct problems *p)
{
    static const char *const not_for_demo[] = {"base_url",
                                               "api_key",
                                               "api_key_file",
                                               "allow_plaintext",
                                               "max_connections",
                                               "max_http2_connections",
                                               "max_idle_connections"};
    struct bytes dialect = check_text(n, "dialect");
    v->demo = bytes_is(dialect, "demo");
    if (!v->demo) {
        v->dialect = dialect_find(dialect);
        check_base_url(cfg, v, n, p);
        check_key_file(cfg, v, n, p);
        if (v->dialect && !node_get(n, "base_url"))
            problem_at(p, n->line, n->path, "base_url is missing; allowed: https://HOST[:PORT][/PATH]");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(not_for_demo); i++) {
        const struct node *extra = node_get(n, not_for_demo[i]);
        if (extra)
            node_problem(p, extra,
                         "the demo provider is built in and takes none; allowed there: dialect, name");
    }
}

void check_providers(struct config *cfg, const struct node *root, struct problems *p)
{
    const struct node *list = node_get(root, "providers");
    const struct node *n = list ? list->first : NULL;
    for (size_t i = 0; i < cfg->n_providers && n; i++, n = n->next) {
        struct config_provider *v = &cfg->providers[i];
        check_provider(cfg, v, n, p);
        if (!v->name)
            continue;
        const struct node *name = node_get(n, "name");
        if (!name_valid(v->name))
            node_problem(
                p, name,
                "has a character that a provider's name may not have; allowed: letters, digits, _ . -");
        for (size_t j = 0; j < i; j++)
            if (cfg->providers[j].name && strcmp(cfg->providers[j].name, v->name) == 0)
                node_problem(p, name, "'%s' is also the name of providers[%zu]; allowed: each name once",
                             v->name, j);
    }
}

static void unknown_provider(const struct config *cfg, const struct node *n, struct problems *p)
{
    struct suggestion best;
    suggest_init(&best, n->text);
    struct buf names;
    buf_init(&names, 300);
    for (size_t i = 0; i < cfg->n_providers; i++) {
        const char *name = cfg->providers[i].name;
        if (!name)
            continue;
        suggest_consider(&best, name);
        (void)buf_printf(&names, "%s%s", names.len ? ", " : "", name);
    }
    const char *near = suggest_best(&best);
    node_problem(p, n, "no provider has this name%s%s%s; allowed: %.*s%s", near ? ", did you mean " : "",
                 near ? near : "", near ? "?" : "", BYTES_FMT(buf_bytes(&names)),
                 names.failed ? ", ..." : "");
    buf_free(&names);
}

static void check_target(const struct config *cfg, const struct config_model *m, struct config_target *t,
                         const struct node *n, struct problems *p)
{
    struct bytes provider = check_text(n, "provider");
    for (size_t i = 0; i < cfg->n_providers && provider.len && !t->provider; i++)
        if (cfg->providers[i].name && bytes_is(provider, cfg->providers[i].name))
            t->provider = &cfg->providers[i];
    if (provider.len && !t->provider)
        unknown_provider(cfg, node_get(n, "provider"), p);
    const char *star = t->model ? strchr(t->model, '*') : NULL;
    if (!star)
        return;
    const struct node *model = node_get(n, "model");
    if (strchr(star + 1, '*'))
        node_problem(p, model, "has more than one *; allowed: one, for what the name's * matched");
    if (m->name && !strchr(m->name, '*'))
        node_problem(p, model, "has a *, but the name '%s' has none that it could stand for; allowed: no *",
                     m->name);
}

static void check_model(struct config *cfg, size_t i, const struct node *n, struct problems *p)
{
    struct config_model *m = &cfg->models[i];
    const struct node *name = node_get(n, "name"), *targets = node_get(n, "targets");
    if (m->name && !check_pattern(bytes_cstr(m->name)))
        node_problem(p, name, "has a * before its end; allowed: an exact name, or one * at the end");
    for (size_t j = 0; m->name && j < i; j++)
        if (cfg->models[j].name && strcmp(cfg->models[j].name, m->name) == 0)
            node_problem(p, name, "'%s' is also the name of models[%zu]; allowed: each name once", m->name,
                         j);
    const struct node *t = targets ? targets->first : NULL;
    for (size_t j = 0; j < m->n_targets && t; j++, t = t->next)
        check_target(cfg, m, &m->targets[j], t, p);
}

void check_models(struct config *cfg, const struct node *root, struct problems *p)
{
    const struct node *list = node_get(root, "models");
    const struct node *n = list ? list->first : NULL;
    for (size_t i = 0; i < cfg->n_models && n; i++, n = n->next)
        check_model(cfg, i, n, p);
}

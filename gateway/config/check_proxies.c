#include "gateway/config/check.h"

/* Nobody could connect. */
static void check_protocol(const struct config *cfg, const struct node *root, struct problems *p)
{
    const struct node *list = node_get(root, "listen");
    const struct node *n = list ? list->first : NULL;
    for (size_t i = 0; i < cfg->n_listen && n; i++, n = n->next)
        if (cfg->listen[i].proxy_protocol && cfg->n_trusted_proxies == 0)
            node_problem(p, node_get(n, "proxy_protocol"),
                         "is believed of trusted_proxies only, and there are none; allowed: false, or the "
                         "proxy's address "
                         "under trusted_proxies");
}

void check_proxies(struct config *cfg, const struct node *root, struct problems *p)
{
    const struct node *list = node_get(root, "trusted_proxies");
    const struct node *n = list ? list->first : NULL;
    check_protocol(cfg, root, p);
    if (cfg->n_trusted_proxies == 0)
        return;
    cfg->trusted = arena_array(&cfg->arena, cfg->n_trusted_proxies, sizeof(*cfg->trusted));
    if (!cfg->trusted) {
        node_problem(p, list, "out of memory");
        return;
    }
    for (size_t i = 0; i < cfg->n_trusted_proxies && n; i++, n = n->next) {
        if (!cfg->trusted_proxies[i])
            continue;
        const struct bytes text = bytes_cstr(cfg->trusted_proxies[i]);
        if (bytes_is(text, "unix")) {
            cfg->trust_unix = true;
            continue;
        }
        const char *wrong = network_parse(text, &cfg->trusted[cfg->n_trusted]);
        if (wrong)
            node_problem(p, n, "%s; allowed: an address, ADDRESS/BITS such as 10.0.0.0/8, or unix", wrong);
        else
            cfg->n_trusted++;
    }
}

#include "gateway/config/address.h"
#include "gateway/config/check.h"

/* A listener like the others from here on. */
static struct config_listener *add_listener(struct config *cfg)
{
    struct config_listener *all = arena_array(&cfg->arena, cfg->n_listen + 1, sizeof(*all));
    if (!all)
        return NULL;
    if (cfg->n_listen > 0)
        memcpy(all, cfg->listen, cfg->n_listen * sizeof(*all));
    cfg->listen = all;
    all[cfg->n_listen] = (struct config_listener){.address = cfg->admin_address, .admin = true};
    return &all[cfg->n_listen++];
}

void check_admin(struct config *cfg, const struct node *root, struct problems *p)
{
    const struct node *address = node_get(node_get(root, "admin"), "address");
    if (!cfg->admin_address)
        return;
    struct config_listener *l = add_listener(cfg);
    if (!l) {
        node_problem(p, address, "out of memory");
        return;
    }
    const char *wrong = address_parse(l->address, &cfg->arena, l);
    if (wrong) {
        node_problem(p, address, "%s; allowed: IPV4:PORT, [IPV6]:PORT or unix:/PATH", wrong);
        return;
    }
    if (!l->loopback && !cfg->admin_allow_remote)
        node_problem(p, address,
                     "would show everybody what goes on here; allowed: a loopback address, unix:/PATH, or "
                     "allow_remote: true");
    for (size_t j = 0; j + 1 < cfg->n_listen; j++)
        if (check_same_place(l, &cfg->listen[j]))
            node_problem(p, address, "is listen[%zu] already; allowed: one of its own", j);
}

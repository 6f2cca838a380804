/* Whom a request addresses. A page can have a name of its own lead to this machine (DNS rebinding) and then
 * is of the same origin as what it finds there; only the Host tells. */
#include "gateway/server/http_conn.h"

static bool is_localhost(struct bytes name)
{
    const struct bytes localhost = BYTES("localhost"), below = BYTES(".localhost");
    return bytes_eq_nocase(name, localhost) ||
           (name.len > below.len && bytes_eq_nocase(bytes_skip(name, name.len - below.len), below));
}

static bool is_listed(const struct config *cfg, struct bytes name)
{
    for (size_t i = 0; i < cfg->n_hosts; i++)
        if (bytes_eq_nocase(name, bytes_cstr(cfg->hosts[i])))
            return true;
    return false;
}

bool host_allowed(const struct conn *c, const struct http1_host *host)
{
    const struct config *cfg = c->server->cfg;
    const struct config_listener *l = c->listener->cfg;
    /* No browser goes without; nor reaches a Unix socket. */
    if (host->name.len == 0 || host->numeric || is_listed(cfg, host->name))
        return true;
    if (l->loopback && is_localhost(host->name))
        return true;
    return cfg->n_hosts == 0 && !(l->loopback && l->host);
}

void host_refuse(struct conn *c, const struct http1_host *host)
{
    struct api_error e;
    api_error_set(&e, 421, API_PERMISSION, "host_not_allowed", NULL,
                  "This server does not go by the name '%.*s'. If it should, list it under 'hosts' in the "
                  "gateway's configuration.",
                  (int)MIN(host->name.len, 100), host->name.data);
    front_refuse(c, &e);
}

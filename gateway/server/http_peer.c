/* Whose request it is, where a trusted proxy carries it. */
#include "gateway/server/http_conn.h"
#include "protocols/http1/http1_forwarded.h"

bool peer_is_trusted(const struct config *cfg, struct bytes address)
{
    const struct address a = address_of(address);
    if (a.len == 0)
        return cfg->trust_unix;
    for (size_t i = 0; i < cfg->n_trusted; i++)
        if (network_has(&cfg->trusted[i], &a))
            return true;
    return false;
}

bool peer_take(struct conn *c, const struct http1_request *req)
{
    const struct config *cfg = c->server->cfg;
    const bool loopback = c->listener->cfg->loopback;
    struct http1_forwarded said;
    if (!c->proxied)
        return true;
    http1_forwarded(req, cfg->trusted_header, cfg->trusted, cfg->n_trusted, &said);
    c->local = said.said ? loopback && address_is_loopback(&said.client) : c->peer_local;
    c->secure = said.scheme == HTTP1_SCHEME_UNTOLD ? c->peer_secure : said.scheme == HTTP1_SCHEME_HTTPS;
    return conn_readdress(c, address_bytes(&said.client));
}

bool peer_leave(struct conn *c)
{
    return !c->proxied || conn_readdress(c, (struct bytes){NULL, 0});
}

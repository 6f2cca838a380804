#include "gateway/ops/metrics.h"
#include "gateway/server/http_conn.h"
#include <arpa/inet.h>

const char *conn_address_text(struct bytes address, char room[static CONN_ADDRESS_TEXT])
{
    if (address.len != 4 && address.len != 16)
        return "unix";
    return inet_ntop(address.len == 4 ? AF_INET : AF_INET6, address.data, room, CONN_ADDRESS_TEXT);
}

static void count(const struct server *s, enum refusal why)
{
    if (s->o.env && s->o.env->metrics)
        metrics_refusal(s->o.env->metrics, why);
}

void refusal_of_connection(struct server *s, struct bytes address, const char *key)
{
    char text[CONN_ADDRESS_TEXT];
    unsigned suppressed;
    count(s, REFUSAL_CAP);
    if (log_gate_pass(&s->refused, server_now(s), &suppressed))
        LOG_WARN("connection refused key=limits.%s address=%s suppressed=%u", key,
                 conn_address_text(address, text), suppressed);
}

static enum refusal reason_of(const struct conn *c, const struct api_error *e)
{
    if (c->refusal != 0)
        return REFUSAL_CAP;
    switch (e->status) {
    case 401:
        return REFUSAL_KEY;
    case 403:
        return REFUSAL_ORIGIN;
    case 404:
    case 405:
        return REFUSAL_NOT_FOUND;
    case 503:
        return REFUSAL_DRAINING;
    default:
        return e->status < 500 ? REFUSAL_INVALID : REFUSAL_OTHER;
    }
}

void refusal_of_request(struct conn *c, const struct api_error *e)
{
    struct server *s = c->server;
    const struct http_conn *h = c->http;
    const enum refusal why = reason_of(c, e);
    char text[CONN_ADDRESS_TEXT];
    unsigned suppressed;
    /* Connections past a cap were counted when they came. */
    if (why != REFUSAL_CAP)
        count(s, why);
    if (!log_gate_pass(&s->refused_requests, server_now(s), &suppressed))
        return;
    const struct log_ids ids = {.conn = c->ids.conn, .request = h->request_id};
    log_write(LOG_LEVEL_INFO, &ids,
              "request refused reason=%s principal=%s client=%s status=%d error=%s suppressed=%u",
              refusal_names[why], h->who ? h->who->name : "",
              conn_address_text(bytes_of(c->address, c->address_len), text), e->status,
              e->code ? e->code : "", suppressed);
}

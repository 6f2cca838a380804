/* The admin listener's paths: for those who run the gateway, and asked by their tools. */
#include "gateway/ops/metrics.h"
#include "gateway/server/conn.h"
#include "gateway/server/endpoint.h"
#include "gateway/server/server_internal.h"
#include <stdio.h>

static enum err get_health(const struct conn *c UNUSED, struct bytes name UNUSED, struct buf *out,
                           struct api_error *ret_error UNUSED)
{
    return buf_append_bytes(out, BYTES("{\"status\":\"ok\"}\n"));
}

/* What is not ready, with commas between; "": all is. */
static void find_unready(const struct server *s, char *ret, size_t size)
{
    const struct metrics *m = s->o.env->metrics;
    const unsigned serving = metrics_serving(m), wanted = s->cfg->workers, full = metrics_over_budget(m);
    size_t len = 0;
    ret[0] = '\0';
    if (server_phase(s) != PHASE_SERVING)
        len += (size_t)snprintf(ret, size, ", this worker (it is going away)");
    if (serving < wanted)
        len += (size_t)snprintf(ret + len, size - len, ", workers (%u of %u serve)", serving, wanted);
    if (full > 0)
        (void)snprintf(ret + len, size - len,
                       ", budget (limits.max_responses_bytes is reached in %u of %u workers)", full, wanted);
}

static enum err get_ready(const struct conn *c, struct bytes name UNUSED, struct buf *out,
                          struct api_error *ret_error)
{
    char unready[256];
    find_unready(c->server, unready, sizeof(unready));
    if (!unready[0])
        return buf_append_bytes(out, BYTES("{\"status\":\"ready\"}\n"));
    api_error_set(ret_error, 503, API_SERVER, "not_ready", NULL, "Not ready: %s.", unready + 2);
    return ERR_AGAIN;
}

static enum err get_metrics(const struct conn *c, struct bytes name UNUSED, struct buf *out,
                            struct api_error *ret_error UNUSED)
{
    metrics_write(c->server->o.env->metrics, out);
    return ERR_OK;
}

const struct endpoint admin_endpoints[] = {
    {.path = "/healthz", .get = get_health, .open_to_all = true},
    {.path = "/readyz", .get = get_ready, .open_to_all = true},
    {.path = "/metrics",
     .get = get_metrics,
     .content_type = "text/plain; version=0.0.4",
     .open_to_all = true},
    {0},
};

#include "gateway/session/account.h"
#include "common/clock.h"
#include "gateway/ops/metrics.h"
#include <arpa/inet.h>

/* A request's record, and what it points to. */
struct account {
    struct request_record record;
    struct asker client;
    char address[INET6_ADDRSTRLEN];
};

static bool describe(const struct carrier *carrier, void *conn, struct asker *ret)
{
    *ret = (struct asker){.endpoint = NULL};
    if (carrier->describe)
        carrier->describe(conn, ret);
    return ret->endpoint != NULL;
}

void account_begin(const struct session_env *env, const struct carrier *carrier, void *conn)
{
    struct asker client;
    if (env->metrics && describe(carrier, conn, &client))
        metrics_begin(env->metrics, client.endpoint, client.websocket);
}

static void fill_in_client(struct account *a, const struct carrier *carrier, void *conn)
{
    struct request_record *r = &a->record;
    const struct asker *c = &a->client;
    (void)describe(carrier, conn, &a->client);
    r->ids = c->ids;
    r->endpoint = c->endpoint ? c->endpoint : "other";
    r->websocket = c->websocket;
    if (c->address.len == 4 || c->address.len == 16)
        r->client = inet_ntop(c->address.len == 4 ? AF_INET : AF_INET6, c->address.data, a->address,
                              sizeof(a->address));
}

static void fill_in_call(struct request_record *r, const struct call *c)
{
    r->ids.request = c->request_id;
    r->principal = c->principal->name;
    r->model = c->request.model;
    r->entry = c->model ? c->model->name : NULL;
    r->normalized_bytes = c->normalized_bytes;
    r->total_ms = clock_mono_ms() - c->came_ms;
}

static void give(const struct session_env *env, const struct request_record *r)
{
    request_log(r);
    if (env->metrics)
        metrics_request(env->metrics, r);
}

void account_refused(const struct session_env *env, const struct carrier *carrier, void *conn,
                     const struct principal *who, const struct call *c, const struct api_error *e)
{
    struct account a = {.record = {.end = REQUEST_REFUSED, .status = e->status, .error_code = e->code}};
    fill_in_client(&a, carrier, conn);
    if (c)
        fill_in_call(&a.record, c);
    a.record.principal = who->name;
    give(env, &a.record);
}

void account_dropped(const struct session_env *env, const struct carrier *carrier, void *conn,
                     const struct call *c)
{
    struct account a = {.record = {.end = REQUEST_CLIENT_LEFT}};
    fill_in_client(&a, carrier, conn);
    fill_in_call(&a.record, c);
    give(env, &a.record);
}

static void fill_in_response(struct request_record *r, const struct response *resp)
{
    const struct attempts *at = &resp->attempts;
    const struct llm_usage *u = &resp->log.end.usage;
    r->ids.response = resp->id;
    if (at->provider) {
        r->provider = at->provider->name;
        r->target_model = at->model;
    }
    r->attempts = at->count;
    r->provider_status = at->report.status;
    r->provider_request = at->report.request_id;
    r->begun = at->report.begun;
    r->first_token_ms = at->report.first_token_ms;
    r->has_usage = u->set;
    r->input_tokens = (uint64_t)u->input_tokens;
    r->output_tokens = (uint64_t)u->output_tokens;
    r->cached_tokens = (uint64_t)u->cached_tokens;
}

static const char *terminal_name(enum llm_event_type terminal)
{
    switch (terminal) {
    case LLM_EV_COMPLETED:
        return "completed";
    case LLM_EV_INCOMPLETE:
        return "incomplete";
    case LLM_EV_CANCELLED:
        return "cancelled";
    default:
        return "failed";
    }
}

/* Nobody was told of the end: the client left, unless it was we who could not wait. */
static enum request_end end_of(const struct session_env *env, const struct llm_log *log, bool told)
{
    if (!told)
        return phase_of(env->phase) >= PHASE_CLOSING ? REQUEST_CANCELLED : REQUEST_CLIENT_LEFT;
    return log->terminal == LLM_EV_FAILED      ? REQUEST_FAILED
           : log->terminal == LLM_EV_CANCELLED ? REQUEST_CANCELLED
                                               : REQUEST_DONE;
}

void account_ended(const struct session_env *env, const struct carrier *carrier, void *conn,
                   const struct call *c, const struct response *r, bool told, int status)
{
    const struct llm_log *log = &r->log;
    struct account a = {.record = {.end = end_of(env, log, told)}};
    struct request_record *record = &a.record;
    fill_in_client(&a, carrier, conn);
    fill_in_call(record, c);
    fill_in_response(record, r);
    const struct api_error *e = log->ended && log->terminal == LLM_EV_FAILED ? &log->end.error : NULL;
    record->terminal = log->ended ? terminal_name(log->terminal) : NULL;
    record->error_code = e ? e->code : NULL;
    record->status = !told ? 0 : status ? status : e ? e->status : 200;
    give(env, record);
}

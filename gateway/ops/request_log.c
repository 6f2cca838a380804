#include "gateway/ops/request.h"

static void text(struct log_line *l, const char *key, const char *value)
{
    if (value && *value)
        log_text(l, key, bytes_cstr(value));
}

void request_log(const struct request_record *r)
{
    struct log_line l;
    if (!log_enabled(LOG_LEVEL_INFO))
        return;
    log_begin(&l, LOG_LEVEL_INFO, "request");
    text(&l, "end", request_end_names[r->end]);
    log_ids(&l, &r->ids);
    text(&l, "principal", r->principal);
    text(&l, "client", r->client ? r->client : "unix");
    text(&l, "endpoint", r->endpoint);
    text(&l, "transport", r->websocket ? "websocket" : "http");
    if (r->model.len > 0)
        log_text(&l, "model", r->model);
    text(&l, "provider", r->provider);
    text(&l, "target_model", r->target_model);
    if (r->status > 0)
        log_number(&l, "status", (uint64_t)r->status);
    text(&l, "terminal", r->terminal);
    text(&l, "error", r->error_code);
    if (r->has_usage) {
        log_number(&l, "input_tokens", r->input_tokens);
        log_number(&l, "output_tokens", r->output_tokens);
        log_number(&l, "cached_tokens", r->cached_tokens);
    }
    if (r->begun)
        log_number(&l, "first_token_ms", r->first_token_ms);
    log_number(&l, "total_ms", r->total_ms);
    if (r->normalized_bytes > 0)
        log_number(&l, "normalized_bytes", r->normalized_bytes);
    if (r->attempts > 0)
        log_number(&l, "attempts", r->attempts);
    if (r->provider_status > 0)
        log_number(&l, "provider_status", (uint64_t)r->provider_status);
    text(&l, "provider_request", r->provider_request);
    log_end(&l);
}

#include "protocols/fault.h"

static const struct {
    const char *name;
    bool same, other; /* another attempt there may help */
} kinds[N_FAULTS] = {
    [FAULT_NONE] = {"none", false, false},
    [FAULT_CONNECT] = {"connect", true, true},
    [FAULT_TLS] = {"tls", false, true},
    [FAULT_TIMEOUT_CONNECT] = {"timeout_connect", true, true},
    [FAULT_TIMEOUT_FIRST_TOKEN] = {"timeout_first_token", true, true},
    [FAULT_TIMEOUT_BETWEEN_TOKENS] = {"timeout_between_tokens", true, true},
    [FAULT_TIMEOUT_TOTAL] = {"timeout_total", false, false},
    [FAULT_TIMEOUT_PROVIDER] = {"timeout_provider", true, true},
    [FAULT_RATE_LIMITED] = {"rate_limited", true, true},
    [FAULT_OVERLOADED] = {"overloaded", true, true},
    [FAULT_CREDENTIALS] = {"credentials", false, true},
    [FAULT_INVALID_REQUEST] = {"invalid_request", false, false},
    [FAULT_CONTEXT_TOO_LONG] = {"context_too_long", false, true},
    [FAULT_CONTENT_FILTER] = {"content_filter", false, true},
    [FAULT_MODEL_NOT_FOUND] = {"model_not_found", false, true},
    [FAULT_UNSUPPORTED] = {"unsupported", false, true},
    [FAULT_INVALID_RESPONSE] = {"invalid_response", true, true},
    [FAULT_TRUNCATED] = {"truncated", true, true},
    [FAULT_TOO_LARGE] = {"too_large", false, false},
    [FAULT_NO_MEMORY] = {"no_memory", false, false},
};

const char *fault_name(enum fault_kind k)
{
    return kinds[k].name;
}

bool fault_may_retry(enum fault_kind k, bool same_target)
{
    return same_target ? kinds[k].same : kinds[k].other;
}

/* What went wrong between us and a provider, as clients are told. A provider is named as the configuration
 * names it: its URL may hold what is nobody's business. */
#include "gateway/upstream/internal.h"

static const struct {
    CURLcode result;
    enum fault_kind kind;
    const char *code;
    const char *what; /* provider 'NAME' ... */
} faults[] = {
    {CURLE_COULDNT_RESOLVE_HOST, FAULT_CONNECT, "upstream_unreachable",
     "cannot be reached: its name is not known"},
    {CURLE_COULDNT_CONNECT, FAULT_CONNECT, "upstream_unreachable", "cannot be reached: no connection"},
    {CURLE_URL_MALFORMAT, FAULT_CONNECT, "upstream_unreachable",
     "cannot be reached: its base URL is not one"},
    {CURLE_NO_CONNECTION_AVAILABLE, FAULT_CONNECT, "upstream_unreachable",
     "cannot be reached: too many connections"},
    {CURLE_SSL_CONNECT_ERROR, FAULT_TLS, "upstream_tls_failed", "did not complete the TLS handshake"},
    {CURLE_PEER_FAILED_VERIFICATION, FAULT_TLS, "upstream_tls_failed",
     "does not have a certificate that can be trusted"},
    {CURLE_SSL_CACERT_BADFILE, FAULT_TLS, "upstream_tls_failed",
     "cannot be verified: no usable certificate authorities"},
    {CURLE_SSL_CERTPROBLEM, FAULT_TLS, "upstream_tls_failed", "did not complete the TLS handshake"},
    {CURLE_SSL_CIPHER, FAULT_TLS, "upstream_tls_failed", "did not complete the TLS handshake"},
    {CURLE_SSL_INVALIDCERTSTATUS, FAULT_TLS, "upstream_tls_failed",
     "does not have a certificate that can be trusted"},
    {CURLE_GOT_NOTHING, FAULT_TRUNCATED, "upstream_truncated", "closed the connection without an answer"},
    {CURLE_SEND_ERROR, FAULT_TRUNCATED, "upstream_truncated", "closed the connection while it was asked"},
    {CURLE_RECV_ERROR, FAULT_TRUNCATED, "upstream_truncated", "broke the connection off"},
    {CURLE_PARTIAL_FILE, FAULT_TRUNCATED, "upstream_truncated", "ended its answer early"},
    {CURLE_HTTP2, FAULT_TRUNCATED, "upstream_truncated", "broke the connection off"},
    {CURLE_HTTP2_STREAM, FAULT_TRUNCATED, "upstream_truncated", "broke its answer off"},
    {CURLE_WEIRD_SERVER_REPLY, FAULT_INVALID_RESPONSE, "upstream_invalid_response",
     "answered with something that is not HTTP"},
    {CURLE_UNSUPPORTED_PROTOCOL, FAULT_INVALID_RESPONSE, "upstream_invalid_response",
     "answered with something that is not HTTP"},
    {CURLE_WRITE_ERROR, FAULT_INVALID_RESPONSE, "upstream_invalid_response", "sent too many headers"},
};

static const struct {
    const char *code, *what;
} timeouts[] = {
    [FAULT_TIMEOUT_CONNECT] = {"upstream_connect_timeout", "did not accept a connection"},
    [FAULT_TIMEOUT_FIRST_TOKEN] = {"upstream_first_token_timeout", "sent no token"},
    [FAULT_TIMEOUT_BETWEEN_TOKENS] = {"upstream_token_timeout", "sent nothing more"},
    [FAULT_TIMEOUT_TOTAL] = {"upstream_total_timeout", "did not finish its answer"},
};

void fault_of_curl(const struct transfer *t, struct fault *ret)
{
    const char *name = t->origin->provider->name;
    if (t->result == CURLE_OUT_OF_MEMORY) {
        fault_no_memory(ret);
        return;
    }
    if (t->result == CURLE_OPERATION_TIMEDOUT) {
        fault_timeout(t, FAULT_TIMEOUT_CONNECT, t->u->cfg->timeouts.connect, ret);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        if (faults[i].result != t->result)
            continue;
        ret->kind = faults[i].kind;
        api_error_set(&ret->error, 502, API_UPSTREAM, faults[i].code, NULL, "provider '%s' %s", name,
                      faults[i].what);
        return;
    }
    ret->kind = FAULT_CONNECT;
    api_error_set(&ret->error, 502, API_UPSTREAM, "upstream_failed", NULL,
                  "the connection to provider '%s' failed", name);
}

void fault_timeout(const struct transfer *t, enum fault_kind kind, uint64_t ms, struct fault *ret)
{
    ret->kind = kind;
    api_error_set(&ret->error, 504, API_UPSTREAM, timeouts[kind].code, NULL,
                  "provider '%s' %s within %llu ms", t->origin->provider->name, timeouts[kind].what,
                  (unsigned long long)ms);
}

void fault_invalid(const struct transfer *t, const char *what, struct fault *ret)
{
    ret->kind = FAULT_INVALID_RESPONSE;
    api_error_set(&ret->error, 502, API_UPSTREAM, "upstream_invalid_response", NULL,
                  "provider '%s' answered with %s", t->origin->provider->name, what);
}

void fault_too_large(const struct transfer *t, struct fault *ret)
{
    ret->kind = FAULT_TOO_LARGE;
    api_error_set(&ret->error, 502, API_UPSTREAM, "response_too_large", NULL,
                  "the answer of provider '%s' is larger than allowed", t->origin->provider->name);
}

void fault_unsendable(const struct transfer *t, enum err err, struct fault *ret)
{
    const char *name = t->origin->provider->name;
    if (err == ERR_LIMIT) {
        ret->kind = FAULT_TOO_LARGE;
        api_error_set(&ret->error, 413, API_INVALID, "request_too_large", NULL,
                      "the request to provider '%s' would be too large", name);
    } else if (err == ERR_INVALID) {
        ret->kind = FAULT_UNSUPPORTED; /* the dialect has filled in the error */
    } else {
        ret->kind = FAULT_CONNECT;
        api_error_set(&ret->error, 502, API_UPSTREAM, "upstream_unreachable", NULL,
                      "provider '%s' cannot be reached: plain HTTP to it is not allowed", name);
    }
}

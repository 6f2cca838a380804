/* What went wrong between us and a provider, as clients are told. A provider is named as the configuration
 * names it: its URL may hold what is nobody's business. */
#include "gateway/upstream/internal.h"

struct fault {
    CURLcode result;
    int status;
    const char *code;
    const char *what; /* provider 'NAME' ... */
};

static const struct fault faults[] = {
    {CURLE_COULDNT_RESOLVE_HOST, 502, "upstream_unreachable", "cannot be reached: its name is not known"},
    {CURLE_COULDNT_CONNECT, 502, "upstream_unreachable", "cannot be reached: no connection"},
    {CURLE_URL_MALFORMAT, 502, "upstream_unreachable", "cannot be reached: its base URL is not one"},
    {CURLE_NO_CONNECTION_AVAILABLE, 502, "upstream_unreachable", "cannot be reached: too many connections"},
    {CURLE_SSL_CONNECT_ERROR, 502, "upstream_tls_failed", "did not complete the TLS handshake"},
    {CURLE_PEER_FAILED_VERIFICATION, 502, "upstream_tls_failed",
     "does not have a certificate that can be trusted"},
    {CURLE_SSL_CACERT_BADFILE, 502, "upstream_tls_failed",
     "cannot be verified: no usable certificate authorities"},
    {CURLE_SSL_CERTPROBLEM, 502, "upstream_tls_failed", "did not complete the TLS handshake"},
    {CURLE_SSL_CIPHER, 502, "upstream_tls_failed", "did not complete the TLS handshake"},
    {CURLE_SSL_INVALIDCERTSTATUS, 502, "upstream_tls_failed",
     "does not have a certificate that can be trusted"},
    {CURLE_GOT_NOTHING, 502, "upstream_truncated", "closed the connection without an answer"},
    {CURLE_SEND_ERROR, 502, "upstream_truncated", "closed the connection while it was asked"},
    {CURLE_RECV_ERROR, 502, "upstream_truncated", "broke the connection off"},
    {CURLE_PARTIAL_FILE, 502, "upstream_truncated", "ended its answer early"},
    {CURLE_HTTP2, 502, "upstream_truncated", "broke the connection off"},
    {CURLE_HTTP2_STREAM, 502, "upstream_truncated", "broke its answer off"},
    {CURLE_WEIRD_SERVER_REPLY, 502, "upstream_invalid_response", "answered with something that is not HTTP"},
    {CURLE_UNSUPPORTED_PROTOCOL, 502, "upstream_invalid_response",
     "answered with something that is not HTTP"},
    {CURLE_WRITE_ERROR, 502, "upstream_invalid_response", "sent too many headers"},
};

void fault_of_curl(const struct transfer *t, struct api_error *ret)
{
    const char *name = t->origin->provider->name;
    if (t->result == CURLE_OUT_OF_MEMORY) {
        api_error_no_memory(ret);
        return;
    }
    if (t->result == CURLE_OPERATION_TIMEDOUT) {
        fault_timeout(t, "upstream_connect_timeout", "did not accept a connection",
                      t->u->cfg->timeouts.connect, ret);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        if (faults[i].result != t->result)
            continue;
        api_error_set(ret, faults[i].status, API_UPSTREAM, faults[i].code, NULL, "provider '%s' %s", name,
                      faults[i].what);
        return;
    }
    api_error_set(ret, 502, API_UPSTREAM, "upstream_failed", NULL, "the connection to provider '%s' failed",
                  name);
}

void fault_timeout(const struct transfer *t, const char *code, const char *what, uint64_t ms,
                   struct api_error *ret)
{
    api_error_set(ret, 504, API_UPSTREAM, code, NULL, "provider '%s' %s within %llu ms",
                  t->origin->provider->name, what, (unsigned long long)ms);
}

void fault_invalid(const struct transfer *t, const char *what, struct api_error *ret)
{
    api_error_set(ret, 502, API_UPSTREAM, "upstream_invalid_response", NULL, "provider '%s' answered with %s",
                  t->origin->provider->name, what);
}

void fault_too_large(const struct transfer *t, struct api_error *ret)
{
    api_error_set(ret, 502, API_UPSTREAM, "response_too_large", NULL,
                  "the answer of provider '%s' is larger than allowed", t->origin->provider->name);
}

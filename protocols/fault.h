#pragma once
/* Why an attempt at an answer failed: what the client may hear, and of what kind it is, which tells whether
 * another attempt may help. */
#include "protocols/api_error.h"

enum fault_kind {
    FAULT_NONE,
    FAULT_CONNECT,                /* no connection, or an unknown name */
    FAULT_TLS,                    /* its handshake, or the certificate */
    FAULT_TIMEOUT_CONNECT,        /* timeouts.connect */
    FAULT_TIMEOUT_FIRST_TOKEN,    /* timeouts.first_token */
    FAULT_TIMEOUT_BETWEEN_TOKENS, /* timeouts.between_tokens */
    FAULT_TIMEOUT_TOTAL,          /* timeouts.total */
    FAULT_TIMEOUT_PROVIDER,       /* the provider's own: 408, 504 */
    FAULT_RATE_LIMITED,           /* 429 */
    FAULT_OVERLOADED,             /* 529, and any other 5xx */
    FAULT_CREDENTIALS,            /* 401, 402, 403; the quota is used up */
    FAULT_INVALID_REQUEST,        /* any other 4xx */
    FAULT_CONTEXT_TOO_LONG,       /* more tokens than the model takes */
    FAULT_CONTENT_FILTER,         /* refused for what it says */
    FAULT_MODEL_NOT_FOUND,        /* 404 */
    FAULT_UNSUPPORTED,            /* the target's dialect cannot say what the request asks for */
    FAULT_INVALID_RESPONSE,       /* not what the dialect or HTTP allows */
    FAULT_TRUNCATED,              /* it ended before its end */
    FAULT_TOO_LARGE,              /* the answer, or the request for this target, passes a ceiling of ours */
    FAULT_NO_MEMORY,              /* ours */
    N_FAULTS,
};

struct fault {
    enum fault_kind kind;
    struct api_error error; /* for the client, retry_after_s included */
};

/* For logs: "rate_limited". */
const char *fault_name(enum fault_kind k);
/* May the same request succeed at the same target, or at another one? Says nothing of whether it is still
 * time. */
bool fault_may_retry(enum fault_kind k, bool same_target);

/* 503 out_of_memory. */
static inline void fault_no_memory(struct fault *f)
{
    f->kind = FAULT_NO_MEMORY;
    api_error_no_memory(&f->error);
}

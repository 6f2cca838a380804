#pragma once
/* What is known of a request at its end: for its line in the log and for the counters. Plain values: who
 * fills it in keeps what it points to. */
#include "common/log.h"

enum request_end {
    REQUEST_DONE,        /* the answer went out whole, whatever its terminal */
    REQUEST_CANCELLED,   /* at the client's word */
    REQUEST_CLIENT_LEFT, /* nobody was there any more to read it */
    REQUEST_REFUSED,     /* before anything was asked of a provider */
    REQUEST_FAILED,      /* the provider's fault, or ours; the client was told */
    REQUEST_ENDS
};

/* "done", "cancelled", "client_left", "refused", "failed". */
extern const char *const request_end_names[REQUEST_ENDS];

struct request_record {
    struct log_ids ids; /* response NULL: there was none yet */
    enum request_end end;
    const char *endpoint; /* its path: "/v1/responses"; the same for HTTP and WebSocket */
    bool websocket;
    const char *principal;        /* NULL: not known */
    const char *client;           /* address, as text; NULL: a Unix socket's */
    struct bytes model;           /* as it was asked for */
    const char *entry;            /* the configured name or pattern that it stands for; NULL: none */
    const char *provider;         /* of the last attempt; NULL: none */
    const char *target_model;     /* the provider's name for it */
    const char *provider_request; /* the provider's own id; NULL or "": none */
    int provider_status;          /* HTTP's; 0: no answer */
    unsigned attempts;
    int status;             /* what the client was told, in HTTP's numbers; 0: nothing any more */
    const char *terminal;   /* of the answer: "completed"...; NULL: none */
    const char *error_code; /* NULL: no error */
    bool has_usage;         /* the next three count */
    uint64_t input_tokens, output_tokens, cached_tokens;
    bool begun; /* first_token_ms counts */
    uint64_t first_token_ms, total_ms;
    size_t normalized_bytes; /* of its text that were not passed on as they came */
};

/* One info line. */
void request_log(const struct request_record *r);

/* Requests that nobody became, and connections: what a stranger may cause thousands of times a second. */
enum refusal {
    REFUSAL_KEY,       /* none, or not one of ours */
    REFUSAL_ORIGIN,    /* a page that may not talk to us */
    REFUSAL_CAP,       /* too many connections */
    REFUSAL_NOT_FOUND, /* no such path, or not with that method */
    REFUSAL_INVALID,   /* no request that could be understood */
    REFUSAL_DRAINING,
    REFUSAL_OTHER,
    REFUSALS
};

/* "key", "origin", "cap", "not_found", "invalid", "draining", "other". */
extern const char *const refusal_names[REFUSALS];

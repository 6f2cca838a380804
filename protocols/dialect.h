#pragma once
/* A public wire format, as one const table. It can face the client (decode a request, encode events) and the
 * provider (encode a request, decode events). No I/O, no clock, no globals. */
#include "protocols/api_error.h"
#include "protocols/llm_event.h"
#include "protocols/llm_request.h"

/* Where encoded events go: into one buffer, each between begin and end, which put the transport's framing
 * around them (a WebSocket frame header; "event: NAME\ndata: " and a blank line). */
struct event_sink {
    struct buf *out;
    /* `name`: the SSE event name, or NULL for none (chat completions has none). */
    void (*begin)(struct event_sink *s, const char *name);
    void (*end)(struct event_sink *s);
    size_t mark_; /* the sink's own */
    bool binary;  /* what begins next is no text; of WebSockets alone */
};

/* One client stream's place in a log, and the little that its dialect must remember. By value inside a
 * cursor. */
struct llm_encoder {
    struct llm_pos pos;
    const struct llm_head *head; /* under which the log is shown; borrowed */
    struct bytes stream_id;      /* added to every event when not empty; borrowed */
    bool include_usage;          /* chat */
    bool done;                   /* the terminal has been encoded */
    uint32_t state;              /* the dialect's own */
};

/* A provider stream's decoder state: the dialect's own struct behind it. */
struct llm_decoder;

/* How the parts of a provider's stream are told apart. */
enum dialect_framing {
    DIALECT_SSE, /* server-sent events */
};

struct dialect {
    const char *name; /* as in the configuration: "responses", "chat_completions" */

    /* Facing the client; `endpoint` is NULL in a dialect that does not. */
    const char *endpoint; /* where clients POST their requests: "/v1/responses" */
    bool resumable;       /* its clients can come back to an answer by its id */
    /* The body of an answer with an error status. What fails in a stream that has begun is told by
     * encode_events, by its terminal. */
    void (*encode_error)(const struct api_error *e, struct buf *out);
    /* Validates and decodes one request object; ERR_INVALID fills *ret_error (status 400, param = JSON path,
     * what was expected and what came). The document and its text must live as long as the request. */
    enum err (*decode_request)(const struct json_doc *doc, json_ref root, struct llm_request *r,
                               struct api_error *ret_error) MUST_USE;
    /* The members that this dialect's answers repeat from the request (Responses: instructions, tools, ...),
     * as raw JSON members; may be NULL. */
    void (*encode_echo)(const struct llm_request *r, struct buf *out);
    /* Encodes what lies between the encoder's place and the end of the log, until `budget` bytes are in
     * sink->out; deltas of one part that wait together leave as one event, numbered by the last. True if
     * anything was written. */
    bool (*encode_events)(struct llm_encoder *e, const struct llm_log *l, struct event_sink *s,
                          size_t budget);
    /* The whole answer as one object, for a client that does not stream. The log must have ended, and not as
     * failed. */
    void (*encode_answer)(const struct llm_head *h, const struct llm_log *l, struct buf *out);

    /* Facing the provider; `encode_request` is NULL in a dialect that does not. */
    const char *path; /* after the provider's base URL: "/chat/completions" */
    /* Where the path differs by model, instead of `path`; what of the model's name a path may not hold is
     * percent-encoded. ERR_LIMIT: `out` had no room. */
    enum err (*encode_path)(struct bytes model, struct buf *out) MUST_USE;
    const char *authorization; /* the header line that the key ends: "Authorization: Bearer " */
    const char *const
        *headers; /* further whole lines, up to NULL: "anthropic-version: 2023-06-01"; or NULL */
    enum dialect_framing framing;
    /* The body of a streaming request; `model` is the provider's name for it. ERR_INVALID: the request holds
     * what these words cannot say (an opaque part of another dialect); *ret_error says what. ERR_LIMIT: `out`
     * had no room. */
    enum err (*encode_request)(const struct llm_request *r, struct bytes model, struct buf *out,
                               struct api_error *ret_error) MUST_USE;
    struct llm_decoder *(*decoder_new)(struct llm_builder *b); /* NULL: no memory */
    void (*decoder_free)(struct llm_decoder *d);
    /* One SSE event. Whatever is wrong with it ends the log as failed. */
    void (*decode_event)(struct llm_decoder *d, struct bytes name, struct bytes data);
    /* The provider's stream is over: a log without its terminal fails here (upstream_truncated). */
    void (*decode_end)(struct llm_decoder *d);
    /* A whole 2xx JSON body, from a provider that answered a streaming request without streaming. */
    void (*decode_answer)(struct llm_decoder *d, struct bytes body);
    /* A body that came with a status other than 2xx; any bytes. Fills *ret: the status to show the client, a
     * code, a message cut to its room; and the kind of fault that the provider's code or status tells. */
    void (*decode_error)(int http_status, struct bytes body, struct fault *ret);
};

#define DIALECT(name) extern const struct dialect dialect_##name;
#include "protocols/dialects.def"

/* All of them, in the order of dialects.def. */
extern const struct dialect *const dialects[];
extern const size_t n_dialects;

/* By configuration name; NULL: none. */
const struct dialect *dialect_find(struct bytes name);
/* That clients speak at this path; NULL: none. */
const struct dialect *dialect_at(struct bytes endpoint);
static inline bool dialect_faces_clients(const struct dialect *d)
{
    return d->endpoint != NULL;
}
static inline bool dialect_faces_providers(const struct dialect *d)
{
    return d->encode_request != NULL;
}

#pragma once
/* What every request walks through, in the order of one const table (pipeline.c):
 *     authorize -> normalize -> admit -> route -> dispatch
 * What it costs to look at a text comes after it is known that its principal may ask. */
#include "gateway/pipeline/principal.h"

struct stage;

struct pipeline {
    const struct config *cfg;
    const struct stage *stages; /* the table; the last one makes the response */
    unsigned n_stages;
    struct response_pool *pool;
    struct principals principals;
    struct list ready_;               /* calls that go on with the next pipeline_tick */
    uint64_t route_seed;              /* state of the weighted choice */
    struct names models_, providers_; /* of cfg, to be looked up */
    struct arena arena_;
};

enum verdict {
    STAGE_OK,     /* go on */
    STAGE_AGAIN,  /* the stage waits, and will pipeline_resume the call: only what call_suspend returns */
    STAGE_REJECT, /* call->error says why */
    STAGE_DONE,   /* answered: call->response is set */
};

/* What whoever has the call is told. */
struct call_owner_ops {
    /* A stage has waited: pipeline_run goes on. From pipeline_tick alone; may free the call. */
    void (*resumed)(void *owner);
    /* attempt_plan.request_done. */
    void (*request_done)(void *owner);
};

/* One request on its way. The text and all that was decoded from it live here until call_lighten, which is
 * for when the response has been taken and response_needs_request no longer. */
struct call {
    struct arena arena;
    struct buf text;     /* the message */
    struct json_doc doc; /* over text */
    struct llm_request request;
    const struct principal *principal; /* who asks */
    bool resolved;
    const struct config_model *model;       /* what the name asked for stands for; NULL: see provider */
    const struct config_provider *provider; /* PROVIDER/MODEL was asked for; NULL: see model */
    struct bytes model_rest;                /* what the model's * matched, or MODEL */
    size_t normalized_bytes;                /* of the request's text that were not passed on as they came */
    char request_id[ID_MAX];
    struct attempt_plan plan; /* whom to ask; set by route, read by the response while it needs the request */
    struct response *response; /* set by dispatch; one reference, the caller's */
    struct api_error error;    /* set on STAGE_REJECT */
    unsigned stage;            /* index in the table of the next stage */
    bool cancelled;            /* the client does not want it any more: it is answered so, and not sent */
    const struct call_owner_ops *owner_ops;
    void *owner;
    bool suspended_;       /* a stage waits, or has waited */
    enum verdict verdict_; /* what it has come to */
    void (*left_)(void *ctx);
    void *left_ctx_;
    struct list ready_; /* in pipeline.ready_ */
    char *kept_;        /* what is left of the request after call_lighten */
    int64_t now_s;      /* unix seconds when it came */
    uint64_t came_ms;   /* the same, as clock_mono_ms tells it */
};

/* ERR_NOMEM; pipeline_free is allowed then, too. */
enum err pipeline_init(struct pipeline *p, const struct config *cfg, struct response_pool *pool) MUST_USE;
/* After all that its principals have asked for. */
void pipeline_free(struct pipeline *p);
/* Walks the stages from call->stage on. After STAGE_AGAIN the owner is told when to call again. */
enum verdict pipeline_run(struct pipeline *p, struct call *c);
/* For a stage that waits: what it returns. `left`: the call goes before it is resumed; forget it. */
enum verdict call_suspend(struct call *c, void (*left)(void *ctx), void *ctx) MUST_USE;
/* Once after each call_suspend, from anywhere: only queues. `verdict`: the stage's, which is not entered
 * again. */
void pipeline_resume(struct pipeline *p, struct call *c, enum verdict verdict);
/* The client of a call that a stage keeps does not want it any more: it goes on at once, to an answer that
 * says so. */
void pipeline_cancel(struct pipeline *p, struct call *c);
/* What has been resumed goes on. Once a turn of the loop, before the upstream's. */
void pipeline_tick(struct pipeline *p);
/* Something was resumed since: there must be another turn. */
static inline bool pipeline_waiting(const struct pipeline *p)
{
    return !list_empty(&p->ready_);
}

/* A call over a copy of `text`, parsed as JSON. ERR_SYNTAX, ERR_LIMIT, ERR_NOMEM: *ret_error filled. */
enum err call_new(const struct config *cfg, const struct principal *principal, struct bytes text,
                  struct call **ret, struct api_error *ret_error) MUST_USE;
/* Decodes the request in the words of `d`. ERR_INVALID: *ret_error filled. */
enum err call_decode(struct call *c, const struct dialect *d, struct api_error *ret_error) MUST_USE;
/* Memory that it holds. */
size_t call_bytes(const struct call *c);
/* Frees the request's own memory. What stays is for logs and for what it continued: request.model (cut to
 * CALL_MODEL_MAX) and request.previous_response_id. */
enum { CALL_MODEL_MAX = 256 };
void call_lighten(struct call *c);
static inline bool call_is_light(const struct call *c)
{
    return c->text.data == NULL;
}
void call_free(struct call *c); /* NULL-safe; drops call->response too if it is still set */

/* A browser's Origin is on the exact-match list. */
bool pipeline_origin_listed(const struct pipeline *p, struct bytes origin);
/* The body of GET /v1/models for this principal, and of GET /v1/models/ID: what it may ask for of what is
 * configured, by name. A pattern is listed as it stands, or as the principal has it where that says more. */
void pipeline_models(const struct pipeline *p, const struct principal *who, struct buf *out);
/* ERR_NOT_FOUND with 404 model_not_found. */
enum err pipeline_model(const struct pipeline *p, const struct principal *who, struct bytes id,
                        struct buf *out, struct api_error *ret_error) MUST_USE;

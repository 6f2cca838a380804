#pragma once
/* What every request walks through, in the order of one const table (pipeline.c):
 *     authorize -> normalize -> admit -> route -> dispatch
 * What it costs to look at a text comes after it is known that its principal may ask. */
#include "gateway/pipeline/principal.h"

struct pipeline {
    const struct config *cfg;
    struct response_pool *pool;
    struct principals principals;
    uint64_t route_seed;              /* state of the weighted choice */
    struct names models_, providers_; /* of cfg, to be looked up */
    struct arena arena_;
};

enum verdict {
    STAGE_OK,     /* go on */
    STAGE_AGAIN,  /* the stage keeps the call and will pipeline_run it again later */
    STAGE_REJECT, /* call->error says why */
    STAGE_DONE,   /* answered: call->response is set */
};

/* One request on its way. The text and all that was decoded from it live here until the call is freed, which
 * the caller does when it has taken the response and response_needs_request no longer. */
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
    int64_t now_s;             /* unix seconds when it came */
};

/* ERR_NOMEM; pipeline_free is allowed then, too. */
enum err pipeline_init(struct pipeline *p, const struct config *cfg, struct response_pool *pool) MUST_USE;
/* After all that its principals have asked for. */
void pipeline_free(struct pipeline *p);
/* Walks the stages from call->stage on. */
enum verdict pipeline_run(struct pipeline *p, struct call *c);

/* A call over a copy of `text`, parsed as JSON. ERR_SYNTAX, ERR_LIMIT, ERR_NOMEM: *ret_error filled. */
enum err call_new(const struct config *cfg, const struct principal *principal, struct bytes text,
                  struct call **ret, struct api_error *ret_error) MUST_USE;
/* Decodes the request in the words of `d`. ERR_INVALID: *ret_error filled. */
enum err call_decode(struct call *c, const struct dialect *d, struct api_error *ret_error) MUST_USE;
/* Memory that it holds. */
size_t call_bytes(const struct call *c);
void call_free(struct call *c); /* NULL-safe; drops call->response too if it is still set */

/* A browser's Origin is on the exact-match list. */
bool pipeline_origin_listed(const struct pipeline *p, struct bytes origin);
/* The body of GET /v1/models for this principal, and of GET /v1/models/ID: what it may ask for of what is
 * configured, by name. A pattern is listed as it stands, or as the principal has it where that says more. */
void pipeline_models(const struct pipeline *p, const struct principal *who, struct buf *out);
/* ERR_NOT_FOUND with 404 model_not_found. */
enum err pipeline_model(const struct pipeline *p, const struct principal *who, struct bytes id,
                        struct buf *out, struct api_error *ret_error) MUST_USE;

#include "gateway/pipeline/stages.h"

enum verdict stage_admit(struct pipeline *p, struct call *c)
{
    if (!response_pool_full(p->pool))
        return STAGE_OK;
    api_error_set(
        &c->error, 503, API_SERVER, "server_overloaded", NULL,
        "The gateway holds as many answers as it may (limits.max_responses_bytes). Try again shortly.");
    c->error.retry_after_s = 1;
    return STAGE_REJECT;
}

enum verdict stage_dispatch(struct pipeline *p, struct call *c)
{
    struct llm_request *r = &c->request;
    struct buf echo;
    buf_init(&echo, p->cfg->limits.max_message_bytes * 2);
    if (r->dialect->encode_echo)
        r->dialect->encode_echo(r, &echo);
    const struct llm_head head = {.model = r->model,
                                  .previous_response_id = r->previous_response_id,
                                  .echo = buf_bytes(&echo),
                                  .created_at = c->now_s};
    c->response = echo.failed ? NULL : response_new(p->pool, &c->principal->owner, &head);
    buf_free(&echo);
    if (!c->response) {
        api_error_no_memory(&c->error);
        return STAGE_REJECT;
    }
    c->response->resumable = r->dialect->resumable;
    if (c->cancelled) {
        response_cancel(c->response);
        return STAGE_DONE;
    }
    if (r->warm_up) {
        response_complete_empty(c->response);
        return STAGE_DONE;
    }
    c->plan.request = r;
    c->plan.request_id = bytes_cstr(c->request_id);
    c->plan.request_done = c->owner_ops ? c->owner_ops->request_done : NULL;
    c->plan.ctx = c->owner;
    response_start(c->response, &c->plan);
    return STAGE_DONE;
}

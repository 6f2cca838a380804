#pragma once
/* The stages, one a file. Each sees the call as the stages before it have left it. */
#include "gateway/pipeline/pipeline.h"

struct stage {
    const char *name;
    enum verdict (*run)(struct pipeline *p, struct call *c);
};

/* Text that people wrote: Unicode NFC, line ends to LF, NUL out; more where the model's configuration says so
 * (models[].normalize). Never tool outputs, arguments, schemas, or what the model itself said. */
enum verdict stage_normalize(struct pipeline *p, struct call *c);
/* May this principal ask for this model? 403 model_not_allowed. */
enum verdict stage_authorize(struct pipeline *p, struct call *c);
/* Is there room? 503 server_overloaded. */
enum verdict stage_admit(struct pipeline *p, struct call *c);
/* Alias, then provider/model, then wildcard: sets the plan. 404 model_not_found. */
enum verdict stage_route(struct pipeline *p, struct call *c);
/* Makes the response and starts it. */
enum verdict stage_dispatch(struct pipeline *p, struct call *c);
/* With -DSLUICE_TEST_STAGE=ON alone: waits 0 to 20 ms, and sometimes goes on before it has returned. */
enum verdict stage_test(struct pipeline *p, struct call *c);

/* What stage_normalize does to a message of one text; in the arena when it changes anything. Adds the bytes
 * that are not as they were to *ret_changed. False: no memory. */
bool normalize_text(struct arena *a, const struct config_normalize *how, struct bytes *text,
                    size_t *ret_changed) MUST_USE;
/* What a model's name stands for. */
struct resolved {
    const struct config_model *model;       /* an alias; NULL: see provider */
    const struct config_provider *provider; /* PROVIDER/MODEL; NULL, too: nothing */
    struct bytes rest;                      /* what the model's * matched, or MODEL */
};
struct resolved pipeline_resolve(const struct pipeline *p, struct bytes name);
/* Finds once what the model that is asked for stands for: c->model and c->model_rest, or c->provider. */
void call_resolve(const struct pipeline *p, struct call *c);

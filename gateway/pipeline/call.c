#include "common/clock.h"
#include "gateway/pipeline/pipeline.h"
#include <stdlib.h>

/* A request's own memory: what is decoded from a message is at most a few times its size. */
enum { ARENA_PER_BYTE = 8, ARENA_MIN = 64 * 1024 };

static void parse_failed(enum err err, const struct json_error *at, struct api_error *ret)
{
    if (err == ERR_NOMEM)
        api_error_no_memory(ret);
    else
        api_error_set(ret, 400, API_INVALID, "invalid_json", NULL,
                      "The message is not valid JSON: %s at byte %zu.", at->what, at->offset);
}

/* Half a surrogate pair is no character: it goes, as a NUL does. */
static enum err parse(const struct config *cfg, struct call *c, struct json_error *ret)
{
    const struct json_limits limits = {(unsigned)cfg->limits.max_json_depth, cfg->limits.max_json_nodes};
    enum err err = json_parse(&c->doc, buf_bytes(&c->text), &limits, ret);
    if (err != ERR_SYNTAX)
        return err;
    const size_t len = json_drop_half_pairs(c->text.data, c->text.len);
    if (len == c->text.len)
        return err;
    c->normalized_bytes += c->text.len - len;
    c->text.len = len;
    return json_parse(&c->doc, buf_bytes(&c->text), &limits, ret);
}

enum err call_new(const struct config *cfg, const struct principal *principal, struct bytes text,
                  struct call **ret, struct api_error *ret_error)
{
    struct call *c = calloc(1, sizeof(*c));
    struct json_error at = {0, "out of memory"};
    if (!c) {
        parse_failed(ERR_NOMEM, &at, ret_error);
        return ERR_NOMEM;
    }
    c->principal = principal;
    c->came_ms = clock_mono_ms();
    arena_init(&c->arena, cfg->limits.max_context_bytes + text.len * ARENA_PER_BYTE + ARENA_MIN);
    buf_init(&c->text, text.len);
    json_doc_init(&c->doc);
    list_init(&c->ready_);
    enum err err = buf_append_bytes(&c->text, text);
    if (err == ERR_OK)
        err = parse(cfg, c, &at);
    if (err != ERR_OK) {
        parse_failed(err, &at, ret_error);
        call_free(c);
        return err;
    }
    id_make("req_", c->request_id, sizeof(c->request_id));
    *ret = c;
    return ERR_OK;
}

enum err call_decode(struct call *c, const struct dialect *d, struct api_error *ret_error)
{
    llm_request_init(&c->request, &c->arena, d);
    return d->decode_request(&c->doc, 0, &c->request, ret_error);
}

size_t call_bytes(const struct call *c)
{
    return sizeof(*c) + c->text.cap + c->doc.cap * sizeof(*c->doc.nodes) + c->arena.used;
}

static void free_request(struct call *c)
{
    json_doc_free(&c->doc);
    buf_free(&c->text);
    arena_free(&c->arena);
}

static struct bytes keep(char *to, struct bytes s)
{
    if (s.len > 0)
        memcpy(to, s.data, s.len);
    return bytes_of(to, s.len);
}

void call_lighten(struct call *c)
{
    struct llm_request left = {.dialect = c->request.dialect};
    const struct bytes model =
        bytes_of(c->request.model.data, MIN(c->request.model.len, (size_t)CALL_MODEL_MAX));
    const struct bytes continued = c->request.previous_response_id;
    c->kept_ = malloc(model.len + continued.len + 1);
    if (c->kept_) {
        left.model = keep(c->kept_, model);
        left.previous_response_id = keep(c->kept_ + model.len, continued);
    }
    c->request = left;
    c->model_rest = (struct bytes){NULL, 0};
    c->plan = (struct attempt_plan){0};
    free_request(c);
}

void call_free(struct call *c)
{
    if (!c)
        return;
    if (c->left_)
        c->left_(c->left_ctx_);
    list_remove(&c->ready_);
    if (c->response)
        response_forget_request(c->response);
    response_unref(c->response);
    free_request(c);
    free(c->kept_);
    free(c);
}

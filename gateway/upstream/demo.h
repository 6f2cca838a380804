#pragma once
/* The built-in provider `demo`: no network, the same answer every time, one token every DEMO_TOKEN_MS, so
 * that the gateway can be tried and tested without a key. What the last user text says decides: "count to N"
 * the numbers 1 to N (at most 10000), one a token "call NAME {json}"  a call of the function NAME, when the
 * request offers it; without {json}, arguments made from its schema. tool_choice "required" or a named
 * function calls it whatever the text says anything else       a short text that repeats the user's last
 * words; or, when the request's format is json_object or json_schema, an object of that shape
 * max_output_tokens cuts it (finish: length). Usage counts the tokens sent, and a quarter of the input's
 * bytes. */
#include "common/list.h"
#include "protocols/llm_event.h"
#include "protocols/llm_request.h"
#include <uv.h>

enum { DEMO_TOKEN_MS = 20, DEMO_MAX_COUNT = 10000, DEMO_MAX_TEXT = 16 * 1024 };

/* All demo answers of a worker, on one timer. */
struct demo {
    uv_timer_t timer;
    struct list running;
    void (*stepped)(void *owner); /* the stream of this owner has logged something; must only mark */
};

struct demo_stream;

void demo_init(struct demo *d, uv_loop_t *loop);
/* Reads all it needs from the request. NULL: no memory. */
struct demo_stream *demo_new(const struct llm_request *r, struct llm_builder *b, void *owner);
void demo_start(struct demo *d, struct demo_stream *s);
/* NULL-safe; stops it too. */
void demo_free(struct demo *d, struct demo_stream *s);

/* demo_json.c: appends the smallest value of the schema's shape: bounded in depth and size. False: the schema
 * is beyond it. */
bool demo_json_value(struct bytes schema, struct buf *out) MUST_USE;

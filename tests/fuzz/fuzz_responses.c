/* Both faces of the Responses dialect. The first byte chooses: a client's request, or a provider's stream.
 * Whatever comes in, what goes out is JSON, and a log has an end. */
#include "protocols/dialect.h"
#include "protocols/sse/sse.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_limits limits = {.max_depth = 64, .max_nodes = 1 << 16};

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_json(struct bytes text)
{
    struct json_doc d;
    json_doc_init(&d);
    check(json_parse(&d, text, &(struct json_limits){.max_depth = 200, .max_nodes = 1 << 20}, NULL) ==
          ERR_OK);
    json_doc_free(&d);
}

static void request(struct bytes text)
{
    struct json_doc d;
    struct arena a;
    struct llm_request r;
    struct api_error e;
    struct buf out;
    json_doc_init(&d);
    arena_init(&a, 1 << 22);
    buf_init(&out, 1 << 22);
    llm_request_init(&r, &a, &dialect_responses);
    if (json_parse(&d, text, &limits, NULL) == ERR_OK &&
        dialect_responses.decode_request(&d, 0, &r, &e) == ERR_OK) {
        buf_append_char(&out, '{');
        dialect_responses.encode_echo(&r, &out);
        buf_append_char(&out, '}');
        check_json(buf_bytes(&out));
        check(!memchr(out.data, '\n', out.len));
        buf_reset(&out);
        if (dialect_responses.encode_request(&r, BYTES("m"), &out, &e) == ERR_OK)
            check_json(buf_bytes(&out));
        buf_reset(&out);
        if (dialect_chat_completions.encode_request(&r, BYTES("m"), &out, &e) == ERR_OK)
            check_json(buf_bytes(&out));
    }
    buf_free(&out);
    arena_free(&a);
    json_doc_free(&d);
}

static void begin(struct event_sink *s, const char *name)
{
    check(name != NULL);
    s->mark_ = s->out->len;
}

static void end(struct event_sink *s)
{
    struct bytes event = bytes_of(s->out->data + s->mark_, s->out->len - s->mark_);
    if (s->out->failed)
        return;
    check_json(event);
    check(!memchr(event.data, '\n', event.len));
}

static void on_event(void *ctx, const struct sse_event *e)
{
    dialect_responses.decode_event(ctx, e->name, e->data);
}

static void stream(struct bytes text)
{
    static const struct llm_log_head head = {.id = {"resp_0", 6}, .model = {"m", 1}};
    struct llm_log l;
    struct llm_builder b;
    struct sse_parser p;
    struct buf out;
    struct event_sink sink = {.out = &out, .begin = begin, .end = end};
    struct llm_encoder live = {.include_usage = false}, late = {.include_usage = false};
    check(llm_log_init(&l, &head, 1 << 18) == ERR_OK);
    llm_builder_init(&b, &l);
    struct llm_decoder *d = dialect_responses.decoder_new(&b);
    sse_init(&p, 1 << 16, on_event, d);
    buf_init(&out, 1 << 24);
    bool fed = sse_feed(&p, bytes_of(text.data, text.len / 2)) == ERR_OK;
    dialect_responses.encode_events(&live, &l, &sink, SIZE_MAX);
    if (fed)
        (void)!sse_feed(&p, bytes_skip(text, text.len / 2));
    dialect_responses.decode_end(d);
    check(l.ended);
    dialect_responses.encode_events(&live, &l, &sink, SIZE_MAX);
    dialect_responses.encode_events(&late, &l, &sink, SIZE_MAX);
    check(live.done && late.done);
    buf_free(&out);
    sse_free(&p);
    dialect_responses.decoder_free(d);
    llm_log_free(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct bytes text = bytes_of(data + 1, size - 1);
    if (data[0] & 1)
        stream(text);
    else
        request(text);
    return 0;
}

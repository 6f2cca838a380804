#include "tests/fuzz/listener.h"

const struct llm_head fuzz_head = {.id = {"resp_0123456789abcdef0123456789abcdef", 37},
                                   .model = {"a \"model\"", 9},
                                   .created_at = 1700000000};

static const struct json_limits limits = {.max_depth = 400, .max_nodes = 1 << 22};

static struct bytes string_of(const struct json_doc *d, json_ref r)
{
    return json_is(d, r, JSON_STRING) ? json_raw_string(d, r) : (struct bytes){NULL, 0};
}

/* The text that an event carries, and in *ret_run whose it is; JSON_NONE: it is no delta. */
static json_ref responses_delta(const struct json_doc *d, struct buf *ret_run)
{
    struct bytes type = string_of(d, json_get(d, 0, "type"));
    if (type.len < 6 || memcmp(type.data + type.len - 6, ".delta", 6) != 0)
        return JSON_NONE;
    buf_append_bytes(ret_run, type);
    static const char *const place[] = {"item_id", "output_index", "content_index", "summary_index",
                                        "logprobs"};
    for (size_t i = 0; i < ARRAY_LEN(place); i++) {
        json_ref r = json_get(d, 0, place[i]);
        buf_append_char(ret_run, ' ');
        if (r != JSON_NONE)
            buf_append_bytes(ret_run, json_raw(d, r));
    }
    return json_get(d, 0, "delta");
}

static json_ref chat_delta(const struct json_doc *d, struct buf *ret_run)
{
    json_ref choice = json_first(d, json_get(d, 0, "choices"));
    json_ref delta = json_get(d, choice, "delta"), member = json_first(d, delta);
    if (member == JSON_NONE || json_next(d, member) != JSON_NONE)
        return JSON_NONE;
    buf_append_bytes(ret_run, json_raw_key(d, member));
    buf_append_char(ret_run, ' ');
    json_ref logprobs = json_get(d, choice, "logprobs");
    if (logprobs != JSON_NONE)
        buf_append_bytes(ret_run, json_raw(d, logprobs));
    if (json_is(d, member, JSON_STRING))
        return member;
    json_ref call = json_first(d, member), index = json_get(d, call, "index");
    if (!json_key_is(d, member, "tool_calls") || json_get(d, call, "id") != JSON_NONE)
        return JSON_NONE;
    buf_append_bytes(ret_run, json_raw(d, index));
    return json_get(d, json_get(d, call, "function"), "arguments");
}

static void note_delta(struct listener *l, const struct json_doc *d, json_ref delta, const struct buf *run)
{
    MUST(json_is(d, delta, JSON_STRING));
    if (!bytes_eq(buf_bytes(run), buf_bytes(&l->run))) {
        buf_reset(&l->run);
        buf_append_bytes(&l->run, buf_bytes(run));
        buf_append_char(&l->told, '\n');
        buf_append_bytes(&l->told, buf_bytes(run));
        buf_append_char(&l->told, '\n');
    }
    buf_append_bytes(&l->told, json_raw_string(d, delta));
}

static void note_event(struct listener *l, struct bytes event, const char *name)
{
    struct json_doc d;
    struct buf run;
    bool responses = l->dialect == &dialect_responses;
    json_doc_init(&d);
    buf_init(&run, 1 << 22);
    MUST(json_parse(&d, event, &limits, NULL) == ERR_OK);
    if (responses) {
        int64_t sequence;
        MUST(name && json_key_is(&d, json_first(&d, 0), "type"));
        MUST(bytes_is(string_of(&d, json_get(&d, 0, "type")), name));
        MUST(json_int(&d, json_get(&d, 0, "sequence_number"), &sequence) && sequence > l->sequence);
        l->sequence = sequence;
    }
    json_ref delta = responses ? responses_delta(&d, &run) : chat_delta(&d, &run);
    if (delta != JSON_NONE) {
        note_delta(l, &d, delta, &run);
    } else {
        buf_reset(&l->run);
        buf_append_char(&l->told, '\n');
        buf_append_bytes(&l->told, event);
    }
    buf_free(&run);
    json_doc_free(&d);
}

static const char *name_now;

static void begin(struct event_sink *s, const char *name)
{
    name_now = name;
    s->mark_ = s->out->len;
}

static void end(struct event_sink *s)
{
    struct listener *l = CONTAINER_OF(s, struct listener, sink);
    MUST(!s->out->failed);
    struct bytes event = bytes_of(s->out->data + s->mark_, s->out->len - s->mark_);
    if (l->dialect == &dialect_chat_completions && bytes_is(event, "[DONE]")) {
        buf_append_bytes(&l->told, BYTES("\n[DONE]"));
        return;
    }
    MUST_JSON_LINE(event);
    note_event(l, event, name_now);
}

void listener_init(struct listener *l, const struct dialect *d)
{
    *l = (struct listener){.dialect = d, .sequence = -1};
    buf_init(&l->out, 1 << 26);
    buf_init(&l->told, 1 << 26);
    buf_init(&l->run, 1 << 22);
    l->sink = (struct event_sink){.out = &l->out, .begin = begin, .end = end};
    l->encoder.include_usage = true;
    l->encoder.head = &fuzz_head;
}

void listener_free(struct listener *l)
{
    buf_free(&l->out);
    buf_free(&l->told);
    buf_free(&l->run);
}

void listener_read(struct listener *l, const struct llm_log *log, size_t budget)
{
    for (;;) {
        buf_reset(&l->out);
        bool any = l->dialect->encode_events(&l->encoder, log, &l->sink, budget);
        MUST(any == (l->out.len > 0));
        if (!any)
            break;
    }
    MUST(!l->told.failed);
    MUST(l->encoder.done == log->ended);
}

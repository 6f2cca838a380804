#include "protocols/chat_completions/chat.h"

/* The log as chat.completion.chunk events. A text delta is the path of every token: its chunk is a prefix
 * that does not change during an answer, the text, and a constant. */

enum { COALESCE_MAX = 16 * 1024, STATE_ROLE_SENT = 1, STATE_REASONED = 2 };

struct stream {
    struct llm_encoder *e;
    const struct llm_log *log;
    struct event_sink *sink;
    size_t prefix_at, prefix_len; /* where in the buffer this call wrote it first; 0 long: not yet */
};

/* Up to and with the `"choices":` of a chunk. */
static void write_prefix(struct stream *s)
{
    struct buf *out = s->sink->out;
    if (s->prefix_len) {
        if (buf_reserve(out, s->prefix_len) != ERR_OK)
            return;
        memcpy(out->data + out->len, out->data + s->prefix_at, s->prefix_len);
        out->len += s->prefix_len;
        return;
    }
    struct json_writer w;
    size_t at = out->len;
    buf_append_bytes(out, BYTES("{\"id\":\"chatcmpl-"));
    buf_append_bytes(out, chat_id_tail(s->e->head));
    buf_append_bytes(out, BYTES("\",\"object\":\"chat.completion.chunk\",\"created\":"));
    buf_append_u64(out, s->e->head->created_at > 0 ? (uint64_t)s->e->head->created_at : 0);
    buf_append_bytes(out, BYTES(",\"model\":"));
    jw_init(&w, out);
    jw_string(&w, s->e->head->model);
    buf_append_bytes(out, BYTES(",\"choices\":"));
    if (!out->failed) {
        s->prefix_at = at;
        s->prefix_len = out->len - at;
    }
}

static void begin_delta(struct stream *s)
{
    s->sink->begin(s->sink, NULL);
    write_prefix(s);
    buf_append_bytes(s->sink->out, BYTES("[{\"index\":0,\"delta\":{"));
}

/* `extra`: raw members of the choice, or empty. */
static void end_delta(struct stream *s, struct bytes extra)
{
    struct buf *out = s->sink->out;
    buf_append_bytes(out, BYTES("}"));
    if (extra.len) {
        buf_append_char(out, ',');
        buf_append_bytes(out, extra);
    }
    buf_append_bytes(out, BYTES(",\"finish_reason\":null}]}"));
    s->sink->end(s->sink);
}

static void send_role(struct stream *s, bool text)
{
    if (s->e->state & STATE_ROLE_SENT)
        return;
    s->e->state |= STATE_ROLE_SENT;
    begin_delta(s);
    buf_append_bytes(s->sink->out, BYTES("\"role\":\"assistant\",\"content\":"));
    buf_append_bytes(s->sink->out, text ? BYTES("\"\"") : BYTES("null"));
    end_delta(s, (struct bytes){NULL, 0});
}

static struct bytes own_extra(const struct stream *s, const struct llm_event *ev)
{
    return s->log->extra_dialect == &dialect_chat_completions ? ev->extra : (struct bytes){NULL, 0};
}

/* The text of this delta and of those that wait right behind it in the same part. */
static void write_text(struct stream *s, const struct llm_event *first)
{
    struct json_writer w;
    struct llm_event next;
    struct llm_pos peek = s->e->pos;
    size_t len = first->data.len;
    bool alone = own_extra(s, first).len > 0;
    jw_init(&w, s->sink->out);
    jw_string_begin(&w);
    jw_string_piece(&w, first->data);
    while (!alone && llm_log_next(s->log, &peek, &next) && next.type == LLM_EV_DELTA &&
           next.item == first->item && next.part == first->part && next.kind == first->kind &&
           own_extra(s, &next).len == 0 && len + next.data.len <= COALESCE_MAX) {
        jw_string_piece(&w, next.data);
        len += next.data.len;
        s->e->pos = peek;
    }
    jw_string_end(&w);
}

static void send_delta(struct stream *s, const struct llm_event *ev)
{
    struct buf *out = s->sink->out;
    begin_delta(s);
    switch (ev->kind) {
    case LLM_PART_TEXT:
        buf_append_bytes(out, BYTES("\"content\":"));
        break;
    case LLM_PART_REFUSAL:
        buf_append_bytes(out, BYTES("\"refusal\":"));
        break;
    case LLM_PART_REASONING:
    case LLM_PART_SUMMARY:
        buf_append_bytes(out, BYTES("\"reasoning_content\":"));
        break;
    case LLM_PART_ARGUMENTS:
        buf_append_bytes(out, BYTES("\"tool_calls\":[{\"index\":"));
        buf_append_u64(out, chat_call_index(s->log, ev->item));
        buf_append_bytes(out, BYTES(",\"function\":{\"arguments\":"));
        break;
    }
    write_text(s, ev);
    if (ev->kind == LLM_PART_ARGUMENTS)
        buf_append_bytes(out, BYTES("}}]"));
    end_delta(s, own_extra(s, ev));
}

static void send_item(struct stream *s, const struct llm_event *ev)
{
    const struct llm_output_item *item = llm_log_item(s->log, ev->item);
    send_role(s, item->kind != LLM_OUT_FUNCTION_CALL);
    if (item->kind != LLM_OUT_FUNCTION_CALL)
        return;
    struct json_writer w;
    begin_delta(s);
    buf_append_bytes(s->sink->out, BYTES("\"tool_calls\":["));
    jw_init(&w, s->sink->out);
    jw_object(&w);
    jw_kint(&w, "index", chat_call_index(s->log, ev->item));
    jw_kstring(&w, "id", item->call_id);
    jw_kcstr(&w, "type", "function");
    jw_key(&w, "function");
    jw_object(&w);
    jw_kstring(&w, "name", item->name);
    jw_kcstr(&w, "arguments", "");
    jw_object_end(&w);
    jw_object_end(&w);
    buf_append_char(s->sink->out, ']');
    end_delta(s, (struct bytes){NULL, 0});
}

static void send_annotation(struct stream *s, const struct llm_event *ev)
{
    struct json_writer w;
    if (!chat_write_annotation(ev->data, NULL))
        return;
    begin_delta(s);
    buf_append_bytes(s->sink->out, BYTES("\"annotations\":["));
    jw_init(&w, s->sink->out);
    chat_write_annotation(ev->data, &w);
    buf_append_char(s->sink->out, ']');
    end_delta(s, (struct bytes){NULL, 0});
}

/* What the provider said of a call beyond the words of the API, once the call is whole. */
static void send_call_extra(struct stream *s, const struct llm_event *ev)
{
    const struct llm_output_item *item = llm_log_item(s->log, ev->item);
    struct bytes extra = own_extra(s, ev);
    if (item->kind != LLM_OUT_FUNCTION_CALL || extra.len == 0)
        return;
    begin_delta(s);
    buf_append_bytes(s->sink->out, BYTES("\"tool_calls\":[{\"index\":"));
    buf_append_u64(s->sink->out, chat_call_index(s->log, ev->item));
    buf_append_char(s->sink->out, ',');
    buf_append_bytes(s->sink->out, extra);
    buf_append_bytes(s->sink->out, BYTES("}]"));
    end_delta(s, (struct bytes){NULL, 0});
}

/* Parts of a chain of thought are texts of their own: an empty line keeps them apart. */
static void send_part(struct stream *s, const struct llm_event *ev)
{
    if (ev->kind != LLM_PART_REASONING && ev->kind != LLM_PART_SUMMARY)
        return;
    bool first = !(s->e->state & STATE_REASONED);
    s->e->state |= STATE_REASONED;
    if (first)
        return;
    begin_delta(s);
    buf_append_bytes(s->sink->out, BYTES("\"reasoning_content\":\"\\n\\n\""));
    end_delta(s, (struct bytes){NULL, 0});
}

static void send_finish(struct stream *s)
{
    struct buf *out = s->sink->out;
    send_role(s, true);
    s->sink->begin(s->sink, NULL);
    write_prefix(s);
    buf_append_bytes(out, BYTES("[{\"index\":0,\"delta\":{},\"finish_reason\":\""));
    buf_append_bytes(out, bytes_cstr(chat_finish_reason(s->log)));
    buf_append_bytes(out, BYTES("\"}]}"));
    s->sink->end(s->sink);
    if (s->e->include_usage && s->log->end.usage.set) {
        struct json_writer w;
        s->sink->begin(s->sink, NULL);
        write_prefix(s);
        buf_append_bytes(out, BYTES("[],\"usage\":"));
        jw_init(&w, out);
        chat_write_usage(&s->log->end.usage, &w);
        buf_append_char(out, '}');
        s->sink->end(s->sink);
    }
    s->sink->begin(s->sink, NULL);
    buf_append_bytes(out, BYTES("[DONE]"));
    s->sink->end(s->sink);
}

static void send_failure(struct stream *s)
{
    s->sink->begin(s->sink, NULL);
    api_error_body(&s->log->end.error, s->sink->out);
    s->sink->end(s->sink);
}

static void send_event(struct stream *s, const struct llm_event *ev)
{
    switch (ev->type) {
    case LLM_EV_ITEM_ADDED:
        send_item(s, ev);
        break;
    case LLM_EV_PART_ADDED:
        send_part(s, ev);
        break;
    case LLM_EV_DELTA:
        send_delta(s, ev);
        break;
    case LLM_EV_ANNOTATION:
        send_annotation(s, ev);
        break;
    case LLM_EV_ITEM_DONE:
        send_call_extra(s, ev);
        break;
    case LLM_EV_COMPLETED:
    case LLM_EV_INCOMPLETE:
        send_finish(s);
        s->e->done = true;
        break;
    case LLM_EV_FAILED:
        send_failure(s);
        s->e->done = true;
        break;
    case LLM_EV_CANCELLED:
        s->e->done = true;
        break;
    default: /* said by what surrounds it */
        break;
    }
}

bool chat_encode_events(struct llm_encoder *e, const struct llm_log *l, struct event_sink *s, size_t budget)
{
    struct stream stream = {.e = e, .log = l, .sink = s};
    struct llm_event ev;
    size_t before = s->out->len;
    while (s->out->len < budget && !s->out->failed && llm_log_next(l, &e->pos, &ev))
        send_event(&stream, &ev);
    return s->out->len > before;
}

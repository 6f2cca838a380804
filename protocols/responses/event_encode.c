#include "protocols/responses/object.h"
#include "protocols/responses/responses.h"

/* Text that one coalesced event carries at most: a lagging client gets large events, but no single huge one.
 */
enum { COALESCE_MAX = 16 * 1024 };

/* What the events of each kind of part are called. */
struct part_words {
    const char *delta, *done, *part_added, *part_done;
    struct bytes delta_head; /* the delta event up to the item's id */
    struct bytes index_head; /* the member name of the part's index; empty: this kind has no parts */
    struct bytes delta_tail; /* from the end of the text to the sequence number */
    const char *index_key;
    const char *text_key; /* of the done event */
};

#define LITERAL(s)                                                                                           \
    {                                                                                                        \
        s, sizeof(s) - 1                                                                                     \
    }
#define DELTA_HEAD(name) LITERAL("{\"type\":\"" name "\",\"item_id\":")
#define INDEX_HEAD(name) LITERAL(",\"" name "\":")
#define CONTENT_PART "response.content_part.added", "response.content_part.done"
#define SUMMARY_PART "response.reasoning_summary_part.added", "response.reasoning_summary_part.done"

static const struct part_words words[] = {
    [LLM_PART_TEXT] = {"response.output_text.delta", "response.output_text.done", CONTENT_PART,
                       DELTA_HEAD("response.output_text.delta"), INDEX_HEAD("content_index"),
                       LITERAL("\",\"logprobs\":[],\"sequence_number\":"), "content_index", "text"},
    [LLM_PART_REFUSAL] = {"response.refusal.delta", "response.refusal.done", CONTENT_PART,
                          DELTA_HEAD("response.refusal.delta"), INDEX_HEAD("content_index"),
                          LITERAL("\",\"sequence_number\":"), "content_index", "refusal"},
    [LLM_PART_REASONING] = {"response.reasoning_text.delta", "response.reasoning_text.done", CONTENT_PART,
                            DELTA_HEAD("response.reasoning_text.delta"), INDEX_HEAD("content_index"),
                            LITERAL("\",\"sequence_number\":"), "content_index", "text"},
    [LLM_PART_SUMMARY] = {"response.reasoning_summary_text.delta", "response.reasoning_summary_text.done",
                          SUMMARY_PART, DELTA_HEAD("response.reasoning_summary_text.delta"),
                          INDEX_HEAD("summary_index"), LITERAL("\",\"sequence_number\":"), "summary_index",
                          "text"},
    [LLM_PART_ARGUMENTS] = {"response.function_call_arguments.delta",
                            "response.function_call_arguments.done",
                            NULL,
                            NULL,
                            DELTA_HEAD("response.function_call_arguments.delta"),
                            {NULL, 0},
                            LITERAL("\",\"sequence_number\":"),
                            NULL,
                            "arguments"},
};

static void tail(const struct llm_encoder *e, struct buf *out, uint32_t index)
{
    buf_append_u64(out, index);
    if (e->stream_id.len > 0) {
        struct json_writer w;
        jw_init(&w, out);
        buf_append_bytes(out, BYTES(",\"stream_id\":"));
        jw_string(&w, e->stream_id);
    }
    buf_append_char(out, '}');
}

/* {"type":NAME with the writer ready for the next member. */
static void open_event(struct event_sink *s, struct json_writer *w, const char *name)
{
    s->begin(s, name);
    jw_init(w, s->out);
    jw_object(w);
    jw_kcstr(w, "type", name);
}

static void close_event(const struct llm_encoder *e, struct event_sink *s, uint32_t index)
{
    buf_append_bytes(s->out, BYTES(",\"sequence_number\":"));
    tail(e, s->out, index);
    s->end(s);
}

static bool extra_counts(const struct llm_log *l, const struct llm_event *ev)
{
    return ev->extra.len > 0 && object_extras_ours(l);
}

/* Every token passes here. One delta of the log, and those right behind it that continue it; `pos` moves past
 * them. */
static void encode_delta(const struct llm_encoder *e, const struct llm_log *l, struct event_sink *s,
                         struct llm_pos *pos, const struct llm_event *first)
{
    const struct part_words *k = &words[first->kind];
    struct buf *out = s->out;
    struct json_writer w;
    uint32_t last = first->index;
    size_t text = first->data.len;

    s->begin(s, k->delta);
    jw_init(&w, out);
    buf_append_bytes(out, k->delta_head);
    jw_string(&w, llm_log_item(l, first->item)->id);
    buf_append_bytes(out, BYTES(",\"output_index\":"));
    buf_append_u64(out, first->item);
    if (k->index_head.len > 0) {
        buf_append_bytes(out, k->index_head);
        buf_append_u64(out, first->part);
    }
    buf_append_bytes(out, BYTES(",\"delta\":\""));
    jw_string_piece(&w, first->data);
    if (extra_counts(l, first)) {
        buf_append_bytes(out, BYTES("\","));
        buf_append_bytes(out, first->extra);
        buf_append_bytes(out, BYTES(",\"sequence_number\":"));
    } else {
        struct llm_pos ahead = *pos;
        struct llm_event ev;
        while (llm_log_next(l, &ahead, &ev) && ev.type == LLM_EV_DELTA && ev.kind == first->kind &&
               ev.item == first->item && ev.part == first->part && text + ev.data.len <= COALESCE_MAX &&
               !extra_counts(l, &ev)) {
            jw_string_piece(&w, ev.data);
            text += ev.data.len;
            last = ev.index;
            *pos = ahead;
        }
        buf_append_bytes(out, k->delta_tail);
    }
    tail(e, out, last);
    s->end(s);
}

static void write_place(struct json_writer *w, const struct llm_log *l, const struct llm_event *ev)
{
    jw_kstring(w, "item_id", llm_log_item(l, ev->item)->id);
    jw_kint(w, "output_index", ev->item);
    if (words[ev->kind].index_key)
        jw_kint(w, words[ev->kind].index_key, ev->part);
}

static void encode_text_done(struct json_writer *w, const struct llm_log *l, const struct llm_event *ev)
{
    struct part_ref p;
    write_place(w, l, ev);
    if (ev->kind == LLM_PART_ARGUMENTS)
        jw_kstring(w, "name", llm_log_item(l, ev->item)->name);
    jw_key(w, words[ev->kind].text_key);
    if (!part_find(l, ev->item, ev->part, ev->kind, &p)) {
        jw_cstr(w, "");
        return;
    }
    part_write_text(w, l, &p);
    if (ev->kind == LLM_PART_TEXT) {
        jw_key(w, "logprobs");
        part_write_logprobs(w, l, &p);
    }
}

static void encode_part(struct json_writer *w, const struct llm_log *l, const struct llm_event *ev)
{
    struct part_ref p = {.item = ev->item, .part = ev->part, .kind = ev->kind};
    bool empty = ev->type == LLM_EV_PART_ADDED || !part_find(l, ev->item, ev->part, ev->kind, &p);
    write_place(w, l, ev);
    jw_key(w, "part");
    part_write(w, l, &p, empty);
}

/* The encoder's state: one more than the open text part has annotations before the encoder's place; 0: it
 * began behind that part's beginning, and has not counted yet. Counting for each would let a provider's few
 * bytes cost a walk over its whole answer. */
static unsigned annotation_index(struct llm_encoder *e, const struct llm_log *l, const struct llm_event *ev)
{
    struct part_ref p;
    if (e->state == 0)
        e->state = 1 + (part_find(l, ev->item, ev->part, LLM_PART_TEXT, &p)
                            ? part_count_annotations(l, &p, ev->index)
                            : 0);
    return e->state - 1;
}

/* The event has been written. */
static void count_annotations(struct llm_encoder *e, const struct llm_event *ev)
{
    if (ev->type == LLM_EV_PART_ADDED && ev->kind == LLM_PART_TEXT)
        e->state = 1;
    else if (ev->type == LLM_EV_ANNOTATION)
        e->state++;
}

static void encode_annotation(struct llm_encoder *e, struct json_writer *w, const struct llm_log *l,
                              const struct llm_event *ev)
{
    write_place(w, l, ev);
    jw_kint(w, "annotation_index", annotation_index(e, l, ev));
    jw_kraw(w, "annotation", ev->data);
}

static void encode_item(struct json_writer *w, const struct llm_log *l, const struct llm_event *ev)
{
    jw_kint(w, "output_index", ev->item);
    jw_key(w, "item");
    object_write_item(w, l, ev->item, ev->type == LLM_EV_ITEM_ADDED);
}

static const char *event_name(const struct llm_event *ev)
{
    switch (ev->type) {
    case LLM_EV_CREATED:
        return "response.created";
    case LLM_EV_IN_PROGRESS:
        return "response.in_progress";
    case LLM_EV_ITEM_ADDED:
        return "response.output_item.added";
    case LLM_EV_PART_ADDED:
        return words[ev->kind].part_added;
    case LLM_EV_DELTA:
        return words[ev->kind].delta;
    case LLM_EV_ANNOTATION:
        return "response.output_text.annotation.added";
    case LLM_EV_TEXT_DONE:
        return words[ev->kind].done;
    case LLM_EV_PART_DONE:
        return words[ev->kind].part_done;
    case LLM_EV_ITEM_DONE:
        return "response.output_item.done";
    case LLM_EV_COMPLETED:
        return "response.completed";
    case LLM_EV_FAILED:
        return "response.failed";
    case LLM_EV_INCOMPLETE:
    case LLM_EV_CANCELLED: /* has no event of its own: the status says it */
        return "response.incomplete";
    }
    return "";
}

static void encode_one(struct llm_encoder *e, const struct llm_log *l, struct event_sink *s,
                       const struct llm_event *ev)
{
    struct json_writer w;
    open_event(s, &w, event_name(ev));
    switch (ev->type) {
    case LLM_EV_ITEM_ADDED:
    case LLM_EV_ITEM_DONE:
        encode_item(&w, l, ev);
        break;
    case LLM_EV_PART_ADDED:
    case LLM_EV_PART_DONE:
        encode_part(&w, l, ev);
        break;
    case LLM_EV_TEXT_DONE:
        encode_text_done(&w, l, ev);
        break;
    case LLM_EV_ANNOTATION:
        encode_annotation(e, &w, l, ev);
        break;
    default:
        jw_key(&w, "response");
        object_write_response(&w, e->head, l, llm_event_is_terminal(ev->type));
        break;
    }
    close_event(e, s, ev->index);
}

bool responses_encode_events(struct llm_encoder *e, const struct llm_log *l, struct event_sink *s,
                             size_t budget)
{
    struct llm_event ev;
    struct llm_pos pos = e->pos;
    bool any = false;
    while (!e->done && s->out->len < budget && llm_log_next(l, &pos, &ev)) {
        size_t before = s->out->len;
        if (ev.type == LLM_EV_DELTA)
            encode_delta(e, l, s, &pos, &ev);
        else
            encode_one(e, l, s, &ev);
        if (s->out->failed) {
            s->out->len = before; /* whole events only; the caller sees `failed` */
            break;
        }
        count_annotations(e, &ev);
        e->pos = pos;
        e->done = llm_event_is_terminal(ev.type);
        any = true;
    }
    return any;
}

void responses_encode_answer(const struct llm_head *h, const struct llm_log *l, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    object_write_response(&w, h, l, true);
}

#include "protocols/chat_completions/chat.h"

/* The log folded into one chat.completion object, and what both encoders say alike. */

struct bytes chat_id_tail(const struct llm_head *h)
{
    const char *at = h->id.len ? memchr(h->id.data, '_', h->id.len) : NULL;
    return at ? bytes_skip(h->id, (size_t)(at - h->id.data) + 1) : h->id;
}

const char *chat_finish_reason(const struct llm_log *l)
{
    switch (l->end.finish) {
    case LLM_FINISH_LENGTH:
        return "length";
    case LLM_FINISH_CONTENT_FILTER:
        return "content_filter";
    case LLM_FINISH_TOOL_CALLS:
        return "tool_calls";
    case LLM_FINISH_STOP:
        break;
    }
    /* Providers that call a tool and say "stop": clients look for the word. */
    return chat_call_index(l, llm_log_n_items(l)) > 0 ? "tool_calls" : "stop";
}

void chat_write_usage(const struct llm_usage *u, struct json_writer *w)
{
    jw_object(w);
    jw_kint(w, "prompt_tokens", u->input_tokens);
    jw_kint(w, "completion_tokens", u->output_tokens);
    jw_kint(w, "total_tokens", u->total_tokens);
    jw_key(w, "prompt_tokens_details");
    jw_object(w);
    jw_kint(w, "cached_tokens", u->cached_tokens);
    if (u->cache_write_tokens)
        jw_kint(w, "cache_write_tokens", u->cache_write_tokens);
    jw_object_end(w);
    jw_key(w, "completion_tokens_details");
    jw_object(w);
    jw_kint(w, "reasoning_tokens", u->reasoning_tokens);
    jw_object_end(w);
    jw_object_end(w);
}

unsigned chat_call_index(const struct llm_log *l, unsigned item)
{
    unsigned n = 0;
    for (unsigned i = 0; i < item; i++)
        n += llm_log_item(l, i)->kind == LLM_OUT_FUNCTION_CALL ? 1u : 0u;
    return n;
}

/* ---- the message ---- */

/* What a log holds at all, so that it is not walked for what is not there. */
struct contents {
    unsigned kinds; /* a bit for each llm_part_kind that has a part or a delta */
    bool annotations, extras;
};

static struct contents look(const struct llm_log *l)
{
    struct contents has = {0};
    struct llm_pos pos = {0};
    struct llm_event e;
    while (llm_log_next(l, &pos, &e)) {
        if (e.type == LLM_EV_DELTA || e.type == LLM_EV_PART_ADDED)
            has.kinds |= 1U << e.kind;
        has.annotations |= e.type == LLM_EV_ANNOTATION;
        has.extras |= e.type == LLM_EV_DELTA && e.extra.len > 0;
    }
    return has;
}

/* All the text of one sort, of whatever items and parts, as one string; null or nothing when there is none.
 */
static void write_all(const struct llm_log *l, const struct contents *has, struct json_writer *w,
                      const char *key, enum llm_part_kind kind, enum llm_part_kind or_kind, bool null_if_none)
{
    const bool any = (has->kinds & (1U << kind | 1U << or_kind)) != 0;
    struct llm_pos pos = {0};
    struct llm_event e;
    bool begun = false;
    while (any && llm_log_next(l, &pos, &e)) {
        if ((e.type != LLM_EV_DELTA && e.type != LLM_EV_PART_ADDED) || (e.kind != kind && e.kind != or_kind))
            continue;
        if (!begun) {
            jw_key(w, key);
            jw_string_begin(w);
        } else if (e.type == LLM_EV_PART_ADDED && or_kind != kind) {
            jw_string_piece(w, BYTES("\n\n")); /* a chain of thought in several parts */
        }
        begun = true;
        if (e.type == LLM_EV_DELTA)
            jw_string_piece(w, e.data);
    }
    if (begun)
        jw_string_end(w);
    else if (null_if_none)
        jw_knull(w, key);
}

static void write_annotations(const struct llm_log *l, struct json_writer *w)
{
    struct llm_pos pos = {0};
    struct llm_event e;
    bool begun = false;
    while (llm_log_next(l, &pos, &e)) {
        if (e.type != LLM_EV_ANNOTATION || !chat_write_annotation(e.data, NULL))
            continue;
        if (!begun) {
            jw_key(w, "annotations");
            jw_array(w);
        }
        begun = true;
        chat_write_annotation(e.data, w);
    }
    if (begun)
        jw_array_end(w);
}

static void write_calls(const struct llm_log *l, struct json_writer *w)
{
    unsigned n = llm_log_n_items(l);
    if (chat_call_index(l, n) == 0)
        return;
    jw_key(w, "tool_calls");
    jw_array(w);
    for (unsigned i = 0; i < n; i++) {
        const struct llm_output_item *item = llm_log_item(l, i);
        if (item->kind != LLM_OUT_FUNCTION_CALL)
            continue;
        jw_object(w);
        jw_kstring(w, "id", item->call_id);
        jw_kcstr(w, "type", "function");
        jw_key(w, "function");
        jw_object(w);
        jw_kstring(w, "name", item->name);
        jw_key(w, "arguments");
        llm_log_write_text(l, NULL, i, 0, LLM_PART_ARGUMENTS, w);
        jw_object_end(w);
        if (l->extra_dialect == &dialect_chat_completions && item->extra.len)
            jw_raw_members(w, item->extra);
        jw_object_end(w);
    }
    jw_array_end(w);
}

/* ---- log probabilities: each delta brought its own, the answer wants them in one list ---- */

static const struct json_limits extra_limits = {.max_depth = 64, .max_nodes = 1 << 20};

/* The elements of `list` in the extra of each delta; false when there is none. `w` may be NULL: only look. */
static bool write_logprob_list(const struct llm_log *l, const char *list, struct json_doc *doc,
                               struct buf *text, struct json_writer *w)
{
    struct llm_pos pos = {0};
    struct llm_event e;
    bool any = false;
    while (llm_log_next(l, &pos, &e)) {
        if (e.type != LLM_EV_DELTA || e.extra.len == 0)
            continue;
        buf_reset(text);
        buf_append_char(text, '{');
        buf_append_bytes(text, e.extra);
        buf_append_char(text, '}');
        if (text->failed || json_parse(doc, buf_bytes(text), &extra_limits, NULL) != ERR_OK)
            continue;
        json_ref found = json_get(doc, json_get(doc, 0, "logprobs"), list);
        if (!json_is(doc, found, JSON_ARRAY))
            continue;
        any = true;
        for (json_ref r = w ? json_first(doc, found) : JSON_NONE; r != JSON_NONE; r = json_next(doc, r))
            jw_raw(w, json_raw(doc, r));
    }
    return any;
}

static void write_logprobs(const struct llm_log *l, struct json_writer *w)
{
    static const char *const lists[] = {"content", "refusal"};
    struct json_doc doc;
    struct buf text;
    bool has[ARRAY_LEN(lists)] = {false};
    bool any = false;
    json_doc_init(&doc);
    buf_init(&text, l->max_bytes + 16);
    for (size_t i = 0; i < ARRAY_LEN(lists) && l->extra_dialect == &dialect_chat_completions; i++) {
        has[i] = write_logprob_list(l, lists[i], &doc, &text, NULL);
        any = any || has[i];
    }
    if (!any) {
        jw_knull(w, "logprobs");
    } else {
        jw_key(w, "logprobs");
        jw_object(w);
        for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
            if (!has[i]) {
                jw_knull(w, lists[i]);
                continue;
            }
            jw_key(w, lists[i]);
            jw_array(w);
            write_logprob_list(l, lists[i], &doc, &text, w);
            jw_array_end(w);
        }
        jw_object_end(w);
    }
    buf_free(&text);
    json_doc_free(&doc);
}

/* ---- the object ---- */

void chat_encode_answer(const struct llm_head *h, const struct llm_log *l, struct buf *out)
{
    const struct contents has = look(l);
    struct json_writer w;
    buf_append_bytes(out, BYTES("{\"id\":\"chatcmpl-"));
    buf_append_bytes(out, chat_id_tail(h));
    buf_append_bytes(out, BYTES("\",\"object\":\"chat.completion\",\"created\":"));
    buf_append_u64(out, h->created_at > 0 ? (uint64_t)h->created_at : 0);
    buf_append_bytes(out, BYTES(",\"model\":"));
    jw_init(&w, out);
    jw_string(&w, h->model);
    jw_key(&w, "choices");
    jw_array(&w);
    jw_object(&w);
    jw_kint(&w, "index", 0);
    jw_key(&w, "message");
    jw_object(&w);
    jw_kcstr(&w, "role", "assistant");
    write_all(l, &has, &w, "content", LLM_PART_TEXT, LLM_PART_TEXT, true);
    write_all(l, &has, &w, "refusal", LLM_PART_REFUSAL, LLM_PART_REFUSAL, true);
    write_all(l, &has, &w, "reasoning_content", LLM_PART_REASONING, LLM_PART_SUMMARY, false);
    if (has.annotations)
        write_annotations(l, &w);
    write_calls(l, &w);
    jw_object_end(&w);
    if (has.extras)
        write_logprobs(l, &w);
    else
        jw_knull(&w, "logprobs");
    jw_kcstr(&w, "finish_reason", chat_finish_reason(l));
    jw_object_end(&w);
    jw_array_end(&w);
    if (l->end.usage.set) {
        jw_key(&w, "usage");
        chat_write_usage(&l->end.usage, &w);
    }
    jw_object_end(&w);
}

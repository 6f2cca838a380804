#include "protocols/responses/object.h"
#include "protocols/dialect.h"
#include "protocols/responses/output_item.h"

bool object_extras_ours(const struct llm_log *l)
{
    return l->extra_dialect == &dialect_responses;
}

static bool of_part(const struct llm_event *ev, const struct part_ref *p)
{
    return ev->item == p->item && ev->part == p->part && ev->kind == p->kind;
}

bool part_find(const struct llm_log *l, unsigned item, unsigned part, enum llm_part_kind kind,
               struct part_ref *ret)
{
    const struct llm_output_item *it = llm_log_item(l, item);
    struct llm_pos pos = it->at_;
    struct llm_event ev;
    bool found = kind == LLM_PART_ARGUMENTS; /* a call's begin with the item */
    while (!found && llm_log_next_of(l, &pos, 1u << LLM_EV_PART_ADDED, &ev))
        found = ev.item == item && ev.part == part && ev.kind == kind;
    if (found)
        *ret = (struct part_ref){.pos = pos, .item = item, .part = part, .kind = kind};
    return found;
}

/* The part's next event of type `type`; false when the part has no more. */
static bool part_next(const struct llm_log *l, const struct part_ref *p, enum llm_event_type type,
                      struct llm_pos *pos, struct llm_event *ret)
{
    while (llm_log_next_of(l, pos, 1u << type | 1u << LLM_EV_TEXT_DONE, ret))
        if (of_part(ret, p))
            return ret->type == type;
    return false;
}

void part_write_text(struct json_writer *w, const struct llm_log *l, const struct part_ref *p)
{
    llm_log_write_text(l, &p->pos, p->item, p->part, p->kind, w);
}

/* Our decoder remembers exactly one member with a delta: "logprobs":[...]. */
static struct bytes logprob_elements(struct bytes extra)
{
    static const char head[] = "\"logprobs\":[";
    const size_t n = sizeof(head) - 1;
    if (extra.len <= n || !bytes_starts(extra, bytes_of(head, n)) || extra.data[extra.len - 1] != ']')
        return (struct bytes){NULL, 0};
    return bytes_of(extra.data + n, extra.len - n - 1);
}

void part_write_logprobs(struct json_writer *w, const struct llm_log *l, const struct part_ref *p)
{
    jw_array(w);
    if (object_extras_ours(l)) {
        struct llm_pos pos = p->pos;
        struct llm_event ev;
        while (part_next(l, p, LLM_EV_DELTA, &pos, &ev)) {
            struct bytes elements = logprob_elements(ev.extra);
            if (elements.len > 0)
                jw_raw(w, elements);
        }
    }
    jw_array_end(w);
}

static void write_annotations(struct json_writer *w, const struct llm_log *l, const struct part_ref *p)
{
    struct llm_pos pos = p->pos;
    struct llm_event ev;
    jw_array(w);
    while (part_next(l, p, LLM_EV_ANNOTATION, &pos, &ev))
        jw_raw(w, ev.data);
    jw_array_end(w);
}

unsigned part_count_annotations(const struct llm_log *l, const struct part_ref *p, uint32_t index)
{
    struct llm_pos pos = p->pos;
    struct llm_event ev;
    unsigned n = 0;
    while (part_next(l, p, LLM_EV_ANNOTATION, &pos, &ev) && ev.index < index)
        n++;
    return n;
}

void part_write(struct json_writer *w, const struct llm_log *l, const struct part_ref *p, bool empty)
{
    static const char *const type[] = {"output_text", "refusal", "reasoning_text", "summary_text"};
    jw_object(w);
    jw_kcstr(w, "type", type[p->kind]);
    jw_key(w, p->kind == LLM_PART_REFUSAL ? "refusal" : "text");
    if (empty)
        jw_cstr(w, "");
    else
        part_write_text(w, l, p);
    if (p->kind == LLM_PART_TEXT) {
        jw_key(w, "annotations");
        if (empty)
            jw_raw(w, BYTES("[]"));
        else
            write_annotations(w, l, p);
        jw_key(w, "logprobs");
        if (empty)
            jw_raw(w, BYTES("[]"));
        else
            part_write_logprobs(w, l, p);
    }
    jw_object_end(w);
}

/* The item's parts of the kinds in the bit set `kinds`, as an array. */
static void write_parts(struct json_writer *w, const struct llm_log *l, unsigned item, unsigned kinds)
{
    struct llm_pos pos = llm_log_item(l, item)->at_;
    struct llm_event ev;
    jw_array(w);
    while (llm_log_next_of(l, &pos, 1u << LLM_EV_PART_ADDED | 1u << LLM_EV_ITEM_DONE, &ev)) {
        if (ev.item == item && ev.type == LLM_EV_ITEM_DONE)
            break;
        if (ev.item != item || ev.type != LLM_EV_PART_ADDED || !(kinds & (1u << ev.kind)))
            continue;
        struct part_ref p = {.pos = pos, .item = item, .part = ev.part, .kind = ev.kind};
        part_write(w, l, &p, false);
    }
    jw_array_end(w);
}

static void write_message(struct json_writer *w, const struct llm_log *l, unsigned item, bool empty)
{
    jw_kcstr(w, "role", "assistant");
    jw_key(w, "content");
    if (empty)
        jw_raw(w, BYTES("[]"));
    else
        write_parts(w, l, item, 1u << LLM_PART_TEXT | 1u << LLM_PART_REFUSAL);
}

static void write_reasoning(struct json_writer *w, const struct llm_log *l, unsigned item, bool empty)
{
    jw_key(w, "summary");
    if (empty) {
        jw_raw(w, BYTES("[]"));
        return;
    }
    write_parts(w, l, item, 1u << LLM_PART_SUMMARY);
    if (llm_log_item(l, item)->n_parts > 0) {
        jw_key(w, "content");
        write_parts(w, l, item, 1u << LLM_PART_REASONING);
    }
}

static void write_call(struct json_writer *w, const struct llm_log *l, unsigned item, bool empty)
{
    const struct llm_output_item *it = llm_log_item(l, item);
    struct part_ref p = {.pos = it->at_, .item = item, .kind = LLM_PART_ARGUMENTS};
    jw_key(w, "arguments");
    if (empty)
        jw_cstr(w, "");
    else
        part_write_text(w, l, &p);
    jw_kstring(w, "call_id", it->call_id);
    jw_kstring(w, "name", it->name);
}

/* An item of the provider's own: what there is to say of it, status included, came with its end. */
static void write_opaque(struct json_writer *w, const struct llm_log *l, const struct llm_output_item *it,
                         bool empty)
{
    jw_kstring(w, "id", it->id);
    jw_kstring(w, "type", it->name);
    if (empty || it->extra.len == 0 || !object_extras_ours(l))
        jw_kcstr(w, "status", empty ? "in_progress" : it->cut ? "incomplete" : "completed");
}

void object_write_item(struct json_writer *w, const struct llm_log *l, unsigned item, bool empty)
{
    static const char *const type[] = {"message", "function_call", "reasoning"};
    const struct llm_output_item *it = llm_log_item(l, item);
    jw_object(w);
    if (it->kind != LLM_OUT_OPAQUE) {
        jw_kstring(w, "id", it->id);
        jw_kcstr(w, "type", type[it->kind]);
        jw_kcstr(w, "status", empty ? "in_progress" : it->cut ? "incomplete" : "completed");
    }
    switch (it->kind) {
    case LLM_OUT_MESSAGE:
        write_message(w, l, item, empty);
        break;
    case LLM_OUT_FUNCTION_CALL:
        write_call(w, l, item, empty);
        break;
    case LLM_OUT_REASONING:
        write_reasoning(w, l, item, empty);
        break;
    case LLM_OUT_OPAQUE:
        write_opaque(w, l, it, empty);
        break;
    }
    if (!empty && object_extras_ours(l))
        jw_raw_members(w, it->extra);
    jw_object_end(w);
}

void responses_write_output_item(const struct llm_log *l, unsigned item, struct json_writer *w)
{
    object_write_item(w, l, item, false);
}

static void write_output(struct json_writer *w, const struct llm_log *l)
{
    jw_array(w);
    for (unsigned i = 0; i < llm_log_n_items(l); i++)
        object_write_item(w, l, i, false);
    jw_array_end(w);
}

static void write_output_text(struct json_writer *w, const struct llm_log *l)
{
    struct llm_pos pos = {0};
    struct llm_event ev;
    jw_string_begin(w);
    while (llm_log_next_of(l, &pos, 1u << LLM_EV_DELTA, &ev))
        if (ev.kind == LLM_PART_TEXT)
            jw_string_piece(w, ev.data);
    jw_string_end(w);
}

/* `code` is one of those that the official type allows; ours, when it says more, stands beside it as
 * `reason`. */
static void write_error(struct json_writer *w, const struct api_error *e)
{
    static const char *const official[] = {
        "server_error",
        "rate_limit_exceeded",
        "invalid_prompt",
        "data_residency_mismatch",
        "bio_policy",
        "vector_store_timeout",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    };
    const char *code = e->status == 429   ? "rate_limit_exceeded"
                       : e->status == 400 ? "invalid_prompt"
                                          : "server_error";
    bool precise = e->code != NULL;
    for (size_t i = 0; precise && i < ARRAY_LEN(official); i++) {
        if (strcmp(e->code, official[i]) == 0) {
            code = official[i];
            precise = false;
        }
    }
    jw_object(w);
    jw_kcstr(w, "code", code);
    jw_kcstr(w, "message", e->message);
    if (precise)
        jw_kcstr(w, "reason", e->code);
    if (e->retry_after_s > 0)
        jw_kint(w, "retry_after", e->retry_after_s);
    jw_object_end(w);
}

static void write_usage(struct json_writer *w, const struct llm_usage *u)
{
    jw_object(w);
    jw_kint(w, "input_tokens", u->input_tokens);
    jw_key(w, "input_tokens_details");
    jw_object(w);
    jw_kint(w, "cached_tokens", u->cached_tokens);
    jw_kint(w, "cache_write_tokens", u->cache_write_tokens);
    jw_object_end(w);
    jw_kint(w, "output_tokens", u->output_tokens);
    jw_key(w, "output_tokens_details");
    jw_object(w);
    jw_kint(w, "reasoning_tokens", u->reasoning_tokens);
    jw_object_end(w);
    jw_kint(w, "total_tokens", u->total_tokens);
    jw_object_end(w);
}

static void write_incomplete_details(struct json_writer *w, const struct llm_log *l)
{
    jw_object(w);
    jw_kcstr(w, "reason",
             l->end.finish == LLM_FINISH_CONTENT_FILTER ? "content_filter" : "max_output_tokens");
    jw_object_end(w);
}

static const char *status_name(const struct llm_log *l, bool terminal)
{
    if (!terminal)
        return "in_progress";
    switch (l->terminal) {
    case LLM_EV_COMPLETED:
        return "completed";
    case LLM_EV_INCOMPLETE:
        return "incomplete";
    case LLM_EV_CANCELLED:
        return "cancelled";
    default:
        return "failed";
    }
}

void object_write_response(struct json_writer *w, const struct llm_head *h, const struct llm_log *l,
                           bool terminal)
{
    jw_object(w);
    jw_kstring(w, "id", h->id);
    jw_kcstr(w, "object", "response");
    jw_kint(w, "created_at", h->created_at);
    jw_kcstr(w, "status", status_name(l, terminal));
    jw_kbool(w, "background", false);
    jw_key(w, "error");
    if (terminal && l->terminal == LLM_EV_FAILED)
        write_error(w, &l->end.error);
    else
        jw_null(w);
    jw_key(w, "incomplete_details");
    if (terminal && l->terminal == LLM_EV_INCOMPLETE)
        write_incomplete_details(w, l);
    else
        jw_null(w);
    jw_kstring(w, "model", h->model);
    jw_key(w, "previous_response_id");
    if (h->previous_response_id.len > 0)
        jw_string(w, h->previous_response_id);
    else
        jw_null(w);
    jw_raw_members(w, h->echo);
    jw_key(w, "output");
    if (terminal)
        write_output(w, l);
    else
        jw_raw(w, BYTES("[]"));
    jw_key(w, "output_text");
    if (terminal)
        write_output_text(w, l);
    else
        jw_cstr(w, "");
    jw_key(w, "usage");
    if (terminal && l->end.usage.set)
        write_usage(w, &l->end.usage);
    else
        jw_null(w);
    jw_object_end(w);
}

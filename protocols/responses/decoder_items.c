#include "protocols/fields.h"
#include "protocols/responses/decoder.h"
#include "protocols/responses/input_decode.h"
#include <stdlib.h>

static const struct bytes none = {NULL, 0};

/* ---- entries ---- */

static struct entry *entry_at(struct llm_decoder *d, int64_t index)
{
    if (index < 0 || index >= LLM_MAX_ITEMS) {
        decoder_fail(d, "an output_index out of all bounds");
        return NULL;
    }
    size_t want = (size_t)index + 1;
    if (want > d->n_entries) {
        struct entry *more = realloc(d->entries, want * sizeof(*more));
        if (!more) {
            struct fault f;
            fault_no_memory(&f);
            llm_builder_fail(d->b, &f);
            return NULL;
        }
        memset(more + d->n_entries, 0, (want - d->n_entries) * sizeof(*more));
        d->entries = more;
        d->n_entries = want;
    }
    d->last = (size_t)index;
    return &d->entries[index];
}

struct entry *entry_of_event(struct llm_decoder *d, json_ref event)
{
    int64_t index;
    json_ref r = json_get(&d->doc, event, "output_index");
    if (r != JSON_NONE && json_int(&d->doc, r, &index))
        return entry_at(d, index);
    return entry_at(d, (int64_t)d->last);
}

static bool is(struct llm_decoder *d, json_ref obj, const char *key, const char *value)
{
    struct bytes s;
    json_ref r = json_get(&d->doc, obj, key);
    return json_is(&d->doc, r, JSON_STRING) && decoder_text(d, r, &s) && bytes_is(s, value);
}

/* ---- opening ---- */

static void open_entry(struct llm_decoder *d, struct entry *e, enum llm_output_kind kind, struct bytes id,
                       struct bytes call_id, struct bytes name)
{
    e->ours = llm_builder_item(d->b, kind, id, call_id, name);
    if (e->ours < 0)
        return;
    e->kind = kind;
    e->state = ENTRY_OPEN;
    e->in_part = false;
    d->current = kind == LLM_OUT_MESSAGE || kind == LLM_OUT_REASONING ? (int)(e - d->entries) : -1;
}

/* From the item object. A call without a name waits for its end, which has it; so does an item without a
 * type. */
static void open_item(struct llm_decoder *d, struct entry *e, json_ref item)
{
    struct bytes id = none, call_id = none, name = none;
    struct arena a;
    enum llm_output_kind kind = LLM_OUT_MESSAGE;
    if (is(d, item, "type", "function_call")) {
        kind = LLM_OUT_FUNCTION_CALL;
    } else if (is(d, item, "type", "reasoning")) {
        kind = LLM_OUT_REASONING;
    } else if (!is(d, item, "type", "message")) {
        kind = LLM_OUT_OPAQUE;
    }
    arena_init(&a, d->doc.text.len * 2 + 4096);
    if (field_string(&d->doc, item, "id", &a, &id) == ERR_OK &&
        field_string(&d->doc, item, "call_id", &a, &call_id) == ERR_OK &&
        field_string(&d->doc, item, kind == LLM_OUT_OPAQUE ? "type" : "name", &a, &name) == ERR_OK &&
        ((kind != LLM_OUT_FUNCTION_CALL && kind != LLM_OUT_OPAQUE) || name.len > 0))
        open_entry(d, e, kind, id, call_id, name);
    arena_free(&a);
}

void entry_added(struct llm_decoder *d, struct entry *e, json_ref item)
{
    if (e->state == ENTRY_UNSEEN)
        open_item(d, e, item);
}

/* ---- text ---- */

static uint64_t bit(int64_t index)
{
    return UINT64_C(1) << MIN(MAX(index, (int64_t)0), (int64_t)63);
}

static uint64_t *filled(struct entry *e, enum llm_part_kind kind)
{
    return &e->filled[kind == LLM_PART_SUMMARY ? 1 : 0];
}

/* Makes the builder's open part the one that the provider means. */
static bool select_part(struct llm_decoder *d, struct entry *e, enum llm_part_kind kind, int64_t index)
{
    enum llm_output_kind holder =
        kind == LLM_PART_TEXT || kind == LLM_PART_REFUSAL ? LLM_OUT_MESSAGE : LLM_OUT_REASONING;
    if (e->state == ENTRY_DONE || (e->state == ENTRY_OPEN && e->kind != holder))
        return false;
    /* Never announced, or another item has begun in between, which ended ours: the text goes into a new one.
     */
    if (e->state == ENTRY_UNSEEN || d->current != (int)(e - d->entries))
        open_entry(d, e, holder, none, none, none);
    if (e->state != ENTRY_OPEN)
        return false;
    if (e->in_part && (e->part_kind != kind || e->part_index != index)) {
        llm_builder_part_end(d->b);
        e->in_part = false;
    }
    if (!e->in_part) {
        e->in_part = true;
        e->part_kind = kind;
        e->part_index = index;
        e->annotations = 0;
    }
    return true;
}

/* Log probabilities ride along in our own words; an empty list says nothing. */
static struct bytes read_logprobs(struct llm_decoder *d, json_ref obj)
{
    json_ref r = json_get(&d->doc, obj, "logprobs");
    if (!json_is(&d->doc, r, JSON_ARRAY) || json_first(&d->doc, r) == JSON_NONE)
        return none;
    buf_reset(&d->extra);
    buf_append_bytes(&d->extra, BYTES("\"logprobs\":"));
    return json_compact(json_raw(&d->doc, r), &d->extra) == ERR_OK ? buf_bytes(&d->extra) : none;
}

static void add_text(struct llm_decoder *d, struct entry *e, enum llm_part_kind kind, int64_t index,
                     json_ref text, json_ref logprobs_of)
{
    struct bytes s;
    if (!decoder_text(d, text, &s) || s.len == 0 || !select_part(d, e, kind, index))
        return;
    struct bytes extra = kind == LLM_PART_TEXT ? read_logprobs(d, logprobs_of) : none;
    llm_builder_delta(d->b, kind, s, extra);
    *filled(e, kind) |= bit(index);
}

static int64_t part_index(struct llm_decoder *d, json_ref event, enum llm_part_kind kind)
{
    int64_t index = 0;
    field_int(&d->doc, event, kind == LLM_PART_SUMMARY ? "summary_index" : "content_index", &index);
    return index;
}

void entry_delta(struct llm_decoder *d, struct entry *e, json_ref event, enum llm_part_kind kind)
{
    add_text(d, e, kind, part_index(d, event, kind), json_get(&d->doc, event, "delta"), event);
}

void entry_text_done(struct llm_decoder *d, struct entry *e, json_ref event, enum llm_part_kind kind)
{
    int64_t index = part_index(d, event, kind);
    if (!(*filled(e, kind) & bit(index)))
        add_text(d, e, kind, index, json_get(&d->doc, event, kind == LLM_PART_REFUSAL ? "refusal" : "text"),
                 event);
}

/* ---- annotations and whole parts ---- */

static void add_annotation(struct llm_decoder *d, struct entry *e, json_ref annotation)
{
    buf_reset(&d->extra);
    if (json_compact(json_raw(&d->doc, annotation), &d->extra) == ERR_OK)
        llm_builder_annotation(d->b, buf_bytes(&d->extra));
    e->annotations++;
}

static bool is_open_part(const struct llm_decoder *d, const struct entry *e, enum llm_part_kind kind,
                         int64_t index)
{
    return e->state == ENTRY_OPEN && d->current == (int)(e - d->entries) && e->in_part &&
           e->part_kind == kind && e->part_index == index;
}

void entry_annotation(struct llm_decoder *d, struct entry *e, json_ref event)
{
    json_ref annotation = json_get(&d->doc, event, "annotation");
    if (annotation != JSON_NONE && is_open_part(d, e, LLM_PART_TEXT, part_index(d, event, LLM_PART_TEXT)))
        add_annotation(d, e, annotation);
}

/* The whole of one part: its text if none came before, and the annotations that did not. */
static void take_part(struct llm_decoder *d, struct entry *e, json_ref part, int64_t index)
{
    static const struct {
        const char *type, *key;
        enum llm_part_kind kind;
    } kinds[] = {{"output_text", "text", LLM_PART_TEXT},
                 {"refusal", "refusal", LLM_PART_REFUSAL},
                 {"reasoning_text", "text", LLM_PART_REASONING},
                 {"summary_text", "text", LLM_PART_SUMMARY}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        enum llm_part_kind kind = kinds[i].kind;
        if (!is(d, part, "type", kinds[i].type))
            continue;
        if (!(*filled(e, kind) & bit(index)))
            add_text(d, e, kind, index, json_get(&d->doc, part, kinds[i].key), part);
        if (!is_open_part(d, e, kind, index))
            return;
        int64_t n = 0;
        for (json_ref r = json_first(&d->doc, json_get(&d->doc, part, "annotations")); r != JSON_NONE;
             r = json_next(&d->doc, r))
            if (n++ >= e->annotations)
                add_annotation(d, e, r);
        llm_builder_part_end(d->b);
        e->in_part = false;
        return;
    }
}

void entry_part_done(struct llm_decoder *d, struct entry *e, json_ref event)
{
    json_ref part = json_get(&d->doc, event, "part");
    bool summary = json_get(&d->doc, event, "summary_index") != JSON_NONE;
    take_part(d, e, part, part_index(d, event, summary ? LLM_PART_SUMMARY : LLM_PART_TEXT));
}

/* ---- function calls ---- */

static void add_arguments(struct llm_decoder *d, struct entry *e, json_ref piece)
{
    struct bytes s;
    if (e->state != ENTRY_OPEN || e->kind != LLM_OUT_FUNCTION_CALL || !decoder_text(d, piece, &s) ||
        s.len == 0)
        return;
    llm_builder_arguments(d->b, e->ours, s);
    e->has_arguments = true;
}

void entry_arguments(struct llm_decoder *d, struct entry *e, json_ref event)
{
    add_arguments(d, e, json_get(&d->doc, event, "delta"));
}

void entry_arguments_done(struct llm_decoder *d, struct entry *e, json_ref event)
{
    json_ref arguments = json_get(&d->doc, event, "arguments");
    if (!e->has_arguments && json_is(&d->doc, arguments, JSON_STRING))
        add_arguments(d, e, arguments);
}

/* ---- whole items ---- */

static void take_parts(struct llm_decoder *d, struct entry *e, json_ref parts)
{
    int64_t index = 0;
    for (json_ref part = json_first(&d->doc, parts); part != JSON_NONE; part = json_next(&d->doc, part))
        take_part(d, e, part, index++);
}

/* What an item has beyond its own fields (encrypted_content, phase) is kept with it; of an opaque one,
 * everything. */
static void end_item(struct llm_decoder *d, struct entry *e, json_ref item)
{
    static const struct field known[] = {
        {.key = "id"},      {.key = "type"},      {.key = "status"},  {.key = "role"}, {.key = "content"},
        {.key = "summary"}, {.key = "arguments"}, {.key = "call_id"}, {.key = "name"},
    };
    const struct field_object named = {.fields = known,
                                       .n = e->kind == LLM_OUT_OPAQUE ? 2 : ARRAY_LEN(known)};
    struct bytes extra = none;
    struct arena a;
    arena_init(&a, d->doc.text.len * 2 + 4096);
    if (members_left(&d->doc, item, &named, &a, &extra) != ERR_OK)
        extra = none;
    llm_builder_item_end(d->b, e->ours, extra);
    arena_free(&a);
    e->state = ENTRY_DONE;
    if (d->current == (int)(e - d->entries))
        d->current = -1;
}

void entry_item_done(struct llm_decoder *d, struct entry *e, json_ref item)
{
    if (e->state == ENTRY_UNSEEN)
        open_item(d, e, item);
    if (e->state != ENTRY_OPEN)
        return;
    switch (e->kind) {
    case LLM_OUT_MESSAGE:
        take_parts(d, e, json_get(&d->doc, item, "content"));
        break;
    case LLM_OUT_REASONING:
        take_parts(d, e, json_get(&d->doc, item, "summary"));
        take_parts(d, e, json_get(&d->doc, item, "content"));
        break;
    case LLM_OUT_FUNCTION_CALL:
        entry_arguments_done(d, e, item);
        break;
    case LLM_OUT_OPAQUE:
        break;
    }
    /* One that was cut off stays open: the end of the log ends it, and says so. */
    if (!is(d, item, "status", "incomplete"))
        end_item(d, e, item);
}

void entries_take_output(struct llm_decoder *d, json_ref output)
{
    int64_t index = 0;
    for (json_ref item = json_first(&d->doc, output); item != JSON_NONE && !llm_builder_ended(d->b);
         item = json_next(&d->doc, item), index++) {
        struct entry *e = entry_at(d, index);
        if (e && e->state != ENTRY_DONE)
            entry_item_done(d, e, item);
    }
}

#include "protocols/llm_log.h"
#include <assert.h>

/* created and in_progress: what is in a log before anything of its answer. */
enum { EVENTS_OF_START = 2 };

/* To close: a part takes two events; a function call two, any other item one; the end one. */
static size_t closing_room(const struct llm_builder *b, unsigned more_items, bool more_part)
{
    size_t events = 1 + 2 * (size_t)(b->n_open_ + more_items) + (b->open_part_ >= 0 || more_part ? 2 : 0);
    return events * LLM_RECORD_SIZE;
}

static void end_log(struct llm_builder *b, enum llm_event_type terminal)
{
    struct llm_log *l = b->log;
    llm_log_append(l, &(struct llm_event){.type = terminal}, 0);
    l->ended = true;
    l->terminal = terminal;
}

static void overflow(struct llm_builder *b, enum err err)
{
    struct fault f = {.kind = FAULT_TOO_LARGE};
    if (err == ERR_LIMIT)
        api_error_set(&f.error, 502, API_UPSTREAM, "response_too_large", NULL,
                      "The answer is larger than the gateway allows (%zu bytes).", b->log->max_bytes);
    else
        fault_no_memory(&f);
    llm_builder_fail(b, &f);
}

/* Appends, or fails. */
static bool append(struct llm_builder *b, const struct llm_event *e, bool opens_part)
{
    enum err err = llm_log_append(b->log, e, closing_room(b, 0, opens_part));
    if (err != ERR_OK)
        overflow(b, err);
    return err == ERR_OK;
}

/* Closing events fit into what was reserved. */
static void append_closing(struct llm_builder *b, enum llm_event_type type, unsigned item, unsigned part,
                           enum llm_part_kind kind)
{
    llm_log_append(b->log, &(struct llm_event){.type = type, .item = item, .part = part, .kind = kind}, 0);
}

static int open_item(const struct llm_builder *b)
{
    return b->open_message_ >= 0 ? b->open_message_ : b->open_reasoning_;
}

static void close_part(struct llm_builder *b)
{
    if (b->open_part_ < 0)
        return;
    unsigned item = (unsigned)open_item(b), part = (unsigned)b->open_part_;
    append_closing(b, LLM_EV_TEXT_DONE, item, part, b->open_part_kind_);
    append_closing(b, LLM_EV_PART_DONE, item, part, b->open_part_kind_);
    b->open_part_ = -1;
}

/* Ends an item that is open. An extra that finds no room is left out, and the answer fails. */
static void close_item(struct llm_builder *b, unsigned item, struct bytes extra)
{
    struct llm_log *l = b->log;
    if (llm_log_item(l, item)->kind == LLM_OUT_FUNCTION_CALL)
        append_closing(b, LLM_EV_TEXT_DONE, item, 0, LLM_PART_ARGUMENTS);
    if ((int)item == open_item(b)) {
        close_part(b);
        b->open_message_ = b->open_reasoning_ = -1;
    }
    b->n_open_--;
    enum err err = extra.len ? llm_log_append_item_done(l, item, extra, closing_room(b, 0, false)) : ERR_OK;
    if (extra.len == 0 || err != ERR_OK)
        llm_log_append_item_done(l, item, (struct bytes){NULL, 0}, 0);
    if (err != ERR_OK)
        overflow(b, err);
}

/* `cut`: they end because the log does, and not as completed. */
static void close_all(struct llm_builder *b, bool cut)
{
    unsigned n = llm_log_n_items(b->log);
    for (unsigned i = 0; i < n && b->n_open_ > 0; i++) {
        struct llm_output_item *item = llm_log_item_at(b->log, i);
        if (item->done)
            continue;
        item->cut = cut;
        close_item(b, i, (struct bytes){NULL, 0});
    }
}

void llm_builder_init(struct llm_builder *b, struct llm_log *l)
{
    *b = (struct llm_builder){.log = l, .open_message_ = -1, .open_reasoning_ = -1, .open_part_ = -1};
}

void llm_builder_start(struct llm_builder *b)
{
    if (b->log->count > 0)
        return;
    llm_log_append(b->log, &(struct llm_event){.type = LLM_EV_CREATED}, 0);
    llm_log_append(b->log, &(struct llm_event){.type = LLM_EV_IN_PROGRESS}, 0);
}

int llm_builder_item(struct llm_builder *b, enum llm_output_kind kind, struct bytes id, struct bytes call_id,
                     struct bytes name)
{
    if (llm_builder_ended(b))
        return -1;
    llm_builder_start(b);
    if (open_item(b) >= 0)
        close_item(b, (unsigned)open_item(b), (struct bytes){NULL, 0});
    enum err err = llm_log_append_item(b->log, kind, id, call_id, name, closing_room(b, 1, false));
    if (err != ERR_OK) {
        overflow(b, err);
        return -1;
    }
    int item = (int)llm_log_n_items(b->log) - 1;
    b->n_open_++;
    if (kind == LLM_OUT_MESSAGE)
        b->open_message_ = item;
    else if (kind == LLM_OUT_REASONING)
        b->open_reasoning_ = item;
    return item;
}

/* Makes (item, part) of this kind the open one. */
static bool open_part(struct llm_builder *b, enum llm_part_kind kind)
{
    bool in_message = kind == LLM_PART_TEXT || kind == LLM_PART_REFUSAL;
    if (b->open_part_ >= 0 && b->open_part_kind_ == kind)
        return true;
    const struct bytes none = {NULL, 0};
    if ((in_message ? b->open_message_ : b->open_reasoning_) < 0 &&
        llm_builder_item(b, in_message ? LLM_OUT_MESSAGE : LLM_OUT_REASONING, none, none, none) < 0)
        return false;
    close_part(b);
    unsigned item = (unsigned)open_item(b);
    const struct llm_output_item *i = llm_log_item(b->log, item);
    unsigned part = kind == LLM_PART_SUMMARY ? i->n_summaries : i->n_parts;
    if (part >= LLM_MAX_PARTS) {
        overflow(b, ERR_LIMIT);
        return false;
    }
    const struct llm_event e = {.type = LLM_EV_PART_ADDED, .item = item, .part = part, .kind = kind};
    if (!append(b, &e, true))
        return false;
    struct llm_output_item *grown = llm_log_item_at(b->log, item);
    *(kind == LLM_PART_SUMMARY ? &grown->n_summaries : &grown->n_parts) += 1;
    b->open_part_ = (int)part;
    b->open_part_kind_ = kind;
    return true;
}

void llm_builder_delta(struct llm_builder *b, enum llm_part_kind kind, struct bytes text, struct bytes extra)
{
    if (llm_builder_ended(b) || (text.len == 0 && extra.len == 0) || kind == LLM_PART_ARGUMENTS ||
        !open_part(b, kind))
        return;
    const struct llm_event e = {.type = LLM_EV_DELTA,
                                .kind = kind,
                                .item = (unsigned)open_item(b),
                                .part = (unsigned)b->open_part_,
                                .data = text,
                                .extra = extra};
    append(b, &e, false);
}

void llm_builder_part_end(struct llm_builder *b)
{
    if (!llm_builder_ended(b))
        close_part(b);
}

void llm_builder_arguments(struct llm_builder *b, int item, struct bytes piece)
{
    const struct llm_output_item *i = item < 0 ? NULL : llm_log_item(b->log, (unsigned)item);
    if (llm_builder_ended(b) || piece.len == 0 || !i || i->done || i->kind != LLM_OUT_FUNCTION_CALL)
        return;
    const struct llm_event e = {
        .type = LLM_EV_DELTA, .kind = LLM_PART_ARGUMENTS, .item = (unsigned)item, .data = piece};
    append(b, &e, false);
}

void llm_builder_annotation(struct llm_builder *b, struct bytes raw)
{
    if (llm_builder_ended(b) || b->open_part_ < 0 || b->open_part_kind_ != LLM_PART_TEXT)
        return;
    const struct llm_event e = {.type = LLM_EV_ANNOTATION,
                                .item = (unsigned)open_item(b),
                                .part = (unsigned)b->open_part_,
                                .data = raw};
    append(b, &e, false);
}

void llm_builder_item_end(struct llm_builder *b, int item, struct bytes extra)
{
    const struct llm_output_item *i = item < 0 ? NULL : llm_log_item(b->log, (unsigned)item);
    if (!llm_builder_ended(b) && i && !i->done)
        close_item(b, (unsigned)item, extra);
}

static int64_t tokens(int64_t n)
{
    return MIN(MAX(n, INT64_C(0)), LLM_MAX_TOKENS);
}

void llm_builder_usage(struct llm_builder *b, const struct llm_usage *u)
{
    if (llm_builder_ended(b))
        return;
    struct llm_usage *seen = &b->log->end.usage;
    *seen = (struct llm_usage){.set = true,
                               .input_tokens = tokens(u->input_tokens),
                               .cached_tokens = tokens(u->cached_tokens),
                               .cache_write_tokens = tokens(u->cache_write_tokens),
                               .output_tokens = tokens(u->output_tokens),
                               .reasoning_tokens = tokens(u->reasoning_tokens)};
    seen->total_tokens =
        tokens(u->total_tokens < 0 ? seen->input_tokens + seen->output_tokens : u->total_tokens);
}

void llm_builder_commit(struct llm_builder *b)
{
    if (b->log->ended || b->outcome == LLM_RUNNING)
        return;
    llm_builder_start(b);
    enum llm_finish finish = b->log->end.finish;
    bool whole = b->outcome == LLM_FINISHED && (finish == LLM_FINISH_STOP || finish == LLM_FINISH_TOOL_CALLS);
    close_all(b, !whole);
    if (b->outcome == LLM_FINISHED)
        end_log(b, whole ? LLM_EV_COMPLETED : LLM_EV_INCOMPLETE);
    else
        end_log(b, b->outcome == LLM_FAILED ? LLM_EV_FAILED : LLM_EV_CANCELLED);
}

/* The first wins. */
static void decide(struct llm_builder *b, enum llm_outcome outcome)
{
    b->outcome = outcome;
    if (!b->keeps_outcome)
        llm_builder_commit(b);
}

void llm_builder_finish(struct llm_builder *b, enum llm_finish finish)
{
    if (llm_builder_ended(b))
        return;
    b->log->end.finish = finish;
    decide(b, LLM_FINISHED);
}

void llm_builder_fail(struct llm_builder *b, const struct fault *f)
{
    if (llm_builder_ended(b))
        return;
    b->log->end.error = f->error;
    b->fault = f->kind;
    decide(b, LLM_FAILED);
}

void llm_builder_cancel(struct llm_builder *b)
{
    if (!llm_builder_ended(b))
        decide(b, LLM_CANCELLED);
}

bool llm_builder_begun(const struct llm_builder *b)
{
    return b->log->count > EVENTS_OF_START;
}

void llm_builder_again(struct llm_builder *b)
{
    assert(b->outcome == LLM_FAILED && !b->log->ended && !llm_builder_begun(b));
    b->outcome = LLM_RUNNING;
    b->fault = FAULT_NONE;
    b->log->end = (struct llm_end){0};
    b->log->extra_dialect = NULL;
}

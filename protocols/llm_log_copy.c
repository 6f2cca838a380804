#include "protocols/llm_log_copy.h"
#include "common/utf8.h"
#include "protocols/dialect.h"
#include "protocols/llm_log_record.h"
#include <stdlib.h>

enum { STATE_VERSION = 1, NO_STRING = 0xFFFFFFFF };

bool llm_log_export(const struct llm_log *l, struct llm_pos *pos, struct bytes *ret)
{
    const struct llm_chunk *c = pos->chunk ? pos->chunk : l->first_;
    uint32_t offset = pos->chunk ? pos->offset : 0;
    while (offset == c->used && c->next) {
        c = c->next;
        offset = 0;
    }
    if (offset == c->used)
        return false;
    *ret = bytes_of(c->data + offset, c->used - offset);
    *pos = (struct llm_pos){c, c->used, c->next ? c->next->first : l->count};
    return true;
}

/* ---- records in ---- */

static bool kind_fits(const struct llm_output_item *i, enum llm_part_kind kind)
{
    switch (kind) {
    case LLM_PART_TEXT:
    case LLM_PART_REFUSAL:
        return i->kind == LLM_OUT_MESSAGE;
    case LLM_PART_REASONING:
    case LLM_PART_SUMMARY:
        return i->kind == LLM_OUT_REASONING;
    case LLM_PART_ARGUMENTS:
        return i->kind == LLM_OUT_FUNCTION_CALL;
    }
    return false;
}

static unsigned *parts_of(struct llm_output_item *i, enum llm_part_kind kind)
{
    return kind == LLM_PART_SUMMARY ? &i->n_summaries : &i->n_parts;
}

/* An event of a part that is there. */
static bool of_known_part(struct llm_output_item *i, const struct llm_event *e)
{
    if (!kind_fits(i, e->kind))
        return false;
    return e->kind == LLM_PART_ARGUMENTS ? e->part == 0 && e->type != LLM_EV_PART_DONE
                                         : e->part < *parts_of(i, e->kind);
}

static enum err take_item(struct llm_log *l, const struct llm_event *e, struct llm_pos after)
{
    const unsigned kind = (unsigned)e->kind;
    if (e->item != l->n_items_ || kind > LLM_OUT_OPAQUE || e->part != 0 || e->data.len < ITEM_HEAD)
        return ERR_INVALID;
    const size_t id = get32(e->data.data), call = get32(e->data.data + 4), all = e->data.len - ITEM_HEAD;
    if (id == 0 || id > all || call > all - id)
        return ERR_INVALID;
    const char *at = e->data.data + ITEM_HEAD;
    if (!utf8_valid(bytes_of(at, id)) || !utf8_valid(bytes_of(at + id, call)) ||
        !utf8_valid(bytes_of(at + id + call, all - id - call)))
        return ERR_INVALID;
    enum err err = llm_log_items_reserve(l);
    if (err == ERR_OK)
        llm_log_note_item(l, (enum llm_output_kind)kind, at, id, call, all - id - call, after);
    return err;
}

static bool take_item_done(struct llm_output_item *i, const struct llm_event *e)
{
    if (e->part > 1)
        return false;
    i->cut = e->part == 1;
    i->extra = e->extra;
    i->done = true;
    return true;
}

/* What happens within an item. */
static bool take_of_item(struct llm_log *l, const struct llm_event *e)
{
    struct llm_output_item *i = llm_log_item_at(l, e->item);
    if (!i || i->done)
        return false;
    switch (e->type) {
    case LLM_EV_PART_ADDED:
        if (e->kind == LLM_PART_ARGUMENTS || !kind_fits(i, e->kind) || e->part != *parts_of(i, e->kind) ||
            e->part >= LLM_MAX_PARTS)
            return false;
        *parts_of(i, e->kind) += 1;
        return true;
    case LLM_EV_DELTA:
        return of_known_part(i, e) && utf8_valid(e->data);
    case LLM_EV_ANNOTATION:
        return e->kind == LLM_PART_TEXT && of_known_part(i, e);
    case LLM_EV_TEXT_DONE:
    case LLM_EV_PART_DONE:
        return of_known_part(i, e);
    default:
        return take_item_done(i, e);
    }
}

static bool take_terminal(struct llm_log *l, const struct llm_event *e)
{
    for (unsigned i = 0; i < l->n_items_; i++)
        if (!l->items_[i].done)
            return false;
    l->ended = true;
    l->terminal = e->type;
    return true;
}

static enum err take(struct llm_log *l, const struct llm_event *e, struct llm_pos after)
{
    bool ok = false;
    if (l->ended || e->type > LLM_EV_CANCELLED ||
        (e->type != LLM_EV_ITEM_ADDED && e->kind > LLM_PART_ARGUMENTS))
        return ERR_INVALID;
    if (e->type <= LLM_EV_IN_PROGRESS)
        ok = l->count == (uint32_t)e->type;
    else if (l->count < 2)
        ok = false;
    else if (e->type == LLM_EV_ITEM_ADDED)
        return take_item(l, e, after);
    else
        ok = llm_event_is_terminal(e->type) ? take_terminal(l, e) : take_of_item(l, e);
    return ok ? ERR_OK : ERR_INVALID;
}

/* The size of the record that `left` begins with; 0: it is not all there. */
static uint32_t whole_record(struct bytes left)
{
    if (left.len < LLM_RECORD_SIZE)
        return 0;
    uint64_t size = LLM_RECORD_SIZE + (uint64_t)get32(left.data + 4);
    if ((unsigned char)left.data[0] & TAG_EXTRA) {
        if (left.len < LLM_RECORD_SIZE + EXTRA_SIZE)
            return 0;
        size += EXTRA_SIZE + (uint64_t)get32(left.data + LLM_RECORD_SIZE);
    }
    return size <= left.len ? (uint32_t)size : 0;
}

enum err llm_log_import(struct llm_log *l, struct bytes records)
{
    if (records.len == 0)
        return ERR_OK;
    if (records.len > UINT32_MAX / 2 || l->bytes + sizeof(struct llm_chunk) + records.len > l->max_bytes)
        return ERR_LIMIT;
    struct llm_chunk *c = llm_log_chunk_new(l, records.len);
    if (!c)
        return ERR_NOMEM;
    memcpy(c->data, records.data, records.len);
    while (c->used < c->cap) {
        struct llm_event e = {0};
        const char *at = c->data + c->used;
        const uint32_t size = whole_record(bytes_of(at, c->cap - c->used));
        if (size == 0)
            return ERR_INVALID;
        record_read(at, &e);
        enum err err = take(l, &e, (struct llm_pos){c, c->used + size, l->count + 1});
        if (err != ERR_OK)
            return err;
        c->used += size;
        l->count++;
    }
    return ERR_OK;
}

/* ---- the state: numbers of 64 bits, and strings with their length before them ---- */

static void out_number(struct buf *out, int64_t n)
{
    buf_append(out, &n, sizeof n);
}

static void out_string(struct buf *out, const char *s)
{
    out_number(out, s ? (int64_t)strlen(s) : (int64_t)NO_STRING);
    buf_append_bytes(out, s ? bytes_cstr(s) : BYTES(""));
}

void llm_log_export_state(const struct llm_log *l, struct buf *out)
{
    const struct llm_usage *u = &l->end.usage;
    const struct api_error *e = &l->end.error;
    out_number(out, STATE_VERSION);
    out_string(out, l->extra_dialect ? l->extra_dialect->name : NULL);
    out_number(out, l->end.finish);
    const int64_t usage[] = {u->set,           u->input_tokens,     u->cached_tokens, u->cache_write_tokens,
                             u->output_tokens, u->reasoning_tokens, u->total_tokens};
    for (size_t i = 0; i < ARRAY_LEN(usage); i++)
        out_number(out, usage[i]);
    out_number(out, e->status);
    out_number(out, e->retry_after_s);
    out_string(out, e->type);
    out_string(out, e->code);
    out_string(out, e->param);
    out_string(out, e->message);
}

struct reading {
    struct bytes left;
    bool bad;
};

static int64_t in_number(struct reading *r, int64_t least, int64_t most)
{
    int64_t n = least;
    if (r->left.len < sizeof n) {
        r->bad = true;
        return least;
    }
    memcpy(&n, r->left.data, sizeof n);
    r->left = bytes_skip(r->left, sizeof n);
    if (n >= least && n <= most)
        return n;
    r->bad = true;
    return least;
}

/* data NULL: there is none. */
static struct bytes in_string(struct reading *r)
{
    const struct bytes none = {NULL, 0};
    const int64_t len = in_number(r, 0, (int64_t)NO_STRING);
    if (r->bad || len == (int64_t)NO_STRING)
        return none;
    struct bytes s = bytes_of(r->left.data, (size_t)len);
    if (s.len > r->left.len || !utf8_valid(s) || (s.len > 0 && memchr(s.data, 0, s.len))) {
        r->bad = true;
        return none;
    }
    r->left = bytes_skip(r->left, s.len);
    return s.len > 0 ? s : BYTES("");
}

static void in_text(struct reading *r, char *to, size_t room)
{
    struct bytes s = in_string(r);
    if (s.len >= room)
        r->bad = true;
    else if (s.len > 0)
        memcpy(to, s.data, s.len);
}

static void in_end(struct reading *r, struct llm_end *ret, struct bytes *ret_type, struct bytes *ret_code)
{
    struct llm_usage *u = &ret->usage;
    int64_t *const usage[] = {&u->input_tokens,  &u->cached_tokens,    &u->cache_write_tokens,
                              &u->output_tokens, &u->reasoning_tokens, &u->total_tokens};
    ret->finish = (enum llm_finish)in_number(r, 0, LLM_FINISH_CONTENT_FILTER);
    u->set = in_number(r, 0, 1) == 1;
    for (size_t i = 0; i < ARRAY_LEN(usage); i++)
        *usage[i] = in_number(r, 0, LLM_MAX_TOKENS);
    ret->error.status = (int)in_number(r, 0, 999);
    ret->error.retry_after_s = (int)in_number(r, 0, INT32_MAX);
    *ret_type = in_string(r);
    *ret_code = in_string(r);
    in_text(r, ret->error.param, sizeof ret->error.param);
    in_text(r, ret->error.message, sizeof ret->error.message);
}

static const char *keep_word(char **at, struct bytes s)
{
    if (!s.data)
        return NULL;
    char *word = *at;
    if (s.len > 0)
        memcpy(word, s.data, s.len);
    word[s.len] = '\0';
    *at += s.len + 1;
    return word;
}

enum err llm_log_import_state(struct llm_log *l, struct bytes state)
{
    struct reading r = {.left = state};
    struct llm_end end = {0};
    struct bytes type = {NULL, 0}, code = {NULL, 0};
    const struct dialect *extra = NULL;
    in_number(&r, STATE_VERSION, STATE_VERSION);
    const struct bytes words = in_string(&r);
    if (words.data)
        extra = dialect_find(words);
    in_end(&r, &end, &type, &code);
    const bool failed = l->ended && l->terminal == LLM_EV_FAILED;
    if (r.bad || r.left.len > 0 || (words.data && !extra) ||
        (failed && (!type.data || end.error.status < 400)))
        return ERR_INVALID;
    char *at = malloc(type.len + code.len + 2);
    if (!at)
        return ERR_NOMEM;
    free(l->words_);
    l->words_ = at;
    end.error.type = keep_word(&at, type);
    end.error.code = keep_word(&at, code);
    l->end = end;
    l->extra_dialect = extra;
    return ERR_OK;
}

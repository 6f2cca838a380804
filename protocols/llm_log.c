#include "protocols/llm_log_record.h"
#include <stdio.h>
#include <stdlib.h>

enum { CHUNK_FIRST = 512, CHUNK_MAX = 16 * 1024, ITEMS_FIRST = 2 };

struct llm_chunk *llm_log_chunk_new(struct llm_log *l, size_t cap)
{
    struct llm_chunk *c = malloc(sizeof *c + cap);
    if (!c)
        return NULL;
    *c = (struct llm_chunk){.cap = (uint32_t)cap, .first = l->count};
    l->bytes += sizeof *c + cap;
    if (l->last_)
        l->last_->next = c;
    else
        l->first_ = c;
    l->last_ = c;
    return c;
}

static struct bytes copy_to(char **at, struct bytes s)
{
    if (s.len == 0)
        return (struct bytes){NULL, 0};
    memcpy(*at, s.data, s.len);
    *at += s.len;
    return bytes_of(*at - s.len, s.len);
}

enum err llm_log_init(struct llm_log *l, struct bytes seed, size_t max_bytes)
{
    *l = (struct llm_log){.max_bytes = max_bytes};
    seed.len = MIN(seed.len, (size_t)LLM_SEED_MAX);
    if (seed.len > 0)
        memcpy(l->seed_, seed.data, seed.len);
    /* The first chunk comes with the log, whatever the ceiling: so there is always room for an end. */
    return llm_log_chunk_new(l, CHUNK_FIRST) ? ERR_OK : ERR_NOMEM;
}

void llm_log_free(struct llm_log *l)
{
    if (!l)
        return;
    struct llm_chunk *next;
    for (struct llm_chunk *c = l->first_; c; c = next) {
        next = c->next;
        free(c);
    }
    free(l->items_);
    free(l->words_);
    memset(l, 0, sizeof *l);
}

/* ---- appending ---- */

/* The next chunk: twice the last, within bounds; smaller when the ceiling is near; as large as it must be. */
static enum err grow(struct llm_log *l, size_t need)
{
    size_t cap = MAX(MIN((size_t)l->last_->cap * 2, (size_t)CHUNK_MAX), need);
    size_t held = l->bytes + sizeof(struct llm_chunk);
    size_t room = l->max_bytes > held ? l->max_bytes - held : 0;
    if (need > room || need > UINT32_MAX / 2)
        return ERR_LIMIT;
    return llm_log_chunk_new(l, MIN(cap, room)) ? ERR_OK : ERR_NOMEM;
}

enum err llm_log_append(struct llm_log *l, const struct llm_event *e, size_t reserve)
{
    if (e->data.len > UINT32_MAX / 4 || e->extra.len > UINT32_MAX / 4)
        return ERR_LIMIT;
    size_t size = LLM_RECORD_SIZE + e->data.len + (e->extra.len ? EXTRA_SIZE + e->extra.len : 0);
    if (size + reserve > l->last_->cap - l->last_->used) {
        enum err err = grow(l, size + reserve);
        if (err != ERR_OK)
            return err;
    }
    struct llm_chunk *c = l->last_;
    char *to = c->data + c->used;
    uint16_t item = (uint16_t)e->item;
    to[0] = (char)((unsigned)e->type | (unsigned)e->kind << TAG_KIND_SHIFT | (e->extra.len ? TAG_EXTRA : 0u));
    to[1] = (char)e->part;
    memcpy(to + 2, &item, sizeof item);
    put32(to + 4, e->data.len);
    to += LLM_RECORD_SIZE;
    if (e->extra.len) {
        put32(to, e->extra.len);
        to += EXTRA_SIZE;
    }
    if (e->data.len)
        memcpy(to, e->data.data, e->data.len);
    if (e->extra.len)
        memcpy(to + e->data.len, e->extra.data, e->extra.len);
    c->used += (uint32_t)size;
    l->count++;
    return ERR_OK;
}

/* A prefix, 48 characters and a number of 10 digits. */
enum { MADE_ID_MAX = 96 };

static struct bytes make_id(const struct llm_log *l, const char *prefix, char ret[static MADE_ID_MAX])
{
    char room[BYTES_U64_ROOM], *at = ret;
    copy_to(&at, bytes_cstr(prefix));
    *at++ = '_';
    copy_to(&at, bytes_cstr(l->seed_));
    *at++ = '_';
    copy_to(&at, bytes_from_u64(l->n_items_, 10, room));
    for (char *p = ret; p < at; p++) {
        unsigned char c = (unsigned char)*p;
        bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!fine)
            *p = '_';
    }
    return bytes_of(ret, (size_t)(at - ret));
}

enum err llm_log_items_reserve(struct llm_log *l)
{
    if (l->n_items_ < l->cap_items_)
        return ERR_OK;
    if (l->n_items_ >= LLM_MAX_ITEMS)
        return ERR_LIMIT;
    unsigned cap = l->cap_items_ ? l->cap_items_ * 2 : ITEMS_FIRST;
    size_t more = (cap - l->cap_items_) * sizeof *l->items_;
    if (l->bytes + more > l->max_bytes)
        return ERR_LIMIT;
    struct llm_output_item *items = realloc(l->items_, cap * sizeof *items);
    if (!items)
        return ERR_NOMEM;
    l->items_ = items;
    l->cap_items_ = cap;
    l->bytes += more;
    return ERR_OK;
}

void llm_log_note_item(struct llm_log *l, enum llm_output_kind kind, const char *at, size_t id_len,
                       size_t call_len, size_t name_len, struct llm_pos after)
{
    l->newest_ = at;
    l->items_[l->n_items_++] = (struct llm_output_item){
        .kind = kind,
        .id = bytes_of(at, id_len),
        .call_id = bytes_of(at + id_len, call_len),
        .name = bytes_of(at + id_len + call_len, name_len),
        .at_ = after,
    };
}

enum err llm_log_append_item(struct llm_log *l, enum llm_output_kind kind, struct bytes id,
                             struct bytes call_id, struct bytes name, size_t reserve)
{
    static const char *const prefixes[] = {[LLM_OUT_MESSAGE] = "msg",
                                           [LLM_OUT_FUNCTION_CALL] = "fc",
                                           [LLM_OUT_REASONING] = "rs",
                                           [LLM_OUT_OPAQUE] = "item"};
    char id_text[MADE_ID_MAX], call_text[MADE_ID_MAX];
    if (id.len == 0)
        id = make_id(l, prefixes[kind], id_text);
    if (kind == LLM_OUT_FUNCTION_CALL && call_id.len == 0)
        call_id = make_id(l, "call", call_text);
    enum err err = llm_log_items_reserve(l);
    if (err != ERR_OK)
        return err;
    struct llm_event e = {.type = LLM_EV_ITEM_ADDED, .kind = (enum llm_part_kind)kind, .item = l->n_items_};
    char joined[512];
    size_t len = ITEM_HEAD + id.len + call_id.len + name.len;
    char *all = len <= sizeof joined ? joined : malloc(len);
    if (!all)
        return ERR_NOMEM;
    put32(all, id.len);
    put32(all + 4, call_id.len);
    char *at = all + ITEM_HEAD;
    copy_to(&at, id);
    copy_to(&at, call_id);
    copy_to(&at, name);
    e.data = bytes_of(all, len);
    err = llm_log_append(l, &e, reserve);
    if (all != joined)
        free(all);
    if (err != ERR_OK)
        return err;
    const struct llm_chunk *c = l->last_;
    llm_log_note_item(l, kind, c->data + c->used - len + ITEM_HEAD, id.len, call_id.len, name.len,
                      (struct llm_pos){c, c->used, l->count});
    return ERR_OK;
}

enum err llm_log_append_item_done(struct llm_log *l, unsigned item, struct bytes extra, size_t reserve)
{
    const struct llm_event e = {
        .type = LLM_EV_ITEM_DONE, .item = item, .part = l->items_[item].cut, .extra = extra};
    enum err err = llm_log_append(l, &e, reserve);
    if (err != ERR_OK)
        return err;
    const struct llm_chunk *c = l->last_;
    l->items_[item].extra = bytes_of(c->data + c->used - extra.len, extra.len);
    l->items_[item].done = true;
    return ERR_OK;
}

struct llm_output_item *llm_log_item_at(struct llm_log *l, unsigned item)
{
    return item < l->n_items_ ? &l->items_[item] : NULL;
}

/* ---- reading ---- */

bool llm_log_next(const struct llm_log *l, struct llm_pos *pos, struct llm_event *ret)
{
    const struct llm_chunk *c = pos->chunk ? pos->chunk : l->first_;
    uint32_t offset = pos->chunk ? pos->offset : 0;
    while (c && offset == c->used) {
        if (!c->next)
            return false;
        c = c->next;
        offset = 0;
    }
    if (!c)
        return false;
    uint32_t size = record_read(c->data + offset, ret);
    ret->index = pos->index;
    if (ret->type == LLM_EV_ITEM_ADDED || ret->type == LLM_EV_ITEM_DONE) {
        /* What the log itself keeps there. */
        ret->data = (struct bytes){NULL, 0};
        ret->kind = LLM_PART_TEXT;
        ret->part = 0;
    }
    *pos = (struct llm_pos){c, offset + size, pos->index + 1};
    return true;
}

bool llm_log_next_of(const struct llm_log *l, struct llm_pos *pos, unsigned types, struct llm_event *ret)
{
    const struct llm_chunk *c = pos->chunk ? pos->chunk : l->first_;
    uint32_t offset = pos->chunk ? pos->offset : 0, index = pos->index;
    bool found = false;
    while (c && !found) {
        while (offset < c->used) {
            const char *at = c->data + offset;
            found = types >> (at[0] & TAG_TYPE) & 1;
            if (found)
                break;
            offset += record_size(at);
            index++;
        }
        if (found || !c->next)
            break;
        c = c->next;
        offset = 0;
    }
    *pos = (struct llm_pos){c, offset, index};
    return found && llm_log_next(l, pos, ret);
}

bool llm_log_seek(const struct llm_log *l, uint32_t index, struct llm_pos *ret)
{
    if (index > l->count)
        return false;
    const struct llm_chunk *c = l->first_;
    while (c->next && c->next->first <= index)
        c = c->next;
    struct llm_pos pos = {c, 0, c->first};
    struct llm_event e;
    while (pos.index < index && llm_log_next(l, &pos, &e)) {
    }
    *ret = pos;
    return true;
}

unsigned llm_log_n_items(const struct llm_log *l)
{
    return l->n_items_;
}

const struct llm_output_item *llm_log_item(const struct llm_log *l, unsigned item)
{
    return item < l->n_items_ ? &l->items_[item] : NULL;
}

/* What is asked of each record of a part's text. */
struct delta_walk {
    uint16_t item;
    unsigned char part;
    enum llm_part_kind kind;
    void (*each)(void *ctx, struct bytes text);
    void *ctx;
};

/* False: the text ends with this record. */
static bool walk_record(const struct delta_walk *w, const char *at)
{
    const unsigned tag = (unsigned char)at[0], type = tag & TAG_TYPE;
    uint16_t item;
    memcpy(&item, at + 2, sizeof item);
    if (item != w->item)
        return true;
    const bool ours = (unsigned char)at[1] == w->part && (tag >> TAG_KIND_SHIFT & 7) == w->kind;
    if (ours && type == LLM_EV_DELTA)
        w->each(w->ctx, bytes_of(at + LLM_RECORD_SIZE + (tag & TAG_EXTRA ? EXTRA_SIZE : 0), get32(at + 4)));
    return type != LLM_EV_ITEM_DONE && !(ours && type == LLM_EV_TEXT_DONE);
}

void llm_log_each_delta(const struct llm_log *l, const struct llm_pos *from, unsigned item, unsigned part,
                        enum llm_part_kind kind, void (*each)(void *ctx, struct bytes text), void *ctx)
{
    if (item >= l->n_items_)
        return;
    const struct delta_walk w = {(uint16_t)item, (unsigned char)part, kind, each, ctx};
    const struct llm_pos *start = from ? from : &l->items_[item].at_;
    uint32_t offset = start->offset;
    for (const struct llm_chunk *c = start->chunk; c; c = c->next) {
        while (offset < c->used) {
            if (!walk_record(&w, c->data + offset))
                return;
            offset += record_size(c->data + offset);
        }
        offset = 0;
    }
}

static void write_piece(void *ctx, struct bytes text)
{
    jw_string_piece(ctx, text);
}

void llm_log_write_text(const struct llm_log *l, const struct llm_pos *from, unsigned item, unsigned part,
                        enum llm_part_kind kind, struct json_writer *w)
{
    jw_string_begin(w);
    llm_log_each_delta(l, from, item, part, kind, write_piece, w);
    jw_string_end(w);
}

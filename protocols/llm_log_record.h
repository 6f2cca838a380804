#pragma once
/* How a log lies in memory. Private to llm_log.c and llm_log_copy.c. */
#include "protocols/llm_log.h"

struct llm_chunk {
    struct llm_chunk *next;
    uint32_t used, cap;
    uint32_t first; /* index of its first event */
    char data[];
};

/* A record: tag, part, item (16 bits), data length (32 bits); with TAG_EXTRA then the extra's length (32
 * bits); data; extra. Numbers are the machine's. Nothing in a record depends on where it lies:
 *
 *   ITEM_ADDED  the kind's bits are the item's kind; data: the lengths of id and call_id (32 bits each), id,
 *               call_id, name
 *   ITEM_DONE   part: 1 when the item was cut; extra: the item's */
enum { TAG_TYPE = 0x0f, TAG_KIND_SHIFT = 4, TAG_EXTRA = 0x80, EXTRA_SIZE = 4 };
enum { ITEM_HEAD = 8 };

static inline void put32(char *to, size_t v)
{
    uint32_t n = (uint32_t)v;
    memcpy(to, &n, sizeof n);
}

static inline uint32_t get32(const char *from)
{
    uint32_t n;
    memcpy(&n, from, sizeof n);
    return n;
}

static inline uint32_t record_size(const char *at)
{
    uint32_t size = LLM_RECORD_SIZE + get32(at + 4);
    if ((unsigned char)at[0] & TAG_EXTRA)
        size += EXTRA_SIZE + get32(at + LLM_RECORD_SIZE);
    return size;
}

/* The record at `at`; returns its size. */
static inline uint32_t record_read(const char *at, struct llm_event *ret)
{
    unsigned tag = (unsigned char)at[0];
    uint16_t item;
    memcpy(&item, at + 2, sizeof item);
    uint32_t len = get32(at + 4), extra = 0, size = LLM_RECORD_SIZE;
    if (tag & TAG_EXTRA) {
        extra = get32(at + LLM_RECORD_SIZE);
        size += EXTRA_SIZE;
    }
    ret->type = (enum llm_event_type)(tag & TAG_TYPE);
    ret->kind = (enum llm_part_kind)(tag >> TAG_KIND_SHIFT & 7);
    ret->item = item;
    ret->part = (unsigned char)at[1];
    ret->data = bytes_of(at + size, len);
    ret->extra = bytes_of(at + size + len, extra);
    return size + len + extra;
}

/* The chunk after the last, for `cap` bytes. NULL: no memory. */
struct llm_chunk *llm_log_chunk_new(struct llm_log *l, size_t cap);
/* Room for one more item. ERR_LIMIT, ERR_NOMEM. */
enum err llm_log_items_reserve(struct llm_log *l) MUST_USE;
/* The item whose ITEM_ADDED is the record that ends where the last chunk does, its strings at `at`. */
void llm_log_note_item(struct llm_log *l, enum llm_output_kind kind, const char *at, size_t id_len,
                       size_t call_len, size_t name_len, struct llm_pos after);

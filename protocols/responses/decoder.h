#pragma once
/* A provider's Responses stream on its way into a log: the state, and how its items are read. Inside of this
 * folder. */
#include "protocols/dialect.h"

enum entry_state {
    ENTRY_UNSEEN,
    ENTRY_OPEN,
    ENTRY_DONE,
};

/* One output item of the provider, by its output_index. */
struct entry {
    enum entry_state state;
    enum llm_output_kind kind;
    int ours;           /* its index in our log */
    uint64_t filled[2]; /* which content parts [0] and summary parts [1] have their text; from 63 on they
                           share a bit */
    bool in_part;       /* a part is open, the one below */
    enum llm_part_kind part_kind;
    int64_t part_index;  /* the provider's */
    int64_t annotations; /* of that part, seen so far */
    bool has_arguments;
};

struct llm_decoder {
    struct llm_builder *b;
    struct json_doc doc;
    struct buf text;  /* an unescaped string */
    struct buf extra; /* raw members for a delta */
    struct entry *entries;
    size_t n_entries;
    size_t last; /* the entry of the latest event, for providers that give no index */
    int current; /* the entry whose item is the builder's open message or reasoning; -1 */
};

/* 502 upstream_invalid_response ends the log. */
void decoder_fail(struct llm_decoder *d, const char *what);
/* The string's characters; good until the next call. False: no string, or no memory, and the log has ended.
 */
bool decoder_text(struct llm_decoder *d, json_ref r, struct bytes *ret);

/* The entry that an event speaks of, by its output_index. NULL: the log has ended. */
struct entry *entry_of_event(struct llm_decoder *d, json_ref event);
/* output_item.added: opens the item. */
void entry_added(struct llm_decoder *d, struct entry *e, json_ref item);
/* A piece of text of one of its parts. */
void entry_delta(struct llm_decoder *d, struct entry *e, json_ref event, enum llm_part_kind kind);
void entry_arguments(struct llm_decoder *d, struct entry *e, json_ref event);
/* The whole text, which counts only if no piece of it came before. */
void entry_text_done(struct llm_decoder *d, struct entry *e, json_ref event, enum llm_part_kind kind);
void entry_arguments_done(struct llm_decoder *d, struct entry *e, json_ref event);
void entry_part_done(struct llm_decoder *d, struct entry *e, json_ref event);
void entry_annotation(struct llm_decoder *d, struct entry *e, json_ref event);
/* The whole item: takes what did not come in pieces, and ends it. */
void entry_item_done(struct llm_decoder *d, struct entry *e, json_ref item);
/* The same for each element of a response's `output`. */
void entries_take_output(struct llm_decoder *d, json_ref output);

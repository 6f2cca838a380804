#pragma once
/* The neutral answer: an append-only log of events, numbered from 0 without gaps, ending in exactly one
 * terminal. Who asked for it, and as what, is its head, which lies beside it: a finished log can be shown to
 * somebody else under another head.
 *
 * One event here is one server event of the OpenAI Responses stream, so an event's index *is* its
 * `sequence_number`. Other dialects make of an event what they need (often nothing).
 *
 * The log is pure memory: it knows nothing of sockets, providers or time. It holds each text once: "done"
 * events carry no text, an encoder walks back over the deltas for it (llm_log_each_delta). */
#include "common/buf.h"
#include "protocols/fault.h"

struct dialect;

enum llm_event_type {
    LLM_EV_CREATED,
    LLM_EV_IN_PROGRESS,
    LLM_EV_ITEM_ADDED, /* item; what it is stands in llm_log_item() */
    LLM_EV_PART_ADDED, /* item, part, kind */
    LLM_EV_DELTA,      /* item, part, kind, data: text; or arguments when kind is LLM_PART_ARGUMENTS */
    LLM_EV_ANNOTATION, /* item, part, data: the annotation, raw JSON in Responses form */
    LLM_EV_TEXT_DONE,  /* item, part, kind: "output_text.done", "function_call_arguments.done", ... */
    LLM_EV_PART_DONE,  /* item, part, kind */
    LLM_EV_ITEM_DONE,  /* item */
    LLM_EV_COMPLETED,  /* terminals: what they carry stands in llm_log.end */
    LLM_EV_INCOMPLETE,
    LLM_EV_FAILED,
    LLM_EV_CANCELLED,
};

enum llm_part_kind {
    LLM_PART_TEXT,      /* message: output_text */
    LLM_PART_REFUSAL,   /* message: refusal */
    LLM_PART_REASONING, /* reasoning item: reasoning_text */
    LLM_PART_SUMMARY,   /* reasoning item: summary_text */
    LLM_PART_ARGUMENTS, /* function call: its arguments; has no PART_ADDED and no PART_DONE */
};

enum llm_output_kind {
    LLM_OUT_MESSAGE,
    LLM_OUT_FUNCTION_CALL,
    LLM_OUT_REASONING,
    LLM_OUT_OPAQUE, /* of extra_dialect's own (web_search_call, ...): `name` is its type, `extra` the rest; no
                       parts */
};

struct llm_event {
    enum llm_event_type type;
    enum llm_part_kind kind;
    unsigned item, part; /* output_index; content_index or summary_index */
    uint32_t index;      /* sequence_number */
    struct bytes data;   /* borrowed from the log */
    struct bytes
        extra; /* raw JSON members `"logprobs":...` in the words of log->extra_dialect; usually empty */
};

/* A place in a log; all zero is the beginning. Stays valid while the log lives. */
struct llm_pos {
    const struct llm_chunk *chunk;
    uint32_t offset;
    uint32_t index; /* of the event that llm_log_next will give */
};

/* At most so many items in a log, and parts in an item: what passes them ends as response_too_large. */
enum { LLM_MAX_ITEMS = 1024, LLM_MAX_PARTS = 256 };

/* One output item. Strings are the log's. */
struct llm_output_item {
    enum llm_output_kind kind;
    struct bytes id;      /* never empty: the provider's, or made from the log's seed: msg_/fc_/rs_ */
    struct bytes call_id; /* function call */
    struct bytes name;    /* function call; the type of an opaque item */
    struct bytes extra; /* raw JSON members, e.g. "encrypted_content":"..", in the words of extra_dialect; set
                           by item end */
    bool done;
    bool cut;         /* closed by an end other than completed, not by its provider: it is incomplete */
    unsigned n_parts; /* content parts; summary parts are numbered by themselves */
    unsigned n_summaries;
    struct llm_pos at_; /* after its ITEM_ADDED */
};

/* Tokens of one answer: so few that sums of them never overflow. */
#define LLM_MAX_TOKENS INT64_C(1000000000000)

struct llm_usage {
    bool set;
    int64_t input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, total_tokens;
};

enum llm_finish { LLM_FINISH_STOP, LLM_FINISH_LENGTH, LLM_FINISH_TOOL_CALLS, LLM_FINISH_CONTENT_FILTER };

/* What the terminal event carries. */
struct llm_end {
    enum llm_finish finish; /* completed: STOP or TOOL_CALLS; incomplete: LENGTH or CONTENT_FILTER */
    struct llm_usage usage;
    struct api_error error; /* failed */
};

/* Characters of a seed. */
enum { LLM_SEED_MAX = 48 };

struct llm_log {
    /* The events. */
    uint32_t count;
    bool ended;
    enum llm_event_type terminal; /* valid when ended */
    size_t bytes;                 /* memory held, for budgets */
    size_t max_bytes;             /* of `bytes` */
    /* private */
    struct llm_chunk *first_, *last_;
    struct llm_output_item *items_;
    unsigned n_items_, cap_items_;
    const char *newest_; /* the strings of the item added last */
    char seed_[LLM_SEED_MAX + 1];
    char *words_;                        /* of an imported log: what end.error's type and code point to */
    const struct dialect *extra_dialect; /* whose words the extras are; NULL before a provider is chosen */
    struct llm_end end;                  /* valid when ended; the usage as far as it has been told */
};

/* Who asked for an answer, and as what. Its strings belong to whoever keeps it. */
struct llm_head {
    struct bytes id;                   /* resp_... */
    struct bytes model;                /* as the client asked */
    struct bytes previous_response_id; /* or empty */
    struct bytes echo;  /* raw JSON members that the Responses object repeats from its request */
    int64_t created_at; /* unix seconds */
};

/* `seed` (its first LLM_SEED_MAX characters) goes into the ids that are made for items whose provider gives
 * none: random, and not the response's id, as the log may be shown under another one. ERR_NOMEM. */
enum err llm_log_init(struct llm_log *l, struct bytes seed, size_t max_bytes) MUST_USE;
void llm_log_free(struct llm_log *l);
/* The next event after `pos`, which moves past it; false at the end of what there is. */
bool llm_log_next(const struct llm_log *l, struct llm_pos *pos, struct llm_event *ret);
/* The same, passing over all events whose type is not in the bit set `types` (1u << LLM_EV_...). */
bool llm_log_next_of(const struct llm_log *l, struct llm_pos *pos, unsigned types, struct llm_event *ret);
/* A position such that llm_log_next gives event `index`, which may be `count` (the end). False beyond that.
 */
bool llm_log_seek(const struct llm_log *l, uint32_t index, struct llm_pos *ret);
/* Asks the processor for what an encoder will read first. */
static inline void llm_log_prefetch(const struct llm_log *l)
{
    __builtin_prefetch(l->items_);
    __builtin_prefetch(l->newest_);
}
unsigned llm_log_n_items(const struct llm_log *l);
/* NULL beyond the last. The pointer is good until the next append, its strings as long as the log. */
const struct llm_output_item *llm_log_item(const struct llm_log *l, unsigned item);
/* Calls `each` with every delta of (item, part) of that kind, in order: the text of a part in its pieces.
 * `from`: a position of the log before the first of them, or NULL. */
void llm_log_each_delta(const struct llm_log *l, const struct llm_pos *from, unsigned item, unsigned part,
                        enum llm_part_kind kind, void (*each)(void *ctx, struct bytes text), void *ctx);
/* As one JSON string value. */
void llm_log_write_text(const struct llm_log *l, const struct llm_pos *from, unsigned item, unsigned part,
                        enum llm_part_kind kind, struct json_writer *w);

/* The one who appends. A provider's decoder calls these in whatever order its provider speaks; the builder
 * makes the log well-formed: it opens items and parts before their first delta, closes them before the next
 * one that excludes them and before the terminal, and drops all that comes after the outcome. A log that
 * meets max_bytes fails (response_too_large). Errors are not returned: they are an outcome. */
enum llm_outcome { LLM_RUNNING, LLM_FINISHED, LLM_FAILED, LLM_CANCELLED };

struct llm_builder {
    struct llm_log *log;
    enum llm_outcome outcome; /* its finish, or its error, stand in log->end */
    enum fault_kind fault;    /* LLM_FAILED */
    bool keeps_outcome;       /* an attempt's: the terminal waits for llm_builder_commit */
    int open_message_;        /* output index or -1 */
    int open_reasoning_;      /* output index or -1 */
    int open_part_;           /* of the open message or reasoning item, or -1 */
    enum llm_part_kind open_part_kind_;
    unsigned n_open_; /* items that are not done */
};

void llm_builder_init(struct llm_builder *b, struct llm_log *l);
/* created + in_progress, once; implied by everything below. */
void llm_builder_start(struct llm_builder *b);
/* Text, refusal, reasoning or summary; `extra` may be empty. Consecutive calls of one kind grow one part.
 * Bytes that are not valid UTF-8 by themselves must have been held back by the caller. */
void llm_builder_delta(struct llm_builder *b, enum llm_part_kind kind, struct bytes text, struct bytes extra);
/* Ends the open part (if any), so that the next delta starts a new one. */
void llm_builder_part_end(struct llm_builder *b);
/* Begins an item explicitly, with the provider's id (may be empty); answers its output index, or -1 after the
 * end. */
int llm_builder_item(struct llm_builder *b, enum llm_output_kind kind, struct bytes id, struct bytes call_id,
                     struct bytes name);
/* A piece of the arguments of function call `item` (several calls may be open side by side). */
void llm_builder_arguments(struct llm_builder *b, int item, struct bytes piece);
/* An annotation of the open text part. */
void llm_builder_annotation(struct llm_builder *b, struct bytes raw);
/* Ends one item; extra: raw JSON members to remember with it, or empty. */
void llm_builder_item_end(struct llm_builder *b, int item, struct bytes extra);
/* What cannot be (less than none, more than LLM_MAX_TOKENS) is taken as the nearest that can; total_tokens
 * -1: the sum of input and output. */
void llm_builder_usage(struct llm_builder *b, const struct llm_usage *u);
/* The outcome: the first wins. Logs the terminal at once, unless keeps_outcome. */
void llm_builder_finish(struct llm_builder *b, enum llm_finish finish);
void llm_builder_fail(struct llm_builder *b, const struct fault *f);
void llm_builder_cancel(struct llm_builder *b);
static inline bool llm_builder_ended(const struct llm_builder *b)
{
    return b->outcome != LLM_RUNNING;
}
/* Logs the outcome's terminal, once. */
void llm_builder_commit(struct llm_builder *b);
/* Something of the answer has been logged. */
bool llm_builder_begun(const struct llm_builder *b);
/* Makes it ready for another attempt: the outcome is LLM_FAILED, nothing of it is committed or begun. */
void llm_builder_again(struct llm_builder *b);

/* True when event type ends the log. */
static inline bool llm_event_is_terminal(enum llm_event_type t)
{
    return t >= LLM_EV_COMPLETED;
}

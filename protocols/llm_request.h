#pragma once
/* The neutral request: what every client dialect decodes into and every provider dialect encodes from. All
 * memory is the arena's of its call, or slices of the message text, which the call keeps as long. All strings
 * are unescaped UTF-8. */
#include "common/arena.h"

struct dialect;

enum llm_role { LLM_ROLE_SYSTEM, LLM_ROLE_DEVELOPER, LLM_ROLE_USER, LLM_ROLE_ASSISTANT };

enum llm_content_kind {
    LLM_CONTENT_TEXT,    /* text */
    LLM_CONTENT_IMAGE,   /* text is the URL (https: or data:), detail "low" | "high" | "auto" | "" */
    LLM_CONTENT_REFUSAL, /* text; assistant only */
    LLM_CONTENT_OPAQUE,  /* raw: one whole content part of the dialect `llm_request.dialect` */
};

/* `raw` of a content or an item that is not opaque: members that the neutral form has no name for, as raw
 * JSON members
 * (`"k":v,...`) in the words of `llm_request.dialect`; usually empty. */
struct llm_content {
    enum llm_content_kind kind;
    struct bytes text;
    struct bytes detail;
    struct bytes raw;
};

enum llm_item_kind {
    LLM_ITEM_MESSAGE,         /* role, contents; name: of the participant, or empty */
    LLM_ITEM_FUNCTION_CALL,   /* call_id, name, text = arguments (a JSON text, never normalized) */
    LLM_ITEM_FUNCTION_OUTPUT, /* call_id, text = output, or contents when the output was a list of parts */
    LLM_ITEM_REASONING, /* id, text = summary or reasoning text, raw = the whole item in Responses form if it
                           came so */
    LLM_ITEM_OPAQUE,    /* raw: one whole input item of the dialect `llm_request.dialect` */
};

/* One item of the conversation. */
struct llm_item {
    enum llm_item_kind kind;
    enum llm_role role;
    struct bytes id; /* as the client gave it; may be empty */
    struct bytes call_id, name, text;
    struct llm_content *contents;
    size_t n_contents;
    struct bytes raw;
};

struct llm_tool {
    struct bytes name; /* function tools only; empty: opaque, see raw */
    struct bytes description;
    struct bytes parameters; /* raw JSON Schema; empty when absent */
    int strict;              /* -1 absent, 0, 1 */
    struct bytes raw;        /* the whole tool as it came, in the form of `llm_request.dialect` */
};

enum llm_tool_choice {
    LLM_TOOLS_ABSENT,
    LLM_TOOLS_AUTO,
    LLM_TOOLS_NONE,
    LLM_TOOLS_REQUIRED,
    LLM_TOOLS_FUNCTION,
    LLM_TOOLS_OPAQUE
};

enum llm_format_kind { LLM_FORMAT_ABSENT, LLM_FORMAT_TEXT, LLM_FORMAT_JSON_OBJECT, LLM_FORMAT_JSON_SCHEMA };

struct llm_format {
    enum llm_format_kind kind;
    struct bytes name, description;
    struct bytes schema; /* raw JSON */
    int strict;          /* -1 absent */
};

/* A member that the neutral form has no name for: rides along to a provider of the same dialect. */
struct llm_extra {
    struct bytes key; /* still escaped, as between its quotes */
    struct bytes raw; /* whole JSON value */
};

struct llm_number {
    bool set;
    double value;
    struct bytes raw; /* as it came */
};

struct llm_request {
    struct arena *arena;
    const struct dialect *dialect; /* that it came in */
    struct bytes model;
    struct bytes
        instructions; /* empty: none (Responses `instructions`; chat keeps its system messages as items) */
    struct llm_item *items;
    size_t n_items;
    struct llm_tool *tools;
    size_t n_tools;
    enum llm_tool_choice tool_choice;
    struct bytes tool_choice_name; /* LLM_TOOLS_FUNCTION */
    struct bytes tool_choice_raw;  /* LLM_TOOLS_OPAQUE: as it came */
    struct llm_number temperature, top_p;
    int64_t max_output_tokens; /* 0: absent */
    int parallel_tool_calls;   /* -1 absent, 0, 1 */
    struct llm_format format;
    struct bytes verbosity;         /* "low", ... or empty */
    struct bytes reasoning_effort;  /* or empty */
    struct bytes reasoning_summary; /* or empty */
    struct bytes metadata;          /* raw JSON object, or empty */
    struct bytes user;              /* end-user id, or empty */
    struct bytes *stop;             /* stop sequences */
    size_t n_stop;
    struct llm_extra *extras;
    size_t n_extras;

    /* What concerns the gateway itself, not the model. */
    bool stream;        /* HTTP: answer as SSE */
    bool include_usage; /* chat: stream_options.include_usage */
    bool warm_up;       /* `generate: false` */
    int store;          /* -1 absent (means true), 0, 1 */
    struct bytes previous_response_id;
    struct bytes
        stream_id; /* the lane; set_stream_id tells an absent one from an empty one (which is an error) */
    bool set_stream_id;
};

void llm_request_init(struct llm_request *r, struct arena *a, const struct dialect *d);
/* Puts the `n` items before those of `r` (continuation): arrays are rebuilt in the arena. */
enum err llm_request_prepend(struct llm_request *r, const struct llm_item *items, size_t n) MUST_USE;
/* A deep copy of one item into another arena. */
enum err llm_item_copy(struct arena *a, const struct llm_item *from, struct llm_item *ret) MUST_USE;

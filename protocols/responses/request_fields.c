#include "protocols/responses/request_fields.h"

/* Rows that say a type and nothing more. */
#define OPTIONAL(name, allowed)                                                                              \
    {                                                                                                        \
        .key = (name), .shape = {.types = (allowed) }                                                        \
    }
#define REQUIRED(name, allowed)                                                                              \
    {                                                                                                        \
        .key = (name), .required = true, .shape = {.types = (allowed) }                                      \
    }
#define ONE_OF(name, allowed, values)                                                                        \
    {                                                                                                        \
        .key = (name), .shape = {.types = (allowed), .one_of = (values) }                                    \
    }
/* `type`, which the union around the table has checked: named here so that it is no extra. */
#define TYPE_MEMBER OPTIONAL("type", FIELD_STRING)

enum {
    NULLABLE_STRING = FIELD_STRING | FIELD_NULL,
    NULLABLE_BOOL = FIELD_BOOL | FIELD_NULL,
    MAX_INPUT_ITEMS = 4096,
    MAX_PARTS = 1024,
    MAX_TOOLS = 512,
};

static const struct field_object anything = {.n = 0};

/* ---- content parts ---- */

static const char *const details[] = {"low", "high", "auto", "original", NULL};

static const struct field text_part[] = {
    TYPE_MEMBER,
    REQUIRED("text", FIELD_STRING),
    /* Of output text that is fed back: what they say is for people, not for the model. */
    OPTIONAL("annotations", FIELD_ARRAY | FIELD_NULL),
    OPTIONAL("logprobs", FIELD_ARRAY | FIELD_NULL),
};
static const struct field refusal_part[] = {TYPE_MEMBER, REQUIRED("refusal", FIELD_STRING)};
static const struct field image_part[] = {
    TYPE_MEMBER,
    {.key = "image_url", .shape = {.types = NULLABLE_STRING, .min_chars = 1}},
    ONE_OF("detail", NULLABLE_STRING, details),
    {.key = "file_id", .shape = {.types = NULLABLE_STRING, .min_chars = 1}},
};

const struct field_object responses_named_text_part = {FIELD_OBJECT_OF(text_part)};
const struct field_object responses_named_image_part = {FIELD_OBJECT_OF(image_part)};
static const struct field_object refusal_part_object = {FIELD_OBJECT_OF(refusal_part)};

static const struct field_variant part_variants[] = {
    {"input_text", &responses_named_text_part},
    {"output_text", &responses_named_text_part},
    {"refusal", &refusal_part_object},
    {"input_image", &responses_named_image_part},
};
static const struct field_union part_union = {
    .key = "type", .variants = part_variants, .n = ARRAY_LEN(part_variants), .other = &anything};
static const struct field_shape part_shape = {.types = FIELD_OBJECT, .variants = &part_union};

#define CONTENT(name)                                                                                        \
    {                                                                                                        \
        .key = (name), .required = true, .shape = {                                                          \
            .types = FIELD_STRING | FIELD_ARRAY,                                                             \
            .items = &part_shape,                                                                            \
            .max_items = MAX_PARTS                                                                           \
        }                                                                                                    \
    }

/* ---- input items ---- */

static const char *const roles[] = {"user", "assistant", "system", "developer", NULL};

static const struct field message_item[] = {
    TYPE_MEMBER,
    {.key = "role", .required = true, .shape = {.types = FIELD_STRING, .one_of = roles}},
    CONTENT("content"),
    OPTIONAL("id", NULLABLE_STRING),
    OPTIONAL("status", NULLABLE_STRING),
};
static const struct field call_item[] = {
    TYPE_MEMBER,
    {.key = "call_id", .required = true, .shape = {.types = FIELD_STRING, .min_chars = 1}},
    {.key = "name", .required = true, .shape = {.types = FIELD_STRING, .min_chars = 1}},
    REQUIRED("arguments", FIELD_STRING),
    OPTIONAL("id", NULLABLE_STRING),
    OPTIONAL("status", NULLABLE_STRING),
};
static const struct field output_item[] = {
    TYPE_MEMBER,
    {.key = "call_id", .required = true, .shape = {.types = FIELD_STRING, .min_chars = 1}},
    CONTENT("output"),
    OPTIONAL("id", NULLABLE_STRING),
    OPTIONAL("status", NULLABLE_STRING),
};
static const struct field reasoning_text[] = {REQUIRED("type", FIELD_STRING), REQUIRED("text", FIELD_STRING)};
static const struct field_object reasoning_text_object = {FIELD_OBJECT_OF(reasoning_text)};
static const struct field_shape reasoning_text_shape = {.types = FIELD_OBJECT,
                                                        .object = &reasoning_text_object};
static const struct field reasoning_item[] = {
    {.key = "summary",
     .required = true,
     .shape = {.types = FIELD_ARRAY, .items = &reasoning_text_shape, .max_items = MAX_PARTS}},
    {.key = "content",
     .shape = {.types = FIELD_ARRAY | FIELD_NULL, .items = &reasoning_text_shape, .max_items = MAX_PARTS}},
    OPTIONAL("encrypted_content", NULLABLE_STRING),
    OPTIONAL("id", NULLABLE_STRING),
    OPTIONAL("status", NULLABLE_STRING),
};

const struct field_object responses_named_message = {FIELD_OBJECT_OF(message_item)};
const struct field_object responses_named_call = {FIELD_OBJECT_OF(call_item)};
const struct field_object responses_named_output = {FIELD_OBJECT_OF(output_item)};
static const struct field_object reasoning_item_object = {FIELD_OBJECT_OF(reasoning_item)};

static const struct field_variant item_variants[] = {
    {"message", &responses_named_message},
    {"function_call", &responses_named_call},
    {"function_call_output", &responses_named_output},
    {"reasoning", &reasoning_item_object},
};
static const struct field_union item_union = {.key = "type",
                                              .absent = "message",
                                              .variants = item_variants,
                                              .n = ARRAY_LEN(item_variants),
                                              .other = &anything};
static const struct field_shape item_shape = {.types = FIELD_OBJECT, .variants = &item_union};

/* ---- tools ---- */

static const struct field function_tool[] = {
    {.key = "name", .required = true, .shape = {.types = FIELD_STRING, .min_chars = 1, .max_chars = 128}},
    OPTIONAL("description", NULLABLE_STRING),
    OPTIONAL("parameters", FIELD_OBJECT | FIELD_NULL),
    OPTIONAL("strict", NULLABLE_BOOL),
};
static const struct field_object function_tool_object = {FIELD_OBJECT_OF(function_tool)};
static const struct field_variant tool_variants[] = {{"function", &function_tool_object}};
static const struct field_union tool_union = {
    .key = "type", .variants = tool_variants, .n = ARRAY_LEN(tool_variants), .other = &anything};
static const struct field_shape tool_shape = {.types = FIELD_OBJECT, .variants = &tool_union};

static const char *const choices[] = {"none", "auto", "required", NULL};
static const struct field function_choice[] = {
    {.key = "name", .required = true, .shape = {.types = FIELD_STRING, .min_chars = 1, .max_chars = 128}},
};
static const struct field_object function_choice_object = {FIELD_OBJECT_OF(function_choice)};
static const struct field_variant choice_variants[] = {{"function", &function_choice_object}};
static const struct field_union choice_union = {
    .key = "type", .variants = choice_variants, .n = ARRAY_LEN(choice_variants), .other = &anything};

/* ---- text and reasoning ---- */

static const struct field schema_format[] = {
    {.key = "name", .required = true, .shape = {.types = FIELD_STRING, .min_chars = 1, .max_chars = 64}},
    REQUIRED("schema", FIELD_OBJECT),
    OPTIONAL("description", NULLABLE_STRING),
    OPTIONAL("strict", NULLABLE_BOOL),
};
static const struct field_object schema_format_object = {FIELD_OBJECT_OF(schema_format)};
static const struct field_variant format_variants[] = {
    {"text", &anything}, {"json_object", &anything}, {"json_schema", &schema_format_object}};
static const struct field_union format_union = {
    .key = "type", .variants = format_variants, .n = ARRAY_LEN(format_variants)};

static const char *const verbosities[] = {"low", "medium", "high", NULL};
static const struct field text_members[] = {
    {.key = "format", .shape = {.types = FIELD_OBJECT, .variants = &format_union}},
    ONE_OF("verbosity", NULLABLE_STRING, verbosities),
};
const struct field_object responses_named_text = {FIELD_OBJECT_OF(text_members)};

static const char *const efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max", NULL};
static const char *const summaries[] = {"auto", "concise", "detailed", NULL};
static const struct field reasoning_members[] = {
    ONE_OF("effort", NULLABLE_STRING, efforts),
    ONE_OF("summary", NULLABLE_STRING, summaries),
};
const struct field_object responses_named_reasoning = {FIELD_OBJECT_OF(reasoning_members)};

/* ---- the request ---- */

static const char *const types[] = {"response.create", NULL};
static const char *const truncations[] = {"auto", "disabled", NULL};
static const struct field_shape metadata_value = {.types = FIELD_STRING, .max_chars = 512};
static const struct field_shape include_value = {.types = FIELD_STRING};

static const struct field create_members[] = {
    /* These have a place in the neutral form, or concern the gateway itself. */
    ONE_OF("type", FIELD_STRING, types),
    {.key = "model", .required = true, .shape = {.types = FIELD_STRING, .min_chars = 1, .max_chars = 256}},
    {.key = "input",
     .shape = {.types = FIELD_STRING | FIELD_ARRAY, .items = &item_shape, .max_items = MAX_INPUT_ITEMS}},
    OPTIONAL("instructions", NULLABLE_STRING),
    {.key = "tools", .shape = {.types = FIELD_ARRAY, .items = &tool_shape, .max_items = MAX_TOOLS}},
    {.key = "tool_choice",
     .shape = {.types = FIELD_STRING | FIELD_OBJECT, .one_of = choices, .variants = &choice_union}},
    {.key = "temperature", .shape = {.types = FIELD_NUMBER | FIELD_NULL, FIELD_RANGE(0, 2)}},
    {.key = "top_p", .shape = {.types = FIELD_NUMBER | FIELD_NULL, FIELD_RANGE(0, 1)}},
    {.key = "max_output_tokens", .shape = {.types = FIELD_INTEGER | FIELD_NULL, FIELD_RANGE(1, 2147483647)}},
    OPTIONAL("parallel_tool_calls", NULLABLE_BOOL),
    {.key = "text", .shape = {.types = FIELD_OBJECT, .object = &responses_named_text}},
    {.key = "reasoning", .shape = {.types = FIELD_OBJECT | FIELD_NULL, .object = &responses_named_reasoning}},
    {.key = "metadata",
     .shape = {.types = FIELD_OBJECT | FIELD_NULL,
               .values = &metadata_value,
               .max_items = 16,
               .max_key_chars = 64}},
    {.key = "user", .shape = {.types = FIELD_STRING, .max_chars = 512}},
    OPTIONAL("store", NULLABLE_BOOL),
    {.key = "previous_response_id", .shape = {.types = NULLABLE_STRING, .min_chars = 1, .max_chars = 256}},
    OPTIONAL("stream", NULLABLE_BOOL),
    OPTIONAL("background", NULLABLE_BOOL),
    OPTIONAL("generate", FIELD_BOOL),
    OPTIONAL("stream_id", FIELD_STRING),
    /* From here on: extras, whose type we promise when the Response repeats them. */
    ONE_OF("truncation", NULLABLE_STRING, truncations),
    {.key = "include",
     .shape = {.types = FIELD_ARRAY | FIELD_NULL, .items = &include_value, .max_items = 64}},
    OPTIONAL("service_tier", NULLABLE_STRING),
    {.key = "top_logprobs", .shape = {.types = FIELD_INTEGER | FIELD_NULL, FIELD_RANGE(0, 20)}},
    {.key = "max_tool_calls", .shape = {.types = FIELD_INTEGER | FIELD_NULL, FIELD_RANGE(1, 2147483647)}},
    OPTIONAL("prompt_cache_key", NULLABLE_STRING),
    OPTIONAL("safety_identifier", NULLABLE_STRING),
    OPTIONAL("prompt", FIELD_OBJECT | FIELD_NULL),
};
enum { N_NAMED = 20 };

const struct field_object responses_named_members = {.fields = create_members, .n = N_NAMED};
static const struct field_object create_object = {FIELD_OBJECT_OF(create_members)};
const struct field_shape responses_create_shape = {.types = FIELD_OBJECT, .object = &create_object};

#include "protocols/chat_completions/chat.h"

/* Ceilings where the API states one, else far beyond what is used. */
enum {
    NAME_MAX_CHARS = 64,
    STOP_MAX = 4,
    METADATA_MAX = 16,
    METADATA_KEY_MAX = 64,
    METADATA_VALUE_MAX = 512,
    TOOLS_MAX = 512
};
#define TOKENS_MAX 2147483647.0

#define STRING(...)                                                                                          \
    {                                                                                                        \
        .types = FIELD_STRING, __VA_ARGS__                                                                   \
    }
#define ANYTHING                                                                                             \
    {                                                                                                        \
        .types = FIELD_ANY                                                                                   \
    }
#define NULLABLE(type, ...)                                                                                  \
    {                                                                                                        \
        .types = (type) | FIELD_NULL, __VA_ARGS__                                                            \
    }

static const struct field_object nothing = {.n = 0};

/* ---- content parts ---- */

static const char *const details[] = {"auto", "low", "high", NULL};

static const struct field text_fields[] = {{"text", true, STRING()}};
static const struct field_object text_object = {FIELD_OBJECT_OF(text_fields)};

static const struct field refusal_fields[] = {{"refusal", true, STRING()}};
static const struct field_object refusal_object = {FIELD_OBJECT_OF(refusal_fields)};

static const struct field image_url_fields[] = {
    {"url", true, STRING(.min_chars = 1)},
    {"detail", false, NULLABLE(FIELD_STRING, .one_of = details)},
};
static const struct field_object image_url_object = {FIELD_OBJECT_OF(image_url_fields)};
static const struct field image_fields[] = {{"image_url", true, {FIELD_OBJECT, .object = &image_url_object}}};
static const struct field_object image_object = {FIELD_OBJECT_OF(image_fields)};

static const struct field_variant text_variants[] = {{"text", &text_object}};
static const struct field_union text_union = {"type", NULL, text_variants, ARRAY_LEN(text_variants), NULL};
static const struct field_shape text_part = {FIELD_OBJECT, .variants = &text_union};

static const struct field_variant user_variants[] = {{"text", &text_object}, {"image_url", &image_object}};
static const struct field_union user_union = {"type", NULL, user_variants, ARRAY_LEN(user_variants),
                                              &nothing};
static const struct field_shape user_part = {FIELD_OBJECT, .variants = &user_union};

static const struct field_variant assistant_variants[] = {{"text", &text_object},
                                                          {"refusal", &refusal_object}};
static const struct field_union assistant_union = {"type", NULL, assistant_variants,
                                                   ARRAY_LEN(assistant_variants), NULL};
static const struct field_shape assistant_part = {FIELD_OBJECT, .variants = &assistant_union};

/* All that the neutral form has a name for, of a part of any kind. */
static const struct field part_member_fields[] = {
    {"type", false, ANYTHING},
    {"text", false, ANYTHING},
    {"refusal", false, ANYTHING},
    {"image_url", false, ANYTHING},
};
const struct field_object chat_part_members = {FIELD_OBJECT_OF(part_member_fields)};

/* ---- messages ---- */

#define CONTENT(part)                                                                                        \
    {                                                                                                        \
        FIELD_STRING | FIELD_ARRAY, .min_items = 1, .items = &(part)                                         \
    }
#define PARTICIPANT                                                                                          \
    {                                                                                                        \
        "name", false, NULLABLE(FIELD_STRING)                                                                \
    }

static const struct field system_fields[] = {{"content", true, CONTENT(text_part)}, PARTICIPANT};
static const struct field_object system_object = {FIELD_OBJECT_OF(system_fields)};

static const struct field user_fields[] = {{"content", true, CONTENT(user_part)}, PARTICIPANT};
static const struct field_object user_object = {FIELD_OBJECT_OF(user_fields)};

static const struct field called_fields[] = {
    {"name", true, STRING(.min_chars = 1)},
    {"arguments", true, STRING()},
};
static const struct field_object called_object = {FIELD_OBJECT_OF(called_fields)};
static const struct field call_fields[] = {
    {"id", true, STRING(.min_chars = 1)},
    {"function", true, {FIELD_OBJECT, .object = &called_object}},
};
static const struct field_object call_object = {FIELD_OBJECT_OF(call_fields)};
static const struct field_variant call_variants[] = {{"function", &call_object}};
static const struct field_union call_union = {"type", "function", call_variants, ARRAY_LEN(call_variants),
                                              &nothing};
static const struct field_shape call_shape = {FIELD_OBJECT, .variants = &call_union};

static const struct field assistant_fields[] = {
    {"content", false, {FIELD_STRING | FIELD_ARRAY | FIELD_NULL, .items = &assistant_part}},
    {"refusal", false, NULLABLE(FIELD_STRING)},
    {"reasoning_content", false, NULLABLE(FIELD_STRING)},
    {"tool_calls", false, NULLABLE(FIELD_ARRAY, .items = &call_shape)},
    {"function_call", false, ANYTHING},
    {"audio", false, NULLABLE(FIELD_OBJECT)},
    PARTICIPANT,
};
static const struct field_object assistant_object = {FIELD_OBJECT_OF(assistant_fields)};

static const struct field tool_fields[] = {
    {"content", true, CONTENT(user_part)},
    {"tool_call_id", true, STRING(.min_chars = 1)},
};
static const struct field_object tool_object = {FIELD_OBJECT_OF(tool_fields)};

static const struct field_variant message_variants[] = {
    {"system", &system_object},       {"developer", &system_object}, {"user", &user_object},
    {"assistant", &assistant_object}, {"tool", &tool_object},
};
static const struct field_union message_union = {"role", NULL, message_variants, ARRAY_LEN(message_variants),
                                                 NULL};
static const struct field_shape message_shape = {FIELD_OBJECT, .variants = &message_union};

/* All that the neutral form has a name for, of a message of any role. */
static const struct field message_member_fields[] = {
    {"role", false, ANYTHING},          {"content", false, ANYTHING},
    {"name", false, ANYTHING},          {"refusal", false, ANYTHING},
    {"tool_calls", false, ANYTHING},    {"tool_call_id", false, ANYTHING},
    {"function_call", false, ANYTHING}, {"reasoning_content", false, ANYTHING},
    {"audio", false, ANYTHING},
};
const struct field_object chat_message_members = {FIELD_OBJECT_OF(message_member_fields)};

/* ---- tools ---- */

static const struct field function_fields[] = {
    {"name", true, STRING(.min_chars = 1, .max_chars = NAME_MAX_CHARS)},
    {"description", false, NULLABLE(FIELD_STRING)},
    {"parameters", false, NULLABLE(FIELD_OBJECT)},
    {"strict", false, NULLABLE(FIELD_BOOL)},
};
static const struct field_object function_object = {FIELD_OBJECT_OF(function_fields)};
static const struct field function_tool_fields[] = {
    {"function", true, {FIELD_OBJECT, .object = &function_object}}};
static const struct field_object function_tool_object = {FIELD_OBJECT_OF(function_tool_fields)};
static const struct field_variant tool_variants[] = {{"function", &function_tool_object}};
static const struct field_union tool_union = {"type", NULL, tool_variants, ARRAY_LEN(tool_variants),
                                              &nothing};
static const struct field_shape tool_shape = {FIELD_OBJECT, .variants = &tool_union};

static const char *const choices[] = {"none", "auto", "required", NULL};
static const struct field chosen_fields[] = {{"name", true, STRING(.min_chars = 1)}};
static const struct field_object chosen_object = {FIELD_OBJECT_OF(chosen_fields)};
static const struct field choice_fields[] = {{"function", true, {FIELD_OBJECT, .object = &chosen_object}}};
static const struct field_object choice_object = {FIELD_OBJECT_OF(choice_fields)};
static const struct field_variant choice_variants[] = {{"function", &choice_object}};
static const struct field_union choice_union = {"type", NULL, choice_variants, ARRAY_LEN(choice_variants),
                                                &nothing};

/* ---- the answer's form ---- */

static const struct field schema_fields[] = {
    {"name", true, STRING(.min_chars = 1, .max_chars = NAME_MAX_CHARS)},
    {"description", false, NULLABLE(FIELD_STRING)},
    {"schema", false, NULLABLE(FIELD_OBJECT)},
    {"strict", false, NULLABLE(FIELD_BOOL)},
};
static const struct field_object schema_object = {FIELD_OBJECT_OF(schema_fields)};
static const struct field json_schema_fields[] = {
    {"json_schema", true, {FIELD_OBJECT, .object = &schema_object}}};
static const struct field_object json_schema_object = {FIELD_OBJECT_OF(json_schema_fields)};
static const struct field_variant format_variants[] = {
    {"text", &nothing}, {"json_object", &nothing}, {"json_schema", &json_schema_object}};
static const struct field_union format_union = {"type", NULL, format_variants, ARRAY_LEN(format_variants),
                                                NULL};

/* ---- the request ---- */

static const char *const verbosities[] = {"low", "medium", "high", NULL};
static const struct field_shape stop_item = STRING();
static const struct field_shape metadata_value = STRING(.max_chars = METADATA_VALUE_MAX);
static const struct field stream_options_fields[] = {
    {"include_usage", false, NULLABLE(FIELD_BOOL)},
    {"include_obfuscation", false, NULLABLE(FIELD_BOOL)},
};
static const struct field_object stream_options_object = {FIELD_OBJECT_OF(stream_options_fields)};

static const struct field request_fields[] = {
    {"model", true, STRING(.min_chars = 1, .max_chars = 256)},
    {"messages", true, {FIELD_ARRAY, .min_items = 1, .items = &message_shape}},
    {"tools", false, NULLABLE(FIELD_ARRAY, .max_items = TOOLS_MAX, .items = &tool_shape)},
    {"tool_choice", false,
     NULLABLE(FIELD_STRING | FIELD_OBJECT, .one_of = choices, .variants = &choice_union)},
    {"parallel_tool_calls", false, NULLABLE(FIELD_BOOL)},
    {"response_format", false, NULLABLE(FIELD_OBJECT, .variants = &format_union)},
    {"temperature", false, NULLABLE(FIELD_NUMBER, FIELD_RANGE(0, 2))},
    {"top_p", false, NULLABLE(FIELD_NUMBER, FIELD_RANGE(0, 1))},
    {"max_tokens", false, NULLABLE(FIELD_INTEGER, FIELD_RANGE(1, TOKENS_MAX))},
    {"max_completion_tokens", false, NULLABLE(FIELD_INTEGER, FIELD_RANGE(1, TOKENS_MAX))},
    {"stop", false, NULLABLE(FIELD_STRING | FIELD_ARRAY, .max_items = STOP_MAX, .items = &stop_item)},
    {"n", false, NULLABLE(FIELD_INTEGER, FIELD_RANGE(1, 1))},
    {"stream", false, NULLABLE(FIELD_BOOL)},
    {"stream_options", false, NULLABLE(FIELD_OBJECT, .object = &stream_options_object)},
    {"reasoning_effort", false, NULLABLE(FIELD_STRING, .min_chars = 1, .max_chars = 32)},
    {"verbosity", false, NULLABLE(FIELD_STRING, .one_of = verbosities)},
    {"metadata", false,
     NULLABLE(FIELD_OBJECT, .max_items = METADATA_MAX, .max_key_chars = METADATA_KEY_MAX,
              .values = &metadata_value)},
    {"user", false, NULLABLE(FIELD_STRING)},
    {"store", false, NULLABLE(FIELD_BOOL)},
    {"functions", false, ANYTHING},
    {"function_call", false, ANYTHING},
};
const struct field_object chat_request_object = {FIELD_OBJECT_OF(request_fields)};
const struct field_shape chat_request_shape = {FIELD_OBJECT, .object = &chat_request_object};

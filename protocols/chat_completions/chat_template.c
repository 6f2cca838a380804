#include "protocols/chat_completions/chat_template.h"
#include "common/utf8.h"

enum { MISSES_MAX = 16 };

void chat_template_init(struct chat_template *t)
{
    t->before = t->after = 0;
    t->misses = 0;
}

/* What may stand between quotes as it is. */
static bool is_plain_string(struct bytes s)
{
    bool ascii = true;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char ch = (unsigned char)s.data[i];
        if (ch < 0x20 || ch == '"' || ch == '\\')
            return false;
        ascii = ascii && ch < 0x80;
    }
    return ascii || utf8_valid(s);
}

bool chat_template_match(struct chat_template *t, struct bytes chunk, struct bytes *ret_text)
{
    const size_t around = (size_t)t->before + t->after;
    if (around == 0 || chunk.len < around)
        return false;
    struct bytes text = bytes_of(chunk.data + t->before, chunk.len - around);
    /* The end first: it differs sooner, where providers put what changes with every chunk. */
    if (memcmp(text.data + text.len, t->around + t->before, t->after) != 0 ||
        memcmp(chunk.data, t->around, t->before) != 0 || !is_plain_string(text))
        return false;
    t->misses = 0;
    *ret_text = text;
    return true;
}

static bool is_absent(const struct json_doc *d, json_ref obj, const char *key)
{
    json_ref r = json_get(d, obj, key);
    return r == JSON_NONE || json_is(d, r, JSON_NULL);
}

/* The only text of a delta that has nothing else to say. */
static json_ref only_text(const struct json_doc *d, json_ref delta, enum llm_part_kind *ret_kind)
{
    json_ref found = JSON_NONE;
    for (json_ref m = json_first(d, delta); m != JSON_NONE; m = json_next(d, m)) {
        bool content = json_key_is(d, m, "content");
        bool reasoning = json_key_is(d, m, "reasoning_content") || json_key_is(d, m, "reasoning");
        if (json_is(d, m, JSON_NULL))
            continue;
        if (json_key_is(d, m, "refusal") || json_key_is(d, m, "tool_calls") ||
            json_key_is(d, m, "annotations"))
            return JSON_NONE;
        if (!content && !reasoning)
            continue;
        if (found != JSON_NONE || !json_is(d, m, JSON_STRING))
            return JSON_NONE;
        found = m;
        *ret_kind = content ? LLM_PART_TEXT : LLM_PART_REASONING;
    }
    return found;
}

static json_ref text_of_chunk(const struct json_doc *d, enum llm_part_kind *ret_kind)
{
    json_ref choices = json_get(d, 0, "choices");
    json_ref choice = json_first(d, choices);
    if (!json_is(d, choices, JSON_ARRAY) || choice == JSON_NONE || json_next(d, choice) != JSON_NONE ||
        !is_absent(d, 0, "usage") || !is_absent(d, 0, "error"))
        return JSON_NONE;
    json_ref object = json_get(d, 0, "object");
    json_ref index = json_get(d, choice, "index");
    if ((json_is(d, object, JSON_STRING) && bytes_is(json_raw_string(d, object), "error")) ||
        (index != JSON_NONE && !bytes_is(json_raw(d, index), "0")) ||
        !is_absent(d, choice, "finish_reason") || !is_absent(d, choice, "logprobs"))
        return JSON_NONE;
    return only_text(d, json_get(d, choice, "delta"), ret_kind);
}

void chat_template_learn(struct chat_template *t, const struct json_doc *chunk)
{
    if (t->misses >= MISSES_MAX)
        return;
    enum llm_part_kind kind = LLM_PART_TEXT;
    json_ref r = text_of_chunk(chunk, &kind);
    if (r == JSON_NONE)
        return;
    const struct json_node *n = &chunk->nodes[r];
    const size_t before = n->start + 1, around = chunk->text.len - (n->len - 2);
    t->misses++;
    t->before = t->after = 0;
    if (around > sizeof(t->around))
        return;
    t->before = (uint16_t)before;
    t->after = (uint16_t)(around - before);
    t->kind = kind;
    memcpy(t->around, chunk->text.data, before);
    memcpy(t->around + before, chunk->text.data + n->start + n->len - 1, t->after);
}

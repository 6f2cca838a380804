#include "protocols/chat_completions/chat.h"
#include "protocols/chat_completions/chat_template.h"
#include "protocols/provider_error.h"
#include <assert.h>
#include <stdlib.h>

/* Reading what a provider streams. One chunk costs one scan of its bytes and a copy of its text into the log.
 */

enum { MAX_CALLS = 128, PIECE_MAX = 64 * 1024 * 1024, EXTRA_MAX = 256 * 1024 };

/* A tool call that is being told in pieces. */
struct chat_call {
    int64_t index; /* the provider's */
    int item;      /* output index; -1 while its name has not come */
    struct buf id;
    struct buf early; /* arguments that came before the name */
    struct buf extra; /* members that nobody knows, some of which must come back with the call (signatures of
                         thoughts) */
};

struct llm_decoder {
    struct llm_builder *builder;
    struct chat_template template; /* what most tokens are compared with: in front, with the builder */
    struct json_doc doc;
    struct buf text; /* an unescaped piece of text */
    struct buf extra;
    struct chat_call *calls;
    unsigned n_calls, cap_calls;
    bool finished; /* a finish_reason came */
    bool whole;    /* reading one whole answer, no pieces */
    enum llm_finish finish;
};

struct llm_decoder *chat_decoder_new(struct llm_builder *b)
{
    struct llm_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->builder = b;
    json_doc_init(&d->doc);
    chat_template_init(&d->template);
    buf_init(&d->text, PIECE_MAX);
    buf_init(&d->extra, PIECE_MAX);
    b->log->extra_dialect = &dialect_chat_completions;
    return d;
}

void chat_decoder_free(struct llm_decoder *d)
{
    if (!d)
        return;
    for (unsigned i = 0; i < d->n_calls; i++) {
        buf_free(&d->calls[i].id);
        buf_free(&d->calls[i].early);
        buf_free(&d->calls[i].extra);
    }
    free(d->calls);
    buf_free(&d->text);
    buf_free(&d->extra);
    json_doc_free(&d->doc);
    free(d);
}

static void fail_invalid(struct llm_decoder *d, const char *what)
{
    struct fault f;
    provider_error_invalid(&f, what);
    llm_builder_fail(d->builder, &f);
}

static void fail_memory(struct llm_decoder *d)
{
    struct fault f;
    fault_no_memory(&f);
    llm_builder_fail(d->builder, &f);
}

/* A string's characters: a slice of the text, or in `scratch` when it had escapes. False: not a string, or
 * empty. */
static bool get_text(struct llm_decoder *d, json_ref r, struct buf *scratch, struct bytes *ret)
{
    if (!json_is(&d->doc, r, JSON_STRING))
        return false;
    *ret = json_raw_string(&d->doc, r);
    if (d->doc.nodes[r].escaped) {
        buf_reset(scratch);
        if (json_string_append(&d->doc, r, scratch) != ERR_OK) {
            fail_memory(d);
            return false;
        }
        *ret = buf_bytes(scratch);
    }
    return ret->len > 0;
}

static void delta(struct llm_decoder *d, enum llm_part_kind kind, json_ref r, struct bytes extra)
{
    struct bytes text = {NULL, 0};
    if (get_text(d, r, &d->text, &text) || extra.len)
        llm_builder_delta(d->builder, kind, text, extra);
}

/* A member's key, on the path of every token. */
static bool is_key(const struct llm_decoder *d, json_ref m, const char *key, size_t len)
{
    const struct json_node *n = &d->doc.nodes[m];
    if (n->key_escaped)
        return json_key_is(&d->doc, m, key);
    return n->key_len == len && memcmp(d->doc.text.data + n->key_start, key, len) == 0;
}

#define KEY_IS(d, m, literal) is_key(d, m, literal, sizeof(literal) - 1)

/* ---- tool calls in pieces ---- */

static struct chat_call *new_call(struct llm_decoder *d, int64_t index)
{
    if (d->n_calls == MAX_CALLS) {
        fail_invalid(d, "more than 128 tool calls");
        return NULL;
    }
    if (d->n_calls == d->cap_calls) {
        unsigned cap = d->cap_calls ? 2 * d->cap_calls : 2;
        struct chat_call *calls = realloc(d->calls, cap * sizeof *calls);
        if (!calls) {
            fail_memory(d);
            return NULL;
        }
        d->calls = calls;
        d->cap_calls = cap;
    }
    assert(d->calls);
    struct chat_call *c = &d->calls[d->n_calls++];
    *c = (struct chat_call){.index = index, .item = -1};
    buf_init(&c->id, 1024);
    buf_init(&c->early, PIECE_MAX);
    buf_init(&c->extra, EXTRA_MAX);
    return c;
}

/* Which call a piece belongs to. Providers differ: `index` may be missing, or 0 for every call, and `id` may
 * come once, always or never. A new id together with a name is a new call, whatever the index says. */
static struct chat_call *find_call(struct llm_decoder *d, json_ref piece, struct bytes id, bool named)
{
    int64_t index = -1;
    field_int(&d->doc, piece, "index", &index);
    struct chat_call *found = NULL;
    for (unsigned i = d->n_calls; i-- > 0 && !found && !d->whole;) {
        struct chat_call *c = &d->calls[i];
        bool same_id = id.len && c->id.len && bytes_eq(buf_bytes(&c->id), id);
        bool other_id = id.len && c->id.len && !same_id;
        if (index >= 0 ? index == c->index && !(named && other_id)
                       : same_id || (id.len == 0 && !(named && c->item >= 0)))
            found = c;
    }
    return found ? found : new_call(d, index);
}

/* The first piece that has such members tells them all. */
static void read_call_extra(struct llm_decoder *d, struct chat_call *c, json_ref piece)
{
    if (c->extra.len)
        return;
    for (json_ref m = json_first(&d->doc, piece); m != JSON_NONE; m = json_next(&d->doc, m)) {
        if (KEY_IS(d, m, "index") || KEY_IS(d, m, "id") || KEY_IS(d, m, "type") || KEY_IS(d, m, "function") ||
            json_is(&d->doc, m, JSON_NULL))
            continue;
        buf_append_bytes(&c->extra, c->extra.len ? BYTES(",\"") : BYTES("\""));
        buf_append_bytes(&c->extra, json_raw_key(&d->doc, m));
        buf_append_bytes(&c->extra, BYTES("\":"));
        if (json_compact(json_raw(&d->doc, m), &c->extra) != ERR_OK || c->extra.failed) {
            buf_reset(&c->extra); /* too large to be one of those */
            return;
        }
    }
}

static void read_call(struct llm_decoder *d, json_ref piece)
{
    json_ref function = json_get(&d->doc, piece, "function");
    json_ref name_ref = json_get(&d->doc, function, "name");
    json_ref arguments = json_get(&d->doc, function, "arguments");
    struct bytes id = {NULL, 0}, name = {NULL, 0}, text = {NULL, 0};
    get_text(d, json_get(&d->doc, piece, "id"), &d->extra, &id);
    bool named = json_is(&d->doc, name_ref, JSON_STRING) && json_raw_string(&d->doc, name_ref).len > 0;
    struct chat_call *c = find_call(d, piece, id, named);
    if (!c)
        return;
    read_call_extra(d, c, piece);
    if (id.len && c->id.len == 0)
        buf_append_bytes(&c->id, id);
    if (c->item < 0 && get_text(d, name_ref, &d->text, &name)) {
        c->item = llm_builder_item(d->builder, LLM_OUT_FUNCTION_CALL, (struct bytes){NULL, 0},
                                   buf_bytes(&c->id), name);
        llm_builder_arguments(d->builder, c->item, buf_bytes(&c->early));
        buf_free(&c->early);
    }
    if (json_is(&d->doc, arguments, JSON_OBJECT)) /* some send the object itself */
        text = json_raw(&d->doc, arguments);
    else if (!get_text(d, arguments, &d->text, &text))
        return;
    if (c->item >= 0)
        llm_builder_arguments(d->builder, c->item, text);
    else if (buf_append_bytes(&c->early, text) != ERR_OK)
        fail_memory(d);
}

/* ---- a choice ---- */

static void read_content(struct llm_decoder *d, json_ref content, struct bytes extra)
{
    if (!json_is(&d->doc, content, JSON_ARRAY)) {
        delta(d, LLM_PART_TEXT, content, extra);
        return;
    }
    for (json_ref p = json_first(&d->doc, content); p != JSON_NONE; p = json_next(&d->doc, p))
        delta(d, LLM_PART_TEXT, json_get(&d->doc, p, "text"), (struct bytes){NULL, 0});
}

/* A delta, or a whole message: they have the same members. */
static void read_delta(struct llm_decoder *d, json_ref message, json_ref logprobs)
{
    json_ref content = JSON_NONE, refusal = JSON_NONE, reasoning = JSON_NONE;
    json_ref calls = JSON_NONE, annotations = JSON_NONE;
    for (json_ref m = json_first(&d->doc, message); m != JSON_NONE; m = json_next(&d->doc, m)) {
        if (json_is(&d->doc, m, JSON_NULL))
            continue;
        if (KEY_IS(d, m, "content"))
            content = m;
        else if (KEY_IS(d, m, "reasoning_content") || KEY_IS(d, m, "reasoning"))
            reasoning = m;
        else if (KEY_IS(d, m, "refusal"))
            refusal = m;
        else if (KEY_IS(d, m, "tool_calls"))
            calls = m;
        else if (KEY_IS(d, m, "annotations"))
            annotations = m;
    }
    struct bytes extra = {NULL, 0};
    const struct bytes none = {NULL, 0};
    if (json_is(&d->doc, logprobs, JSON_OBJECT)) {
        buf_reset(&d->extra);
        buf_append_bytes(&d->extra, BYTES("\"logprobs\":"));
        if (json_compact(json_raw(&d->doc, logprobs), &d->extra) != ERR_OK) {
            fail_memory(d);
            return;
        }
        extra = buf_bytes(&d->extra);
    }
    if (reasoning != JSON_NONE)
        delta(d, LLM_PART_REASONING, reasoning, none);
    bool refuses = content == JSON_NONE && refusal != JSON_NONE;
    if (content != JSON_NONE)
        read_content(d, content, extra);
    if (refusal != JSON_NONE)
        delta(d, LLM_PART_REFUSAL, refusal, refuses ? extra : none);
    chat_read_annotations(d->builder, &d->doc, annotations, &d->extra);
    for (json_ref c = json_first(&d->doc, calls); c != JSON_NONE; c = json_next(&d->doc, c))
        read_call(d, c);
}

static void read_finish(struct llm_decoder *d, json_ref r)
{
    static const struct {
        const char *reason;
        enum llm_finish finish;
    } reasons[] = {
        {"length", LLM_FINISH_LENGTH},
        {"max_tokens", LLM_FINISH_LENGTH},
        {"tool_calls", LLM_FINISH_TOOL_CALLS},
        {"function_call", LLM_FINISH_TOOL_CALLS},
        {"content_filter", LLM_FINISH_CONTENT_FILTER},
    };
    struct bytes reason;
    if (!get_text(d, r, &d->text, &reason))
        return;
    if (bytes_is(reason, "error")) {
        fail_invalid(d, "an answer that finished with an error");
        return;
    }
    d->finished = true;
    d->finish = LLM_FINISH_STOP;
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (bytes_is(reason, reasons[i].reason))
            d->finish = reasons[i].finish;
}

static void read_choice(struct llm_decoder *d, json_ref choice)
{
    json_ref message = JSON_NONE, finish = JSON_NONE, logprobs = JSON_NONE;
    for (json_ref m = json_first(&d->doc, choice); m != JSON_NONE; m = json_next(&d->doc, m)) {
        int64_t index;
        if ((d->whole ? KEY_IS(d, m, "message") : KEY_IS(d, m, "delta")))
            message = m;
        else if (KEY_IS(d, m, "finish_reason"))
            finish = m;
        else if (KEY_IS(d, m, "logprobs"))
            logprobs = m;
        else if (KEY_IS(d, m, "index") && json_is(&d->doc, m, JSON_NUMBER) && json_int(&d->doc, m, &index) &&
                 index != 0)
            return; /* we never ask for more than one */
    }
    if (message != JSON_NONE)
        read_delta(d, message, logprobs);
    if (json_is(&d->doc, finish, JSON_STRING))
        read_finish(d, finish);
}

static void read_usage(struct llm_decoder *d, json_ref usage)
{
    const struct json_doc *doc = &d->doc;
    struct llm_usage u = {.total_tokens = -1};
    field_int(doc, usage, "prompt_tokens", &u.input_tokens);
    field_int(doc, usage, "completion_tokens", &u.output_tokens);
    field_int(doc, usage, "total_tokens", &u.total_tokens);
    field_int(doc, usage, "prompt_cache_hit_tokens", &u.cached_tokens);
    json_ref prompt = json_get(doc, usage, "prompt_tokens_details");
    field_int(doc, prompt, "cached_tokens", &u.cached_tokens);
    field_int(doc, prompt, "cache_write_tokens", &u.cache_write_tokens);
    field_int(doc, json_get(doc, usage, "completion_tokens_details"), "reasoning_tokens",
              &u.reasoning_tokens);
    llm_builder_usage(d->builder, &u);
}

static void read_error(struct llm_decoder *d, json_ref error)
{
    struct fault f;
    int64_t status = 0;
    field_int(&d->doc, error, "code", &status);
    if (status >= 400 && status <= 599) /* some say an HTTP status there */
        provider_error_decode((int)status, json_raw(&d->doc, error), &f);
    else
        provider_error_decode_object(&d->doc, error, &f);
    llm_builder_fail(d->builder, &f);
}

/* ---- a chunk ---- */

static const struct json_limits limits = {.max_depth = 64, .max_nodes = 1 << 20};

static void read_object(struct llm_decoder *d, struct bytes data)
{
    struct json_error bad;
    enum err err = json_parse(&d->doc, data, &limits, &bad);
    if (err == ERR_NOMEM) {
        fail_memory(d);
        return;
    }
    if (err != ERR_OK || !json_is(&d->doc, 0, JSON_OBJECT)) {
        fail_invalid(d, err == ERR_OK ? "no object" : bad.what);
        return;
    }
    json_ref choices = JSON_NONE;
    for (json_ref m = json_first(&d->doc, 0); m != JSON_NONE; m = json_next(&d->doc, m)) {
        if (json_is(&d->doc, m, JSON_NULL))
            continue;
        if (KEY_IS(d, m, "choices"))
            choices = m;
        else if (KEY_IS(d, m, "usage"))
            read_usage(d, m);
        else if (KEY_IS(d, m, "error"))
            read_error(d, m);
        else if (KEY_IS(d, m, "object") && json_is(&d->doc, m, JSON_STRING) &&
                 bytes_is(json_raw_string(&d->doc, m), "error"))
            read_error(d, 0);
    }
    for (json_ref c = json_first(&d->doc, choices); c != JSON_NONE; c = json_next(&d->doc, c))
        read_choice(d, c);
    if (!d->whole)
        chat_template_learn(&d->template, &d->doc);
}

static void end_calls(struct llm_decoder *d)
{
    for (unsigned i = 0; i < d->n_calls; i++)
        if (d->calls[i].item < 0)
            fail_invalid(d, "a tool call without a name");
        else
            llm_builder_item_end(d->builder, d->calls[i].item, buf_bytes(&d->calls[i].extra));
}

void chat_decode_event(struct llm_decoder *d, struct bytes name, struct bytes data)
{
    if (llm_builder_ended(d->builder) || data.len == 0)
        return;
    struct bytes text;
    if (name.len == 0 && chat_template_match(&d->template, data, &text)) {
        if (text.len > 0)
            llm_builder_delta(d->builder, d->template.kind, text, (struct bytes){NULL, 0});
        return;
    }
    if (bytes_is(data, "[DONE]")) {
        chat_decode_end(d);
        return;
    }
    read_object(d, data);
    if (bytes_is(name, "error") && !llm_builder_ended(d->builder))
        read_error(d, 0);
}

void chat_decode_end(struct llm_decoder *d)
{
    struct fault f;
    if (llm_builder_ended(d->builder))
        return;
    if (d->finished) {
        end_calls(d);
        llm_builder_finish(d->builder, d->finish);
        return;
    }
    provider_error_truncated(&f);
    llm_builder_fail(d->builder, &f);
}

void chat_decode_answer(struct llm_decoder *d, struct bytes body)
{
    if (llm_builder_ended(d->builder))
        return;
    d->whole = true;
    read_object(d, body);
    chat_decode_end(d);
}

/* The demo provider. See demo.h. */
#include "gateway/upstream/demo.h"
#include "protocols/dialect.h"
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

enum { MAX_NAME = 128, MAX_ECHO = 240, MAX_TOKEN = 24 };

struct demo_stream {
    struct list node; /* in demo.running */
    struct llm_builder *builder;
    void *owner;
    struct buf text; /* the answer, or the arguments of the call */
    size_t at;
    int count_to, counted;   /* counting: instead of text */
    char call[MAX_NAME + 1]; /* function to call; "": none */
    int item;                /* its output index */
    int64_t tokens, max_tokens, input_tokens;
};

static void send_piece(struct demo_stream *s, struct bytes piece)
{
    s->tokens++;
    if (s->call[0])
        llm_builder_arguments(s->builder, s->item, piece);
    else
        llm_builder_delta(s->builder, LLM_PART_TEXT, piece, BYTES(""));
}

/* A word with the blanks before it; cut where a character begins. */
static struct bytes next_token(const struct demo_stream *s)
{
    struct bytes rest = bytes_skip(buf_bytes(&s->text), s->at);
    size_t n = 0;
    while (n < rest.len && rest.data[n] == ' ')
        n++;
    while (n < rest.len && rest.data[n] != ' ' && n < MAX_TOKEN)
        n++;
    while (n < rest.len && ((unsigned char)rest.data[n] & 0xC0) == 0x80)
        n++;
    return bytes_of(rest.data, n);
}

static void finish(struct demo_stream *s, enum llm_finish how)
{
    struct llm_usage u = {.set = true, .input_tokens = s->input_tokens, .output_tokens = s->tokens};
    u.total_tokens = u.input_tokens + u.output_tokens;
    llm_builder_usage(s->builder, &u);
    llm_builder_finish(s->builder, how);
}

static void step(struct demo_stream *s)
{
    char number[16];
    if (s->max_tokens > 0 && s->tokens >= s->max_tokens) {
        finish(s, LLM_FINISH_LENGTH);
    } else if (s->counted < s->count_to) {
        int n = snprintf(number, sizeof(number), s->counted ? " %d" : "%d", s->counted + 1);
        s->counted++;
        send_piece(s, bytes_of(number, (size_t)n));
    } else if (s->at < s->text.len) {
        struct bytes token = next_token(s);
        if (s->call[0] && s->at == 0)
            s->item = llm_builder_item(s->builder, LLM_OUT_FUNCTION_CALL, BYTES(""), BYTES(""),
                                       bytes_cstr(s->call));
        s->at += token.len;
        send_piece(s, token);
    } else {
        finish(s, s->call[0] ? LLM_FINISH_TOOL_CALLS : LLM_FINISH_STOP);
    }
}

static void on_turn(uv_timer_t *h)
{
    struct demo *d = CONTAINER_OF(h, struct demo, timer);
    LIST_EACH(&d->running, node)
    {
        struct demo_stream *s = CONTAINER_OF(node, struct demo_stream, node);
        step(s);
        if (llm_builder_ended(s->builder))
            list_remove(&s->node);
        d->stepped(s->owner);
    }
    if (list_empty(&d->running))
        uv_timer_stop(&d->timer);
}

void demo_init(struct demo *d, uv_loop_t *loop)
{
    *d = (struct demo){0};
    list_init(&d->running);
    uv_timer_init(loop, &d->timer);
}

void demo_start(struct demo *d, struct demo_stream *s)
{
    if (list_empty(&d->running))
        uv_timer_start(&d->timer, on_turn, DEMO_TOKEN_MS, DEMO_TOKEN_MS);
    list_append(&d->running, &s->node);
}

void demo_free(struct demo *d, struct demo_stream *s)
{
    if (!s)
        return;
    list_remove(&s->node);
    if (list_empty(&d->running))
        uv_timer_stop(&d->timer);
    buf_free(&s->text);
    free(s);
}

/* ---- What to answer
 * ------------------------------------------------------------------------------------------------ */

static struct bytes last_user_text(const struct llm_request *r)
{
    for (size_t i = r->n_items; i > 0; i--) {
        const struct llm_item *item = &r->items[i - 1];
        if (item->kind != LLM_ITEM_MESSAGE || item->role != LLM_ROLE_USER)
            continue;
        for (size_t c = item->n_contents; c > 0; c--)
            if (item->contents[c - 1].kind == LLM_CONTENT_TEXT)
                return item->contents[c - 1].text;
    }
    return BYTES("");
}

static int64_t input_tokens(const struct llm_request *r)
{
    size_t n = r->instructions.len;
    for (size_t i = 0; i < r->n_items; i++) {
        n += r->items[i].text.len;
        for (size_t c = 0; c < r->items[i].n_contents; c++)
            n += r->items[i].contents[c].text.len;
    }
    return (int64_t)(n + 3) / 4;
}

/* What stands behind `words` (any case) in the text; false: they are not in it. */
static bool find_after(struct bytes text, const char *words, struct bytes *ret)
{
    size_t n = strlen(words);
    for (size_t i = 0; i + n <= text.len; i++) {
        if (strncasecmp(text.data + i, words, n) != 0)
            continue;
        *ret = bytes_skip(text, i + n);
        return true;
    }
    return false;
}

static int asked_count(struct bytes text)
{
    struct bytes rest;
    int n = 0;
    if (!find_after(text, "count to ", &rest))
        return 0;
    for (size_t i = 0; i < rest.len && isdigit((unsigned char)rest.data[i]) && n < DEMO_MAX_COUNT; i++)
        n = n * 10 + (rest.data[i] - '0');
    return MIN(n, DEMO_MAX_COUNT);
}

static bool is_json_object(struct bytes text)
{
    const struct json_limits limits = {.max_depth = 32, .max_nodes = 4096};
    struct json_doc doc;
    json_doc_init(&doc);
    bool ok = json_parse(&doc, text, &limits, NULL) == ERR_OK && json_is(&doc, 0, JSON_OBJECT);
    json_doc_free(&doc);
    return ok;
}

static const struct llm_tool *find_tool(const struct llm_request *r, struct bytes name)
{
    for (size_t i = 0; i < r->n_tools; i++)
        if (r->tools[i].name.len > 0 && r->tools[i].name.len <= MAX_NAME && bytes_eq(r->tools[i].name, name))
            return &r->tools[i];
    return NULL;
}

/* The function that the text or the tool choice asks for; *ret_args: what the text gives it, or empty. */
static const struct llm_tool *asked_tool(const struct llm_request *r, struct bytes text,
                                         struct bytes *ret_args)
{
    struct bytes rest;
    *ret_args = BYTES("");
    if (r->tool_choice == LLM_TOOLS_NONE)
        return NULL;
    if (find_after(text, "call ", &rest)) {
        size_t n = 0;
        while (n < rest.len &&
               (isalnum((unsigned char)rest.data[n]) || rest.data[n] == '_' || rest.data[n] == '-'))
            n++;
        const struct llm_tool *tool = find_tool(r, bytes_of(rest.data, n));
        struct bytes args = bytes_trim_ows(bytes_skip(rest, n));
        if (tool && is_json_object(args))
            *ret_args = args;
        if (tool)
            return tool;
    }
    if (r->tool_choice == LLM_TOOLS_FUNCTION)
        return find_tool(r, r->tool_choice_name);
    return r->tool_choice == LLM_TOOLS_REQUIRED && r->n_tools > 0 ? find_tool(r, r->tools[0].name) : NULL;
}

/* The last words of `text`: at most MAX_ECHO bytes, beginning where a character begins. */
static struct bytes last_words(struct bytes text)
{
    size_t skip = text.len > MAX_ECHO ? text.len - MAX_ECHO : 0;
    while (skip > 0 && skip < text.len && ((unsigned char)text.data[skip] & 0xC0) == 0x80)
        skip++;
    return bytes_skip(text, skip);
}

static void write_text(struct demo_stream *s, struct bytes said)
{
    struct bytes words = last_words(said);
    if (words.len > 0)
        buf_printf(&s->text, "You said: \"%s%.*s\". ", words.len < said.len ? "..." : "", BYTES_FMT(words));
    buf_append_bytes(
        &s->text,
        BYTES("This is Sluice's built-in demo provider: no model, no network, no key, and the same answer "
              "every "
              "time, a token at a time. Ask me to \"count to 20\", offer me a function and say \"call "
              "NAME\", or "
              "ask for JSON by a schema. For a real model, add a provider and a model to the configuration "
              "file; the README shows how."));
}

static void write_json(struct demo_stream *s, const struct llm_format *f, struct bytes said)
{
    if (f->kind == LLM_FORMAT_JSON_SCHEMA && demo_json_value(f->schema, &s->text))
        return;
    struct json_writer w;
    buf_reset(&s->text);
    jw_init(&w, &s->text);
    jw_object(&w);
    jw_kstring(&w, "answer", last_words(said));
    jw_object_end(&w);
}

static void write_call(struct demo_stream *s, const struct llm_tool *tool, struct bytes args)
{
    memcpy(s->call, tool->name.data, tool->name.len);
    if (args.len > 0)
        buf_append_bytes(&s->text, args);
    else if (tool->parameters.len == 0 || !demo_json_value(tool->parameters, &s->text) ||
             s->text.data[0] != '{') {
        buf_reset(&s->text);
        buf_append_bytes(&s->text, BYTES("{}"));
    }
}

struct demo_stream *demo_new(const struct llm_request *r, struct llm_builder *b, void *owner)
{
    struct demo_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    struct bytes said = last_user_text(r), args;
    const struct llm_tool *tool = asked_tool(r, said, &args);
    list_init(&s->node);
    s->builder = b;
    s->owner = owner;
    s->input_tokens = input_tokens(r);
    s->max_tokens = r->max_output_tokens;
    buf_init(&s->text, tool ? DEMO_MAX_TEXT + args.len : DEMO_MAX_TEXT);
    if (tool)
        write_call(s, tool, args);
    else if (r->format.kind == LLM_FORMAT_JSON_OBJECT || r->format.kind == LLM_FORMAT_JSON_SCHEMA)
        write_json(s, &r->format, said);
    else if ((s->count_to = asked_count(said)) == 0)
        write_text(s, said);
    if (s->text.failed) {
        buf_free(&s->text);
        free(s);
        return NULL;
    }
    return s;
}

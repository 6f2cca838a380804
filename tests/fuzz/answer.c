#include "tests/fuzz/answer.h"
#include "common/utf8.h"
#include "gateway/session/context.h"
#include "protocols/responses/output_item.h"
#include "protocols/sse/sse.h"
#include "tests/fuzz/listener.h"

enum { N_CLIENTS = 2, LOG_MAX = 1 << 20 };

static const struct dialect *const clients[N_CLIENTS] = {&dialect_responses, &dialect_chat_completions};

struct feed {
    const struct dialect *provider;
    struct llm_log log;
    struct llm_builder builder;
    struct llm_decoder *decoder;
    struct bytes name;     /* given to events that have none */
    struct listener *live; /* N_CLIENTS of them, or NULL */
};

/* ---- the log by itself ---- */

struct shape {
    bool open[LLM_MAX_ITEMS];
    unsigned n_items;
    int part_item; /* of the open part; -1: none */
    unsigned part;
    enum llm_part_kind kind;
    bool ended;
};

static void must_members(struct bytes members)
{
    struct buf out;
    buf_init(&out, members.len + 2);
    buf_append_char(&out, '{');
    buf_append_bytes(&out, members);
    buf_append_char(&out, '}');
    MUST_JSON_LINE(buf_bytes(&out));
    buf_free(&out);
}

static void check_part_event(struct shape *s, const struct llm_event *e)
{
    bool arguments = e->kind == LLM_PART_ARGUMENTS;
    MUST(e->item < s->n_items && s->open[e->item]);
    if (e->type == LLM_EV_PART_ADDED) {
        MUST(s->part_item < 0 && !arguments);
        s->part_item = (int)e->item;
        s->part = e->part;
        s->kind = e->kind;
    }
    if (!arguments && e->type != LLM_EV_ANNOTATION)
        MUST(s->part_item == (int)e->item && s->part == e->part && s->kind == e->kind);
    if (e->type == LLM_EV_ANNOTATION) {
        MUST(s->part_item == (int)e->item && s->part == e->part && s->kind == LLM_PART_TEXT);
        MUST_JSON_LINE(e->data);
    } else {
        MUST(utf8_valid(e->data));
    }
    if (e->type == LLM_EV_PART_DONE)
        s->part_item = -1;
}

static void check_event(struct shape *s, const struct llm_log *log, const struct llm_event *e, uint32_t index)
{
    MUST(e->index == index && !s->ended);
    MUST((e->type == LLM_EV_CREATED) == (index == 0) && (e->type == LLM_EV_IN_PROGRESS) == (index == 1));
    must_members(e->extra);
    if (e->type == LLM_EV_ITEM_ADDED) {
        MUST(e->item == s->n_items && llm_log_item(log, e->item)->id.len > 0);
        s->open[s->n_items++] = true;
    } else if (e->type >= LLM_EV_PART_ADDED && e->type <= LLM_EV_PART_DONE) {
        check_part_event(s, e);
    } else if (e->type == LLM_EV_ITEM_DONE) {
        MUST(e->item < s->n_items && s->open[e->item] && s->part_item != (int)e->item);
        s->open[e->item] = false;
    } else if (llm_event_is_terminal(e->type)) {
        s->ended = true;
        MUST(log->terminal == e->type);
        for (unsigned i = 0; i < s->n_items; i++)
            MUST(!s->open[i] && llm_log_item(log, i)->done);
    }
}

static void check_shape(const struct llm_log *log)
{
    struct shape s = {.part_item = -1};
    struct llm_pos pos = {0};
    struct llm_event e;
    uint32_t index = 0;
    while (llm_log_next(log, &pos, &e))
        check_event(&s, log, &e, index++);
    MUST(log->ended && s.ended && index == log->count);
    MUST(log->bytes <= log->max_bytes || log->max_bytes < 2048);
    if (log->terminal == LLM_EV_FAILED)
        must_explain(&log->end.error);
}

/* ---- those who read it ---- */

static void told_the_same(const struct listener *a, const struct listener *b, const char *who)
{
    if (bytes_eq(buf_bytes(&a->told), buf_bytes(&b->told)))
        return;
    fprintf(stderr, "%s, %s: told\n%.*s\n\nand\n%.*s\n", who, a->dialect->name,
            BYTES_FMT(buf_bytes(&a->told)), BYTES_FMT(buf_bytes(&b->told)));
    abort();
}

static void check_readers(const struct feed *f, uint32_t random)
{
    for (unsigned i = 0; i < N_CLIENTS; i++) {
        struct listener whole, resumed;
        listener_init(&whole, clients[i]);
        listener_read(&whole, &f->log, SIZE_MAX);
        if (f->live)
            told_the_same(&whole, &f->live[i], "live");
        listener_init(&resumed, clients[i]);
        MUST(llm_log_seek(&f->log, random % (f->log.count + 1), &resumed.encoder.pos));
        if (random % (f->log.count + 1) < f->log.count)
            listener_read(&resumed, &f->log, 1);
        listener_free(&resumed);
        listener_free(&whole);
    }
}

static void check_answers(const struct llm_log *log)
{
    struct buf out;
    buf_init(&out, 1 << 26);
    for (unsigned i = 0; i < N_CLIENTS && log->terminal != LLM_EV_FAILED; i++) {
        buf_reset(&out);
        clients[i]->encode_answer(&fuzz_head, log, &out);
        MUST(!out.failed);
        MUST_JSON_LINE(buf_bytes(&out));
    }
    buf_free(&out);
}

/* ---- the answer as input of the next request ---- */

static void check_decodes(const struct dialect *dialect, struct bytes text)
{
    static const struct json_limits limits = {.max_depth = 400, .max_nodes = 1 << 22};
    struct json_doc d;
    struct arena a;
    struct llm_request r;
    struct api_error e;
    json_doc_init(&d);
    arena_init(&a, 1 << 26);
    llm_request_init(&r, &a, dialect);
    MUST(json_parse(&d, text, &limits, NULL) == ERR_OK);
    if (dialect->decode_request(&d, 0, &r, &e) != ERR_OK) {
        fprintf(stderr, "%s: %s: %s: %.*s\n", dialect->name, e.param, e.message, BYTES_FMT(text));
        abort();
    }
    arena_free(&a);
    json_doc_free(&d);
}

static void check_fed_back(const struct llm_log *log)
{
    struct json_writer w;
    struct buf out;
    buf_init(&out, 1 << 26);
    jw_init(&w, &out);
    jw_object(&w);
    jw_kcstr(&w, "model", "m");
    jw_key(&w, "input");
    jw_array(&w);
    for (unsigned i = 0; i < llm_log_n_items(log); i++)
        responses_write_output_item(log, i, &w);
    jw_array_end(&w);
    jw_object_end(&w);
    MUST(!out.failed);
    MUST_JSON_LINE(buf_bytes(&out));
    check_decodes(&dialect_responses, buf_bytes(&out));
    buf_free(&out);
}

static void check_continued(const struct llm_log *log)
{
    struct arena a;
    struct llm_request r;
    struct api_error e;
    struct buf out;
    arena_init(&a, 1 << 26);
    buf_init(&out, 1 << 26);
    llm_request_init(&r, &a, &dialect_responses);
    struct context *c = context_begin(&r, 1 << 26);
    MUST(c != NULL);
    context_finish(c, BYTES("resp_1"), log);
    MUST(!c->too_large && c->n_items == llm_log_n_items(log));
    MUST(llm_request_prepend(&r, c->items, c->n_items) == ERR_OK);
    for (size_t i = 0; i < n_dialects; i++) {
        if (!dialect_faces_providers(dialects[i]))
            continue;
        buf_reset(&out);
        enum err err = dialects[i]->encode_request(&r, BYTES("m"), &out, &e);
        MUST(err == ERR_OK || err == ERR_INVALID);
        if (err == ERR_OK)
            MUST_JSON(buf_bytes(&out));
        else
            must_explain(&e);
    }
    context_free(c);
    buf_free(&out);
    arena_free(&a);
}

/* ---- feeding ---- */

static void feed_begin(struct feed *f, const struct dialect *provider, size_t max_bytes)
{
    *f = (struct feed){.provider = provider};
    MUST(llm_log_init(&f->log, BYTES("0123456789abcdef0123456789abcdef"), max_bytes) == ERR_OK);
    llm_builder_init(&f->builder, &f->log);
    f->decoder = provider->decoder_new(&f->builder);
    MUST(f->decoder != NULL);
}

static void feed_end(struct feed *f)
{
    f->provider->decode_end(f->decoder);
    for (unsigned i = 0; f->live && i < N_CLIENTS; i++)
        listener_read(&f->live[i], &f->log, SIZE_MAX);
    check_shape(&f->log);
}

static void feed_free(struct feed *f)
{
    f->provider->decoder_free(f->decoder);
    llm_log_free(&f->log);
}

static void on_event(void *ctx, const struct sse_event *e)
{
    struct feed *f = ctx;
    char *name = exact_copy(e->name.data, e->name.len), *data = exact_copy(e->data.data, e->data.len);
    f->provider->decode_event(f->decoder, e->name.len ? bytes_of(name, e->name.len) : f->name,
                              bytes_of(data, e->data.len));
    free(name);
    free(data);
    for (unsigned i = 0; f->live && i < N_CLIENTS; i++)
        listener_read(&f->live[i], &f->log, i ? SIZE_MAX : 1);
}

static void feed_stream(struct feed *f, struct bytes text)
{
    struct sse_parser p;
    sse_init(&p, 1 << 20, on_event, f);
    MUST(sse_feed(&p, text) == ERR_OK);
    sse_free(&p);
    feed_end(f);
}

/* A name that says nothing keeps the decoder from its short cuts, and changes nothing. */
static void check_named(const struct dialect *provider, struct bytes text, const struct listener *want)
{
    struct feed f;
    struct listener whole;
    listener_init(&whole, clients[0]);
    feed_begin(&f, provider, LOG_MAX);
    f.name = BYTES("message");
    feed_stream(&f, text);
    listener_read(&whole, &f.log, SIZE_MAX);
    told_the_same(&whole, want, "named");
    listener_free(&whole);
    feed_free(&f);
}

static void check_ceiling(const struct dialect *provider, struct bytes text, uint32_t random)
{
    struct feed f;
    feed_begin(&f, provider, 600 + random % 4096);
    feed_stream(&f, text);
    check_readers(&f, random);
    check_answers(&f.log);
    feed_free(&f);
}

/* All of them at once would be slow: the input's own hash chooses. */
static void stream(const struct dialect *provider, struct bytes text, uint32_t random)
{
    struct feed f;
    struct listener live[N_CLIENTS];
    feed_begin(&f, provider, LOG_MAX);
    for (unsigned i = 0; i < N_CLIENTS; i++)
        listener_init(&live[i], clients[i]);
    f.live = live;
    feed_stream(&f, text);
    check_answers(&f.log);
    switch (fuzz_next(&random) % 4) {
    case 0:
        check_readers(&f, random);
        break;
    case 1:
        check_named(provider, text, &live[0]);
        break;
    case 2:
        check_ceiling(provider, text, random);
        break;
    default:
        check_fed_back(&f.log);
        check_continued(&f.log);
        break;
    }
    for (unsigned i = 0; i < N_CLIENTS; i++)
        listener_free(&live[i]);
    feed_free(&f);
}

static void body(const struct dialect *provider, struct bytes text, uint32_t random)
{
    struct feed f;
    struct fault fault = {.kind = FAULT_NONE};
    feed_begin(&f, provider, LOG_MAX);
    provider->decode_answer(f.decoder, text);
    feed_end(&f);
    check_readers(&f, random);
    check_answers(&f.log);
    check_fed_back(&f.log);
    check_continued(&f.log);
    feed_free(&f);
    provider->decode_error(400 + (int)(random % 200), text, &fault);
    MUST(fault.kind > FAULT_NONE && fault.kind < N_FAULTS);
    must_explain(&fault.error);
}

void answer_fuzz(const struct dialect *provider, const uint8_t *data, size_t size)
{
    uint32_t random = fuzz_hash(data, size);
    char *copy = exact_copy(data, size);
    if (size && data[0] == '{')
        body(provider, bytes_of(copy, size), random);
    else
        stream(provider, bytes_of(copy, size), random);
    free(copy);
}

#pragma once
/* Stands where gateway/upstream stands, in the tests of the rooms above it: a transfer is a slot whose
 * builder the test appends to. Defines upstream_start and upstream_cancel, so that the linker does not look
 * for the real ones. */
#include "gateway/pipeline/pipeline.h"
#include <stdio.h>
#include <stdlib.h>

struct transfer {
    struct llm_builder *builder;
    void (*progress)(void *);
    void *ctx;
    const struct config_provider *provider;
    char model[64];
    struct upstream_report *report;
    size_t n_items;      /* of the request */
    char last_text[128]; /* of the last message of the request */
    bool cancelled;
};

static struct transfer transfers[64];
static unsigned n_transfers;
static bool no_transfers; /* as without memory */

struct transfer *upstream_start(struct upstream *u UNUSED, const struct upstream_call *call)
{
    if (no_transfers)
        return NULL;
    if (n_transfers == ARRAY_LEN(transfers))
        abort();
    struct transfer *t = &transfers[n_transfers++];
    *t = (struct transfer){.builder = call->builder,
                           .progress = call->progress,
                           .ctx = call->ctx,
                           .provider = call->provider,
                           .report = call->report};
    t->n_items = call->request->n_items;
    memcpy(t->model, call->model.data, MIN(call->model.len, sizeof(t->model) - 1));
    if (t->n_items > 0) {
        const struct llm_item *last = &call->request->items[t->n_items - 1];
        if (last->kind == LLM_ITEM_MESSAGE && last->n_contents > 0)
            memcpy(t->last_text, last->contents[0].text.data,
                   MIN(last->contents[0].text.len, sizeof(t->last_text) - 1));
    }
    return t;
}

void upstream_hint(struct transfer *t UNUSED, const void *first UNUSED, const void *second UNUSED) {}

uint64_t upstream_now(const struct upstream *u UNUSED)
{
    return 1;
}

void upstream_cancel(struct transfer *t)
{
    if (t)
        t->cancelled = true;
}

static UNUSED struct transfer *last_transfer(void)
{
    return &transfers[n_transfers - 1];
}

static UNUSED void say(struct transfer *t, const char *text)
{
    llm_builder_delta(t->builder, LLM_PART_TEXT, bytes_cstr(text), (struct bytes){NULL, 0});
    t->progress(t->ctx);
}

static UNUSED void finish(struct transfer *t)
{
    llm_builder_finish(t->builder, LLM_FINISH_STOP);
    t->progress(t->ctx);
}

static UNUSED void fail_as(struct transfer *t, enum fault_kind kind)
{
    struct fault f = {.kind = kind};
    api_error_set(&f.error, 502, API_UPSTREAM, "scripted", NULL, "%s", fault_name(kind));
    llm_builder_fail(t->builder, &f);
    t->progress(t->ctx);
}

static UNUSED void fail_with(struct transfer *t, int status)
{
    struct fault f = {.kind = FAULT_OVERLOADED};
    api_error_set(&f.error, status, API_UPSTREAM, "upstream_error", NULL, "scripted");
    llm_builder_fail(t->builder, &f);
    t->progress(t->ctx);
}

/* A small real configuration; the caller frees it. */
static UNUSED struct config *test_config(const char *more)
{
    char text[4096];
    struct buf report;
    struct config *cfg = NULL;
    buf_init(&report, 65536);
    snprintf(
        text, sizeof(text),
        "listen: [{address: '127.0.0.1:0'}]\n"
        "workers: 1\n"
        "providers:\n"
        "  - {name: a, dialect: chat_completions, base_url: 'http://127.0.0.1:1/v1', allow_plaintext: true}\n"
        "  - {name: b, dialect: responses, base_url: 'http://127.0.0.1:2/v1', allow_plaintext: true}\n"
        "models:\n"
        "  - {name: fast, targets: [{provider: a, model: tiny, weight: 3}, {provider: b, model: big, weight: "
        "1}]}\n"
        "  - {name: solo, targets: [{provider: a, model: one}]}\n"
        "  - {name: 'wild-*', targets: [{provider: b, model: 'w-*'}]}\n"
        "  - {name: 'wild-cat*', targets: [{provider: a, model: cat}]}\n"
        "keys:\n"
        "  - {name: dev, plaintext: sk-dev-only, models: ['*', 'b/*']}\n"
        "  - {name: narrow, plaintext: sk-narrow, models: [solo, 'wild-c*', 'wild-y', 'a*']}\n"
        "%s",
        more);
    if (config_parse("test", bytes_cstr(text), &report, &cfg) != ERR_OK) {
        fprintf(stderr, "%.*s\n", BYTES_FMT(buf_bytes(&report)));
        abort();
    }
    buf_free(&report);
    return cfg;
}

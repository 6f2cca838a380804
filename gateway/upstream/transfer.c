/* One answer's bytes into its log. What is called with bytes may be inside curl: it only appends and marks.
 */
#include "common/clock.h"
#include "common/log.h"
#include "gateway/upstream/internal.h"

/* What the head said so far is about an earlier, interim answer (RFC 9110, 15.2). */
static void begin_head(struct transfer *t, struct bytes line)
{
    const char *space = memchr(line.data, ' ', line.len);
    struct bytes digits =
        space ? bytes_of(space + 1, MIN((size_t)(line.data + line.len - space - 1), 3)) : BYTES("");
    uint64_t status = 0;
    if (bytes_to_u64(digits, 999, &status) != ERR_OK)
        status = 0;
    t->status = (int)status;
    t->content_type[0] = '\0';
    t->retry_after = (struct retry_after){0};
    t->report->status = t->status;
    if (t->status >= 200)
        t->origin->version = bytes_starts(line, BYTES("HTTP/1")) ? 1 : 2;
}

/* It ends up in logs: printable, and without a quote. */
static void note_request_id(struct transfer *t, struct bytes value)
{
    char *to = t->report->request_id;
    size_t n = MIN(value.len, sizeof(t->report->request_id) - 1);
    for (size_t i = 0; i < n; i++) {
        const char c = value.data[i];
        if (c > ' ' && c <= '~' && c != '"')
            to[i] = c;
        else
            to[i] = '?';
    }
    to[n] = '\0';
}

static void note_header(struct transfer *t, struct bytes name, struct bytes value)
{
    if (bytes_eq_nocase(name, BYTES("content-type"))) {
        size_t n = MIN(value.len, sizeof(t->content_type) - 1);
        memcpy(t->content_type, value.data, n);
        t->content_type[n] = '\0';
    } else if (bytes_eq_nocase(name, BYTES("x-request-id")) || bytes_eq_nocase(name, BYTES("request-id"))) {
        note_request_id(t, value);
    } else if (t->status > 299) {
        retry_after_note(&t->retry_after, name, value);
    }
}

bool transfer_header(struct transfer *t, struct bytes line)
{
    t->head_bytes += line.len;
    if (t->head_bytes > MAX_HEAD)
        return false;
    while (line.len > 0 && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
        line.len--;
    const char *colon = memchr(line.data, ':', line.len);
    if (t->state.state != TRANSFER_ASKED)
        return true; /* a trailer, or nobody wants to know */
    if (line.len == 0 && t->status >= 200)
        fsm_move(&t->state, TRANSFER_HEAD);
    else if (bytes_starts(line, BYTES("HTTP/")))
        begin_head(t, line);
    else if (colon)
        note_header(t, bytes_of(line.data, (size_t)(colon - line.data)),
                    bytes_trim_ows(bytes_skip(line, (size_t)(colon + 1 - line.data))));
    return true;
}

static void on_event(void *ctx, const struct sse_event *e)
{
    struct transfer *t = ctx;
    t->dialect->decode_event(t->decoder, e->name, e->data);
    t->sse.stopped = llm_builder_ended(t->builder);
}

static bool type_is(const struct transfer *t, struct bytes media_type)
{
    struct bytes type = bytes_cstr(t->content_type);
    const char *end = memchr(type.data, ';', type.len);
    if (end)
        type.len = (size_t)(end - type.data);
    return bytes_eq_nocase(bytes_trim_ows(type), media_type);
}

static void refuse_type(struct transfer *t)
{
    struct fault f;
    char what[128];
    for (char *c = t->content_type; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    snprintf(what, sizeof(what), "content type '%s' instead of a stream of events", t->content_type);
    fault_invalid(t, what, &f);
    transfer_fail(t, &f);
}

/* The head is complete: what will the body be? */
static void begin_body(struct transfer *t)
{
    if (t->status < 200 || t->status > 299) {
        fsm_move(&t->state, TRANSFER_ERROR);
    } else if (type_is(t, BYTES("text/event-stream"))) {
        fsm_move(&t->state, TRANSFER_EVENTS);
        sse_init(&t->sse, t->u->cfg->limits.max_response_bytes, on_event, t);
    } else if (type_is(t, BYTES("application/json"))) {
        fsm_move(&t->state, TRANSFER_JSON);
    } else {
        fsm_move(&t->state, TRANSFER_ERROR);
        refuse_type(t);
    }
}

static void feed_events(struct transfer *t, struct bytes data)
{
    struct llm_log *log = t->builder->log;
    uint32_t count = log->count;
    uint64_t comments = t->sse.comments;
    struct fault f;
    enum err rc = sse_feed(&t->sse, data);
    if (log->count != count || t->sse.comments != comments)
        deadline_alive(t);
    if (rc != ERR_OK) {
        fault_too_large(t, &f);
        transfer_fail(t, &f);
    }
}

static void collect_json(struct transfer *t, struct bytes data)
{
    struct fault f;
    if (buf_append_bytes(&t->collected, data) == ERR_OK)
        return;
    fault_too_large(t, &f);
    transfer_fail(t, &f);
}

/* What does not fit is not needed; and who sends so much is not waited for. */
static void collect_error(struct transfer *t, struct bytes data)
{
    size_t room = MAX_ERROR_BODY - t->collected.len;
    data.len = MIN(data.len, room);
    if (buf_append_bytes(&t->collected, data) == ERR_OK && data.len < room)
        return;
    transfer_end(t);
}

void transfer_body(struct transfer *t, struct bytes part)
{
    if (!transfer_owned(t) || llm_builder_ended(t->builder))
        return;
    __builtin_prefetch(t->builder->log->last_);
    if (t->state.state == TRANSFER_HEAD)
        begin_body(t);
    if (llm_builder_ended(t->builder)) {
        transfer_mark(t);
        return;
    }
    switch (t->state.state) {
    case TRANSFER_EVENTS:
    case TRANSFER_TOKENS:
        feed_events(t, part);
        break;
    case TRANSFER_JSON:
        collect_json(t, part);
        break;
    default:
        collect_error(t, part);
        break;
    }
    if (transfer_has_news(t))
        transfer_mark(t);
}

static void fail_by_status(struct transfer *t)
{
    struct fault f = {.kind = FAULT_INVALID_RESPONSE};
    t->dialect->decode_error(t->status, buf_bytes(&t->collected), &f);
    f.error.retry_after_s = retry_after_s(&t->retry_after, clock_unix_s());
    transfer_fail(t, &f);
}

static void fail_by_curl(struct transfer *t)
{
    struct fault f;
    fault_of_curl(t, &f);
    transfer_fail(t, &f);
}

void transfer_end(struct transfer *t)
{
    struct fault f;
    if (llm_builder_ended(t->builder))
        return;
    /* curl takes a connection that closes inside of the head for an empty answer. */
    if (t->result == CURLE_OK && t->state.state == TRANSFER_ASKED)
        t->result = CURLE_GOT_NOTHING;
    /* An error's status alone says more than how its body was lost. */
    if (t->state.state == TRANSFER_HEAD && (t->result == CURLE_OK || t->status > 299))
        begin_body(t);
    const unsigned state = t->state.state;
    const bool events = state == TRANSFER_EVENTS || state == TRANSFER_TOKENS;
    if (state == TRANSFER_ERROR && !llm_builder_ended(t->builder)) {
        fail_by_status(t);
    } else if (events && t->result != CURLE_WEIRD_SERVER_REPLY) {
        /* However it ended, the dialect knows whether the answer is whole. */
        t->dialect->decode_end(t->decoder);
    } else if (state == TRANSFER_JSON && t->result == CURLE_OK) {
        t->dialect->decode_answer(t->decoder, buf_bytes(&t->collected));
        if (!llm_builder_ended(t->builder))
            t->dialect->decode_end(t->decoder);
    } else if (t->result != CURLE_OK) {
        fail_by_curl(t);
    }
    if (!llm_builder_ended(t->builder)) {
        fault_invalid(t, "nothing that could be understood", &f);
        transfer_fail(t, &f);
    }
}

void transfer_log_fault(struct transfer *t)
{
    const struct llm_builder *b = t->builder;
    const struct api_error *e = &b->log->end.error;
    unsigned suppressed;
    if (!log_gate_pass(&t->origin->failures, loop_now(t->u->loop), &suppressed))
        return;
    log_write(LOG_LEVEL_WARN, &t->ids,
              "attempt failed provider=%s status=%d kind=%s code=%s "
              "provider_request=%s curl=%d detail=%s suppressed=%u",
              t->origin->provider->name, t->status, fault_name(b->fault), e->code ? e->code : "",
              t->report->request_id, (int)t->result, t->detail, suppressed);
}

#include "loadtest/kit/json_scan.h"
#include "loadtest/load.h"

void load_error(struct load *l, const char *kind)
{
    struct load_stats *s = &l->stats;
    unsigned i = 0;
    while (i < s->n_errors && strcmp(s->errors[i].name, kind) != 0)
        i++;
    if (i == MAX_ERROR_KINDS)
        i = MAX_ERROR_KINDS - 1; /* too many kinds: the last one takes the rest */
    if (i == s->n_errors) {
        s->n_errors++;
        (void)snprintf(s->errors[i].name, sizeof(s->errors[i].name), "%s", kind);
    }
    s->errors[i].count++;
}

void answer_begin(struct lane *n)
{
    struct load *l = n->session->load;
    token_check_init(&n->check);
    n->ended = n->broken = n->usage_known = false;
    n->sequence = -1;
    n->last = n->end_time = 0;
    n->leave_at = UINT32_MAX;
    if (n->session->leaver)
        n->leave_at = 1 + (uint32_t)(load_random(&l->random) * (double)(l->expected ? l->expected : 16));
}

static void on_text(struct lane *n, struct bytes text)
{
    struct load *l = n->session->load;
    struct load_stats *s = &l->stats;
    unsigned tokens = token_check_feed(&n->check, text);
    s->tokens += tokens;
    s->deltas++;
    if (n->session->slow)
        return; /* its times say how slow it was made */
    if (n->last == 0)
        hist_record(&s->first, l->now - n->intended);
    else
        hist_record(&s->gap, l->now - n->last);
    if (tokens && n->check.stamp_us && l->now / 1000 >= n->check.stamp_us)
        hist_record(&s->transit, l->now - n->check.stamp_us * 1000);
    n->last = l->now;
}

static void on_usage(struct lane *n, struct bytes object, const char *path)
{
    struct bytes v;
    if (jscan_path(object, path, &v) && jscan_u32(v, &n->usage_tokens))
        n->usage_known = true;
}

static void on_end(struct lane *n)
{
    n->ended = true;
    n->end_time = n->session->load->now;
}

static void fail(struct lane *n, const char *kind)
{
    if (!n->broken)
        load_error(n->session->load, kind);
    n->broken = true;
}

/* The kind of an error object: its code, or else its type. */
static void fail_coded(struct lane *n, struct bytes error)
{
    char kind[ERROR_NAME];
    struct bytes v, text;
    if ((jscan_member(error, "code", &v) && jscan_string(v, &text)) ||
        (jscan_member(error, "type", &v) && jscan_string(v, &text)))
        (void)snprintf(kind, sizeof(kind), "answer:%.*s", BYTES_FMT(text));
    else
        (void)snprintf(kind, sizeof(kind), "answer:error");
    fail(n, kind);
}

static void chat_event(struct lane *n, struct bytes data)
{
    struct bytes choices, choice, v, text;
    if (bytes_is(data, "[DONE]")) {
        on_end(n);
        return;
    }
    if (!jscan_member(data, "choices", &choices)) {
        if (jscan_member(data, "error", &v))
            fail_coded(n, v);
        else
            fail(n, "answer:unknown_event");
        return;
    }
    if (!jscan_element(choices, 0, &choice)) {
        on_usage(n, data, "usage.completion_tokens");
        return;
    }
    if (jscan_path(choice, "delta.content", &v) && jscan_string(v, &text) && text.len)
        on_text(n, text);
    else
        on_usage(n, data, "usage.completion_tokens");
}

static void check_sequence(struct lane *n, struct bytes data)
{
    struct bytes v;
    uint32_t sequence;
    if (!jscan_member(data, "sequence_number", &v) || !jscan_u32(v, &sequence)) {
        fail(n, "answer:no_sequence_number");
        return;
    }
    if ((int64_t)sequence <= n->sequence)
        fail(n, "answer:sequence_number_not_growing");
    n->sequence = sequence;
}

static bool ends_with(struct bytes s, const char *tail)
{
    size_t len = strlen(tail);
    return s.len >= len && memcmp(s.data + s.len - len, tail, len) == 0;
}

static void responses_event(struct lane *n, struct bytes type, struct bytes data)
{
    struct bytes v, text;
    if (bytes_is(type, "error")) {
        fail_coded(n, jscan_member(data, "error", &v) ? v : data);
        on_end(n);
        return;
    }
    check_sequence(n, data);
    if (bytes_is(type, "response.output_text.delta")) {
        if (jscan_member(data, "delta", &v) && jscan_string(v, &text))
            on_text(n, text);
        return;
    }
    if (bytes_is(type, "response.completed")) {
        on_usage(n, data, "response.usage.output_tokens");
        on_end(n);
    } else if (bytes_is(type, "response.failed") || bytes_is(type, "response.incomplete")) {
        fail_coded(n, jscan_path(data, "response.error", &v) ? v : data);
        on_end(n);
    }
}

/* A WebSocket message names its lane; ours are "l0", "l1", ... */
static struct lane *lane_of(struct session *s, struct bytes data)
{
    struct bytes v, name;
    uint32_t number = 0;
    if (jscan_member(data, "stream_id", &v) && jscan_string(v, &name) && name.len > 1 &&
        !jscan_u32(bytes_skip(name, 1), &number))
        return NULL;
    return number < s->load->o.lanes ? &s->lanes[number] : NULL;
}

void answer_event(struct session *s, struct lane *n, struct bytes data)
{
    struct bytes v, type;
    if (s->load->mode == MODE_CHAT_SSE) {
        chat_event(n, data);
    } else {
        if (!jscan_member(data, "type", &v) || !jscan_string(v, &type)) {
            load_error(s->load, "message:no_type");
            return;
        }
        if (s->load->mode == MODE_WS) {
            if (bytes_starts(type, BYTES("session.")))
                return;
            n = lane_of(s, data);
            if (!n || !n->running) {
                load_error(s->load, ends_with(type, "error") ? "message:error" : "message:for_no_request");
                return;
            }
        }
        responses_event(n, type, data);
    }
    if (n->check.next >= n->leave_at && !n->ended) {
        session_drop(s, NULL);
        return;
    }
    if (s->load->mode == MODE_WS && n->ended)
        answer_over(n, NULL);
}

static bool answer_text(struct load *l, struct bytes body, struct bytes *ret_text)
{
    struct bytes v, output, item;
    if (l->mode == MODE_CHAT_JSON)
        return jscan_path(body, "choices.0.message.content", &v) && jscan_string(v, ret_text);
    if (!jscan_member(body, "output", &output))
        return false;
    for (unsigned i = 0; jscan_element(output, i, &item); i++)
        if (jscan_member(item, "type", &v) && bytes_is(v, "\"message\""))
            return jscan_path(item, "content.0.text", &v) && jscan_string(v, ret_text);
    return false;
}

void answer_body(struct lane *n, struct bytes body)
{
    struct load *l = n->session->load;
    struct bytes text;
    if (!answer_text(l, body, &text)) {
        fail(n, "answer:no_text");
        return;
    }
    on_text(n, text);
    on_usage(n, body, l->mode == MODE_CHAT_JSON ? "usage.completion_tokens" : "usage.output_tokens");
    on_end(n);
}

static bool check_tokens(struct lane *n, bool whole)
{
    struct load *l = n->session->load;
    struct load_stats *s = &l->stats;
    uint32_t expected = n->check.next;
    if (whole)
        expected = l->expected ? l->expected : n->usage_known ? n->usage_tokens : expected;
    if (whole)
        token_check_end(&n->check, expected);
    s->lost += n->check.lost, s->doubled += n->check.doubled, s->reordered += n->check.reordered;
    s->malformed += n->check.malformed, s->extra += n->check.extra;
    return token_check_ok(&n->check);
}

void answer_over(struct lane *n, const char *why)
{
    struct session *session = n->session;
    struct load *l = session->load;
    struct load_stats *s = &l->stats;
    if (why)
        fail(n, why);
    else if (!n->ended && !n->broken && n->check.next < n->leave_at)
        fail(n, "answer:truncated");
    bool left = !n->ended && !n->broken;
    bool good = check_tokens(n, n->ended && !n->broken);
    if (!good)
        fail(n, "answer:wrong_tokens");
    n->running = n->sent = false;
    session->running--;
    l->running--;
    l->last_end = l->now;
    if (n->broken) {
        s->failed++;
    } else if (left) {
        s->left++;
    } else {
        s->ok++;
        s->slow_ok += session->slow;
        if (!session->slow)
            hist_record(&s->whole, n->end_time - n->intended);
    }
    drive_lane_over(n, !n->broken);
}

/* HTTP/1.1 as a client: the request is the same every time; the answer is parsed as it comes (RFC 9112). */
#include "loadtest/load.h"
#include <stdlib.h>

enum { MAX_HEAD = 65536 };

static const char *request_path(const struct load *l)
{
    if (strcmp(l->target.path, "/") != 0)
        return l->target.path;
    return l->mode == MODE_CHAT_SSE || l->mode == MODE_CHAT_JSON ? "/v1/chat/completions" : "/v1/responses";
}

bool http_build(struct load *l)
{
    struct buf body;
    buf_init(&body, 64 << 20);
    bool ok = body_build(l, NULL, &body);
    bool stream = l->mode == MODE_CHAT_SSE || l->mode == MODE_RESPONSES_SSE;
    buf_init(&l->http_request, 65 << 20);
    (void)buf_printf(&l->http_request,
                     "POST %s HTTP/1.1\r\nhost: %s\r\ncontent-type: application/json\r\naccept: %s\r\n"
                     "user-agent: sluice-load\r\ncontent-length: %zu\r\n",
                     request_path(l), l->target.host, stream ? "text/event-stream" : "application/json",
                     body.len);
    if (l->o.key)
        (void)buf_printf(&l->http_request, "authorization: Bearer %s\r\n", l->o.key);
    (void)buf_append(&l->http_request, "\r\n", 2);
    (void)buf_append_bytes(&l->http_request, buf_bytes(&body));
    buf_free(&body);
    return ok && !l->http_request.failed;
}

static void sse_line(struct session *s, struct bytes line)
{
    struct lane *n = &s->lanes[0];
    if (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    if (!bytes_starts(line, BYTES("data:")))
        return;
    line = bytes_skip(line, 5);
    if (line.len && line.data[0] == ' ')
        line = bytes_skip(line, 1);
    answer_event(s, n, line);
}

/* False: the session has been dropped (a leaver left). */
static bool sse_body(struct session *s, struct bytes data)
{
    uint32_t epoch = s->epoch;
    while (data.len) {
        const char *end = memchr(data.data, '\n', data.len);
        size_t len = end ? (size_t)(end - data.data) : data.len;
        struct bytes line = bytes_of(data.data, len);
        data = bytes_skip(data, len + 1);
        if (s->body.len || !end) {
            if (buf_append_bytes(&s->body, line) != ERR_OK) {
                session_drop(s, "message:too_big");
                return false;
            }
            line = buf_bytes(&s->body);
        }
        if (!end)
            return true;
        sse_line(s, line);
        if (s->epoch != epoch)
            return false;
        buf_reset(&s->body);
    }
    return true;
}

static bool on_body(struct session *s, struct bytes data)
{
    bool sse = s->load->mode == MODE_CHAT_SSE || s->load->mode == MODE_RESPONSES_SSE;
    if (sse && s->status == 200)
        return sse_body(s, data);
    if (buf_append_bytes(&s->body, data) == ERR_OK)
        return true;
    session_drop(s, "message:too_big");
    return false;
}

/* The answer has come whole. False: the session has been closed. */
static bool message_over(struct session *s)
{
    struct lane *n = &s->lanes[0];
    char kind[ERROR_NAME];
    const char *why = NULL;
    bool json = s->load->mode == MODE_CHAT_JSON || s->load->mode == MODE_RESPONSES_JSON;
    if (s->status != 200) {
        (void)snprintf(kind, sizeof(kind), "http:%u", s->status);
        why = kind;
    } else if (json) {
        answer_body(n, buf_bytes(&s->body));
    }
    buf_free(&s->body);
    s->http = HTTP_HEAD;
    uint32_t epoch = s->epoch;
    if (s->close_after)
        session_close(s); /* before the lane starts its next request, which must open anew */
    answer_over(n, why);
    return s->epoch == epoch;
}

static bool take_line(struct bytes *text, struct bytes *ret_line)
{
    const char *end = text->len ? memchr(text->data, '\n', text->len) : NULL;
    if (!end)
        return false;
    size_t len = (size_t)(end - text->data);
    *ret_line = bytes_of(text->data, len && end[-1] == '\r' ? len - 1 : len);
    *text = bytes_skip(*text, len + 1);
    return true;
}

static void parse_header(struct session *s, struct bytes line)
{
    const char *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
    if (!colon)
        return;
    struct bytes name = bytes_of(line.data, (size_t)(colon - line.data));
    struct bytes value = bytes_trim_ows(bytes_skip(line, name.len + 1));
    if (bytes_eq_nocase(name, BYTES("content-length")) &&
        bytes_to_u64(value, UINT32_MAX, &s->body_left) == ERR_OK)
        s->http = HTTP_SIZED;
    else if (bytes_eq_nocase(name, BYTES("transfer-encoding")) && bytes_eq_nocase(value, BYTES("chunked")))
        s->http = HTTP_CHUNK_SIZE;
    else if (bytes_eq_nocase(name, BYTES("connection")) && bytes_eq_nocase(value, BYTES("close")))
        s->close_after = true;
}

static bool parse_head(struct session *s, struct bytes head)
{
    struct bytes line;
    uint64_t status;
    if (!take_line(&head, &line) || line.len < 12 || !bytes_starts(line, BYTES("HTTP/1.")) ||
        bytes_to_u64(bytes_of(line.data + 9, 3), 999, &status) != ERR_OK || !s->lanes[0].sent) {
        session_drop(s, "http:not_an_answer");
        return false;
    }
    s->status = (unsigned)status;
    s->http = HTTP_UNTIL_CLOSE;
    s->body_left = 0;
    buf_reset(&s->body);
    while (take_line(&head, &line) && line.len)
        parse_header(s, line);
    if (s->http == HTTP_UNTIL_CLOSE)
        s->close_after = true;
    if (s->http == HTTP_SIZED && s->body_left == 0)
        return message_over(s);
    return true;
}

/* The size line of a chunk. */
static bool parse_size(struct session *s, struct bytes line)
{
    uint64_t size = 0;
    size_t i = 0;
    for (; i < line.len && i < 8; i++) {
        unsigned c = (unsigned char)line.data[i] | 0x20u;
        if (c >= '0' && c <= '9')
            size = size * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            size = size * 16 + (c - 'a' + 10);
        else
            break;
    }
    if (i == 0) {
        session_drop(s, "http:bad_chunk");
        return false;
    }
    s->body_left = size;
    s->http = size ? HTTP_CHUNK : HTTP_TRAILER;
    return true;
}

/* One step in a state that eats whole lines. *ret_more: false when a line is not there yet. */
static bool step_line(struct session *s, struct bytes *in, bool *ret_more)
{
    struct bytes line;
    *ret_more = take_line(in, &line);
    if (!*ret_more)
        return true;
    if (s->http == HTTP_CHUNK_SIZE)
        return parse_size(s, line);
    if (s->http == HTTP_CHUNK_END)
        s->http = HTTP_CHUNK_SIZE;
    else if (line.len == 0)
        return message_over(s);
    return true;
}

static bool step_body(struct session *s, struct bytes *in)
{
    size_t n = s->http == HTTP_UNTIL_CLOSE ? in->len : (size_t)MIN((uint64_t)in->len, s->body_left);
    struct bytes part = bytes_of(in->data, n);
    *in = bytes_skip(*in, n);
    if (!on_body(s, part))
        return false;
    if (s->http == HTTP_UNTIL_CLOSE)
        return true;
    s->body_left -= n;
    if (s->body_left)
        return true;
    if (s->http == HTTP_SIZED)
        return message_over(s);
    s->http = HTTP_CHUNK_END;
    return true;
}

static bool step_head(struct session *s, struct bytes *in, bool *ret_more)
{
    const char *end = memmem(in->data, in->len, "\r\n\r\n", 4);
    *ret_more = end != NULL;
    if (!end) {
        if (in->len < MAX_HEAD)
            return true;
        session_drop(s, "http:big_head");
        return false;
    }
    size_t len = (size_t)(end - in->data) + 4;
    struct bytes head = bytes_of(in->data, len);
    *in = bytes_skip(*in, len);
    return parse_head(s, head);
}

bool http_feed(struct session *s, struct bytes in, size_t *ret_used)
{
    size_t len = in.len;
    bool more = true;
    while (more && in.len) {
        bool ok;
        if (s->http == HTTP_HEAD)
            ok = step_head(s, &in, &more);
        else if (s->http == HTTP_SIZED || s->http == HTTP_UNTIL_CLOSE || s->http == HTTP_CHUNK)
            ok = step_body(s, &in);
        else
            ok = step_line(s, &in, &more);
        if (!ok)
            return false;
    }
    *ret_used = len - in.len;
    return true;
}

bool http_closed_is_end(struct session *s)
{
    if (s->http != HTTP_UNTIL_CLOSE || !s->lanes[0].running)
        return false;
    (void)message_over(s);
    return true;
}

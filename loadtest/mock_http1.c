/* HTTP/1.1 (RFC 9112), as much of it as API clients and proxies use: bodies with a Content-Length,
 * connections kept alive, one request at a time. */
#include "loadtest/mock.h"
#include <stdio.h>

enum { MAX_HEAD = 32768, MAX_BODY = 64 << 20, OUT_FULL = 256 * 1024 };

struct head {
    struct bytes method, path;
    uint64_t body_len;
    bool close, chunked;
};

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

static struct bytes take_word(struct bytes *text)
{
    const char *space = text->len ? memchr(text->data, ' ', text->len) : NULL;
    size_t len = space ? (size_t)(space - text->data) : text->len;
    struct bytes word = bytes_of(text->data, len);
    *text = bytes_skip(*text, len + 1);
    return word;
}

static bool parse_header(struct bytes line, struct head *h)
{
    const char *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
    if (!colon)
        return false;
    struct bytes name = bytes_of(line.data, (size_t)(colon - line.data));
    struct bytes value = bytes_trim_ows(bytes_skip(line, name.len + 1));
    if (bytes_eq_nocase(name, BYTES("content-length")))
        return bytes_to_u64(value, MAX_BODY, &h->body_len) == ERR_OK;
    if (bytes_eq_nocase(name, BYTES("connection")))
        h->close = bytes_eq_nocase(value, BYTES("close"));
    if (bytes_eq_nocase(name, BYTES("transfer-encoding")))
        h->chunked = true;
    return true;
}

static bool parse_head(struct bytes text, struct head *h)
{
    struct bytes line;
    *h = (struct head){0};
    if (!take_line(&text, &line))
        return false;
    h->method = take_word(&line);
    h->path = take_word(&line);
    if (bytes_is(line, "HTTP/1.0"))
        h->close = true;
    while (take_line(&text, &line) && line.len)
        if (!parse_header(line, h))
            return false;
    return true;
}

static void send_parts(struct mock_conn *c, const struct iovec *parts, unsigned n)
{
    if (stream_write(&c->stream, parts, n) != ERR_OK)
        (void)shutdown(c->stream.fd, SHUT_RDWR); /* epoll will report it, and the connection goes there */
    conn_update(c);
}

static void send_small(struct mock_conn *c, const char *status, const char *body)
{
    char room[512];
    int n = snprintf(room, sizeof(room),
                     "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s", status,
                     strlen(body), body);
    struct iovec part = {room, (size_t)n};
    send_parts(c, &part, 1);
}

static void out_send(struct answer *a, size_t from, size_t to)
{
    struct mock_conn *c = CONTAINER_OF(a, struct mock_conn, answer);
    const struct script *s = a->script;
    const char *data = s->stamps ? answer_stamped(a, from, to) : s->bytes.data + from;
    struct iovec parts[2];
    unsigned n = 0;
    char head[256];
    if (!data) {
        (void)shutdown(c->stream.fd, SHUT_RDWR);
        return;
    }
    if (from == 0) {
        const char *status = answer_is_error(a) ? "500 Internal Server Error" : "200 OK";
        int len = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\ncontent-type: %s\r\n", status,
                           answer_content_type(a));
        if (s->key.chunked)
            len += snprintf(head + len, sizeof(head) - (size_t)len,
                            "cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n");
        else
            len +=
                snprintf(head + len, sizeof(head) - (size_t)len, "content-length: %zu\r\n\r\n", s->bytes.len);
        parts[n++] = (struct iovec){head, (size_t)len};
    }
    parts[n++] = (struct iovec){(void *)data, to - from};
    send_parts(c, parts, n);
}

static bool out_full(const struct answer *a)
{
    return CONTAINER_OF(a, const struct mock_conn, answer)->stream.out.len > OUT_FULL;
}

static void out_cut(struct answer *a)
{
    (void)shutdown(CONTAINER_OF(a, struct mock_conn, answer)->stream.fd, SHUT_RDWR);
}

static void out_done(struct answer *a)
{
    struct mock_conn *c = CONTAINER_OF(a, struct mock_conn, answer);
    if (c->close_after && c->stream.out.len == 0)
        (void)shutdown(c->stream.fd, SHUT_WR);
    else if (c->in.len && !c->parsing && !http1_input(c))
        (void)shutdown(c->stream.fd, SHUT_RDWR);
}

const struct answer_out http1_out = {out_send, out_full, out_cut, out_done};

static void begin(struct mock_conn *c, const struct head *h, struct bytes body)
{
    struct mock_request r = {.spec = c->loop->defaults};
    const char *reason = NULL;
    c->loop->stats.requests++;
    if (bytes_is(h->method, "GET")) {
        send_small(c, "200 OK", "{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\"}]}");
        return;
    }
    if (bytes_is(h->path, "/v1/responses"))
        r.format = MOCK_RESPONSES;
    else if (!bytes_is(h->path, "/v1/chat/completions"))
        reason = "no such path";
    if (!reason && mock_request_parse(body, &r, &reason) && !answer_start(&c->answer, &r, true))
        reason = "that answer would be too big";
    if (reason) {
        char text[256];
        (void)snprintf(text, sizeof(text),
                       "{\"error\":{\"message\":\"%s\",\"type\":\"invalid_request_error\"}}", reason);
        c->loop->stats.refused++;
        send_small(c, "400 Bad Request", text);
    }
}

bool http1_input(struct mock_conn *c)
{
    struct head h;
    bool ok = true;
    c->parsing = true;
    while (c->in.len && !c->answer.script && !c->close_after) {
        const char *end = memmem(c->in.data, c->in.len, "\r\n\r\n", 4);
        if (!end) {
            ok = c->in.len < MAX_HEAD;
            break;
        }
        size_t head_len = (size_t)(end - c->in.data) + 4;
        if (!parse_head(bytes_of(c->in.data, head_len), &h) || h.chunked) {
            ok = false;
            break;
        }
        if (c->in.len - head_len < h.body_len)
            break;
        c->close_after = h.close;
        begin(c, &h, bytes_of(c->in.data + head_len, h.body_len));
        buf_consume(&c->in, head_len + h.body_len);
    }
    if (c->in.len == 0)
        buf_free(&c->in);
    if (ok && c->close_after && !c->answer.script && c->stream.out.len == 0)
        (void)shutdown(c->stream.fd, SHUT_WR);
    c->parsing = false;
    return ok;
}

void http1_writable(struct mock_conn *c)
{
    if (c->stream.out.len <= OUT_FULL)
        answer_continue(&c->answer);
    if (c->close_after && !c->answer.script && c->stream.out.len == 0)
        (void)shutdown(c->stream.fd, SHUT_WR);
}

#include "common/clock.h"
#include "common/log.h"
#include "gateway/server/http_conn.h"
#include <stdio.h>
#include <time.h>

static const struct {
    int status;
    const char *text;
} reasons[] = {
    {101, "Switching Protocols"},
    {200, "OK"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

static const char *reason_of(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Unknown";
}

/* IMF-fixdate (RFC 9110, 5.6.7), made once a second, whatever the locale. */
static const char *date(struct server *s)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const int64_t now = clock_unix_s();
    const time_t t = (time_t)now;
    struct tm tm;
    if (now != s->date_s && gmtime_r(&t, &tm)) {
        snprintf(s->date, sizeof(s->date), "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday],
                 (unsigned)tm.tm_mday % 100U, months[tm.tm_mon], (unsigned)(tm.tm_year + 1900) % 10000U,
                 (unsigned)tm.tm_hour % 100U, (unsigned)tm.tm_min % 100U, (unsigned)tm.tm_sec % 100U);
        s->date_s = now;
    }
    return s->date;
}

/* A head in the making. What does not fit is a bug of ours, as all that goes in is bounded; it is never cut.
 */
struct head {
    char text[HTTP_HEAD_ROOM];
    size_t len;
};

static void add(struct head *h, struct bytes text)
{
    assert(text.len <= sizeof(h->text) - h->len);
    if (text.len > 0)
        memcpy(h->text + h->len, text.data, text.len);
    h->len += text.len;
}

static void add_number(struct head *h, uint64_t n, unsigned base)
{
    char room[BYTES_U64_ROOM];
    add(h, bytes_from_u64(n, base, room));
}

static void add_line(struct head *h, struct bytes name, struct bytes value)
{
    add(h, name);
    add(h, value);
    add(h, BYTES("\r\n"));
}

static void add_number_line(struct head *h, struct bytes name, uint64_t value)
{
    add(h, name);
    add_number(h, value, 10);
    add(h, BYTES("\r\n"));
}

static void add_common(struct head *h, struct conn *c, const struct answer *a)
{
    const struct http_conn *http = c->http;
    const bool keep_alive = http->keep_alive && server_phase(c->server) == PHASE_SERVING;
    add(h, BYTES("HTTP/1.1 "));
    add_number(h, (uint64_t)a->status, 10);
    add(h, BYTES(" "));
    add_line(h, bytes_cstr(reason_of(a->status)), BYTES(""));
    add_line(h, BYTES("Date: "), bytes_cstr(date(c->server)));
    if (http->request_id[0])
        add_line(h, BYTES("x-request-id: "), bytes_cstr(http->request_id));
    if (a->status != 101 && http->began_ms != 0)
        add_number_line(h, BYTES("openai-processing-ms: "), server_now(c->server) - http->began_ms);
    if (a->content_type) {
        add_line(h, BYTES("Content-Type: "), bytes_cstr(a->content_type));
        add(h, BYTES("X-Content-Type-Options: nosniff\r\n"));
    }
    if (a->retry_after_s > 0)
        add_number_line(h, BYTES("Retry-After: "), (uint64_t)a->retry_after_s);
    if (a->status == 401)
        add(h, BYTES("WWW-Authenticate: Bearer\r\n"));
    add(h, buf_bytes(&http->headers));
    if (a->status == 101 || a->status == 426)
        add_line(h, BYTES("Upgrade: websocket\r\nConnection: Upgrade"),
                 a->status == 426 && !keep_alive ? BYTES(", close") : BYTES(""));
    else if (!keep_alive)
        add(h, BYTES("Connection: close\r\n"));
}

static struct buf *begin(struct conn *c)
{
    struct buf *out = &c->server->out;
    buf_reset(out);
    if (buf_reserve(out, HTTP_HEAD_ROOM) == ERR_OK)
        out->len = HTTP_HEAD_ROOM;
    else
        out->failed = true;
    return out;
}

/* Puts the head right in front of what was encoded behind the room for it: one write, nothing moved. */
static void send_with(struct conn *c, const struct head *h, struct bytes body)
{
    struct buf *out = &c->server->out;
    memcpy(out->data + HTTP_HEAD_ROOM - h->len, h->text, h->len);
    conn_send(c, bytes_of(out->data + HTTP_HEAD_ROOM - h->len, h->len + body.len));
}

struct buf *http_answer_begin(struct conn *c)
{
    return begin(c);
}

void http_answer_send(struct conn *c, const struct answer *a)
{
    struct buf *out = &c->server->out;
    struct head h;
    h.len = 0;
    if (out->failed) {
        LOG_WARN("http an answer does not fit into memory");
        conn_doom(c);
        return;
    }
    struct bytes body = bytes_of(out->data + HTTP_HEAD_ROOM, out->len - HTTP_HEAD_ROOM);
    add_common(&h, c, a);
    if (a->content_type)
        add_number_line(&h, BYTES("Content-Length: "), body.len);
    if (a->content_type && !c->http->asset)
        add(&h, BYTES("Cache-Control: no-store\r\n"));
    add(&h, BYTES("\r\n"));
    if (c->http->head_only || !a->content_type)
        body.len = 0;
    LOG_DEBUG_OF(&c->ids, "http answer status=%d", a->status);
    send_with(c, &h, body);
    c->served = true;
}

void http_answer_error(struct conn *c, const struct api_error *e)
{
    const struct answer a = {
        .status = e->status, .content_type = "application/json", .retry_after_s = e->retry_after_s};
    const struct dialect *d = http_dialect(c->http);
    d->encode_error(e, http_answer_begin(c));
    http_answer_send(c, &a);
}

struct buf *http_stream_begin(struct conn *c)
{
    return begin(c);
}

void http_stream_send(struct conn *c, bool last)
{
    static const struct answer answer = {.status = 200, .content_type = "text/event-stream"};
    struct http_conn *http = c->http;
    struct buf *out = &c->server->out;
    struct head h;
    h.len = 0;
    const size_t len = out->len - HTTP_HEAD_ROOM;
    if (!http->streaming) {
        add_common(&h, c, &answer);
        add(&h, BYTES("Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n"));
        add_line(&h, http->http10 ? BYTES("") : BYTES("Transfer-Encoding: chunked\r\n"), BYTES(""));
        LOG_DEBUG_OF(&c->ids, "http stream");
    }
    if (!http->http10) {
        if (len > 0) {
            add_number(&h, len, 16);
            add(&h, BYTES("\r\n"));
            buf_append_bytes(out, BYTES("\r\n"));
        }
        if (last)
            buf_append_bytes(out, BYTES("0\r\n\r\n"));
    }
    if (out->failed) {
        LOG_WARN("http an event does not fit into memory");
        conn_doom(c);
        return;
    }
    http->streaming = true;
    c->served = true;
    send_with(c, &h, bytes_of(out->data + HTTP_HEAD_ROOM, out->len - HTTP_HEAD_ROOM));
}

#include "protocols/http1/http1_request_head.h"

static bool is_token(struct bytes s)
{
    return s.len > 0 && http1_all(s, HTTP1_TOKEN);
}

/* What is being parsed, and why it is refused. */
struct head {
    struct bytes rest;
    struct http1_request *req;
    struct http1_framing framing;
    uint64_t max_body;
    unsigned n_host, n_encoding;
    bool absolute, close, keep;
    int status;
    const char *reason;
};

static bool refuse(struct head *h, int status, const char *reason)
{
    h->status = status;
    h->reason = reason;
    return false;
}

/* The next line without its CR LF. A CR or LF anywhere else is refused: readers differ over what it ends. */
static bool next_line(struct head *h, struct bytes *ret)
{
    const char *lf = memchr(h->rest.data, '\n', h->rest.len);
    size_t len = lf ? (size_t)(lf - h->rest.data) : 0;
    if (!lf || len == 0 || lf[-1] != '\r' || memchr(h->rest.data, '\r', len) != lf - 1)
        return refuse(h, 400, "a line does not end in CR LF");
    *ret = bytes_of(h->rest.data, len - 1);
    h->rest = bytes_skip(h->rest, len + 1);
    return true;
}

static bool parse_version(struct head *h, struct bytes v)
{
    if (v.len != 8 || memcmp(v.data, "HTTP/", 5) != 0 || v.data[6] != '.' || v.data[5] < '0' ||
        v.data[5] > '9' || v.data[7] < '0' || v.data[7] > '9')
        return refuse(h, 400, "malformed request line");
    if (v.data[5] != '1')
        return refuse(h, 505, "only HTTP/1.1 is spoken here");
    h->req->http10 = v.data[7] == '0';
    return true;
}

/* scheme://authority/path (RFC 9112, 3.2.2): the authority takes the place of the Host header's. */
static bool parse_absolute(struct head *h, struct bytes target)
{
    size_t end = 0;
    while (end < target.len && target.data[end] != '/' && target.data[end] != '?')
        end++;
    if (end == 0 || !http1_host_parse(bytes_of(target.data, end), &h->req->host))
        return refuse(h, 400, "malformed request target");
    h->absolute = true;
    h->req->path = bytes_skip(target, end);
    return true;
}

static bool parse_target(struct head *h, struct bytes target)
{
    for (size_t i = 0; i < target.len; i++)
        if (target.data[i] <= ' ' || target.data[i] > '~' || target.data[i] == '#')
            return refuse(h, 400, "malformed request target");
    h->req->path = target;
    if (target.len > 7 && bytes_eq_nocase(bytes_of(target.data, 7), BYTES("http://"))) {
        if (!parse_absolute(h, bytes_skip(target, 7)))
            return false;
    } else if (target.len > 8 && bytes_eq_nocase(bytes_of(target.data, 8), BYTES("https://"))) {
        if (!parse_absolute(h, bytes_skip(target, 8)))
            return false;
    } else if (bytes_is(target, "*") && bytes_is(h->req->method, "OPTIONS")) {
        return true;
    } else if (target.len == 0 || target.data[0] != '/') {
        return refuse(h, 400, "malformed request target");
    }
    struct bytes path;
    struct bytes rest = h->req->path;
    if (http1_cut(&rest, '?', &path)) {
        h->req->path = path;
        h->req->query = rest;
    }
    if (h->req->path.len == 0)
        h->req->path = BYTES("/");
    return true;
}

static bool parse_request_line(struct head *h)
{
    struct bytes line, method, target;
    if (!next_line(h, &line))
        return false;
    if (!http1_cut(&line, ' ', &method) || !http1_cut(&line, ' ', &target) || !is_token(method) ||
        method.len > 32)
        return refuse(h, 400, "malformed request line");
    h->req->method = method;
    if (!parse_version(h, line))
        return false;
    if (bytes_is(method, "CONNECT"))
        return refuse(h, 501, "CONNECT is not implemented");
    return parse_target(h, target);
}

static bool on_length(struct head *h, struct bytes value)
{
    if (h->framing.sized)
        return refuse(h, 400, "more than one Content-Length");
    enum err err = bytes_to_u64(value, h->max_body, &h->framing.length);
    if (err == ERR_LIMIT)
        return refuse(h, 413, "the body is larger than allowed");
    if (err != ERR_OK)
        return refuse(h, 400, "malformed Content-Length");
    h->framing.sized = true;
    return true;
}

static bool on_encoding(struct head *h, struct bytes value)
{
    if (++h->n_encoding > 1)
        return refuse(h, 400, "more than one Transfer-Encoding");
    if (!bytes_eq_nocase(value, BYTES("chunked")))
        return refuse(h, 501, "the only transfer coding is chunked");
    h->framing.chunked = true;
    return true;
}

static bool on_host(struct head *h, struct bytes value)
{
    if (++h->n_host > 1)
        return refuse(h, 400, "more than one Host");
    struct http1_host host;
    if (!http1_host_parse(value, &host))
        return refuse(h, 400, "malformed Host");
    if (!h->absolute)
        h->req->host = host;
    return true;
}

static bool on_connection(struct head *h, struct bytes value)
{
    struct bytes item;
    while (http1_list_next(&value, &item)) {
        h->close = h->close || bytes_eq_nocase(item, BYTES("close"));
        h->keep = h->keep || bytes_eq_nocase(item, BYTES("keep-alive"));
        h->req->upgrade = h->req->upgrade || bytes_eq_nocase(item, BYTES("upgrade"));
    }
    return true;
}

static bool on_expect(struct head *h, struct bytes value)
{
    if (!bytes_eq_nocase(value, BYTES("100-continue")))
        return refuse(h, 417, "unknown expectation");
    h->req->expect_continue = true;
    return true;
}

static const struct {
    struct bytes name;
    bool (*parse)(struct head *h, struct bytes value);
} own_fields[] = {
    {{"content-length", 14}, on_length},
    {{"transfer-encoding", 17}, on_encoding},
    {{"host", 4}, on_host},
    {{"connection", 10}, on_connection},
    {{"expect", 6}, on_expect},
};

static bool parse_field(struct head *h, struct bytes line)
{
    struct bytes name, value;
    if (line.data[0] == ' ' || line.data[0] == '\t')
        return refuse(h, 400, "folded header line");
    if (!http1_field(line, &name, &value))
        return refuse(h, 400, "malformed header name");
    if (!http1_all(value, HTTP1_FIELD))
        return refuse(h, 400, "control character in a header");
    if (h->req->n_headers == HTTP1_MAX_HEADERS)
        return refuse(h, 431, "too many headers");
    h->req->headers[h->req->n_headers++] = (struct http1_header){name, value};
    for (size_t i = 0; i < ARRAY_LEN(own_fields); i++)
        if (bytes_eq_nocase(name, own_fields[i].name))
            return own_fields[i].parse(h, value);
    return true;
}

static bool check(struct head *h)
{
    if (h->framing.chunked && h->framing.sized)
        return refuse(h, 400, "both Content-Length and Transfer-Encoding");
    if (h->req->http10 && h->framing.chunked)
        return refuse(h, 400, "HTTP/1.0 has no transfer codings");
    if (!h->req->http10 && h->n_host == 0)
        return refuse(h, 400, "no Host");
    return true;
}

static bool parse(struct head *h)
{
    struct bytes line;
    if (!parse_request_line(h))
        return false;
    for (;;) {
        if (!next_line(h, &line))
            return false;
        if (line.len == 0)
            return check(h);
        if (!parse_field(h, line))
            return false;
    }
}

int http1_parse_head(struct bytes head, uint64_t max_body, struct http1_request *req,
                     struct http1_framing *ret_framing, const char **ret_reason)
{
    struct head h = {.rest = head, .req = req, .max_body = max_body};
    *req = (struct http1_request){.n_headers = 0};
    if (!parse(&h)) {
        *ret_reason = h.reason;
        return h.status;
    }
    /* HTTP/1.0 clients that would keep the connection are few; a body that ends with it cannot be cut short
     * unseen. */
    req->keep_alive = !req->http10 && !h.close;
    req->has_body = h.framing.chunked || h.framing.length > 0;
    req->expect_continue = req->expect_continue && !req->http10 && req->has_body;
    *ret_framing = h.framing;
    return 0;
}

bool http1_find(const struct http1_request *r, const char *name, struct bytes *ret_value, size_t *ret_count)
{
    const struct bytes wanted = bytes_cstr(name);
    size_t count = 0;
    for (size_t i = 0; i < r->n_headers; i++)
        if (bytes_eq_nocase(r->headers[i].name, wanted) && ++count == 1)
            *ret_value = r->headers[i].value;
    if (ret_count)
        *ret_count = count;
    return count > 0;
}

bool http1_lists(const struct http1_request *r, const char *name, const char *token)
{
    const struct bytes wanted = bytes_cstr(name);
    for (size_t i = 0; i < r->n_headers; i++) {
        struct bytes list = r->headers[i].value, item;
        if (!bytes_eq_nocase(r->headers[i].name, wanted))
            continue;
        while (http1_list_next(&list, &item))
            if (bytes_eq_nocase(item, bytes_cstr(token)))
                return true;
    }
    return false;
}

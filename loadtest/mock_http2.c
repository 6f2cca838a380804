/* HTTP/2 (RFC 9113) by nghttp2: many answers on one connection, gathered into one write a loop turn. */
#include "loadtest/mock.h"
#include <stdio.h>
#include <stdlib.h>

enum { MAX_BODY = 16 << 20, OUT_FULL = 1 << 20, GATHER = 256 * 1024 };

struct h2 {
    nghttp2_session *session;
    struct list streams;
};

struct h2_stream {
    struct list node;
    struct mock_conn *conn;
    int32_t id;
    bool get, known_path, begun;
    struct mock_request request;
    struct buf body;
    struct answer answer;
    struct buf copy;     /* of a stamped answer: what is in the script is shared */
    struct script *held; /* for the bytes, after the answer has ended */
    size_t ready, sent;
    bool all_ready;
};

static void mark_dirty(struct mock_conn *c)
{
    if (!list_linked(&c->dirty))
        list_append(&c->loop->dirty, &c->dirty);
}

static ssize_t read_data(nghttp2_session *session, int32_t id, uint8_t *room, size_t size, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    struct h2_stream *s = source->ptr;
    (void)session, (void)id, (void)user;
    size_t n = MIN(size, s->ready - s->sent);
    if (n == 0 && !s->all_ready)
        return NGHTTP2_ERR_DEFERRED;
    const char *from = s->copy.len ? s->copy.data : s->held->bytes.data;
    memcpy(room, from + s->sent, n);
    s->sent += n;
    if (s->all_ready && s->sent == s->ready)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

#define NV(n, v)                                                                                             \
    {                                                                                                        \
        (uint8_t *)(n), (uint8_t *)(v), strlen(n), strlen(v), NGHTTP2_NV_FLAG_NONE                           \
    }

static void respond(struct h2_stream *s, const char *status, const char *type)
{
    nghttp2_nv headers[] = {NV(":status", status), NV("content-type", type)};
    nghttp2_data_provider from = {.source.ptr = s, .read_callback = read_data};
    (void)nghttp2_submit_response(s->conn->h2->session, s->id, headers, ARRAY_LEN(headers), &from);
}

static void out_send(struct answer *a, size_t from, size_t to)
{
    struct h2_stream *s = CONTAINER_OF(a, struct h2_stream, answer);
    if (a->script->stamps) {
        const char *data = answer_stamped(a, from, to);
        if (!data || buf_append(&s->copy, data, to - from) != ERR_OK)
            return;
    }
    if (from == 0) {
        s->held = a->script;
        s->held->refs++;
        respond(s, answer_is_error(a) ? "500" : "200", answer_content_type(a));
    } else {
        (void)nghttp2_session_resume_data(s->conn->h2->session, s->id);
    }
    s->ready = to;
    s->all_ready = to == a->script->bytes.len;
    mark_dirty(s->conn);
}

static bool out_full(const struct answer *a)
{
    (void)a; /* nghttp2 pulls: what is ready costs nothing until there is room */
    return false;
}

static void out_cut(struct answer *a)
{
    struct h2_stream *s = CONTAINER_OF(a, struct h2_stream, answer);
    (void)nghttp2_submit_rst_stream(s->conn->h2->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR);
    mark_dirty(s->conn);
}

static void out_done(struct answer *a)
{
    (void)a; /* the stream is freed when nghttp2 has sent its end */
}

static const struct answer_out http2_out = {out_send, out_full, out_cut, out_done};

static void stream_free(struct h2_stream *s)
{
    answer_abandon(&s->answer);
    if (s->held)
        script_put(s->conn->loop, s->held);
    buf_free(&s->body);
    buf_free(&s->copy);
    list_remove(&s->node);
    free(s);
}

static void refuse(struct h2_stream *s)
{
    nghttp2_nv status = NV(":status", "400");
    s->conn->loop->stats.refused++;
    (void)nghttp2_submit_response(s->conn->h2->session, s->id, &status, 1, NULL);
}

static void begin(struct h2_stream *s)
{
    const char *reason;
    s->begun = true;
    s->conn->loop->stats.requests++;
    if (s->get) {
        nghttp2_nv status = NV(":status", "204");
        (void)nghttp2_submit_response(s->conn->h2->session, s->id, &status, 1, NULL);
    } else if (!s->known_path || !mock_request_parse(buf_bytes(&s->body), &s->request, &reason) ||
               !answer_start(&s->answer, &s->request, false)) {
        refuse(s);
    }
    mark_dirty(s->conn);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct mock_conn *c = user;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct h2_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    s->conn = c;
    s->id = frame->hd.stream_id;
    s->request.spec = c->loop->defaults;
    buf_init(&s->body, MAX_BODY);
    buf_init(&s->copy, SCRIPT_MAX_BYTES);
    answer_init(&s->answer, c->loop, &http2_out);
    list_init(&s->node);
    list_append(&c->h2->streams, &s->node);
    return nghttp2_session_set_stream_user_data(session, s->id, s);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags, (void)user;
    struct bytes v = bytes_of(value, value_len);
    if (s && bytes_is(bytes_of(name, name_len), ":method"))
        s->get = bytes_is(v, "GET");
    if (s && bytes_is(bytes_of(name, name_len), ":path")) {
        s->request.format = bytes_is(v, "/v1/responses") ? MOCK_RESPONSES : MOCK_CHAT;
        s->known_path = s->request.format == MOCK_RESPONSES || bytes_is(v, "/v1/chat/completions");
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                   void *user)
{
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)flags, (void)user;
    if (s && buf_append(&s->body, data, len) != ERR_OK)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)user;
    if (s && !s->begun && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
        (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA))
        begin(s);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)code, (void)user;
    if (s)
        stream_free(s);
    return 0;
}

static nghttp2_session *new_session(struct mock_conn *c)
{
    nghttp2_session_callbacks *cb;
    nghttp2_session *session = NULL;
    if (nghttp2_session_callbacks_new(&cb) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    if (nghttp2_session_server_new(&session, cb, c) != 0)
        session = NULL;
    nghttp2_session_callbacks_del(cb);
    return session;
}

bool http2_start(struct mock_conn *c)
{
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->loop->max_streams}};
    c->h2 = calloc(1, sizeof(*c->h2));
    if (!c->h2)
        return false;
    list_init(&c->h2->streams);
    c->h2->session = new_session(c);
    if (!c->h2->session ||
        nghttp2_submit_settings(c->h2->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) != 0)
        return false;
    mark_dirty(c);
    return true;
}

bool http2_input(struct mock_conn *c, const char *data, size_t len)
{
    mark_dirty(c);
    ssize_t n = nghttp2_session_mem_recv(c->h2->session, (const uint8_t *)data, len);
    return n >= 0 && (size_t)n == len;
}

/* False: the connection is to be closed. */
static bool flush(struct mock_conn *c)
{
    struct buf *gather = &c->loop->scratch;
    while (c->stream.out.len < OUT_FULL) {
        const uint8_t *data;
        ssize_t n = 0;
        buf_reset(gather);
        while (gather->len < GATHER && (n = nghttp2_session_mem_send(c->h2->session, &data)) > 0)
            if (buf_append(gather, data, (size_t)n) != ERR_OK)
                return false;
        struct iovec part = {gather->data, gather->len};
        if (gather->len && stream_write(&c->stream, &part, 1) != ERR_OK)
            return false;
        if (n < 0)
            return false;
        if (n == 0)
            break;
    }
    conn_update(c);
    return nghttp2_session_want_read(c->h2->session) || nghttp2_session_want_write(c->h2->session) ||
           c->stream.out.len > 0;
}

void http2_flush_all(struct mock_loop *l)
{
    while (!list_empty(&l->dirty)) {
        struct mock_conn *c = LIST_FIRST(&l->dirty, struct mock_conn, dirty);
        list_remove(&c->dirty);
        if (!flush(c))
            conn_close(c);
    }
}

void http2_writable(struct mock_conn *c)
{
    mark_dirty(c);
}

void http2_free(struct mock_conn *c)
{
    if (!c->h2)
        return;
    LIST_EACH(&c->h2->streams, node)
    {
        stream_free(CONTAINER_OF(node, struct h2_stream, node));
    }
    nghttp2_session_del(c->h2->session);
    free(c->h2);
    c->h2 = NULL;
}

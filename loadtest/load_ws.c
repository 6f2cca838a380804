/* WebSocket as a client (RFC 6455). */
#include "loadtest/load.h"
#include <openssl/evp.h>
#include <stdlib.h>

enum { OP_MORE = 0, OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

/* One key serves all connections: it guards against caches, of which there is none. */
static bool make_key(struct load *l)
{
    unsigned char nonce[16], digest[EVP_MAX_MD_SIZE];
    unsigned len;
    char text[64];
    for (unsigned i = 0; i < sizeof(nonce); i++)
        nonce[i] = (unsigned char)(load_random(&l->random) * 256);
    (void)EVP_EncodeBlock((unsigned char *)l->ws_key, nonce, sizeof(nonce));
    int n = snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", l->ws_key);
    if (EVP_Digest(text, (size_t)n, digest, &len, EVP_sha1(), NULL) != 1)
        return false;
    (void)EVP_EncodeBlock((unsigned char *)l->ws_accept, digest, (int)len);
    return true;
}

bool ws_build(struct load *l)
{
    l->ws_texts = calloc(l->o.lanes, sizeof(*l->ws_texts));
    if (!l->ws_texts)
        return false;
    buf_init(&l->scratch, 65 << 20);
    if (!make_key(l))
        return false;
    for (uint64_t i = 0; i < l->o.lanes; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "l%lu", (unsigned long)i);
        buf_init(&l->ws_texts[i], 64 << 20);
        if (!body_build(l, l->o.lanes > 1 ? name : NULL, &l->ws_texts[i]))
            return false;
    }
    return true;
}

void ws_upgrade(struct session *s)
{
    struct load *l = s->load;
    const char *path = strcmp(l->target.path, "/") == 0 ? "/v1/responses" : l->target.path;
    char head[1024];
    int n = snprintf(head, sizeof(head),
                     "GET %s HTTP/1.1\r\nhost: %s\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
                     "sec-websocket-version: 13\r\nsec-websocket-key: %s\r\n%s%s%s\r\n",
                     path, l->target.host, l->ws_key, l->o.key ? "authorization: Bearer " : "",
                     l->o.key ? l->o.key : "", l->o.key ? "\r\n" : "");
    if (n < 0 || (size_t)n >= sizeof(head)) {
        session_drop(s, "connect:path_or_key_too_long");
        return;
    }
    (void)session_send(s, head, (size_t)n);
}

bool ws_send(struct session *s, unsigned opcode, struct bytes payload)
{
    struct buf *out = &s->load->scratch;
    unsigned char head[14] = {(unsigned char)(0x80 | opcode)}, mask[4];
    size_t n = 2;
    buf_reset(out);
    if (payload.len < 126) {
        head[1] = (unsigned char)(0x80 | payload.len);
    } else {
        unsigned bytes = payload.len < 65536 ? 2 : 8;
        head[1] = bytes == 2 ? 0x80 | 126 : 0x80 | 127;
        for (unsigned i = 0; i < bytes; i++)
            head[n++] = (unsigned char)(payload.len >> (8 * (bytes - 1 - i)));
    }
    uint32_t random = (uint32_t)(load_random(&s->load->random) * 4294967296.0);
    memcpy(mask, &random, sizeof(mask));
    memcpy(head + n, mask, sizeof(mask));
    if (buf_append(out, head, n + sizeof(mask)) != ERR_OK || buf_append_bytes(out, payload) != ERR_OK) {
        session_drop(s, "message:too_big");
        return false;
    }
    for (size_t i = 0; i < payload.len; i++)
        out->data[n + 4 + i] = (char)(out->data[n + 4 + i] ^ mask[i % 4]);
    return session_send(s, out->data, out->len);
}

static bool on_upgrade(struct session *s, struct bytes *in)
{
    const char *end = memmem(in->data, in->len, "\r\n\r\n", 4);
    uint64_t status = 0;
    char kind[ERROR_NAME];
    if (!end)
        return true;
    if (in->len < 12 || bytes_to_u64(bytes_of(in->data + 9, 3), 999, &status) != ERR_OK || status != 101) {
        (void)snprintf(kind, sizeof(kind), "upgrade:%u", (unsigned)status);
        session_drop(s, kind);
        return false;
    }
    size_t head_len = (size_t)(end - in->data) + 4;
    if (!memmem(in->data, head_len, s->load->ws_accept, strlen(s->load->ws_accept))) {
        session_drop(s, "upgrade:wrong_accept");
        return false;
    }
    *in = bytes_skip(*in, head_len);
    uint32_t epoch = s->epoch;
    session_ready(s);
    return s->epoch == epoch;
}

static bool on_message(struct session *s, struct bytes data)
{
    uint32_t epoch = s->epoch;
    answer_event(s, NULL, data);
    return s->epoch == epoch;
}

static bool on_fragment(struct session *s, unsigned opcode, bool fin, struct bytes data)
{
    if (opcode == OP_TEXT && fin)
        return on_message(s, data);
    if (buf_append_bytes(&s->body, data) != ERR_OK) {
        session_drop(s, "message:too_big");
        return false;
    }
    if (!fin)
        return true;
    bool ok = on_message(s, buf_bytes(&s->body));
    if (ok)
        buf_free(&s->body);
    return ok;
}

static bool on_frame(struct session *s, unsigned opcode, bool fin, struct bytes data)
{
    char kind[ERROR_NAME];
    switch (opcode) {
    case OP_MORE:
    case OP_TEXT:
        return on_fragment(s, opcode, fin, data);
    case OP_PING:
        return ws_send(s, OP_PONG, data);
    case OP_PONG:
        return true;
    case OP_CLOSE:
        (void)snprintf(
            kind, sizeof(kind), "closed:%u",
            data.len >= 2 ? (unsigned)(unsigned char)data.data[0] << 8 | (unsigned char)data.data[1] : 1005);
        session_drop(s, kind);
        return false;
    default:
        session_drop(s, "message:unexpected_opcode");
        return false;
    }
}

/* Room for the header's numbers; false when the frame is not there yet. A server's frames carry no mask. */
static bool take_frame(struct bytes *in, unsigned *ret_first, struct bytes *ret_payload)
{
    if (in->len < 2)
        return false;
    unsigned short_len = (unsigned char)in->data[1] & 0x7f, extra = short_len == 126   ? 2
                                                                    : short_len == 127 ? 8
                                                                                       : 0;
    uint64_t len = extra ? 0 : short_len;
    if (in->len < 2 + extra)
        return false;
    for (unsigned i = 0; i < extra; i++)
        len = len << 8 | (unsigned char)in->data[2 + i];
    if (in->len - 2 - extra < len)
        return false;
    *ret_first = (unsigned char)in->data[0];
    *ret_payload = bytes_of(in->data + 2 + extra, (size_t)len);
    *in = bytes_skip(*in, 2 + extra + (size_t)len);
    return true;
}

bool ws_feed(struct session *s, struct bytes in, size_t *ret_used)
{
    size_t len = in.len;
    unsigned first;
    struct bytes payload;
    if (s->state == SESSION_UPGRADING && !on_upgrade(s, &in))
        return false;
    while (s->state == SESSION_READY && take_frame(&in, &first, &payload))
        if (!on_frame(s, first & 0x0f, first & 0x80, payload))
            return false;
    *ret_used = len - in.len;
    return true;
}

#include "gateway/server/ws.h"

void ws_init(struct ws_receiver *r, size_t max_message)
{
    memset(r, 0, sizeof(*r));
    r->max_message = max_message;
    buf_init(&r->message_, max_message);
}

void ws_free(struct ws_receiver *r)
{
    buf_free(&r->message_);
}

void ws_unmask(char *data, size_t len, const uint8_t mask[4], size_t phase)
{
    uint8_t turned[8];
    uint64_t wide, word;
    size_t i = 0;
    for (size_t k = 0; k < sizeof(turned); k++)
        turned[k] = mask[(phase + k) % 4];
    memcpy(&wide, turned, sizeof(wide));
    for (; i + sizeof(word) <= len; i += sizeof(word)) {
        memcpy(&word, data + i, sizeof(word));
        word ^= wide;
        memcpy(data + i, &word, sizeof(word));
    }
    for (; i < len; i++)
        data[i] = (char)(data[i] ^ (char)turned[i % 8]);
}

bool ws_code_valid(unsigned code)
{
    if (code >= 3000 && code <= 4999)
        return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

static enum ws_event fail(struct ws_receiver *r, struct ws_incoming *ret, unsigned code, const char *why)
{
    r->failed_ = true;
    *ret = (struct ws_incoming){bytes_cstr(why), code};
    return WS_FAIL;
}

static bool is_control(unsigned opcode)
{
    return opcode >= WS_OP_CLOSE;
}

static size_t header_size(const struct ws_receiver *r)
{
    if (r->have_ < 2)
        return 2;
    unsigned len7 = r->head_[1] & 0x7f;
    return 6 + (len7 == 126 ? 2U : len7 == 127 ? 8U : 0U);
}

static uint64_t payload_length(const uint8_t *head)
{
    unsigned len7 = head[1] & 0x7f;
    size_t n = len7 == 126 ? 2 : len7 == 127 ? 8 : 0;
    uint64_t len = n == 0 ? len7 : 0;
    for (size_t i = 0; i < n; i++)
        len = len << 8 | head[2 + i];
    return len;
}

/* What the first two bytes already show to be wrong. */
static const char *check_start(const struct ws_receiver *r)
{
    unsigned opcode = r->head_[0] & 0x0f;
    bool fin = (r->head_[0] & 0x80) != 0;
    if ((r->head_[0] & 0x70) != 0)
        return "reserved bits are set";
    if (opcode != WS_OP_CONTINUATION && opcode != WS_OP_TEXT && opcode != WS_OP_BINARY &&
        (opcode < WS_OP_CLOSE || opcode > WS_OP_PONG))
        return "unknown opcode";
    if ((r->head_[1] & 0x80) == 0)
        return "frames of a client must be masked";
    if (is_control(opcode) && (!fin || (r->head_[1] & 0x7f) > WS_MAX_CONTROL))
        return "control frames are short and whole";
    if (opcode == WS_OP_CONTINUATION && r->message_opcode_ == 0)
        return "a continuation of nothing";
    if ((opcode == WS_OP_TEXT || opcode == WS_OP_BINARY) && r->message_opcode_ != 0)
        return "a message before the last is complete";
    return NULL;
}

static enum ws_event begin_frame(struct ws_receiver *r, struct ws_incoming *ret)
{
    unsigned len7 = r->head_[1] & 0x7f;
    uint64_t len = payload_length(r->head_);
    if (len >> 63 != 0 || (len7 == 126 && len < 126) || (len7 == 127 && len <= 0xffff))
        return fail(r, ret, WS_PROTOCOL_ERROR, "a length in the wrong form");
    r->opcode_ = r->head_[0] & 0x0f;
    r->fin_ = (r->head_[0] & 0x80) != 0;
    r->left_ = len;
    r->got_ = 0;
    r->in_payload_ = true;
    if (is_control(r->opcode_)) {
        r->control_len_ = 0;
        return WS_MORE;
    }
    if (r->opcode_ != WS_OP_CONTINUATION) {
        r->message_opcode_ = r->opcode_;
        r->utf8_ = (struct utf8_state){0};
    }
    if (len > r->max_message - r->message_.len)
        return fail(r, ret, WS_TOO_BIG, "the message is larger than allowed");
    return WS_MORE;
}

static enum ws_event feed_header(struct ws_receiver *r, char **data, size_t *len, struct ws_incoming *ret)
{
    while (*len > 0) {
        r->head_[r->have_++] = (uint8_t) * *data;
        (*data)++;
        (*len)--;
        const char *wrong = r->have_ == 2 ? check_start(r) : NULL;
        if (wrong)
            return fail(r, ret, WS_PROTOCOL_ERROR, wrong);
        if (r->have_ >= 2 && r->have_ == header_size(r))
            return begin_frame(r, ret);
    }
    return WS_MORE;
}

static enum ws_event on_close(struct ws_receiver *r, struct ws_incoming *ret)
{
    struct bytes data = bytes_of(r->control_, r->control_len_);
    *ret = (struct ws_incoming){{NULL, 0}, WS_NO_STATUS};
    if (data.len == 0)
        return WS_CLOSE;
    if (data.len == 1)
        return fail(r, ret, WS_PROTOCOL_ERROR, "half a close code");
    unsigned code = (unsigned)(uint8_t)data.data[0] << 8 | (uint8_t)data.data[1];
    if (!ws_code_valid(code))
        return fail(r, ret, WS_PROTOCOL_ERROR, "this close code is not for sending");
    data = bytes_skip(data, 2);
    if (!utf8_valid(data))
        return fail(r, ret, WS_BAD_DATA, "the reason is not UTF-8");
    *ret = (struct ws_incoming){data, code};
    return WS_CLOSE;
}

static enum ws_event end_control(struct ws_receiver *r, struct ws_incoming *ret)
{
    *ret = (struct ws_incoming){bytes_of(r->control_, r->control_len_), 0};
    if (r->opcode_ == WS_OP_PING)
        return WS_PING;
    return r->opcode_ == WS_OP_PONG ? WS_PONG : on_close(r, ret);
}

/* A message of one frame that came in one piece is handed over where it lies: `whole`. */
static enum ws_event end_message(struct ws_receiver *r, struct bytes whole, struct ws_incoming *ret)
{
    bool text = r->message_opcode_ == WS_OP_TEXT;
    r->message_opcode_ = 0;
    if (text && !utf8_complete(&r->utf8_))
        return fail(r, ret, WS_BAD_DATA, "the text is not UTF-8");
    *ret = (struct ws_incoming){whole.data ? whole : buf_bytes(&r->message_), 0};
    r->delivered_ = true;
    return text ? WS_TEXT : WS_BINARY;
}

static enum ws_event feed_payload(struct ws_receiver *r, char **data, size_t *len, struct ws_incoming *ret)
{
    const size_t n = (size_t)MIN(r->left_, *len);
    const bool control = is_control(r->opcode_);
    struct bytes piece = bytes_of(*data, n);
    struct bytes whole = {NULL, 0};
    ws_unmask(*data, n, r->head_ + header_size(r) - 4, (size_t)r->got_);
    *data += n;
    *len -= n;
    r->left_ -= n;
    r->got_ += n;
    if (control) {
        memcpy(r->control_ + r->control_len_, piece.data, n);
        r->control_len_ = (uint8_t)(r->control_len_ + n);
    } else {
        if (r->message_opcode_ == WS_OP_TEXT && !utf8_feed(&r->utf8_, piece))
            return fail(r, ret, WS_BAD_DATA, "the text is not UTF-8");
        if (r->left_ == 0 && r->fin_ && r->message_.len == 0)
            whole = piece;
        else if (buf_append_bytes(&r->message_, piece) != ERR_OK)
            return fail(r, ret, WS_INTERNAL_ERROR, "out of memory");
    }
    if (r->left_ > 0)
        return WS_MORE;
    r->in_payload_ = false;
    r->have_ = 0;
    if (control)
        return end_control(r, ret);
    return r->fin_ ? end_message(r, whole, ret) : WS_MORE;
}

enum ws_event ws_feed(struct ws_receiver *r, char **data, size_t *len, struct ws_incoming *ret)
{
    enum ws_event e = WS_MORE;
    *ret = (struct ws_incoming){{NULL, 0}, 0};
    if (r->failed_)
        return fail(r, ret, WS_PROTOCOL_ERROR, "failed before");
    if (r->delivered_) {
        buf_free(&r->message_);
        r->delivered_ = false;
    }
    while (e == WS_MORE) {
        if (!r->in_payload_) {
            if (*len == 0)
                break;
            e = feed_header(r, data, len, ret);
        } else if (*len > 0 || r->left_ == 0) {
            e = feed_payload(r, data, len, ret);
        } else {
            break;
        }
    }
    return e;
}

size_t ws_header(uint8_t ret[WS_MAX_HEADER], enum ws_opcode op, uint64_t len)
{
    size_t n = len < 126 ? 0 : len <= 0xffff ? 2 : 8;
    ret[0] = (uint8_t)(0x80U | (unsigned)op);
    ret[1] = (uint8_t)(n == 0 ? len : n == 2 ? 126 : 127);
    for (size_t i = 0; i < n; i++)
        ret[2 + i] = (uint8_t)(len >> (8 * (n - 1 - i)));
    return 2 + n;
}

void ws_append(struct buf *out, enum ws_opcode op, struct bytes payload)
{
    uint8_t head[WS_MAX_HEADER];
    size_t n = ws_header(head, op, payload.len);
    if (buf_reserve(out, n + payload.len) != ERR_OK) {
        out->failed = true;
        return;
    }
    buf_append(out, head, n);
    buf_append_bytes(out, payload);
}

void ws_append_close(struct buf *out, unsigned code, struct bytes reason)
{
    char payload[WS_MAX_CONTROL];
    size_t n = MIN(reason.len, sizeof(payload) - 2);
    if (code == WS_NO_STATUS) {
        ws_append(out, WS_OP_CLOSE, (struct bytes){NULL, 0});
        return;
    }
    while (n < reason.len && n > 0 && ((uint8_t)reason.data[n] & 0xc0) == 0x80)
        n--;
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xff);
    if (n > 0)
        memcpy(payload + 2, reason.data, n);
    ws_append(out, WS_OP_CLOSE, bytes_of(payload, n + 2));
}

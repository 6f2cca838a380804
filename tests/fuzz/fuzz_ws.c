/* WebSocket frames: the same events whatever the split; and what we frame ourselves, masked as a client does,
 * comes out again. */
#include "gateway/server/ws.h"
#include "tests/fuzz/splits.h"

enum { MAX_MESSAGE = 1000 };

static void note(struct buf *out, enum ws_event e, const struct ws_incoming *in)
{
    MUST(e != WS_TEXT || utf8_valid(in->data));
    MUST((e != WS_TEXT && e != WS_BINARY) || in->data.len <= MAX_MESSAGE);
    MUST((e != WS_PING && e != WS_PONG && e != WS_CLOSE) || in->data.len <= WS_MAX_CONTROL);
    MUST(e != WS_CLOSE || in->code == WS_NO_STATUS || (ws_code_valid(in->code) && utf8_valid(in->data)));
    MUST(e != WS_FAIL || ws_code_valid(in->code));
    buf_printf(out, "\n%d %u ", (int)e, in->code);
    buf_append_bytes(out, in->data);
}

struct reading {
    struct ws_receiver receiver;
    struct buf *out;
};

static bool feed(void *ctx, struct bytes piece)
{
    struct reading *r = ctx;
    char *at = (char *)(uintptr_t)piece.data; /* unmasked in place */
    size_t left = piece.len;
    enum ws_event e;
    do {
        struct ws_incoming in;
        e = ws_feed(&r->receiver, &at, &left, &in);
        MUST(at + left == piece.data + piece.len);
        if (e != WS_MORE)
            note(r->out, e, &in);
    } while (e != WS_MORE && e != WS_FAIL);
    MUST(e == WS_FAIL || left == 0);
    return e != WS_FAIL;
}

static void read_split(struct buf *out, struct bytes text, struct split by)
{
    struct reading r = {.out = out};
    ws_init(&r.receiver, MAX_MESSAGE);
    split_feed(feed, &r, text, by);
    ws_free(&r.receiver);
}

/* Our framing, read back. */
static void check_framing(struct bytes payload, uint32_t random)
{
    static const enum ws_opcode opcodes[] = {WS_OP_TEXT, WS_OP_BINARY, WS_OP_PING, WS_OP_PONG};
    static const enum ws_event events[] = {WS_TEXT, WS_BINARY, WS_PING, WS_PONG};
    size_t kind = random % 4;
    uint8_t head[WS_MAX_HEADER], mask[4];
    struct ws_incoming in;
    struct ws_receiver r;
    struct buf out;
    if ((kind == 0 && !utf8_valid(payload)) || payload.len > (kind < 2 ? MAX_MESSAGE : WS_MAX_CONTROL))
        return;
    buf_init(&out, payload.len + WS_MAX_HEADER + sizeof(mask));
    size_t n = ws_header(head, opcodes[kind], payload.len);
    head[1] |= 0x80;
    memcpy(mask, &random, sizeof(mask));
    buf_append(&out, head, n);
    buf_append(&out, mask, sizeof(mask));
    buf_append_bytes(&out, payload);
    MUST(!out.failed);
    char *at = out.data;
    size_t left = out.len;
    ws_unmask(at + n + 4, payload.len, mask, 0);
    ws_init(&r, MAX_MESSAGE);
    MUST(ws_feed(&r, &at, &left, &in) == events[kind] && bytes_eq(in.data, payload) && left == 0);
    MUST(ws_feed(&r, &at, &left, &in) == WS_MORE);
    ws_free(&r);
    buf_free(&out);
}

/* A close frame holds as much of the reason as fits, and no half of a character. */
static void check_close(struct bytes reason)
{
    struct buf out;
    buf_init(&out, 200);
    ws_append_close(&out, WS_NORMAL, reason);
    MUST(!out.failed && out.len >= 4 && out.len <= 2 + WS_MAX_CONTROL);
    struct bytes got = bytes_of(out.data + 4, out.len - 4);
    MUST(bytes_starts(reason, got));
    if (utf8_valid(reason))
        MUST(utf8_valid(got) && got.len + 4 > MIN(reason.len, (size_t)WS_MAX_CONTROL - 2));
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    uint32_t random = fuzz_hash(data, size);
    must_read_alike(read_split, text);
    if (size == 0)
        return 0;
    check_framing(text, random);
    check_close(text);
    return 0;
}

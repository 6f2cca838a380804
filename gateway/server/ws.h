#pragma once
/* WebSocket frames (RFC 6455), the server's side: a receiver of what a client sends, and the framing of what
 * we send. No I/O. Nothing is negotiated, so every reserved bit is an error. Fed any split of the bytes, it
 * answers the same. */
#include "common/buf.h"
#include "common/utf8.h"

enum ws_opcode {
    WS_OP_CONTINUATION = 0,
    WS_OP_TEXT = 1,
    WS_OP_BINARY = 2,
    WS_OP_CLOSE = 8,
    WS_OP_PING = 9,
    WS_OP_PONG = 10
};

enum ws_code {
    WS_NORMAL = 1000,
    WS_PROTOCOL_ERROR = 1002,
    WS_UNSUPPORTED = 1003,
    WS_ABNORMAL = 1006,  /* no close frame at all; never sent */
    WS_NO_STATUS = 1005, /* a close frame without a code; never sent */
    WS_BAD_DATA = 1007,
    WS_POLICY = 1008,
    WS_TOO_BIG = 1009,
    WS_INTERNAL_ERROR = 1011,
    WS_RESTART = 1012,
    WS_TRY_LATER = 1013,
};

enum { WS_MAX_HEADER = 10, WS_MAX_CONTROL = 125 };

struct ws_receiver {
    size_t max_message;
    struct buf message_; /* holds memory only while a message is incomplete */
    uint64_t left_;      /* payload bytes of the frame that are to come */
    uint64_t got_;       /* payload bytes of the frame so far */
    struct utf8_state utf8_;
    uint8_t head_[14];
    uint8_t have_;           /* bytes of head_ */
    uint8_t opcode_;         /* of the frame; valid while in_payload_ */
    uint8_t message_opcode_; /* of the message being assembled; 0: none */
    bool in_payload_, fin_, delivered_, failed_;
    uint8_t control_len_;
    char control_[WS_MAX_CONTROL];
};

enum ws_event {
    WS_MORE, /* the input is used up */
    WS_TEXT, /* data: a whole message, valid UTF-8 */
    WS_BINARY,
    WS_PING, /* data: at most 125 bytes */
    WS_PONG,
    WS_CLOSE, /* code (WS_NO_STATUS: none), data: the reason */
    WS_FAIL,  /* close with `code`; data: why, static text */
};

/* Data is valid until the next ws_feed. */
struct ws_incoming {
    struct bytes data;
    unsigned code;
};

void ws_init(struct ws_receiver *r, size_t max_message);
void ws_free(struct ws_receiver *r);
/* Eats from the front of (*data, *len), which it unmasks where it lies. Call until WS_MORE; after WS_FAIL no
 * more. */
enum ws_event ws_feed(struct ws_receiver *r, char **data, size_t *len, struct ws_incoming *ret);

/* The header of an unfragmented frame of `len` bytes; answers its size, 2, 4 or 10. */
size_t ws_header(uint8_t ret[WS_MAX_HEADER], enum ws_opcode op, uint64_t len);
void ws_append(struct buf *out, enum ws_opcode op, struct bytes payload);
/* `reason` is cut to what fits, between characters. WS_NO_STATUS: an empty close frame. */
void ws_append_close(struct buf *out, unsigned code, struct bytes reason);
/* True for the codes that may stand in a close frame (RFC 6455, 7.4, and the IANA registry). */
bool ws_code_valid(unsigned code);
/* XORs with the mask, of which the first byte used is mask[phase % 4]. */
void ws_unmask(char *data, size_t len, const uint8_t mask[4], size_t phase);

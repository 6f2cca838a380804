#pragma once
/* The opening handshake of a WebSocket (RFC 6455, 4.2). */
#include "protocols/http1/http1_request.h"

enum { WS_ACCEPT_SIZE = 32 };

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key, NUL-terminated. ERR_INVALID: the key is not 16 bytes in
 * base64. */
enum err ws_accept_key(struct bytes key, char ret[WS_ACCEPT_SIZE]) MUST_USE;

/* What the client offers: 0 when it is a proper WebSocket upgrade, else the status to refuse it with (400,
 * 426). */
int ws_upgrade_check(const struct http1_request *r, char ret_accept[WS_ACCEPT_SIZE], const char **ret_reason);

/* Of the subprotocols: whether `wanted` (may be NULL) is offered, and the token of
 * "openai-insecure-api-key.TOKEN" (or empty). */
bool ws_upgrade_protocols(const struct http1_request *r, const char *wanted, struct bytes *ret_token);

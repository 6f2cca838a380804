#include "gateway/server/ws_upgrade.h"
#include <openssl/evp.h>

enum { KEY_TEXT = 24, SHA1_SIZE = 20 };

enum err ws_accept_key(struct bytes key, char ret[WS_ACCEPT_SIZE])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, 1.3 */
    unsigned char raw[KEY_TEXT], text[KEY_TEXT + sizeof(guid) - 1], digest[EVP_MAX_MD_SIZE];
    size_t len = 0;
    if (key.len != KEY_TEXT || memcmp(key.data + KEY_TEXT - 2, "==", 2) != 0 || key.data[KEY_TEXT - 3] == '=')
        return ERR_INVALID;
    if (EVP_DecodeBlock(raw, (const unsigned char *)key.data, KEY_TEXT) != KEY_TEXT / 4 * 3)
        return ERR_INVALID;
    memcpy(text, key.data, KEY_TEXT);
    memcpy(text + KEY_TEXT, guid, sizeof(guid) - 1);
    if (EVP_Q_digest(NULL, "SHA1", NULL, text, sizeof(text), digest, &len) != 1 || len != SHA1_SIZE)
        return ERR_INVALID;
    EVP_EncodeBlock((unsigned char *)ret, digest, SHA1_SIZE);
    return ERR_OK;
}

int ws_upgrade_check(const struct http1_request *r, char ret_accept[WS_ACCEPT_SIZE], const char **ret_reason)
{
    struct bytes value = {NULL, 0};
    size_t count;
    if (r->http10 || !r->upgrade || !http1_lists(r, "upgrade", "websocket")) {
        *ret_reason = "This is a WebSocket endpoint: send 'Connection: Upgrade' and 'Upgrade: websocket'.";
        return 426;
    }
    if (r->has_body) {
        *ret_reason = "A WebSocket upgrade has no body.";
        return 400;
    }
    http1_find(r, "sec-websocket-version", &value, &count);
    if (count != 1 || !bytes_is(value, "13")) {
        *ret_reason = "The WebSocket version spoken here is 13.";
        return 426;
    }
    http1_find(r, "sec-websocket-key", &value, &count);
    if (count != 1 || ws_accept_key(value, ret_accept) != ERR_OK) {
        *ret_reason = "Sec-WebSocket-Key must be 16 bytes in base64.";
        return 400;
    }
    return 0;
}

bool ws_upgrade_protocols(const struct http1_request *r, const char *wanted, struct bytes *ret_token)
{
    const struct bytes prefix = BYTES("openai-insecure-api-key.");
    bool offered = false;
    *ret_token = (struct bytes){NULL, 0};
    for (size_t i = 0; i < r->n_headers; i++) {
        struct bytes list = r->headers[i].value, item;
        if (!bytes_eq_nocase(r->headers[i].name, BYTES("sec-websocket-protocol")))
            continue;
        while (http1_list_next(&list, &item)) {
            if (wanted && bytes_is(item, wanted))
                offered = true;
            else if (bytes_starts(item, prefix) && ret_token->len == 0)
                *ret_token = bytes_skip(item, prefix.len);
        }
    }
    return offered;
}

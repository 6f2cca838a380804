/* A message of a WebSocket client: told apart, and answered. */
#include "common/utf8.h"
#include "protocols/responses/client_event.h"
#include "protocols/responses/server_event.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct json_limits limits = {.max_depth = 64, .max_nodes = 1 << 16};
    struct json_doc d;
    struct arena a;
    struct client_event ev;
    struct api_error e;
    struct buf out;
    char *text = exact_copy(data, size);
    json_doc_init(&d);
    arena_init(&a, 1 << 22);
    buf_init(&out, 1 << 22);
    if (json_parse(&d, bytes_of(text, size), &limits, NULL) == ERR_OK) {
        enum err err = client_event_decode(&d, &a, &ev, &e);
        struct bytes lane = client_event_stream_id(&d, &a);
        MUST(lane.len == 0 || client_stream_id_valid(lane));
        MUST(err == ERR_OK || err == ERR_INVALID);
        if (err == ERR_INVALID) {
            must_explain(&e);
            server_event_error(&e, lane, &out);
        } else if (ev.type == CLIENT_SESSION_PING) {
            server_event_pong(&ev, &out);
        } else if (ev.type == CLIENT_RESPONSE_CANCEL) {
            MUST(ev.has_stream_id ? client_stream_id_valid(ev.stream_id) && ev.response_id.len == 0
                                  : ev.stream_id.len == 0);
            MUST(utf8_valid(ev.response_id));
        }
        MUST(!out.failed);
        if (out.len > 0)
            MUST_JSON_LINE(buf_bytes(&out));
    }
    buf_free(&out);
    arena_free(&a);
    json_doc_free(&d);
    free(text);
    return 0;
}

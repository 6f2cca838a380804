/* A WebSocket path for tests: every message comes back. */
#include "gateway/session/ws_endpoint.h"
#include <stdlib.h>

enum {
    QUEUED_MESSAGES = 4, /* of the greatest size, for a client that does not read */
    SLACK = 16 * 1024,
};

struct echo {
    const struct carrier *carrier;
    void *conn;
    struct buf queue; /* of a struct queued and its text each */
    size_t at;        /* the first that has not been pulled */
    bool closing;
};

struct queued {
    size_t len;
    bool binary;
};

static void *echo_open(struct session_env *env, const struct principal *who UNUSED,
                       const struct carrier *carrier, void *conn)
{
    struct echo *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->carrier = carrier;
    e->conn = conn;
    buf_init(&e->queue, QUEUED_MESSAGES * (size_t)env->cfg->limits.max_message_bytes + SLACK);
    return e;
}

static void echo_free(void *object)
{
    struct echo *e = object;
    if (!e)
        return;
    buf_free(&e->queue);
    free(e);
}

static void echo_message(void *object, struct bytes data, bool binary, int64_t now_s UNUSED)
{
    struct echo *e = object;
    const struct queued head = {.len = data.len, .binary = binary};
    if (e->closing)
        return;
    if (buf_reserve(&e->queue, sizeof(head) + data.len) != ERR_OK) {
        e->closing = true;
        e->carrier->close(e->conn, 1008, "too many unread echoes");
        return;
    }
    buf_append(&e->queue, &head, sizeof(head));
    buf_append_bytes(&e->queue, data);
    e->carrier->wake(e->conn);
}

static bool echo_pull(void *object, struct event_sink *sink, size_t budget)
{
    struct echo *e = object;
    while (e->at < e->queue.len && sink->out->len < budget) {
        struct queued head;
        memcpy(&head, e->queue.data + e->at, sizeof(head));
        e->at += sizeof(head);
        sink->binary = head.binary;
        sink->begin(sink, NULL);
        buf_append(sink->out, e->queue.data + e->at, head.len);
        sink->end(sink);
        e->at += head.len;
    }
    sink->binary = false;
    if (e->at < e->queue.len)
        return true;
    e->at = 0;
    buf_free(&e->queue);
    return false;
}

static bool echo_busy(const void *object)
{
    const struct echo *e = object;
    return e->queue.len > 0;
}

static void echo_going_away(void *object UNUSED, uint64_t deadline_ms UNUSED) {}

const struct ws_endpoint ws_echo = {
    .open_to_all = true,
    .binary = true,
    .open = echo_open,
    .free = echo_free,
    .message = echo_message,
    .pull = echo_pull,
    .busy = echo_busy,
    .going_away = echo_going_away,
};

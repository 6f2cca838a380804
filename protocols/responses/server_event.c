#include "protocols/responses/server_event.h"

void server_event_error(const struct api_error *e, struct bytes stream_id, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object(&w);
    jw_kcstr(&w, "type", "error");
    jw_kint(&w, "status", e->status);
    if (stream_id.len > 0)
        jw_kstring(&w, "stream_id", stream_id);
    if (e->retry_after_s > 0)
        jw_kint(&w, "retry_after", e->retry_after_s);
    jw_key(&w, "error");
    api_error_write(e, &w);
    jw_object_end(&w);
}

void server_event_pong(const struct client_event *ping, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object(&w);
    jw_kcstr(&w, "type", "session.pong");
    jw_raw_members(&w, ping->ping_raw);
    jw_object_end(&w);
}

void server_event_going_away(uint64_t deadline_ms, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object(&w);
    jw_kcstr(&w, "type", "session.going_away");
    jw_kint(&w, "deadline_ms", (int64_t)MIN(deadline_ms, (uint64_t)INT64_MAX));
    jw_object_end(&w);
}

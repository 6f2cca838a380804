#pragma once
/* Messages of the WebSocket session itself, which belong to no response. Each function appends one whole JSON
 * object. */
#include "protocols/responses/client_event.h"

/* {"type":"error","status":N,"error":{...}}, with "stream_id" when it is not empty, "retry_after" when the
 * error has one. */
void server_event_error(const struct api_error *e, struct bytes stream_id, struct buf *out);
/* {"type":"session.pong", and all that the ping carried}. */
void server_event_pong(const struct client_event *ping, struct buf *out);
/* {"type":"session.going_away","deadline_ms":N} */
void server_event_going_away(uint64_t deadline_ms, struct buf *out);

#pragma once
/* The messages of a WebSocket client, told apart by `type`. The body of response.create is decoded by
 * dialect_responses.decode_request; the rest is small enough to be decoded here. */
#include "protocols/api_error.h"
#include "protocols/json/json.h"

enum client_event_type { CLIENT_RESPONSE_CREATE, CLIENT_RESPONSE_CANCEL, CLIENT_SESSION_PING };

/* Bytes of a ping's members that are echoed at most. */
enum { CLIENT_PING_MAX = 4096, CLIENT_STREAM_ID_MAX = 256 };

struct client_event {
    enum client_event_type type;
    struct bytes response_id; /* cancel: or empty */
    struct bytes stream_id;   /* cancel: the lane, when has_stream_id; else the default one */
    bool has_stream_id;
    struct bytes ping_raw; /* ping: its members but for `type`, as raw JSON members */
};

/* ERR_INVALID: *ret_error says why (status 400, param, code; `unknown_event_type` lists the types that there
 * are). response.cancel names a response or a lane, or neither for the default lane's current response, never
 * both. */
enum err client_event_decode(const struct json_doc *d, struct arena *a, struct client_event *ret,
                             struct api_error *ret_error) MUST_USE;
/* The lane that a message speaks of, for the error that answers it; empty when it has none, or none that is
 * valid. */
struct bytes client_event_stream_id(const struct json_doc *d, struct arena *a);
/* 1 to 256 of [A-Za-z0-9_.-]. */
bool client_stream_id_valid(struct bytes id);
/* 400 invalid_stream_id. */
void client_stream_id_error(struct api_error *ret_error);

#include "protocols/responses/client_event.h"
#include "protocols/fields.h"
#include "protocols/responses/input_decode.h"

bool client_stream_id_valid(struct bytes id)
{
    if (id.len == 0 || id.len > CLIENT_STREAM_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.data[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '.' || c == '-';
        if (!fine)
            return false;
    }
    return true;
}

void client_stream_id_error(struct api_error *ret_error)
{
    api_error_set(ret_error, 400, API_INVALID, "invalid_stream_id", "stream_id",
                  "Invalid value for stream_id: expected 1 to %d of the characters A-Z a-z 0-9 _ . -",
                  CLIENT_STREAM_ID_MAX);
}

struct bytes client_event_stream_id(const struct json_doc *d, struct arena *a)
{
    struct bytes id = {NULL, 0};
    if (field_string(d, 0, "stream_id", a, &id) != ERR_OK || !client_stream_id_valid(id))
        return (struct bytes){NULL, 0};
    return id;
}

/* ---- response.cancel ---- */

static const struct field cancel_members[] = {
    {.key = "type", .required = true, .shape = {.types = FIELD_STRING}},
    {.key = "response_id", .shape = {.types = FIELD_STRING, .min_chars = 1, .max_chars = 256}},
    {.key = "stream_id", .shape = {.types = FIELD_STRING}},
};
static const struct field_object cancel_object = {FIELD_OBJECT_OF(cancel_members), .closed = true};
static const struct field_shape cancel_shape = {.types = FIELD_OBJECT, .object = &cancel_object};

static enum err decode_cancel(const struct json_doc *d, struct arena *a, struct client_event *ev,
                              struct api_error *ret_error)
{
    enum err err = fields_check(d, 0, &cancel_shape, a, ret_error);
    if (err != ERR_OK)
        return err;
    ev->has_stream_id = json_get(d, 0, "stream_id") != JSON_NONE;
    if (field_string(d, 0, "response_id", a, &ev->response_id) != ERR_OK ||
        field_string(d, 0, "stream_id", a, &ev->stream_id) != ERR_OK) {
        api_error_no_memory(ret_error);
        return ERR_NOMEM;
    }
    if (ev->has_stream_id && !client_stream_id_valid(ev->stream_id)) {
        client_stream_id_error(ret_error);
        return ERR_INVALID;
    }
    if (ev->has_stream_id && ev->response_id.len > 0) {
        api_error_set(ret_error, 400, API_INVALID, "mutually_exclusive_parameters", "stream_id",
                      "response.cancel takes response_id or stream_id, not both.");
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* ---- session.ping ---- */

static enum err decode_ping(const struct json_doc *d, struct arena *a, struct client_event *ev,
                            struct api_error *ret_error)
{
    static const struct field members[] = {
        {.key = "type", .required = true, .shape = {.types = FIELD_STRING}}};
    static const struct field_object named = {FIELD_OBJECT_OF(members)};
    if (members_left(d, 0, &named, a, &ev->ping_raw) != ERR_OK) {
        api_error_no_memory(ret_error);
        return ERR_NOMEM;
    }
    if (ev->ping_raw.len > CLIENT_PING_MAX) {
        api_error_set(ret_error, 400, API_INVALID, "message_too_large", NULL,
                      "A session.ping may carry at most %d bytes.", CLIENT_PING_MAX);
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* ---- telling them apart ---- */

static enum err unknown_type(struct api_error *ret_error)
{
    api_error_set(
        ret_error, 400, API_INVALID, "unknown_event_type", "type",
        "Invalid value for type: expected one of 'response.create', 'response.cancel', 'session.ping'.");
    return ERR_INVALID;
}

enum err client_event_decode(const struct json_doc *d, struct arena *a, struct client_event *ret,
                             struct api_error *ret_error)
{
    static const struct field members[] = {
        {.key = "type", .required = true, .shape = {.types = FIELD_STRING}}};
    static const struct field_object typed = {FIELD_OBJECT_OF(members)};
    static const struct field_shape typed_shape = {.types = FIELD_OBJECT, .object = &typed};
    struct client_event ev = {.type = CLIENT_RESPONSE_CREATE};
    enum err err = fields_check(d, 0, &typed_shape, a, ret_error);
    if (err != ERR_OK)
        return err;
    json_ref type = json_get(d, 0, "type");
    if (field_is(d, type, a, "response.cancel")) {
        ev.type = CLIENT_RESPONSE_CANCEL;
        err = decode_cancel(d, a, &ev, ret_error);
    } else if (field_is(d, type, a, "session.ping")) {
        ev.type = CLIENT_SESSION_PING;
        err = decode_ping(d, a, &ev, ret_error);
    } else if (!field_is(d, type, a, "response.create")) {
        err = unknown_type(ret_error);
    }
    if (err == ERR_OK)
        *ret = ev;
    return err;
}

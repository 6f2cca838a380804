#include "loadtest/kit/args.h"
#include "loadtest/kit/json_scan.h"
#include "loadtest/kit/tokens.h"
#include "loadtest/mock.h"

static bool set_u32(const char *value, uint64_t max, uint32_t *ret)
{
    uint64_t v;
    if (!parse_ms(value, &v) || v > max)
        return false;
    *ret = (uint32_t)v;
    return true;
}

static bool set_rate(const char *value, double *ret)
{
    double v;
    if (!parse_number(value, &v) || v > 1)
        return false;
    *ret = v;
    return true;
}

static bool set_one(const char *name, const char *value, struct answer_spec *s)
{
    double stamp;
    if (strcmp(name, "tokens") == 0)
        return set_u32(value, TOKEN_MAX, &s->tokens);
    if (strcmp(name, "size") == 0)
        return set_u32(value, 65536, &s->size) && s->size >= TOKEN_MIN_SIZE;
    if (strcmp(name, "latency") == 0)
        return set_u32(value, 3600000, &s->latency_ms);
    if (strcmp(name, "gap") == 0)
        return set_u32(value, 3600000, &s->gap_ms);
    if (strcmp(name, "jitter") == 0)
        return set_u32(value, 3600000, &s->jitter_ms);
    if (strcmp(name, "error") == 0)
        return set_rate(value, &s->error_rate);
    if (strcmp(name, "cut") == 0)
        return set_rate(value, &s->cut_rate);
    if (strcmp(name, "stamp") == 0 && set_rate(value, &stamp)) {
        s->stamped = stamp > 0;
        return true;
    }
    return false;
}

static bool parse_pair(struct bytes pair, struct answer_spec *spec)
{
    char room[64];
    if (pair.len >= sizeof(room))
        return false;
    memcpy(room, pair.data, pair.len);
    room[pair.len] = '\0';
    char *equals = strchr(room, '=');
    if (!equals)
        return false;
    *equals = '\0';
    return set_one(room, equals + 1, spec);
}

bool mock_spec_parse(struct bytes list, struct answer_spec *spec)
{
    while (list.len) {
        size_t len = 0;
        while (len < list.len && list.data[len] != ',' && list.data[len] != '+')
            len++;
        if (!parse_pair(bytes_of(list.data, len), spec))
            return false;
        list = bytes_skip(list, len + 1);
    }
    return true;
}

bool mock_request_parse(struct bytes body, struct mock_request *r, const char **ret_reason)
{
    struct bytes model, value;
    if (!jscan_member(body, "model", &value) || !jscan_string(value, &model)) {
        *ret_reason = "the body must be an object with a model";
        return false;
    }
    const char *colon = model.len ? memchr(model.data, ':', model.len) : NULL;
    if (colon && !mock_spec_parse(bytes_skip(model, (size_t)(colon + 1 - model.data)), &r->spec)) {
        *ret_reason = "the model's settings cannot be read";
        return false;
    }
    r->stream = jscan_member(body, "stream", &value) && bytes_is(value, "true");
    r->include_usage = jscan_path(body, "stream_options.include_usage", &value) && bytes_is(value, "true");
    return true;
}

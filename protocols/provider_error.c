#include "protocols/provider_error.h"

/* The codes that pass to the client as they are, and the status that each means when it comes inside of a
 * stream. */
static const struct known_code {
    const char *code;
    int status;
    enum fault_kind kind;
} known_codes[] = {
    {"rate_limit_exceeded", 429, FAULT_RATE_LIMITED},
    {"insufficient_quota", 429, FAULT_CREDENTIALS},
    {"context_length_exceeded", 400, FAULT_CONTEXT_TOO_LONG},
    {"model_not_found", 404, FAULT_MODEL_NOT_FOUND},
    {"content_filter", 400, FAULT_CONTENT_FILTER},
    {"content_policy_violation", 400, FAULT_CONTENT_FILTER},
    {"invalid_prompt", 400, FAULT_INVALID_REQUEST},
    {"invalid_value", 400, FAULT_INVALID_REQUEST},
    {"invalid_type", 400, FAULT_INVALID_REQUEST},
    {"unknown_parameter", 400, FAULT_INVALID_REQUEST},
    {"unsupported_parameter", 400, FAULT_INVALID_REQUEST},
    {"unsupported_value", 400, FAULT_INVALID_REQUEST},
    {"missing_required_parameter", 400, FAULT_INVALID_REQUEST},
    {"string_above_max_length", 400, FAULT_INVALID_REQUEST},
    {"data_residency_mismatch", 400, FAULT_INVALID_REQUEST},
    {"bio_policy", 400, FAULT_CONTENT_FILTER},
    {"vector_store_timeout", 504, FAULT_TIMEOUT_PROVIDER},
    {"invalid_image", 400, FAULT_INVALID_REQUEST},
    {"invalid_image_format", 400, FAULT_INVALID_REQUEST},
    {"invalid_base64_image", 400, FAULT_INVALID_REQUEST},
    {"invalid_image_url", 400, FAULT_INVALID_REQUEST},
    {"image_too_large", 400, FAULT_INVALID_REQUEST},
    {"image_too_small", 400, FAULT_INVALID_REQUEST},
    {"image_parse_error", 400, FAULT_INVALID_REQUEST},
    {"image_content_policy_violation", 400, FAULT_CONTENT_FILTER},
    {"invalid_image_mode", 400, FAULT_INVALID_REQUEST},
    {"image_file_too_large", 400, FAULT_INVALID_REQUEST},
    {"unsupported_image_media_type", 400, FAULT_INVALID_REQUEST},
    {"empty_image_file", 400, FAULT_INVALID_REQUEST},
    {"failed_to_download_image", 400, FAULT_INVALID_REQUEST},
    {"image_file_not_found", 400, FAULT_INVALID_REQUEST},
    {"server_error", 502, FAULT_OVERLOADED},
};

enum { WORDS_MAX = 300, PARAM_MAX = 120, CODE_MAX = 64 };

/* The parts of an error object that we can use. */
struct words {
    char message[WORDS_MAX + 1]; /* "" when it has none */
    char param[PARAM_MAX + 1];
    const struct known_code *code;
};

/* A string member, cut on a whole character, its control characters made blanks: it ends up in messages and
 * logs. */
static void read_text(const struct json_doc *d, json_ref r, char *ret, size_t max)
{
    struct buf text;
    size_t len = 0;
    ret[0] = 0;
    buf_init(&text, 16384);
    if (json_is(d, r, JSON_STRING) && json_string_append(d, r, &text) == ERR_OK) {
        len = MIN(text.len, max);
        while (len < text.len && len > 0 && ((unsigned char)text.data[len] & 0xC0) == 0x80)
            len--;
        for (size_t i = 0; i < len; i++) {
            char c = text.data[i];
            if (c >= 0 && c < 0x20)
                c = ' ';
            ret[i] = c;
        }
    }
    ret[len] = 0;
    buf_free(&text);
}

static const struct known_code *find_code(const char *code)
{
    for (size_t i = 0; i < ARRAY_LEN(known_codes); i++)
        if (strcmp(code, known_codes[i].code) == 0)
            return &known_codes[i];
    return NULL;
}

static void read_words(const struct json_doc *d, json_ref error, struct words *ret)
{
    char code[CODE_MAX + 1];
    *ret = (struct words){.code = NULL};
    if (json_is(d, error, JSON_STRING)) {
        read_text(d, error, ret->message, WORDS_MAX);
        return;
    }
    read_text(d, json_get(d, error, "message"), ret->message, WORDS_MAX);
    if (!ret->message[0])
        read_text(d, json_get(d, error, "detail"), ret->message, WORDS_MAX);
    read_text(d, json_get(d, error, "param"), ret->param, PARAM_MAX);
    read_text(d, json_get(d, error, "code"), code, CODE_MAX);
    ret->code = find_code(code);
    if (!ret->code) {
        read_text(d, json_get(d, error, "type"), code, CODE_MAX);
        ret->code = find_code(code);
    }
}

static const char *type_of_status(int status)
{
    if (status == 429)
        return API_RATE;
    if (status == 404)
        return API_NOT_FOUND;
    return status < 500 ? API_INVALID : API_UPSTREAM;
}

/* `code`: ours, when the provider's is none that we know. */
static void set(struct api_error *ret, int status, const char *code, const struct words *w,
                const char *otherwise)
{
    api_error_set(ret, status, type_of_status(status), w->code ? w->code->code : code, w->param, "%s",
                  w->message[0] ? w->message : otherwise);
}

/* A status tells more than a code, but for the two that stand for several causes. */
static enum fault_kind kind_of(int status, const struct known_code *code)
{
    switch (status) {
    case 401:
    case 402:
    case 403:
        return FAULT_CREDENTIALS;
    case 404:
        return FAULT_MODEL_NOT_FOUND;
    case 408:
    case 504:
        return FAULT_TIMEOUT_PROVIDER;
    case 429:
        return code && code->kind == FAULT_CREDENTIALS ? FAULT_CREDENTIALS : FAULT_RATE_LIMITED;
    default:
        if (status >= 500)
            return FAULT_OVERLOADED;
        if (status < 400)
            return FAULT_INVALID_RESPONSE;
        return code ? code->kind : FAULT_INVALID_REQUEST;
    }
}

static void set_by_status(int status, const struct words *w, struct api_error *ret)
{
    switch (status) {
    case 400:
    case 409:
    case 413:
    case 422:
        set(ret, status, "upstream_rejected", w, "The provider refused the request.");
        return;
    case 401:
    case 403:
        api_error_set(ret, 502, API_UPSTREAM, "upstream_auth_failed", NULL,
                      "The provider refused the gateway's credentials (status %d).", status);
        return;
    case 404:
        if (w->code && strcmp(w->code->code, "model_not_found") == 0)
            set(ret, 404, "model_not_found", w, "The provider does not know the model.");
        else
            api_error_set(ret, 502, API_UPSTREAM, "upstream_not_found", NULL, "The provider answered 404. %s",
                          w->message);
        return;
    case 408:
    case 504:
        api_error_set(ret, 504, API_UPSTREAM, "upstream_timeout", NULL,
                      "The provider gave up (status %d). %s", status, w->message);
        return;
    case 429:
        set(ret, 429, "rate_limit_exceeded", w, "The provider allows no more requests now.");
        return;
    case 503:
    case 529:
        api_error_set(ret, 503, API_UPSTREAM, "upstream_overloaded", NULL, "The provider is overloaded. %s",
                      w->message);
        return;
    default:
        api_error_set(ret, 502, API_UPSTREAM, "upstream_error", NULL, "The provider answered %d. %s", status,
                      w->message);
        return;
    }
}

/* "text. " with nothing behind it. */
static void trim_message(struct api_error *e)
{
    size_t len = strlen(e->message);
    while (len > 0 && e->message[len - 1] == ' ')
        e->message[--len] = 0;
}

void provider_error_decode(int http_status, struct bytes body, struct fault *ret)
{
    static const struct json_limits limits = {.max_depth = 32, .max_nodes = 4096};
    struct json_doc d;
    struct words w = {.code = NULL};
    json_doc_init(&d);
    if (json_parse(&d, body, &limits, NULL) == ERR_OK) {
        /* Some providers put the object into an array of one. */
        json_ref root = json_is(&d, 0, JSON_ARRAY) ? json_first(&d, 0) : 0;
        json_ref error = root == JSON_NONE ? JSON_NONE : json_get(&d, root, "error");
        read_words(&d, error == JSON_NONE || json_is(&d, error, JSON_NULL) ? root : error, &w);
    }
    ret->kind = kind_of(http_status, w.code);
    set_by_status(http_status, &w, &ret->error);
    trim_message(&ret->error);
    api_error_scrub(&ret->error);
    json_doc_free(&d);
}

void provider_error_decode_object(const struct json_doc *d, json_ref error, struct fault *ret)
{
    struct words w;
    read_words(d, error, &w);
    ret->kind = w.code ? w.code->kind : FAULT_OVERLOADED;
    set(&ret->error, w.code ? w.code->status : 502, "upstream_error", &w,
        "The provider failed without saying why.");
    api_error_scrub(&ret->error);
}

void provider_error_truncated(struct fault *ret)
{
    ret->kind = FAULT_TRUNCATED;
    api_error_set(&ret->error, 502, API_UPSTREAM, "upstream_truncated", NULL,
                  "The provider's answer ended before it was complete.");
}

void provider_error_invalid(struct fault *ret, const char *what)
{
    ret->kind = FAULT_INVALID_RESPONSE;
    api_error_set(&ret->error, 502, API_UPSTREAM, "upstream_invalid_response", NULL,
                  "The provider sent what the gateway cannot read: %s.", what);
}

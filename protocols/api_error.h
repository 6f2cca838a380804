#pragma once
/* A typed error as clients see it: OpenAI's error object (platform.openai.com/docs/guides/error-codes),
 * whatever the dialect; each dialect writes it in its own words. */
#include "common/bytes.h"
#include "protocols/json/json.h"

struct api_error {
    int status;       /* HTTP status */
    const char *type; /* static: "invalid_request_error", "authentication_error", "server_error", ... */
    const char *code; /* static, or NULL: "model_not_found", ... */
    char param[160];  /* JSON path of the offending field: "input[0].content[1].type"; "" for none */
    char message[400];
    int retry_after_s; /* > 0: say so */
};

void api_error_set(struct api_error *e, int status, const char *type, const char *code, const char *param,
                   const char *fmt, ...) PRINTF_LIKE(6, 7);
/* Strangers' words may quote a key: what looks like one in the message becomes "[secret]". */
void api_error_scrub(struct api_error *e);
/* {"type":..,"code":..,"message":..,"param":..} as the next value of `w`. */
void api_error_write(const struct api_error *e, struct json_writer *w);
/* The HTTP body: {"error":{...}} */
void api_error_body(const struct api_error *e, struct buf *out);

/* The usual ones. */
#define API_INVALID "invalid_request_error"
#define API_AUTH "authentication_error"
#define API_PERMISSION "permission_error"
#define API_NOT_FOUND "not_found_error"
#define API_RATE "rate_limit_error"
#define API_SERVER "server_error"
#define API_UPSTREAM "upstream_error"

/* 503 out_of_memory. */
static inline void api_error_no_memory(struct api_error *e)
{
    api_error_set(e, 503, API_SERVER, "out_of_memory", NULL,
                  "The gateway has no memory for this request now.");
}

#include "protocols/messages/messages.h"
#include "protocols/provider_error.h"

/* Messages has one type for all that is wrong with a request: the words tell what other providers say by a
 * code. */
static bool says(const struct fault *f, const char *words)
{
    return strstr(f->error.message, words) != NULL;
}

void messages_decode_error(int http_status, struct bytes body, struct fault *ret)
{
    provider_error_decode(http_status, body, ret);
    if (ret->kind == FAULT_INVALID_REQUEST &&
        (says(ret, "prompt is too long") || says(ret, "exceed context limit"))) {
        ret->kind = FAULT_CONTEXT_TOO_LONG;
        ret->error.code = "context_length_exceeded";
    } else if (http_status == 404 && says(ret, "model:")) {
        api_error_set(&ret->error, 404, API_NOT_FOUND, "model_not_found", NULL,
                      "The provider does not know the model.");
    }
}

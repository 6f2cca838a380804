#pragma once
/* What a provider says when it fails, as its client may hear it. Shared by the dialects that face providers:
 * all that speak OpenAI's words answer errors in about the same form. */
#include "protocols/fault.h"

/* A body that came with a status other than 2xx, any bytes: {"error":{"message","type","code","param"}} and
 * its looser relatives ({"error":"text"}, {"message"}, {"detail"}), or HTML, or nothing.
 *
 *   400 409 413 422  the request's own fault: the same status, the provider's words
 *   401 403          the gateway's credentials: 502 upstream_auth_failed, in our words (theirs may quote the
 *                    key)
 *   404              404 model_not_found when it says so, else 502
 *   408 504          504 upstream_timeout
 *   429              429, the provider's words
 *   503 529          503 upstream_overloaded
 *   any other        502 upstream_error
 *
 * The kind is the status's; of a 4xx that has several causes, and of an error inside of a stream, the code's.
 */
void provider_error_decode(int http_status, struct bytes body, struct fault *ret);
/* An error object inside of a stream that began well; `error` may be any value. Its code decides the status.
 */
void provider_error_decode_object(const struct json_doc *d, json_ref error, struct fault *ret);
/* 502 upstream_truncated: the stream ended without its end. */
void provider_error_truncated(struct fault *ret);
/* 502 upstream_invalid_response: `what` was wrong. */
void provider_error_invalid(struct fault *ret, const char *what);

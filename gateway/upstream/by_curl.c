/* Answers that curl carries from beginning to end: https, over HTTP/2 or 1.1. */
#include "gateway/upstream/internal.h"

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
    return transfer_header(ctx, bytes_of(data, size * n)) ? size * n : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    transfer_body(ctx, bytes_of(data, size * n));
    return size * n;
}

static CURLcode set_request(struct origin *o, struct transfer *t, CURL *e)
{
    struct curl_slist *headers = o->headers;
    if (t->id_line) {
        t->id_header = (struct curl_slist){.data = t->id_line, .next = o->headers};
        headers = &t->id_header;
    }
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body.len);
    if (t->url && curl_easy_setopt(e, CURLOPT_URL, t->url) != CURLE_OK)
        return CURLE_OUT_OF_MEMORY;
    return curl_easy_setopt(e, CURLOPT_POSTFIELDS, t->body.data);
}

static void on_done(struct transfer *t, CURLcode result, curl_socket_t fd UNUSED)
{
    transfer_over(t, result);
}

static CURLcode curl_add(struct origin *o, struct transfer *t)
{
    return curl_loop_start(o, t, set_request, on_done);
}

static void curl_remove(struct origin *o, struct transfer *t)
{
    curl_loop_stop(o, t, t->carriage.state == CARRIAGE_OVER);
}

/* curl does not read the body again once all is sent and an answer has begun. */
static bool curl_sent(const struct transfer *t)
{
    curl_off_t sent = 0;
    return curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK &&
           (size_t)sent == t->body.len;
}

const struct transport_ops curl_transport = {.add = curl_add, .remove = curl_remove, .sent = curl_sent};

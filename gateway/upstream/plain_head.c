/* What the head of every request to a plain provider begins with: made once, of its URL and headers. */
#include "gateway/upstream/internal.h"

static bool is_ascii(const char *s)
{
    while (*s > ' ' && *s <= '~')
        s++;
    return *s == '\0';
}

static CURLcode get_part(CURLU *u, CURLUPart what, unsigned flags, char **ret)
{
    CURLUcode rc = curl_url_get(u, what, ret, flags);
    if (rc == CURLUE_NO_PORT || rc == CURLUE_NO_QUERY || rc == CURLUE_NO_USER || rc == CURLUE_NO_PASSWORD)
        return CURLE_OK;
    if (rc == CURLUE_OUT_OF_MEMORY)
        return CURLE_OUT_OF_MEMORY;
    return rc == CURLUE_OK ? CURLE_OK : CURLE_URL_MALFORMAT;
}

enum url_part { SCHEME, USER, PASSWORD, HOST, PORT, PATH, QUERY, N_URL_PARTS };

static enum err write_head(struct buf *b, const char *const part[N_URL_PARTS],
                           const struct curl_slist *headers)
{
    buf_printf(b, "POST %s%s%s HTTP/1.1\r\n", part[PATH], part[QUERY] ? "?" : "",
               part[QUERY] ? part[QUERY] : "");
    buf_printf(b, "Host: %s%s%s\r\nUser-Agent: sluice/" SLUICE_VERSION "\r\n", part[HOST],
               part[PORT] ? ":" : "", part[PORT] ? part[PORT] : "");
    for (; headers; headers = headers->next) {
        struct bytes line = bytes_cstr(headers->data);
        if (line.data[line.len - 1] == ':')
            continue; /* one that curl shall not send */
        buf_append_bytes(b, line);
        buf_append_bytes(b, BYTES("\r\n"));
    }
    return b->failed ? ERR_NOMEM : ERR_OK;
}

static CURLcode make_head(struct origin *o, size_t url_len, const char *const part[N_URL_PARTS])
{
    struct buf b;
    size_t room = 2 * url_len + 256;
    for (const struct curl_slist *h = o->headers; h; h = h->next)
        room += strlen(h->data) + 2;
    buf_init(&b, room);
    /* All at once: growing would leave copies of the key behind. */
    if (buf_reserve(&b, room) != ERR_OK || write_head(&b, part, o->headers) != ERR_OK) {
        buf_free(&b);
        return CURLE_OUT_OF_MEMORY;
    }
    o->plain.head = b.data;
    o->plain.head_len = b.len;
    return CURLE_OK;
}

CURLcode plain_make_head(struct origin *o, const char *url)
{
    static const CURLUPart wanted[N_URL_PARTS] = {
        [SCHEME] = CURLUPART_SCHEME, [USER] = CURLUPART_USER, [PASSWORD] = CURLUPART_PASSWORD,
        [HOST] = CURLUPART_HOST,     [PORT] = CURLUPART_PORT, [PATH] = CURLUPART_PATH,
        [QUERY] = CURLUPART_QUERY};
    char *part[N_URL_PARTS] = {0};
    CURLU *u = curl_url();
    CURLcode rc = u ? CURLE_OK : CURLE_OUT_OF_MEMORY;
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK)
        rc = CURLE_URL_MALFORMAT;
    for (size_t i = 0; rc == CURLE_OK && i < N_URL_PARTS; i++)
        rc = get_part(u, wanted[i], i == PORT ? CURLU_NO_DEFAULT_PORT : 0, &part[i]);
    /* Passwords and international names are curl's to translate. */
    if (rc == CURLE_OK &&
        (strcmp(part[SCHEME], "http") != 0 || part[USER] || part[PASSWORD] || !is_ascii(part[HOST])))
        rc = CURLE_URL_MALFORMAT;
    if (rc == CURLE_OK)
        rc = make_head(o, strlen(url), (const char *const *)part);
    for (size_t i = 0; i < N_URL_PARTS; i++)
        curl_free(part[i]);
    curl_url_cleanup(u);
    return rc;
}

#include "gateway/upstream/retry_after.h"
#include <curl/curl.h>

enum { DATE_MAX = 64 };

/* A number of which `unit` are a second. RFC 9110 knows no fractions; clients read them, so servers send
 * them. */
static bool read_delay(struct bytes text, uint64_t unit, int *ret_s)
{
    const char *dot = memchr(text.data, '.', text.len);
    struct bytes whole = dot ? bytes_of(text.data, (size_t)(dot - text.data)) : text;
    uint64_t n = 0, none;
    enum err fraction = dot ? bytes_to_u64(bytes_skip(text, whole.len + 1), 0, &none) : ERR_OK;
    enum err e = bytes_to_u64(whole, RETRY_AFTER_MAX_S * unit, &n);
    if (e == ERR_SYNTAX || fraction == ERR_SYNTAX)
        return false;
    uint64_t seconds = n / unit + (n % unit > 0 || fraction == ERR_LIMIT);
    *ret_s = e == ERR_LIMIT || seconds > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : (int)seconds;
    return true;
}

/* 0: not a date after 1970. */
static int64_t read_date(struct bytes text)
{
    char line[DATE_MAX];
    if (text.len >= sizeof(line))
        return 0;
    memcpy(line, text.data, text.len);
    line[text.len] = '\0';
    time_t t = curl_getdate(line, NULL);
    return t > 0 ? (int64_t)t : 0;
}

void retry_after_note(struct retry_after *r, struct bytes name, struct bytes value)
{
    if (value.len == 0)
        return;
    if (bytes_eq_nocase(name, BYTES("retry-after-ms")))
        (void)read_delay(value, 1000, &r->precise_s);
    else if (bytes_eq_nocase(name, BYTES("retry-after")) && !read_delay(value, 1, &r->delay_s))
        r->at = read_date(value);
    else if (bytes_eq_nocase(name, BYTES("date")))
        r->date = read_date(value);
}

int retry_after_s(const struct retry_after *r, int64_t now)
{
    if (r->precise_s > 0)
        return r->precise_s;
    if (r->delay_s > 0 || r->at == 0)
        return r->delay_s;
    int64_t wait = r->at - (r->date ? r->date : now);
    return wait <= 0 ? 0 : wait > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : (int)wait;
}

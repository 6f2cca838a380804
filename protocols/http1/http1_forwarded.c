#include "protocols/http1/http1_forwarded.h"
#include "protocols/http1/http1.h"

/* The last elements of all headers of a name, in their order. */
struct hops {
    struct bytes item[HTTP1_MAX_HOPS];
    size_t n; /* in all */
};

static struct hops collect(const struct http1_request *r, const char *name)
{
    struct hops h = {.n = 0};
    for (size_t i = 0; i < r->n_headers; i++) {
        struct bytes list = r->headers[i].value, item;
        if (!bytes_eq_nocase(r->headers[i].name, bytes_cstr(name)))
            continue;
        while (http1_list_next(&list, &item))
            h.item[h.n++ % HTTP1_MAX_HOPS] = item;
    }
    return h;
}

/* `back` 0: the last. Empty past those that are kept. */
static struct bytes from_end(const struct hops *h, size_t back)
{
    if (back >= MIN(h->n, (size_t)HTTP1_MAX_HOPS))
        return (struct bytes){NULL, 0};
    return h->item[(h->n - 1 - back) % HTTP1_MAX_HOPS];
}

static struct bytes unquoted(struct bytes s)
{
    if (s.len >= 2 && s.data[0] == '"' && s.data[s.len - 1] == '"')
        return bytes_of(s.data + 1, s.len - 2);
    return s;
}

/* "NAME=VALUE" among the pairs of an element of Forwarded. */
static struct bytes pair(struct bytes element, const char *name)
{
    while (element.len > 0) {
        struct bytes one, key;
        if (!http1_cut(&element, ';', &one)) {
            one = element;
            element = (struct bytes){NULL, 0};
        }
        one = bytes_trim_ows(one);
        if (http1_cut(&one, '=', &key) && bytes_eq_nocase(key, bytes_cstr(name)))
            return unquoted(one);
    }
    return (struct bytes){NULL, 0};
}

/* An address, perhaps with a port; an IPv6 address may stand in brackets. */
static struct address node(struct bytes text)
{
    struct address a = {.len = 0};
    struct http1_host host;
    if (address_parse_text(text, &a))
        return a;
    if (!http1_host_parse(text, &host) || !address_parse_text(host.name, &a))
        a.len = 0;
    return a;
}

static bool is_trusted(const struct network *trusted, size_t n, const struct address *a)
{
    for (size_t i = 0; i < n; i++)
        if (network_has(&trusted[i], a))
            return true;
    return false;
}

void http1_forwarded(const struct http1_request *r, enum http1_forwarded_by by, const struct network *trusted,
                     size_t n_trusted, struct http1_forwarded *ret)
{
    const bool rfc = by == HTTP1_FORWARDED;
    const struct hops hops = collect(r, rfc ? "forwarded" : "x-forwarded-for");
    struct bytes element = {NULL, 0}, scheme;
    *ret = (struct http1_forwarded){.said = hops.n > 0};
    for (size_t back = 0; back < hops.n; back++) {
        element = from_end(&hops, back);
        ret->client = node(rfc ? pair(element, "for") : element);
        if (ret->client.len == 0 || !is_trusted(trusted, n_trusted, &ret->client))
            break;
    }
    if (rfc) {
        scheme = pair(element, "proto");
    } else {
        const struct hops protos = collect(r, "x-forwarded-proto");
        scheme = from_end(&protos, 0);
    }
    if (bytes_eq_nocase(scheme, BYTES("https")) || bytes_eq_nocase(scheme, BYTES("wss")))
        ret->scheme = HTTP1_SCHEME_HTTPS;
    else if (bytes_eq_nocase(scheme, BYTES("http")) || bytes_eq_nocase(scheme, BYTES("ws")))
        ret->scheme = HTTP1_SCHEME_HTTP;
}

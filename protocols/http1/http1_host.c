#include "protocols/http1/http1_host.h"
#include "protocols/http1/http1.h"
#include <arpa/inet.h>

/* False: longer than any address is, or none. */
static bool is_address(int family, struct bytes s)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[16];
    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    return inet_pton(family, text, address) == 1;
}

/* unreserved, %XX, sub-delims but the comma, by which two fields could pass for one. */
static bool is_name(struct bytes s)
{
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.data[i];
        if (c == '%') {
            if (i + 2 >= s.len || !http1_char_is(s.data[i + 1], HTTP1_HEX) ||
                !http1_char_is(s.data[i + 2], HTTP1_HEX))
                return false;
        } else if (!http1_char_is(c, HTTP1_HOST) || c == '[' || c == ']' || c == ':') {
            return false;
        }
    }
    return true;
}

static bool parse_port(struct bytes s, uint16_t *ret)
{
    uint64_t port = 0;
    /* A colon with nothing behind it is allowed: the default. */
    if (s.len > 0 && bytes_to_u64(s, UINT16_MAX, &port) != ERR_OK)
        return false;
    *ret = (uint16_t)port;
    return s.len == 0 || port > 0;
}

bool http1_host_parse(struct bytes text, struct http1_host *ret)
{
    struct http1_host h = {.port = 0};
    struct bytes rest = text;
    if (text.len > 0 && text.data[0] == '[') {
        rest = bytes_skip(text, 1);
        h.numeric = http1_cut(&rest, ']', &h.name) && is_address(AF_INET6, h.name);
        if (!h.numeric)
            return false;
    } else {
        size_t end = 0;
        while (end < text.len && text.data[end] != ':')
            end++;
        h.name = bytes_of(text.data, end);
        rest = bytes_skip(text, end);
        if (!is_name(h.name))
            return false;
        h.numeric = h.name.len > 0 && h.name.data[0] <= '9' && is_address(AF_INET, h.name);
    }
    if (rest.len > 0 && (rest.data[0] != ':' || h.name.len == 0 || !parse_port(bytes_skip(rest, 1), &h.port)))
        return false;
    *ret = h;
    return true;
}

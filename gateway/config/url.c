#include "gateway/config/url.h"

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool host_char(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '.' || c == '_';
}

static bool literal_char(char c)
{
    return host_char(c) || c == ':';
}

/* HOST[:PORT]: a name, an IPv4 address, or an IPv6 address in brackets. */
static const char *check_authority(struct bytes s)
{
    if (s.len && memchr(s.data, '@', s.len))
        return "holds a user name or password";
    bool bracket = s.len > 0 && s.data[0] == '[';
    size_t host = bracket;
    while (host < s.len && (bracket ? literal_char(s.data[host]) : host_char(s.data[host])))
        host++;
    if (host == (size_t)bracket)
        return "has no host";
    if (bracket && (host == s.len || s.data[host++] != ']'))
        return "has a host in brackets that is no IPv6 address";
    struct bytes port = bytes_skip(s, host);
    if (port.len == 0)
        return NULL;
    if (port.data[0] != ':')
        return "has a character in its host that none may have";
    uint64_t number;
    if (bytes_to_u64(bytes_skip(port, 1), UINT16_MAX, &number) != ERR_OK || number == 0)
        return "has a port that is not a number from 1 to 65535";
    return NULL;
}

const char *url_check_base(struct bytes url, bool *ret_plaintext)
{
    bool plaintext = bytes_starts(url, BYTES("http://"));
    if (!plaintext && !bytes_starts(url, BYTES("https://")))
        return "does not begin with https:// or http://";
    for (size_t i = 0; i < url.len; i++)
        if ((unsigned char)url.data[i] <= 0x20 || (unsigned char)url.data[i] >= 0x7f)
            return "holds a space or a character that is not ASCII";
    if (memchr(url.data, '?', url.len) || memchr(url.data, '#', url.len))
        return "holds a query or a fragment";
    struct bytes rest = bytes_skip(url, plaintext ? 7 : 8);
    const char *slash = rest.len ? memchr(rest.data, '/', rest.len) : NULL;
    const char *wrong = check_authority(slash ? bytes_of(rest.data, (size_t)(slash - rest.data)) : rest);
    if (!wrong)
        *ret_plaintext = plaintext;
    return wrong;
}

const char *url_check_origin(struct bytes url)
{
    size_t scheme = 0;
    while (scheme < url.len &&
           (is_lower(url.data[scheme]) ||
            (scheme > 0 && (is_digit(url.data[scheme]) || strchr("+-.", url.data[scheme])))))
        scheme++;
    if (scheme == 0 || !bytes_starts(bytes_skip(url, scheme), BYTES("://")))
        return "has no scheme";
    struct bytes rest = bytes_skip(url, scheme + 3);
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.data[i] == '/')
            return "has a path";
        if (rest.data[i] == '*')
            return "has a *; origins are compared as they stand";
        if (rest.data[i] >= 'A' && rest.data[i] <= 'Z')
            return "has a capital letter";
    }
    return check_authority(rest);
}

#include "gateway/config/address.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static const char *parse_unix(const char *path, struct arena *a, struct config_listener *l)
{
    struct sockaddr_un sun;
    if (path[0] != '/')
        return "the path of a Unix socket must begin with /";
    if (strlen(path) >= sizeof(sun.sun_path))
        return "the path of a Unix socket is longer than 107 bytes";
    struct bytes copy;
    if (!arena_dup(a, bytes_cstr(path), &copy))
        return "out of memory";
    l->unix_path = copy.data;
    l->loopback = true;
    return NULL;
}

static bool parse_host(const char *host, bool ipv6, bool *ret_loopback)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (!ipv6) {
        if (inet_pton(AF_INET, host, &v4) != 1)
            return false;
        *ret_loopback = ntohl(v4.s_addr) >> 24 == 127;
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6) != 1 || IN6_IS_ADDR_V4MAPPED(&v6))
        return false;
    *ret_loopback = IN6_IS_ADDR_LOOPBACK(&v6);
    return true;
}

const char *address_parse(const char *text, struct arena *a, struct config_listener *l)
{
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, a, l);
    const char *colon = strrchr(text, ':');
    if (!colon)
        return "has no port";
    uint64_t port;
    if (bytes_to_u64(bytes_cstr(colon + 1), UINT16_MAX, &port) != ERR_OK)
        return "the port is not a number from 0 to 65535";
    size_t len = (size_t)(colon - text);
    bool ipv6 = len > 2 && text[0] == '[' && text[len - 1] == ']';
    const char *host =
        ipv6 ? arena_printf(a, "%.*s", (int)len - 2, text + 1) : arena_printf(a, "%.*s", (int)len, text);
    if (!host)
        return "out of memory";
    if (!parse_host(host, ipv6, &l->loopback))
        return "the host is not a numeric address (IPv6 stands in brackets; 0.0.0.0 and [::] are all of this "
               "machine's)";
    l->host = host;
    l->port = (uint16_t)port;
    return NULL;
}

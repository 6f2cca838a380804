#include "protocols/proxy/proxy_v2.h"

enum {
    SIGNATURE = 12,
    VERSION = 2,
    COMMAND_LOCAL = 0,
    COMMAND_PROXY = 1,
    FAMILY_INET = 1,
    FAMILY_INET6 = 2,
    TYPE_SSL = 0x20,
    CLIENT_SSL = 0x01,
};

static unsigned number16(const char *at)
{
    return (unsigned)((unsigned char)at[0] << 8 | (unsigned char)at[1]);
}

/* The extensions: type, length, value. False: one is cut. */
static bool read_extensions(struct bytes s, struct proxy_v2 *ret)
{
    while (s.len > 0) {
        const size_t len = s.len >= 3 ? number16(s.data + 1) : 0;
        if (s.len < 3 + len)
            return false;
        if ((unsigned char)s.data[0] == TYPE_SSL && len > 0)
            ret->tls = (s.data[3] & CLIENT_SSL) != 0;
        s = bytes_skip(s, 3 + len);
    }
    return true;
}

/* Source and destination addresses, then their ports. */
static bool read_body(struct bytes s, unsigned family, struct proxy_v2 *ret)
{
    static const size_t sizes[] = {[0] = 0, [FAMILY_INET] = 12, [FAMILY_INET6] = 36, [3] = 216};
    if (family >= ARRAY_LEN(sizes) || s.len < sizes[family])
        return false;
    if (family == FAMILY_INET || family == FAMILY_INET6)
        ret->client = address_of(bytes_of(s.data, family == FAMILY_INET ? 4 : 16));
    return read_extensions(bytes_skip(s, sizes[family]), ret);
}

enum proxy_result proxy_v2_parse(struct bytes in, struct proxy_v2 *ret, size_t *ret_size)
{
    static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
    struct proxy_v2 p = {.own = false};
    if (in.len > 0 && memcmp(in.data, signature, MIN(in.len, (size_t)SIGNATURE)) != 0)
        return PROXY_BAD;
    *ret_size = PROXY_V2_FIXED;
    if (in.len < PROXY_V2_FIXED)
        return PROXY_MORE;
    const unsigned version = (unsigned char)in.data[12] >> 4, command = in.data[12] & 0x0f;
    const unsigned family = (unsigned char)in.data[13] >> 4;
    const size_t size = PROXY_V2_FIXED + number16(in.data + 14);
    if (version != VERSION || command > COMMAND_PROXY || size > PROXY_V2_MAX)
        return PROXY_BAD;
    *ret_size = size;
    if (in.len < size)
        return PROXY_MORE;
    p.own = command == COMMAND_LOCAL;
    if (!p.own && !read_body(bytes_of(in.data + PROXY_V2_FIXED, size - PROXY_V2_FIXED), family, &p))
        return PROXY_BAD;
    *ret = p;
    return PROXY_DONE;
}

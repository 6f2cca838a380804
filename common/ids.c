#include "common/ids.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void random_bytes(void *ret, size_t len)
{
    unsigned char *p = ret;

    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            abort();
        }
        p += n;
        len -= (size_t)n;
    }
}

void id_make(const char *prefix, char *ret, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char raw[ID_RANDOM_HEX / 2];
    size_t at = strlen(prefix);

    assert(size > at + ID_RANDOM_HEX);
    if (size <= at + ID_RANDOM_HEX)
        abort();
    random_bytes(raw, sizeof(raw));
    memcpy(ret, prefix, at);
    for (size_t i = 0; i < sizeof(raw); i++) {
        ret[at++] = hex[raw[i] >> 4];
        ret[at++] = hex[raw[i] & 15];
    }
    ret[at] = '\0';
}

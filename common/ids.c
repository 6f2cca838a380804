#include "common/ids.h"
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
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

/* Random bytes got ahead: a request makes three ids, and a system call each would be a hundredth of its time.
 */
static struct {
    unsigned char bytes[512];
    size_t left; /* at the end of `bytes` */
    bool watched;
} pool;

/* A child must not make its parent's ids. */
static void forget_pool(void)
{
    explicit_bzero(pool.bytes, sizeof(pool.bytes));
    pool.left = 0;
}

static void random_from_pool(unsigned char *ret, size_t len)
{
    if (!pool.watched) {
        if (pthread_atfork(NULL, NULL, forget_pool) != 0) {
            random_bytes(ret, len);
            return;
        }
        pool.watched = true;
    }
    if (len > pool.left) {
        random_bytes(pool.bytes, sizeof(pool.bytes));
        pool.left = sizeof(pool.bytes);
    }
    unsigned char *from = pool.bytes + sizeof(pool.bytes) - pool.left;
    memcpy(ret, from, len);
    explicit_bzero(from, len);
    pool.left -= len;
}

void id_make(const char *prefix, char *ret, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char raw[ID_RANDOM_HEX / 2];
    size_t at = strlen(prefix);

    assert(size > at + ID_RANDOM_HEX);
    if (size <= at + ID_RANDOM_HEX)
        abort();
    random_from_pool(raw, sizeof(raw));
    memcpy(ret, prefix, at);
    for (size_t i = 0; i < sizeof(raw); i++) {
        ret[at++] = hex[raw[i] >> 4];
        ret[at++] = hex[raw[i] & 15];
    }
    ret[at] = '\0';
}

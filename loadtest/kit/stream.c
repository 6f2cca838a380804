#include "loadtest/kit/stream.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TLS_GATHER = 16384 };

enum err stream_open(struct stream *s, int fd, SSL_CTX *tls, bool accept, size_t max_out)
{
    *s = (struct stream){.fd = fd};
    buf_init(&s->out, max_out);
    int on = 1;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        goto fail;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (tls) {
        s->ssl = SSL_new(tls);
        if (!s->ssl || SSL_set_fd(s->ssl, fd) != 1)
            goto fail;
        if (accept)
            SSL_set_accept_state(s->ssl);
        else
            SSL_set_connect_state(s->ssl);
        s->handshaking = true;
    }
    return ERR_OK;
fail:
    stream_close(s);
    return ERR_IO;
}

void stream_close(struct stream *s)
{
    SSL_free(s->ssl);
    s->ssl = NULL;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->handshaking = s->tls_wants_write = false;
    buf_free(&s->out);
}

static enum err tls_error(struct stream *s, int result)
{
    int e = SSL_get_error(s->ssl, result);
    s->tls_wants_write = e == SSL_ERROR_WANT_WRITE;
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return ERR_AGAIN;
    ERR_clear_error();
    return e == SSL_ERROR_ZERO_RETURN ? ERR_CLOSED : ERR_IO;
}

enum err stream_handshake(struct stream *s)
{
    if (!s->handshaking)
        return ERR_OK;
    int r = SSL_do_handshake(s->ssl);
    if (r != 1)
        return tls_error(s, r);
    s->handshaking = s->tls_wants_write = false;
    return ERR_OK;
}

enum err stream_read(struct stream *s, void *ret_data, size_t cap, size_t *ret_len)
{
    if (s->ssl) {
        int n = SSL_read(s->ssl, ret_data, (int)cap);
        if (n <= 0)
            return tls_error(s, n);
        *ret_len = (size_t)n;
        return ERR_OK;
    }
    ssize_t n = read(s->fd, ret_data, cap);
    if (n > 0) {
        *ret_len = (size_t)n;
        return ERR_OK;
    }
    if (n == 0)
        return ERR_CLOSED;
    return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_IO;
}

/* Sends from one run of bytes; *ret_sent may be short. */
static enum err send_some(struct stream *s, const char *data, size_t len, size_t *ret_sent)
{
    size_t sent = 0;
    while (sent < len) {
        if (s->ssl) {
            int n = SSL_write(s->ssl, data + sent, (int)(len - sent));
            if (n <= 0) {
                enum err e = tls_error(s, n);
                if (e != ERR_AGAIN)
                    return ERR_IO;
                break;
            }
            sent += (size_t)n;
        } else {
            ssize_t n = send(s->fd, data + sent, len - sent, MSG_NOSIGNAL);
            if (n < 0 && errno != EAGAIN)
                return ERR_IO;
            if (n <= 0)
                break;
            sent += (size_t)n;
        }
    }
    *ret_sent = sent;
    return ERR_OK;
}

enum err stream_flush(struct stream *s)
{
    size_t sent = 0;
    if (s->out.len == 0)
        return ERR_OK;
    enum err e = send_some(s, s->out.data, s->out.len, &sent);
    if (e == ERR_OK)
        buf_consume(&s->out, sent);
    if (e == ERR_OK && s->out.len == 0)
        buf_free(&s->out);
    return e;
}

static enum err keep(struct stream *s, const struct iovec *parts, unsigned n_parts, size_t skip)
{
    for (unsigned i = 0; i < n_parts; i++) {
        size_t off = skip < parts[i].iov_len ? skip : parts[i].iov_len;
        skip -= off;
        enum err e = buf_append(&s->out, (const char *)parts[i].iov_base + off, parts[i].iov_len - off);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static size_t total(const struct iovec *parts, unsigned n_parts)
{
    size_t sum = 0;
    for (unsigned i = 0; i < n_parts; i++)
        sum += parts[i].iov_len;
    return sum;
}

enum err stream_write(struct stream *s, const struct iovec *parts, unsigned n_parts)
{
    if (s->out.len || s->handshaking)
        return keep(s, parts, n_parts, 0);
    if (s->ssl) { /* one record for all parts when they are small */
        if (n_parts == 1 || total(parts, n_parts) > TLS_GATHER) {
            for (unsigned i = 0; i < n_parts; i++) {
                size_t sent = 0;
                if (s->out.len == 0 && send_some(s, parts[i].iov_base, parts[i].iov_len, &sent) != ERR_OK)
                    return ERR_IO;
                enum err e = keep(s, &parts[i], 1, sent);
                if (e != ERR_OK)
                    return e;
            }
            return ERR_OK;
        }
        enum err e = keep(s, parts, n_parts, 0);
        return e == ERR_OK ? stream_flush(s) : e;
    }
    struct msghdr m = {.msg_iov = (struct iovec *)parts, .msg_iovlen = n_parts};
    ssize_t n = sendmsg(s->fd, &m, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return ERR_IO;
    size_t sent = n > 0 ? (size_t)n : 0;
    return sent < total(parts, n_parts) ? keep(s, parts, n_parts, sent) : ERR_OK;
}

bool stream_wants_write(const struct stream *s)
{
    return s->tls_wants_write || (s->out.len > 0 && !s->handshaking);
}

int listen_tcp(const struct sockaddr *address, socklen_t len, int backlog, bool shared)
{
    int on = 1, share = shared,
        fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &share, sizeof(share)) < 0 || bind(fd, address, len) < 0 ||
        listen(fd, backlog) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

bool address_parse(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_len)
{
    const char *colon = strrchr(text, ':');
    char host[64], *end;
    if (!colon || colon == text || (size_t)(colon - text) >= sizeof(host))
        return false;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (colon[1] == '\0' || *end || port > 65535)
        return false;
    bool v6 = text[0] == '[' && colon[-1] == ']';
    size_t len = (size_t)(colon - text) - (v6 ? 2 : 0);
    memcpy(host, text + v6, len);
    host[len] = '\0';
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (inet_pton(v6 ? AF_INET6 : AF_INET, host, v6 ? (void *)&in6.sin6_addr : (void *)&in.sin_addr) != 1)
        return false;
    memset(ret_address, 0, sizeof(*ret_address));
    if (v6)
        memcpy(ret_address, &in6, sizeof(in6));
    else
        memcpy(ret_address, &in, sizeof(in));
    *ret_len = v6 ? sizeof(in6) : sizeof(in);
    return true;
}

unsigned socket_port(int fd)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    socklen_t len = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return 0;
    if (a.ss_family == AF_INET) {
        memcpy(&in, &a, sizeof(in));
        return ntohs(in.sin_port);
    }
    memcpy(&in6, &a, sizeof(in6));
    return ntohs(in6.sin6_port);
}

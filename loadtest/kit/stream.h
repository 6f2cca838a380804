#pragma once
/* A non-blocking TCP connection, with TLS or without, and the bytes that it could not send yet. */
#include "common/buf.h"
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct stream {
    int fd; /* -1: closed */
    SSL *ssl;
    struct buf out;       /* waits for the socket; its ceiling is set by stream_open */
    bool handshaking;     /* TLS: neither reading nor writing is possible yet */
    bool tls_wants_write; /* the handshake or a read waits for room to write */
};

/* Takes over `fd`, makes it non-blocking and sets TCP_NODELAY. `tls` may be NULL; `accept`: the server's
 * side. On failure the descriptor is closed. */
enum err stream_open(struct stream *s, int fd, SSL_CTX *tls, bool accept, size_t max_out) MUST_USE;
/* Closes at once, without a TLS farewell; the stream may be opened again. */
void stream_close(struct stream *s);
/* ERR_AGAIN: not done; ERR_IO: refused. Call until ERR_OK before anything else, when `handshaking`. */
enum err stream_handshake(struct stream *s) MUST_USE;
/* ERR_AGAIN: nothing there; ERR_CLOSED: the peer ended; ERR_IO. With TLS call again until ERR_AGAIN: what
 * OpenSSL has already decrypted wakes no epoll. */
enum err stream_read(struct stream *s, void *ret_data, size_t cap, size_t *ret_len) MUST_USE;
/* Sends what the socket takes and keeps the rest in `out`. ERR_LIMIT: the rest passes the ceiling. */
enum err stream_write(struct stream *s, const struct iovec *parts, unsigned n_parts) MUST_USE;
enum err stream_flush(struct stream *s) MUST_USE;
/* The epoll events to wait for, beside reading. */
bool stream_wants_write(const struct stream *s);

/* A listening TCP socket; -1 with errno. `shared`: with SO_REUSEPORT, one of several on its port. */
int listen_tcp(const struct sockaddr *address, socklen_t len, int backlog, bool shared);
/* "127.0.0.1:8080" or "[::1]:0". */
bool address_parse(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_len) MUST_USE;
/* The port that a socket is bound to. */
unsigned socket_port(int fd);

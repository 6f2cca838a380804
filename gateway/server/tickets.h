#pragma once
/* The keys of TLS session tickets (RFC 5077; RFC 8446, 4.6.1), the same in all workers, so that a session
 * that one began another resumes. Made by the master, and rotated: what the former key has made still counts.
 */

struct tls_ticket_key {
    unsigned char name[16], aes[32], hmac[32];
};

struct tls_tickets {
    struct tls_ticket_key at[2]; /* the present one, and the former */
};

/* At first: both at random. */
void tls_tickets_make(struct tls_tickets *t);
/* The present one becomes the former. */
void tls_tickets_rotate(struct tls_tickets *t);
/* Has an SSL_CTX make and take tickets by these keys, which must outlive it and may change. */
void tls_tickets_use(void *ssl_ctx, struct tls_tickets *t);

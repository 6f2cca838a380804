#pragma once
/* What a connection says before it is one of ours: the PROXY protocol's head, in front of TLS and HTTP. */
#include "gateway/server/server_internal.h"
#include "protocols/proxy/proxy_v2.h"

/* Reads the head of a socket that was accepted from `peer`, and hands both to `taken`; or closes the socket,
 * when the peer may not say such things, says something else or takes longer than timeouts.handshake. */
void preface_read(struct listener *l, int fd, struct bytes peer,
                  void (*taken)(struct listener *l, int fd, struct bytes peer, const struct proxy_v2 *head));
/* Closes those that are still being read. */
void preface_close_all(struct server *s);

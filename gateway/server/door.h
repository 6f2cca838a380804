#pragma once
/* Who may come in: what is looked at when a connection is accepted, over all workers. Created by the master
 * before it forks.
 *
 *   sessions     all connections                                   limits.max_sessions
 *   strangers    those of which nothing has authenticated yet      limits.max_unauthenticated
 *   handshakes   TLS handshakes under way, and begun in a second   limits.max_handshakes, _per_second
 *
 * each in all and for one address (IPv6: its /64, and ten times as many its /48). Handshakes come first: none
 * past its ceiling costs a key exchange. */
#include "common/bytes.h"
#include "gateway/config/config.h"

struct door;

/* Room for `room` connections; `slots`: workers at once. NULL: no memory. */
struct door *door_create(unsigned slots, uint64_t room);
void door_destroy(struct door *d);
/* limits.max_sessions can be so high. */
uint64_t door_room(const struct door *d);
/* For this process: a worker goes by its own configuration's. */
void door_set_limits(struct door *d, const struct config *cfg);
/* A worker died: what its slot held is given back. */
void door_reclaim(struct door *d, unsigned slot);
/* Connections that are in. */
uint64_t door_total(const struct door *d);

/* What a connection holds. */
enum door_part { DOOR_SESSION = 1, DOOR_STRANGER = 2, DOOR_HANDSHAKE = 4 };

enum door_verdict {
    DOOR_OPEN,
    DOOR_ADDRESS, /* too many of this address: to be told so, if there is time for it */
    DOOR_FULL,    /* too many in all: the same */
    DOOR_CUT,     /* to be closed at once */
};

/* `address`: 4 or 16 bytes; none for a Unix peer, which counts in all only. *ret_held: the parts that it now
 * holds, also when it is refused (a refusal over TLS is a handshake too); *ret_key: on refusal, the key that
 * raises the limit. */
enum door_verdict door_enter(struct door *d, unsigned slot, struct bytes address, bool tls, uint64_t now_ms,
                             uint8_t *ret_held, const char **ret_key);
/* Gives `parts` back, as far as they are held. */
void door_leave(struct door *d, unsigned slot, struct bytes address, uint8_t *held, uint8_t parts);

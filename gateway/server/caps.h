#pragma once
/* Connection caps that all workers agree on: counters in shared memory, one column a worker slot, so that
 * what a killed worker held is given back by zeroing its column. Created by the master before it forks. The
 * counters are all that is shared: whatever a worker writes there, nobody follows it anywhere. */
#include "common/bytes.h"

struct caps;

/* An anonymous shared mapping with a place for `room` connections, each of another address, and that many
 * allowed; NULL: no memory. */
struct caps *caps_create(unsigned slots, uint64_t room);
void caps_destroy(struct caps *c);
uint64_t caps_room(const struct caps *c);
/* For this process: a worker goes by its own configuration's. `max_total` is at most the room. */
void caps_set_limits(struct caps *c, uint64_t max_total, uint64_t max_per_address);

enum caps_verdict { CAPS_OK, CAPS_TOTAL, CAPS_ADDRESS };
/* `address`: the peer's address bytes (4 or 16; an IPv6 peer counts by its /64, and its /48
 * may have ten times as many; a Unix peer passes none and counts in the total only). */
enum caps_verdict caps_acquire(struct caps *c, unsigned slot, struct bytes address);
void caps_release(struct caps *c, unsigned slot, struct bytes address);
/* A worker died: its column counts for nothing any more. */
void caps_reclaim(struct caps *c, unsigned slot);
uint64_t caps_total(const struct caps *c);

/* An IPv6 network of 48 bits, what a customer is given, may have so many times what one address may. */
enum { CAPS_NETWORK_FACTOR = 10 };
/* A number for every address that counts for itself; 0: it does not (a Unix peer). */
uint64_t caps_key(struct bytes address);
/* The same for the /48 of an IPv6 address; 0: it is none. */
uint64_t caps_network(struct bytes address);

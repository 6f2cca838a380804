#include "gateway/server/door.h"
#include "gateway/server/caps.h"
#include "gateway/server/rates.h"
#include <stdlib.h>

enum { HANDSHAKES_ROOM = 65536 };

struct door {
    struct caps *sessions, *strangers, *handshakes;
    struct rates *rates;
    uint64_t handshakes_s, handshakes_s_address;
};

struct door *door_create(unsigned slots, uint64_t room)
{
    struct door *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->sessions = caps_create(slots, room);
    d->strangers = caps_create(slots, room);
    d->handshakes = caps_create(slots, HANDSHAKES_ROOM);
    d->rates = rates_create();
    if (d->sessions && d->strangers && d->handshakes && d->rates)
        return d;
    door_destroy(d);
    return NULL;
}

void door_destroy(struct door *d)
{
    if (!d)
        return;
    caps_destroy(d->sessions);
    caps_destroy(d->strangers);
    caps_destroy(d->handshakes);
    rates_destroy(d->rates);
    free(d);
}

uint64_t door_room(const struct door *d)
{
    return caps_room(d->sessions);
}

void door_set_limits(struct door *d, const struct config *cfg)
{
    const uint64_t room = door_room(d);
    caps_set_limits(d->sessions, cfg->limits.max_sessions, cfg->limits.max_sessions_per_address);
    caps_set_limits(d->strangers, MIN(cfg->limits.max_unauthenticated, room),
                    cfg->limits.max_unauthenticated_per_address);
    caps_set_limits(d->handshakes, MIN(cfg->limits.max_handshakes, (uint64_t)HANDSHAKES_ROOM),
                    cfg->limits.max_handshakes_per_address);
    d->handshakes_s = cfg->limits.max_handshakes_per_second;
    d->handshakes_s_address = cfg->limits.max_handshakes_per_second_per_address;
}

void door_reclaim(struct door *d, unsigned slot)
{
    caps_reclaim(d->sessions, slot);
    caps_reclaim(d->strangers, slot);
    caps_reclaim(d->handshakes, slot);
}

uint64_t door_total(const struct door *d)
{
    return caps_total(d->sessions);
}

/* NULL: it may begin; else the key whose limit it is past. */
static const char *begin_handshake(struct door *d, unsigned slot, struct bytes address, uint64_t now_ms)
{
    const uint64_t key = caps_key(address), network = caps_network(address);
    if (key != 0 && !rates_take(d->rates, key, now_ms, d->handshakes_s_address))
        return "max_handshakes_per_second_per_address";
    if (network != 0 && !rates_take(d->rates, network, now_ms, d->handshakes_s_address * CAPS_NETWORK_FACTOR))
        return "max_handshakes_per_second_per_address";
    if (!rates_take(d->rates, 0, now_ms, d->handshakes_s))
        return "max_handshakes_per_second";
    switch (caps_acquire(d->handshakes, slot, address)) {
    case CAPS_OK:
        return NULL;
    case CAPS_ADDRESS:
        return "max_handshakes_per_address";
    case CAPS_TOTAL:
        break;
    }
    return "max_handshakes";
}

static enum door_verdict enter(struct caps *c, unsigned slot, struct bytes address, const char *all,
                               const char *one, const char **ret_key)
{
    switch (caps_acquire(c, slot, address)) {
    case CAPS_OK:
        return DOOR_OPEN;
    case CAPS_ADDRESS:
        *ret_key = one;
        return DOOR_ADDRESS;
    case CAPS_TOTAL:
        break;
    }
    *ret_key = all;
    return DOOR_FULL;
}

enum door_verdict door_enter(struct door *d, unsigned slot, struct bytes address, bool tls, uint64_t now_ms,
                             uint8_t *ret_held, const char **ret_key)
{
    *ret_held = 0;
    *ret_key = tls ? begin_handshake(d, slot, address, now_ms) : NULL;
    if (*ret_key)
        return DOOR_CUT;
    if (tls)
        *ret_held = DOOR_HANDSHAKE;
    enum door_verdict verdict =
        enter(d->sessions, slot, address, "max_sessions", "max_sessions_per_address", ret_key);
    if (verdict != DOOR_OPEN)
        return verdict;
    *ret_held |= DOOR_SESSION;
    verdict =
        enter(d->strangers, slot, address, "max_unauthenticated", "max_unauthenticated_per_address", ret_key);
    if (verdict == DOOR_OPEN)
        *ret_held |= DOOR_STRANGER;
    else
        door_leave(d, slot, address, ret_held, DOOR_SESSION);
    return verdict;
}

void door_leave(struct door *d, unsigned slot, struct bytes address, uint8_t *held, uint8_t parts)
{
    parts &= *held;
    *held ^= parts;
    if (parts & DOOR_SESSION)
        caps_release(d->sessions, slot, address);
    if (parts & DOOR_STRANGER)
        caps_release(d->strangers, slot, address);
    if (parts & DOOR_HANDSHAKE)
        caps_release(d->handshakes, slot, address);
}

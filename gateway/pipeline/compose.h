#pragma once
/* Unicode normalization forms C and KC (UAX #15) of text of any kind and length, in time that grows with its
 * length alone. Characters and their properties are utf8proc's; the order of marks is made here, because
 * utf8proc sorts by exchanging neighbours: half a megabyte of marks took it minutes. */
#include "common/buf.h"

enum compose_form { COMPOSE_NFC, COMPOSE_NFKC };

/* Appends the composed form of `s`, which is UTF-8; nothing when that is `s` itself. *ret_changed: bytes of
 * the stretches that are not as they were, the longer of before and after. False: no memory, or `out` is full
 * (it may hold a part then). */
bool compose_text(enum compose_form form, struct bytes s, struct buf *out, size_t *ret_changed) MUST_USE;

/* How many times longer text can become. */
enum { COMPOSE_GROWTH_NFC = 3, COMPOSE_GROWTH_NFKC = 11 };

/* `ch` may become one character with what stands before it. */
bool compose_joins(int32_t ch);

/* The first character of `s`, which is not empty and UTF-8, and its length. */
static inline size_t compose_decode(struct bytes s, int32_t *ret)
{
    const unsigned char *u = (const unsigned char *)s.data;
    if (u[0] < 0x80 || s.len < 2) {
        *ret = u[0];
        return 1;
    }
    if (u[0] < 0xE0 || s.len < 3) {
        *ret = (u[0] & 0x1F) << 6 | (u[1] & 0x3F);
        return 2;
    }
    if (u[0] < 0xF0 || s.len < 4) {
        *ret = (u[0] & 0x0F) << 12 | (u[1] & 0x3F) << 6 | (u[2] & 0x3F);
        return 3;
    }
    *ret = (u[0] & 0x07) << 18 | (u[1] & 0x3F) << 12 | (u[2] & 0x3F) << 6 | (u[3] & 0x3F);
    return 4;
}

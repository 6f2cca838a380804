#pragma once
/* Picks values out of JSON that is taken to be valid, without building a tree: for tools that must stay
 * cheaper than what they measure. Not a validator: on text that is not JSON it finds nothing or something,
 * but never reads past the end. */
#include "common/bytes.h"

/* The raw value of member `key` of an object (not of the objects inside it); false when it has none. */
bool jscan_member(struct bytes object, const char *key, struct bytes *ret_value) MUST_USE;
/* Element `index` of an array. */
bool jscan_element(struct bytes array, unsigned index, struct bytes *ret_value) MUST_USE;
/* Members and element numbers joined by dots: "choices.0.delta.content". */
bool jscan_path(struct bytes object, const char *path, struct bytes *ret_value) MUST_USE;
/* What stands between the quotes of a string, escapes and all; false when it is no string. */
bool jscan_string(struct bytes value, struct bytes *ret_inner) MUST_USE;
/* A non-negative integer. */
bool jscan_u32(struct bytes value, uint32_t *ret_number) MUST_USE;

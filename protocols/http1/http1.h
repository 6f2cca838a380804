#pragma once
/* The grammar that HTTP/1.1 requests and responses share: characters, fields and lists (RFC 9110, 5; RFC
 * 9112, 5). Pure; slices are of the input. */
#include "common/bytes.h"

enum http1_char {
    HTTP1_HEX_VALUE = 0x0f, /* of a hexadecimal digit */
    HTTP1_HEX = 0x10,
    HTTP1_WORD = 0x20,  /* an ASCII letter or digit */
    HTTP1_TOKEN = 0x40, /* tchar (RFC 9110, 5.6.2) */
    HTTP1_FIELD = 0x80, /* what a field value may hold (RFC 9110, 5.5) */
    HTTP1_HOST = 0x100, /* of an authority without user (RFC 3986, 3.2) */
};

extern const uint16_t http1_chars[256];

static inline unsigned http1_char_is(char c, enum http1_char kind)
{
    return http1_chars[(unsigned char)c] & (unsigned)kind;
}
/* An ASCII letter or digit. */
static inline bool http1_is_word(char c)
{
    return http1_char_is(c, HTTP1_WORD) != 0;
}
/* Whether all of them are of that kind; true of none. */
bool http1_all(struct bytes s, enum http1_char kind);
/* What stands before the first `at` into *ret_before, what follows it into *s. False: it is not there. */
bool http1_cut(struct bytes *s, char at, struct bytes *ret_before);
/* A line "name: value" without its end: the name a token, right before the colon; the value without the
 * blanks around it, not otherwise looked at. */
bool http1_field(struct bytes line, struct bytes *ret_name, struct bytes *ret_value);
/* The next element of a comma-separated list, blanks and empty ones left out; false at its end. */
bool http1_list_next(struct bytes *list, struct bytes *ret_item);

#include "protocols/http1/http1.h"

enum {
    TOKEN = HTTP1_TOKEN | HTTP1_FIELD,
    HOST = HTTP1_HOST | HTTP1_FIELD,
    BOTH = HTTP1_TOKEN | HTTP1_HOST | HTTP1_FIELD,
    WORD = BOTH | HTTP1_WORD,
    HEX = WORD | HTTP1_HEX,
};

/* clang-format off */
const uint16_t http1_chars[256] = {
    ['\t'] = HTTP1_FIELD, [' '] = HTTP1_FIELD, ['"'] = HTTP1_FIELD, [','] = HTTP1_FIELD, ['/'] = HTTP1_FIELD,
    ['<'] = HTTP1_FIELD, ['>'] = HTTP1_FIELD, ['?'] = HTTP1_FIELD, ['@'] = HTTP1_FIELD, ['\\'] = HTTP1_FIELD,
    ['{'] = HTTP1_FIELD, ['}'] = HTTP1_FIELD, [0x80 ... 0xff] = HTTP1_FIELD,
    ['#'] = TOKEN, ['^'] = TOKEN, ['`'] = TOKEN, ['|'] = TOKEN,
    ['('] = HOST, [')'] = HOST, [':'] = HOST, [';'] = HOST, ['='] = HOST, ['['] = HOST, [']'] = HOST,
    ['!'] = BOTH, ['$'] = BOTH, ['%'] = BOTH, ['&'] = BOTH, ['\''] = BOTH, ['*'] = BOTH, ['+'] = BOTH,
    ['-'] = BOTH, ['.'] = BOTH, ['_'] = BOTH, ['~'] = BOTH,
    ['0'] = HEX | 0, ['1'] = HEX | 1, ['2'] = HEX | 2, ['3'] = HEX | 3, ['4'] = HEX | 4,
    ['5'] = HEX | 5, ['6'] = HEX | 6, ['7'] = HEX | 7, ['8'] = HEX | 8, ['9'] = HEX | 9,
    ['A'] = HEX | 10, ['B'] = HEX | 11, ['C'] = HEX | 12, ['D'] = HEX | 13, ['E'] = HEX | 14, ['F'] = HEX | 15,
    ['a'] = HEX | 10, ['b'] = HEX | 11, ['c'] = HEX | 12, ['d'] = HEX | 13, ['e'] = HEX | 14, ['f'] = HEX | 15,
    ['G' ... 'Z'] = WORD, ['g' ... 'z'] = WORD,
};
/* clang-format on */

bool http1_all(struct bytes s, enum http1_char kind)
{
    for (size_t i = 0; i < s.len; i++)
        if (!http1_char_is(s.data[i], kind))
            return false;
    return true;
}

bool http1_cut(struct bytes *s, char at, struct bytes *ret_before)
{
    const char *found = s->len > 0 ? memchr(s->data, at, s->len) : NULL;
    if (!found)
        return false;
    size_t n = (size_t)(found - s->data);
    *ret_before = bytes_of(s->data, n);
    *s = bytes_of(found + 1, s->len - n - 1);
    return true;
}

bool http1_field(struct bytes line, struct bytes *ret_name, struct bytes *ret_value)
{
    size_t n = 0;
    while (n < line.len && http1_char_is(line.data[n], HTTP1_TOKEN))
        n++;
    if (n == 0 || n == line.len || line.data[n] != ':')
        return false;
    *ret_name = bytes_of(line.data, n);
    *ret_value = bytes_trim_ows(bytes_of(line.data + n + 1, line.len - n - 1));
    return true;
}

bool http1_list_next(struct bytes *list, struct bytes *ret_item)
{
    while (list->len > 0) {
        struct bytes item;
        if (!http1_cut(list, ',', &item)) {
            item = *list;
            *list = (struct bytes){NULL, 0};
        }
        item = bytes_trim_ows(item);
        if (item.len > 0) {
            *ret_item = item;
            return true;
        }
    }
    return false;
}

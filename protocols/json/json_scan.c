/* Strings and numbers: the tokens with an inside. */
#include "common/block.h"
#include "protocols/json/json_internal.h"

static bool bad(struct json_cursor *c, const char *at, const char *what)
{
    c->p = at;
    c->what = at == c->end ? "the text ends too early" : what;
    return false;
}

static inline const char *skip_plain(const char *p, const char *end)
{
    while (end - p >= (ptrdiff_t)sizeof(block)) {
        const block b = block_at(p);
        const size_t n = block_first((block)((signed_block)b < ' ') | (block)(b == '"') | (block)(b == '\\'));
        p += n;
        if (n < sizeof(block))
            return p;
    }
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

static inline bool follows(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* The length of the character at `p`, which is not ASCII; 0: not UTF-8 (RFC 3629, section 4). */
static inline size_t utf8_length(const char *p, const char *end)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t left = (size_t)(end - p);

    if (u[0] < 0xC2)
        return 0;
    if (u[0] < 0xE0)
        return left >= 2 && follows(u[1]) ? 2 : 0;
    if (u[0] < 0xF0) {
        if (left < 3 || !follows(u[1]) || !follows(u[2]))
            return 0;
        bool overlong = u[0] == 0xE0 && u[1] < 0xA0, surrogate = u[0] == 0xED && u[1] > 0x9F;
        return overlong || surrogate ? 0 : 3;
    }
    if (u[0] > 0xF4 || left < 4 || !follows(u[1]) || !follows(u[2]) || !follows(u[3]))
        return 0;
    bool overlong = u[0] == 0xF0 && u[1] < 0x90, beyond = u[0] == 0xF4 && u[1] > 0x8F;
    return overlong || beyond ? 0 : 4;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at `p`. */
static bool scan_hex4(struct json_cursor *c, const char *p, unsigned *ret)
{
    unsigned v = 0;

    for (int i = 0; i < 4; i++) {
        int digit = p + i < c->end ? hex_value(p[i]) : -1;
        if (digit < 0)
            return bad(c, p + i, "not a hexadecimal digit");
        v = v << 4 | (unsigned)digit;
    }
    *ret = v;
    return true;
}

/* `p` is at the backslash; it ends behind the escape. */
static bool scan_escape(struct json_cursor *c)
{
    const char *start = c->p;
    unsigned unit, second;

    if (c->end - start < 2)
        return bad(c, c->end, "");
    switch (start[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        c->p = start + 2;
        return true;
    case 'u':
        break;
    default:
        return bad(c, start + 1, "no such escape");
    }
    if (!scan_hex4(c, start + 2, &unit))
        return false;
    c->p = start + 6;
    if (unit < 0xD800 || unit > 0xDFFF)
        return true;
    /* Its other half must follow at once; where the text ends before, that is what is wrong. */
    for (size_t i = 0; i < 2 && unit <= 0xDBFF; i++) {
        if (c->p + i == c->end)
            return bad(c, c->end, "");
        if (c->p[i] != "\\u"[i])
            return bad(c, start, "half a surrogate pair");
    }
    if (unit > 0xDBFF)
        return bad(c, start, "half a surrogate pair");
    if (!scan_hex4(c, start + 8, &second))
        return false;
    if (second < 0xDC00 || second > 0xDFFF)
        return bad(c, start, "half a surrogate pair");
    c->p = start + 12;
    return true;
}

bool json_scan_string(struct json_cursor *c, bool *ret_escaped)
{
    bool escaped = false;

    for (;;) {
        const char *p = skip_plain(c->p, c->end);
        c->p = p;
        if (p == c->end)
            return bad(c, p, "");
        if (*p == '"') {
            c->p = p + 1;
            *ret_escaped = escaped;
            return true;
        }
        if (*p == '\\') {
            escaped = true;
            if (!scan_escape(c))
                return false;
        } else if ((unsigned char)*p < 0x20) {
            return bad(c, p, "a control character in a string");
        } else {
            do {
                size_t n = utf8_length(c->p, c->end);
                if (n == 0)
                    return bad(c, c->p, "not UTF-8");
                c->p += n;
            } while (c->p < c->end && (unsigned char)*c->p >= 0x80);
        }
    }
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* At least one digit at `p`. */
static bool scan_digits(struct json_cursor *c, const char *p)
{
    const char *q = skip_digits(p, c->end);

    if (q == p)
        return bad(c, p, "a digit must stand here");
    c->p = q;
    return true;
}

bool json_scan_number(struct json_cursor *c)
{
    const char *p = c->p;

    if (*p == '-')
        p++;
    if (p < c->end && *p == '0') {
        c->p = p + 1;
        if (c->p < c->end && *c->p >= '0' && *c->p <= '9')
            return bad(c, p, "a number with a leading zero");
    } else if (!scan_digits(c, p)) {
        return false;
    }
    if (c->p < c->end && *c->p == '.' && !scan_digits(c, c->p + 1))
        return false;
    if (c->p < c->end && (*c->p == 'e' || *c->p == 'E')) {
        p = c->p + 1;
        if (p < c->end && (*p == '+' || *p == '-'))
            p++;
        return scan_digits(c, p);
    }
    return true;
}

static unsigned hex4(const char *p)
{
    unsigned v = 0;

    for (int i = 0; i < 4; i++)
        v = v << 4 | ((unsigned)hex_value(p[i]) & 15);
    return v;
}

static size_t encode(unsigned u, char ret[4])
{
    if (u < 0x80) {
        ret[0] = (char)u;
        return 1;
    }
    if (u < 0x800) {
        ret[0] = (char)(0xC0 | u >> 6);
        ret[1] = (char)(0x80 | (u & 0x3F));
        return 2;
    }
    if (u < 0x10000) {
        ret[0] = (char)(0xE0 | u >> 12);
        ret[1] = (char)(0x80 | (u >> 6 & 0x3F));
        ret[2] = (char)(0x80 | (u & 0x3F));
        return 3;
    }
    ret[0] = (char)(0xF0 | u >> 18);
    ret[1] = (char)(0x80 | (u >> 12 & 0x3F));
    ret[2] = (char)(0x80 | (u >> 6 & 0x3F));
    ret[3] = (char)(0x80 | (u & 0x3F));
    return 4;
}

size_t json_decode(const char **p, char ret[4])
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *s = *p;

    if (*s != '\\') {
        ret[0] = *s;
        *p = s + 1;
        return 1;
    }
    if (s[1] != 'u') {
        const char *at = strchr(from, s[1]);
        ret[0] = s[1];
        if (at)
            ret[0] = to[at - from];
        *p = s + 2;
        return 1;
    }
    unsigned u = hex4(s + 2);
    *p = s + 6;
    if (u >= 0xD800 && u <= 0xDFFF) {
        u = 0x10000 + ((u - 0xD800) << 10) + (hex4(s + 8) - 0xDC00);
        *p = s + 12;
    }
    return encode(u, ret);
}

#include "common/log_line.h"
#include "common/utf8.h"
#include <stdio.h>
#include <time.h>

enum {
    TAIL = 32, /* kept free for what log_line_close adds */
    VALUE_MAX = 1024,
};

static void put(struct log_line *l, const char *s, size_t len)
{
    if (len <= sizeof(l->data) - TAIL - l->len) {
        memcpy(l->data + l->len, s, len);
        l->len += len;
    } else {
        l->truncated = true;
    }
}

static bool plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

static void put_escape(struct log_line *l, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    if (c == '\n')
        put(l, "\\n", 2);
    else if (c == '"' || c == '\\')
        put(l, (const char[]){'\\', (char)c}, 2);
    else if (l->format == LOG_FORMAT_TEXT)
        put(l, (const char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
    else if (c >= 0x80) /* no character at all */
        put(l, "\\ufffd", 6);
    else
        put(l, (const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

/* Between quotes. Nothing that a terminal or a log reader takes for more than text gets through: no C0 or C1
 * control, no broken UTF-8. */
static void put_escaped(struct log_line *l, struct bytes s)
{
    const bool utf8 = utf8_valid(s);
    size_t done = 0;
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.data[i];
        const bool c1 = utf8 && c == 0xC2 && (unsigned char)s.data[i + 1] < 0xA0;
        if (plain(c) || (c >= 0x80 && utf8 && !c1))
            continue;
        put(l, s.data + done, i - done);
        if (c1 && l->format == LOG_FORMAT_JSON) {
            put(l, "\\u00", 4);
            const unsigned char low = (unsigned char)s.data[++i];
            put(l, &"89"[(low >> 4) & 1], 1);
            put(l, &"0123456789abcdef"[low & 15], 1);
        } else {
            put_escape(l, c);
            if (c1)
                put_escape(l, (unsigned char)s.data[++i]);
        }
        done = i + 1;
    }
    if (done < s.len)
        put(l, s.data + done, s.len - done);
}

/* What a value needs: most need nothing, which one look at each byte tells. */
enum { PLAIN = 0, QUOTED = 1, ESCAPED = 2 };

static const unsigned char byte_needs[256] = {
    [0x00 ... 0x1F] = ESCAPED, [' '] = QUOTED,   ['='] = QUOTED,
    ['"'] = ESCAPED,           ['\\'] = ESCAPED, [0x7F ... 0xFF] = ESCAPED,
};

static unsigned needs(struct bytes s)
{
    unsigned all = s.len == 0 ? QUOTED : PLAIN;
    for (size_t i = 0; i < s.len; i++)
        all |= byte_needs[(unsigned char)s.data[i]];
    return all;
}

static void put_key(struct log_line *l, struct bytes key)
{
    if (l->format == LOG_FORMAT_JSON) {
        put(l, ",", l->len > 1);
        put(l, "\"", 1);
        put(l, key.data, key.len);
        put(l, "\":", 2);
    } else {
        put(l, " ", l->len > 0);
        put(l, key.data, key.len);
        put(l, "=", 1);
    }
}

static void put_quoted(struct log_line *l, struct bytes s, unsigned need)
{
    put(l, "\"", 1);
    if (need & ESCAPED)
        put_escaped(l, s);
    else
        put(l, s.data, s.len);
    put(l, "\"", 1);
}

/* A field is in the line as a whole, or not at all: JSON must stay JSON. `start`: the line before it. */
static void end_field(struct log_line *l, size_t start, bool truncated)
{
    if (l->truncated)
        l->len = start;
    l->truncated |= truncated;
}

static struct bytes cut_value(struct bytes s)
{
    if (s.len <= VALUE_MAX)
        return s;
    s.len = VALUE_MAX;
    while (s.len > 0 && ((unsigned char)s.data[s.len] & 0xC0) == 0x80)
        s.len--;
    return s;
}

void log_line_text(struct log_line *l, struct bytes key, struct bytes value)
{
    const struct bytes shown = cut_value(value);
    const size_t start = l->len;
    const bool truncated = l->truncated || shown.len < value.len;
    l->truncated = false;
    put_key(l, key);
    const unsigned need = needs(shown);
    if (l->format == LOG_FORMAT_JSON || need != PLAIN || bytes_is(key, "msg"))
        put_quoted(l, shown, need);
    else
        put(l, shown.data, shown.len);
    end_field(l, start, truncated);
}

void log_line_digits(struct log_line *l, struct bytes key, struct bytes digits)
{
    const size_t start = l->len;
    const bool truncated = l->truncated;
    l->truncated = false;
    put_key(l, key);
    put(l, digits.data, digits.len);
    end_field(l, start, truncated);
}

/* The day and the second change seldom; a line's milliseconds always. */
static struct bytes time_text(char room[32])
{
    static time_t second = -1;
    static char text[32];
    static size_t len;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != second) {
        struct tm tm;
        if (!gmtime_r(&now.tv_sec, &tm))
            memset(&tm, 0, sizeof(tm));
        len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.", &tm);
        second = now.tv_sec;
    }
    const unsigned ms = (unsigned)(now.tv_nsec / 1000000);
    memcpy(room, text, len);
    const char tail[] = {(char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z'};
    memcpy(room + len, tail, sizeof(tail));
    return bytes_of(room, len + sizeof(tail));
}

void log_line_head(struct log_line *l, const char *level, const char *role)
{
    char room[32];
    if (l->format == LOG_FORMAT_JSON)
        put(l, "{", 1);
    log_line_text(l, BYTES("time"), time_text(room));
    log_line_text(l, BYTES("level"), bytes_cstr(level));
    if (role[0])
        log_line_text(l, BYTES("role"), bytes_cstr(role));
}

void log_line_close(struct log_line *l)
{
    const struct bytes end = l->format == LOG_FORMAT_JSON
                                 ? (l->truncated ? BYTES(",\"truncated\":true}\n") : BYTES("}\n"))
                                 : (l->truncated ? BYTES(" truncated=true\n") : BYTES("\n"));
    memcpy(l->data + l->len, end.data, end.len);
    l->len += end.len;
}

#include "gateway/pipeline/compose.h"
#include "common/block.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum {
    DECOMPOSED_MAX = 32, /* of one character; U+FDFA has 18 */
    CHUNK = 512,         /* characters composed at once, where they can be parted */
    FEW = 32,            /* marks that are put in order by insertion */
    CLASSES = 256,       /* canonical combining classes */
};

/* Decomposed characters of a stretch of text. */
struct stretch {
    int32_t *chars;
    size_t n, cap;
    utf8proc_option_t options;
    struct buf composed;
};

struct range {
    int32_t from, to;
};

static bool in_ranges(int32_t ch, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n && ch >= ranges[i].from; i++)
        if (ch <= ranges[i].to)
            return true;
    return false;
}

/* Characters that are what they become, whatever stands around them: composed (quick check Yes, combining
 * class 0), and never joined to what stands before them (UAX #15, 9). Not all of them: the blocks that texts
 * are made of. */
static bool is_inert(enum compose_form form, int32_t ch)
{
    static const struct range nfc[] = {
        {0x0000, 0x02FF},   /* Latin */
        {0x0400, 0x0482},   /* Cyrillic */
        {0x2010, 0x2027},   /* punctuation */
        {0x2030, 0x205E},   /* more of it */
        {0x20A0, 0x20BF},   /* currencies */
        {0x3041, 0x3096},   /* Hiragana */
        {0x30A1, 0x30FA},   /* Katakana */
        {0x4E00, 0x9FFF},   /* Han */
        {0xAC00, 0xD7A3},   /* Hangul syllables */
        {0x1F300, 0x1FAFF}, /* pictographs */
    };
    static const struct range nfkc[] = {
        {0x0000, 0x007F}, {0x00C0, 0x0131}, {0x0400, 0x0482}, {0x3041, 0x3096},
        {0x30A1, 0x30FA}, {0x4E00, 0x9FFF}, {0xAC00, 0xD7A3}, {0x1F300, 0x1FAFF},
    };
    return form == COMPOSE_NFC ? in_ranges(ch, nfc, ARRAY_LEN(nfc)) : in_ranges(ch, nfkc, ARRAY_LEN(nfkc));
}

/* Marks of all kinds, the Hangul letters that end a syllable, and the vowel signs of Kirat Rai, which are
 * letters. What Unicode may add to a later version is taken for such a one. */
bool compose_joins(int32_t ch)
{
    const utf8proc_category_t cat = utf8proc_category(ch);
    return cat == UTF8PROC_CATEGORY_MN || cat == UTF8PROC_CATEGORY_MC || cat == UTF8PROC_CATEGORY_ME ||
           cat == UTF8PROC_CATEGORY_CN || (ch >= 0x1160 && ch <= 0x11FF) || (ch >= 0x16D40 && ch <= 0x16D7F);
}

static unsigned class_of(int32_t ch)
{
    return (unsigned)utf8proc_get_property(ch)->combining_class;
}

static void order_few(int32_t *chars, size_t n)
{
    unsigned classes[FEW];
    for (size_t i = 0; i < n; i++) {
        const int32_t ch = chars[i];
        const unsigned class = class_of(ch);
        size_t at = i;
        for (; at > 0 && classes[at - 1] > class; at--) {
            chars[at] = chars[at - 1];
            classes[at] = classes[at - 1];
        }
        chars[at] = ch;
        classes[at] = class;
    }
}

/* A counting sort: each class begins where those before it end. */
static bool order_many(int32_t *chars, size_t n)
{
    size_t at[CLASSES + 1] = {0};
    int32_t *sorted = malloc(n * sizeof(*sorted));
    if (!sorted)
        return false;
    for (size_t i = 0; i < n; i++)
        at[(class_of(chars[i]) & (CLASSES - 1)) + 1]++;
    for (size_t c = 1; c <= CLASSES; c++)
        at[c] += at[c - 1];
    for (size_t i = 0; i < n; i++)
        sorted[at[class_of(chars[i]) & (CLASSES - 1)]++] = chars[i];
    memcpy(chars, sorted, n * sizeof(*sorted));
    free(sorted);
    return true;
}

/* The canonical order (Unicode, D108 to D109): marks between two characters of class 0, by their classes. */
static bool order(int32_t *chars, size_t n)
{
    for (size_t from = 0; from < n; from++) {
        size_t to = from;
        while (to < n && class_of(chars[to]) != 0)
            to++;
        if (to - from > FEW) {
            if (!order_many(chars + from, to - from))
                return false;
        } else if (to - from > 1) {
            order_few(chars + from, to - from);
        }
        from = to;
    }
    return true;
}

/* Composes the first `n` characters, which end before one that does not join, and appends them. */
static bool flush(struct stretch *s, size_t n)
{
    int32_t *chars = s->chars;
    const int32_t next = chars[n]; /* reencode writes UTF-8 over the characters, and a NUL behind them */
    if (!order(chars, n))
        return false;
    const utf8proc_ssize_t len = utf8proc_reencode(chars, (utf8proc_ssize_t)n, s->options);
    if (len < 0 || buf_append(&s->composed, chars, (size_t)len) != ERR_OK)
        return false; /* NOLINT(clang-analyzer-unix.Malloc): compose_text frees them, always */
    chars[n] = next;
    memmove(chars, chars + n, (s->n - n) * sizeof(*chars));
    s->n -= n;
    return true;
}

static bool make_room(struct stretch *s)
{
    if (s->n + DECOMPOSED_MAX < s->cap)
        return true;
    const size_t cap = MAX(s->cap * 2, (size_t)CHUNK + (size_t)2 * DECOMPOSED_MAX);
    int32_t *chars = realloc(s->chars, cap * sizeof(*chars));
    if (!chars)
        return false;
    s->chars = chars;
    s->cap = cap;
    return true;
}

static bool add(struct stretch *s, int32_t ch)
{
    int boundary = 0;
    if (!make_room(s))
        return false;
    const size_t at = s->n;
    const utf8proc_ssize_t n =
        utf8proc_decompose_char(ch, s->chars + at, DECOMPOSED_MAX, s->options, &boundary);
    if (n < 0 || n > DECOMPOSED_MAX)
        return false;
    s->n += (size_t)n;
    if (at < CHUNK || n == 0 || class_of(s->chars[at]) != 0 || compose_joins(s->chars[at]))
        return true;
    return flush(s, at);
}

static bool compose_stretch(struct stretch *s, struct bytes text)
{
    bool ok = true;
    s->n = 0;
    s->composed.len = 0;
    for (size_t at = 0; ok && at < text.len;) {
        int32_t ch;
        at += compose_decode(bytes_skip(text, at), &ch);
        ok = add(s, ch);
    }
    if (!ok || s->n == 0)
        return ok;
    s->chars[s->n] = 0; /* make_room has left place for it */
    return flush(s, s->n);
}

/* Where ASCII ends that begins at `at`. */
static size_t ascii_end(struct bytes s, size_t at)
{
    while (s.len - at >= sizeof(block)) {
        const size_t n = block_first((block)((signed_block)block_at(s.data + at) < 0));
        at += n;
        if (n < sizeof(block))
            return at;
    }
    while (at < s.len && (unsigned char)s.data[at] < 0x80)
        at++;
    return at;
}

/* Where the characters that are not inert end, from `at` on. */
static size_t stretch_end(enum compose_form form, struct bytes s, size_t at)
{
    int32_t ch;
    while (at < s.len) {
        const size_t n = compose_decode(bytes_skip(s, at), &ch);
        if (is_inert(form, ch))
            break;
        at += n;
    }
    return at;
}

/* Composes what stands between `base` and `at`. Where that changes it, it is appended, with what stands
 * before it from *done on, which moves. */
static bool compose_between(struct stretch *s, struct bytes text, size_t *done, size_t base, size_t at,
                            struct buf *out, size_t *changed)
{
    const struct bytes before = bytes_of(text.data + base, at - base);
    if (!compose_stretch(s, before))
        return false;
    const struct bytes after = buf_bytes(&s->composed);
    if (bytes_eq(before, after))
        return true;
    if ((out->cap == 0 && buf_reserve(out, text.len + 1) != ERR_OK) ||
        buf_append(out, text.data + *done, base - *done) != ERR_OK || buf_append_bytes(out, after) != ERR_OK)
        return false;
    *changed += MAX(before.len, after.len);
    *done = at;
    return true;
}

/* A stretch begins with the last inert character before those that are not: it may be their base. */
bool compose_text(enum compose_form form, struct bytes text, struct buf *out, size_t *ret_changed)
{
    struct stretch s = {.options = UTF8PROC_STABLE | UTF8PROC_COMPOSE |
                                   (form == COMPOSE_NFKC ? UTF8PROC_COMPAT : (utf8proc_option_t)0)};
    size_t done = 0, base = 0, at = 0, changed = 0;
    bool ok = true;
    buf_init(&s.composed, text.len * COMPOSE_GROWTH_NFKC + 1);
    while (ok && at < text.len) {
        int32_t ch;
        const size_t plain = ascii_end(text, at);
        if (plain > at) {
            base = plain - 1;
            at = plain;
            continue;
        }
        const size_t n = compose_decode(bytes_skip(text, at), &ch);
        if (is_inert(form, ch)) {
            base = at;
            at += n;
            continue;
        }
        at = stretch_end(form, text, at);
        ok = compose_between(&s, text, &done, base, at, out, &changed);
        base = at;
    }
    free(s.chars);
    buf_free(&s.composed);
    if (!ok || (done > 0 && buf_append(out, text.data + done, text.len - done) != ERR_OK))
        return false;
    *ret_changed = changed;
    return true;
}

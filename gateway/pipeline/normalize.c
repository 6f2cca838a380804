/* Unicode NFC by utf8proc (UAX #15). Most texts are plain ASCII with nothing to mend: they are only looked
 * at. */
#include "common/block.h"
#include "gateway/pipeline/stages.h"
#include <stdlib.h>
#include <utf8proc.h>

/* The first character and its length. The scanner has seen to it that `s`, which is not empty, is UTF-8. */
static inline size_t decode(struct bytes s, utf8proc_int32_t *ret)
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

/* How many bytes of white space `s` begins with (its first character only). */
static size_t space_at(struct bytes s)
{
    utf8proc_int32_t ch;
    if (s.len == 0)
        return 0;
    const size_t n = decode(s, &ch);
    if (ch < 0x80)
        return ch == ' ' || (ch >= '\t' && ch <= '\r') ? 1 : 0;
    utf8proc_category_t cat = utf8proc_category(ch);
    bool space = cat == UTF8PROC_CATEGORY_ZS || cat == UTF8PROC_CATEGORY_ZL || cat == UTF8PROC_CATEGORY_ZP ||
                 ch == 0xFEFF || ch == 0x85;
    return space ? n : 0;
}

static struct bytes trim(struct bytes s)
{
    for (size_t n; (n = space_at(s)) > 0;)
        s = bytes_skip(s, n);
    while (s.len > 0) {
        size_t back = 1;
        while (back < s.len && back < 4 && ((unsigned char)s.data[s.len - back] & 0xC0) == 0x80)
            back++;
        if (space_at(bytes_of(s.data + s.len - back, back)) != back)
            break;
        s.len -= back;
    }
    return s;
}

/* ASCII that normalizing leaves alone. */
static bool is_plain(char c)
{
    return (c >= ' ' && c <= '~') || c == '\n' || c == '\t';
}

/* Where the plain characters end that begin at `at`. */
static size_t plain_end(struct bytes s, size_t at)
{
    while (s.len - at >= sizeof(block)) {
        const block b = block_at(s.data + at);
        const block line_or_tab = (block)(b == '\n') | (block)(b == '\t');
        const size_t n = block_first(((block)((signed_block)b < ' ') & ~line_or_tab) | (block)(b == 0x7F));
        at += n;
        if (n < sizeof(block))
            return at;
    }
    while (at < s.len && is_plain(s.data[at]))
        at++;
    return at;
}

/* Where the first byte is, from `at` on, that may begin a control character: C0 but for line ends and tabs,
 * DEL, and the lead byte of C1. */
static size_t control_at(struct bytes s, size_t at)
{
    while (s.len - at >= sizeof(block)) {
        const block b = block_at(s.data + at);
        const block line_or_tab = (block)(b == '\n') | (block)(b == '\t');
        const size_t n =
            block_first(((block)(b < ' ') & ~line_or_tab) | (block)(b == 0x7F) | (block)(b == 0xC2));
        at += n;
        if (n < sizeof(block))
            return at;
    }
    for (; at < s.len; at++) {
        const unsigned char ch = (unsigned char)s.data[at];
        if (ch == 0xC2 || (ch < 0x80 && !is_plain(s.data[at])))
            break;
    }
    return at;
}

/* CR LF, CR and NEL become LF; other C0 and C1 controls go. Shrinks or keeps the length. */
static size_t clean(struct bytes in, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        const size_t end = control_at(in, i);
        memcpy(out + n, in.data + i, end - i);
        n += end - i;
        i = end;
        if (i == in.len)
            break;
        const unsigned char ch = (unsigned char)in.data[i];
        const unsigned char next = i + 1 < in.len ? (unsigned char)in.data[i + 1] : 0;
        if (ch == '\r') {
            if (next != '\n')
                out[n++] = '\n';
        } else if (ch == 0xC2 && next >= 0x80 && next <= 0x9F) {
            if (next == 0x85)
                out[n++] = '\n';
            i++;
        } else if (ch == 0xC2) {
            out[n++] = (char)ch;
        }
    }
    return n;
}

/* Characters that are NFC by themselves (quick check Yes, combining class 0) and never join the one before
 * them, so that what stands before such a character and what begins with it can be composed apart (UAX #15,
 * 9). Not all of them: the blocks that texts are made of. */
static bool is_inert(utf8proc_int32_t ch)
{
    static const utf8proc_int32_t ranges[][2] = {
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
    for (size_t i = 0; i < ARRAY_LEN(ranges) && ch >= ranges[i][0]; i++)
        if (ch <= ranges[i][1])
            return true;
    return false;
}

/* utf8proc sorts the marks behind a letter by exchanging neighbours, so the time for n of them grows with n *
 * n: a megabyte of marks would hold up everybody for minutes. No language piles up more than a few (UAX #15,
 * 13, allows 30). */
enum { MAX_MARKS = 64 };

enum char_kind { CHAR_INERT, CHAR_MARK, CHAR_OTHER };

/* The length of the character at `at`. */
static size_t next_char(struct bytes s, size_t at, enum char_kind *ret_kind)
{
    utf8proc_int32_t ch;
    const size_t n = decode(bytes_skip(s, at), &ch);
    *ret_kind = CHAR_INERT;
    if (!is_inert(ch)) {
        utf8proc_category_t cat = utf8proc_category(ch);
        bool mark = cat == UTF8PROC_CATEGORY_MN || cat == UTF8PROC_CATEGORY_MC || cat == UTF8PROC_CATEGORY_ME;
        *ret_kind = mark ? CHAR_MARK : CHAR_OTHER;
    }
    return n;
}

static bool compose_piece(struct bytes s, struct buf *out)
{
    enum { SMALL = 32 };
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    utf8proc_int32_t small[SMALL + 1]; /* reencode writes UTF-8 over it, and a NUL */
    utf8proc_uint8_t *nfc = NULL;
    utf8proc_ssize_t n =
        utf8proc_decompose((const utf8proc_uint8_t *)s.data, (utf8proc_ssize_t)s.len, small, SMALL, options);
    if (n >= 0 && n <= SMALL) {
        n = utf8proc_reencode(small, n, options);
        return n >= 0 && buf_append(out, small, (size_t)n) == ERR_OK;
    }
    n = utf8proc_map((const utf8proc_uint8_t *)s.data, (utf8proc_ssize_t)s.len, &nfc, options);
    bool ok = n >= 0 && buf_append(out, nfc, (size_t)n) == ERR_OK;
    free(nfc);
    return ok;
}

/* Where the characters that are not inert end, from `at` on; *ret_crowded: more than MAX_MARKS marks stand in
 * a row. */
static size_t piece_end(struct bytes s, size_t at, bool *ret_crowded)
{
    enum char_kind kind;
    size_t marks = 0;
    *ret_crowded = false;
    while (at < s.len) {
        size_t n = next_char(s, at, &kind);
        if (kind == CHAR_INERT)
            break;
        marks = kind == CHAR_MARK ? marks + 1 : 0;
        *ret_crowded |= marks > MAX_MARKS;
        at += n;
    }
    return at;
}

/* Appends NFC(s), or nothing where s is NFC as it stands. A piece to be composed begins with the last inert
 * character before those that are not: it may be their base. A crowded one stays as it is. */
static bool compose(struct bytes s, struct buf *out)
{
    size_t done = 0, base = 0, at = 0;
    bool ok = true;
    while (ok && at < s.len) {
        enum char_kind kind;
        bool crowded;
        const size_t plain = plain_end(s, at);
        if (plain > at) {
            base = plain - 1;
            at = plain;
            continue;
        }
        size_t n = next_char(s, at, &kind);
        if (kind == CHAR_INERT) {
            base = at;
            at += n;
            continue;
        }
        at = piece_end(s, at, &crowded);
        if (crowded)
            continue;
        ok = (out->cap > 0 || buf_reserve(out, s.len + 1) == ERR_OK) &&
             buf_append(out, s.data + done, base - done) == ERR_OK &&
             compose_piece(bytes_of(s.data + base, at - base), out);
        done = base = at;
    }
    return ok && (done == 0 || buf_append(out, s.data + done, s.len - done) == ERR_OK);
}

bool normalize_text(struct arena *a, struct bytes *text)
{
    /* The most that a character grows by in NFC: U+1D160 and the like, from 4 bytes to 12. */
    enum { GROWTH_MAX = 3 };
    struct bytes s = *text;
    if (plain_end(s, 0) < s.len) {
        if (control_at(s, 0) < s.len) {
            char *copy = arena_alloc(a, s.len + 1);
            if (!copy)
                return false;
            s = bytes_of(copy, clean(s, copy));
        }
        struct buf composed;
        buf_init(&composed, s.len * GROWTH_MAX + 1);
        /* The scanner has seen to UTF-8: what can fail is memory. */
        bool ok = compose(s, &composed);
        if (ok && composed.len > 0)
            ok = arena_dup(a, buf_bytes(&composed), &s);
        buf_free(&composed);
        if (!ok)
            return false;
    }
    *text = trim(s);
    return true;
}

static bool normalize_item(struct arena *a, struct llm_item *item)
{
    if (item->kind != LLM_ITEM_MESSAGE || item->role == LLM_ROLE_ASSISTANT)
        return true;
    for (size_t i = 0; i < item->n_contents; i++)
        if (item->contents[i].kind == LLM_CONTENT_TEXT && !normalize_text(a, &item->contents[i].text))
            return false;
    return true;
}

enum verdict stage_normalize(struct pipeline *p UNUSED, struct call *c)
{
    struct llm_request *r = &c->request;
    bool ok = normalize_text(r->arena, &r->instructions);
    for (size_t i = 0; ok && i < r->n_items; i++)
        ok = normalize_item(r->arena, &r->items[i]);
    if (ok)
        return STAGE_OK;
    api_error_no_memory(&c->error);
    return STAGE_REJECT;
}

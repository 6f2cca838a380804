/* Unicode NFC by utf8proc (UAX #15). Most texts are plain ASCII with nothing to mend: they are only looked
 * at. */
#include "gateway/pipeline/stages.h"
#include <stdlib.h>
#include <utf8proc.h>

/* How many bytes of white space `s` begins with (its first character only). */
static size_t space_at(struct bytes s)
{
    utf8proc_int32_t ch;
    if (s.len == 0)
        return 0;
    if ((unsigned char)s.data[0] < 0x80)
        return (s.data[0] == ' ' || (s.data[0] >= '\t' && s.data[0] <= '\r')) ? 1 : 0;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.data, (utf8proc_ssize_t)s.len, &ch);
    if (n <= 0)
        return 0;
    utf8proc_category_t cat = utf8proc_category(ch);
    bool space = cat == UTF8PROC_CATEGORY_ZS || cat == UTF8PROC_CATEGORY_ZL || cat == UTF8PROC_CATEGORY_ZP ||
                 ch == 0xFEFF || ch == 0x85;
    return space ? (size_t)n : 0;
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

static bool is_plain(struct bytes s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char ch = (unsigned char)s.data[i];
        if (ch >= 0x7F || (ch < 0x20 && ch != '\n' && ch != '\t'))
            return false;
    }
    return true;
}

/* CR LF, CR and NEL become LF; other C0 and C1 controls go. Shrinks or keeps the length. */
static size_t clean(struct bytes in, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        unsigned char ch = (unsigned char)in.data[i];
        unsigned char next = i + 1 < in.len ? (unsigned char)in.data[i + 1] : 0;
        if (ch == '\r') {
            if (next != '\n')
                out[n++] = '\n';
        } else if (ch == 0xC2 && next >= 0x80 && next <= 0x9F) {
            if (next == 0x85)
                out[n++] = '\n';
            i++;
        } else if ((ch >= 0x20 && ch != 0x7F) || ch == '\n' || ch == '\t') {
            out[n++] = (char)ch;
        }
    }
    return n;
}

bool normalize_text(struct arena *a, struct bytes *text)
{
    if (is_plain(*text)) {
        *text = trim(*text);
        return true;
    }
    char *copy = arena_alloc(a, text->len + 1);
    if (!copy)
        return false;
    struct bytes s = bytes_of(copy, clean(*text, copy));
    utf8proc_uint8_t *nfc = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)s.data, (utf8proc_ssize_t)s.len, &nfc,
                                      UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n < 0)
        return false; /* the scanner has seen to UTF-8: what is left is memory */
    struct bytes composed = bytes_of(nfc, (size_t)n);
    bool ok = true;
    if (!bytes_eq(composed, s))
        ok = arena_dup(a, composed, &s);
    free(nfc);
    if (ok)
        *text = trim(s);
    return ok;
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

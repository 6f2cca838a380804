/* Text that people wrote: Unicode, line ends, control characters, white space at the ends of a message. Most
 * texts are plain ASCII with nothing to mend: they are only looked at. */
#include "common/block.h"
#include "gateway/pipeline/compose.h"
#include "gateway/pipeline/stages.h"
#include <utf8proc.h>

/* What one call's texts go through. */
struct normalizing {
    struct arena *arena;
    const struct config_normalize *how;
    size_t changed; /* bytes */
};

/* How many bytes of white space `s` begins with (its first character only). */
static size_t space_at(struct bytes s)
{
    int32_t ch;
    if (s.len == 0)
        return 0;
    const size_t n = compose_decode(s, &ch);
    if (ch < 0x80)
        return ch == ' ' || (ch >= '\t' && ch <= '\r') ? 1 : 0;
    utf8proc_category_t cat = utf8proc_category(ch);
    bool space = cat == UTF8PROC_CATEGORY_ZS || cat == UTF8PROC_CATEGORY_ZL || cat == UTF8PROC_CATEGORY_ZP ||
                 ch == 0xFEFF || ch == 0x85;
    return space ? n : 0;
}

static struct bytes trim_start(struct bytes s)
{
    for (size_t n; (n = space_at(s)) > 0;)
        s = bytes_skip(s, n);
    return s;
}

static struct bytes trim_end(struct bytes s)
{
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

/* Where the first byte is, from `at` on, that must be looked at: CR and NUL; with `remove` all that may begin
 * a control character: C0 but for line ends and tabs, DEL, and the lead byte of C1. */
static size_t control_at(struct bytes s, size_t at, bool remove)
{
    while (s.len - at >= sizeof(block)) {
        const block b = block_at(s.data + at);
        const block line_or_tab = (block)(b == '\n') | (block)(b == '\t');
        const block all = ((block)(b < ' ') & ~line_or_tab) | (block)(b == 0x7F) | (block)(b == 0xC2);
        const size_t n = block_first(remove ? all : (block)(b == '\r') | (block)(b == 0));
        at += n;
        if (n < sizeof(block))
            return at;
    }
    for (; at < s.len; at++) {
        const unsigned char ch = (unsigned char)s.data[at];
        if (remove ? ch == 0xC2 || (ch < 0x80 && !is_plain(s.data[at])) : ch == '\r' || ch == 0)
            break;
    }
    return at;
}

/* CR LF and CR become LF, NUL goes. `remove`: the other C0 and C1 controls go too, and NEL, which ends a
 * line, becomes LF. Shrinks or keeps the length. */
static size_t clean(struct bytes in, bool remove, char *out, size_t *changed)
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        const size_t end = control_at(in, i, remove);
        memcpy(out + n, in.data + i, end - i);
        n += end - i;
        i = end;
        if (i == in.len)
            break;
        const unsigned char ch = (unsigned char)in.data[i];
        const unsigned char next = i + 1 < in.len ? (unsigned char)in.data[i + 1] : 0;
        if (ch == 0xC2 && (next < 0x80 || next > 0x9F)) {
            out[n++] = (char)ch;
            continue;
        }
        if ((ch == '\r' && next != '\n') || (ch == 0xC2 && next == 0x85))
            out[n++] = '\n';
        i += ch == 0xC2;
        *changed += ch == 0xC2 ? 2 : 1;
    }
    return n;
}

static bool compose(struct normalizing *z, struct bytes *s)
{
    const bool compat = z->how->unicode == NORMALIZE_NFKC;
    struct buf composed;
    size_t changed = 0;
    buf_init(&composed, s->len * (compat ? (size_t)COMPOSE_GROWTH_NFKC : (size_t)COMPOSE_GROWTH_NFC) + 1);
    /* The scanner has seen to UTF-8: what can fail is memory. */
    bool ok = compose_text(compat ? COMPOSE_NFKC : COMPOSE_NFC, *s, &composed, &changed);
    if (ok && changed > 0)
        ok = arena_dup(z->arena, buf_bytes(&composed), s);
    buf_free(&composed);
    z->changed += changed;
    return ok;
}

static bool normalize(struct normalizing *z, struct bytes *text)
{
    const bool remove = z->how->controls == NORMALIZE_REMOVE;
    struct bytes s = *text;
    if (plain_end(s, 0) == s.len)
        return true;
    if (control_at(s, 0, remove) < s.len) {
        char *copy = arena_alloc(z->arena, s.len + 1);
        if (!copy)
            return false;
        s = bytes_of(copy, clean(s, remove, copy, &z->changed));
    }
    if (z->how->unicode != NORMALIZE_OFF && !compose(z, &s))
        return false;
    *text = s;
    return true;
}

static void trim_one(struct normalizing *z, struct bytes *text, struct bytes trimmed)
{
    z->changed += text->len - trimmed.len;
    *text = trimmed;
}

/* The outer ends of a message, never those of its parts: white space of its first texts, until one has
 * anything else, and of its last. */
static void trim_message(struct normalizing *z, struct llm_content *parts, size_t n)
{
    for (size_t i = 0; i < n && parts[i].kind == LLM_CONTENT_TEXT; i++) {
        trim_one(z, &parts[i].text, trim_start(parts[i].text));
        if (parts[i].text.len > 0)
            break;
    }
    for (size_t i = n; i > 0 && parts[i - 1].kind == LLM_CONTENT_TEXT; i--) {
        trim_one(z, &parts[i - 1].text, trim_end(parts[i - 1].text));
        if (parts[i - 1].text.len > 0)
            break;
    }
}

static bool normalize_message(struct normalizing *z, struct llm_content *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (parts[i].kind == LLM_CONTENT_TEXT && !normalize(z, &parts[i].text))
            return false;
    if (z->how->trim == NORMALIZE_MESSAGE)
        trim_message(z, parts, n);
    return true;
}

bool normalize_text(struct arena *a, const struct config_normalize *how, struct bytes *text,
                    size_t *ret_changed)
{
    struct normalizing z = {.arena = a, .how = how};
    struct llm_content part = {.kind = LLM_CONTENT_TEXT, .text = *text};
    if (!normalize_message(&z, &part, 1))
        return false;
    *text = part.text;
    *ret_changed += z.changed;
    return true;
}

enum verdict stage_normalize(struct pipeline *p, struct call *c)
{
    static const struct config_normalize plain;
    struct llm_request *r = &c->request;
    call_resolve(p, c);
    struct normalizing z = {.arena = r->arena, .how = c->model ? &c->model->normalize : &plain};
    bool ok = normalize_text(z.arena, z.how, &r->instructions, &z.changed);
    for (size_t i = 0; ok && i < r->n_items; i++) {
        const struct llm_item *item = &r->items[i];
        if (item->kind == LLM_ITEM_MESSAGE && item->role != LLM_ROLE_ASSISTANT)
            ok = normalize_message(&z, item->contents, item->n_contents);
    }
    c->normalized_bytes += z.changed;
    if (ok)
        return STAGE_OK;
    api_error_no_memory(&c->error);
    return STAGE_REJECT;
}

/* Text that people wrote: what is done to it is done once, and leaves text. */
#include "common/utf8.h"
#include "gateway/pipeline/stages.h"
#include "tests/fuzz/fuzz.h"
#include <utf8proc.h>

static void check_clean(struct bytes s)
{
    MUST(utf8_valid(s));
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i], before = i > 0 ? (unsigned char)s.data[i - 1] : 0;
        MUST((c >= 0x20 && c != 0x7F) || c == '\n' || c == '\t');
        MUST(before != 0xC2 || c >= 0xA0);
    }
    MUST(s.len == 0 || (s.data[0] != ' ' && s.data[s.len - 1] != ' '));
}

/* More marks in a row than are composed. */
static bool has_crowd(struct bytes s)
{
    size_t run = 0;
    while (s.len > 0) {
        utf8proc_int32_t ch;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.data, (utf8proc_ssize_t)s.len, &ch);
        MUST(n > 0);
        utf8proc_category_t cat = utf8proc_category(ch);
        run = cat >= UTF8PROC_CATEGORY_MN && cat <= UTF8PROC_CATEGORY_ME ? run + 1 : 0;
        if (run > 30)
            return true;
        s = bytes_skip(s, (size_t)n);
    }
    return false;
}

/* The other opinion: composing the whole changes nothing any more. */
static void check_composed(struct bytes s)
{
    utf8proc_uint8_t *nfc = NULL;
    if (has_crowd(s))
        return;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)s.data, (utf8proc_ssize_t)s.len, &nfc,
                                      UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    MUST(n >= 0 && bytes_eq(bytes_of(nfc, (size_t)n), s));
    free(nfc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = exact_copy(data, size);
    struct bytes once = bytes_of(copy, size), twice;
    struct arena a;
    if (utf8_valid(once)) {
        arena_init(&a, 1 << 22);
        MUST(normalize_text(&a, &once));
        check_clean(once);
        check_composed(once);
        twice = once;
        MUST(normalize_text(&a, &twice) && bytes_eq(once, twice));
        arena_free(&a);
    }
    free(copy);
    return 0;
}

/* Text that people wrote: what is done to it is done once, and leaves text. */
#include "common/utf8.h"
#include "gateway/pipeline/stages.h"
#include "tests/fuzz/fuzz.h"
#include <utf8proc.h>

static void check_clean(struct bytes s, const struct config_normalize *how)
{
    MUST(utf8_valid(s));
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i], before = i > 0 ? (unsigned char)s.data[i - 1] : 0;
        MUST(c != 0 && c != '\r');
        if (how->controls == NORMALIZE_KEEP)
            continue;
        MUST((c >= 0x20 && c != 0x7F) || c == '\n' || c == '\t');
        MUST(before != 0xC2 || c >= 0xA0);
    }
    if (how->trim == NORMALIZE_MESSAGE)
        MUST(s.len == 0 || (s.data[0] != ' ' && s.data[s.len - 1] != ' '));
}

/* The other opinion: composing the whole changes nothing any more. */
static void check_composed(struct bytes s, const struct config_normalize *how)
{
    utf8proc_uint8_t *composed = NULL;
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    if (how->unicode == NORMALIZE_OFF)
        return;
    if (how->unicode == NORMALIZE_NFKC)
        options |= UTF8PROC_COMPAT;
    utf8proc_ssize_t n =
        utf8proc_map((const utf8proc_uint8_t *)s.data, (utf8proc_ssize_t)s.len, &composed, options);
    MUST(n >= 0 && bytes_eq(bytes_of(composed, (size_t)n), s));
    free(composed);
}

/* The last byte says how. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *copy = exact_copy(data, size - 1);
    const unsigned choice = data[size - 1];
    const struct config_normalize how = {(enum normalize_unicode)(choice % 3),
                                         (enum normalize_controls)(choice / 3 % 2),
                                         (enum normalize_trim)(choice / 6 % 2)};
    struct bytes once = bytes_of(copy, size - 1), twice;
    struct arena a;
    size_t changed = 0;
    if (utf8_valid(once)) {
        arena_init(&a, 1 << 22);
        MUST(normalize_text(&a, &how, &once, &changed));
        MUST(changed > 0 || bytes_eq(once, bytes_of(copy, size - 1)));
        check_clean(once, &how);
        check_composed(once, &how);
        twice = once;
        changed = 0;
        MUST(normalize_text(&a, &how, &twice, &changed) && bytes_eq(once, twice));
        arena_free(&a);
    }
    free(copy);
    return 0;
}

/* Text that people wrote: what is done to it is done once, and leaves text. */
#include "common/utf8.h"
#include "gateway/pipeline/stages.h"
#include "tests/fuzz/fuzz.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = exact_copy(data, size);
    struct bytes once = bytes_of(copy, size), twice;
    struct arena a;
    if (utf8_valid(once)) {
        arena_init(&a, 1 << 22);
        MUST(normalize_text(&a, &once));
        check_clean(once);
        twice = once;
        MUST(normalize_text(&a, &twice) && bytes_eq(once, twice));
        arena_free(&a);
    }
    free(copy);
    return 0;
}

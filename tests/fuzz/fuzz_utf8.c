/* Against a plain decoder, and split at the place that the first byte says. */
#include "common/utf8.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Decodes each character, and asks whether its number may be written in so many bytes. */
static bool plain_valid(const uint8_t *s, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    for (size_t i = 0; i < n;) {
        size_t len = s[i] < 0x80 ? 1 : s[i] >> 5 == 6 ? 2 : s[i] >> 4 == 14 ? 3 : s[i] >> 3 == 30 ? 4 : 0;
        if (len == 0 || len > n - i)
            return false;
        uint32_t u = len == 1 ? s[i] : s[i] & (0xFFU >> (len + 1));
        for (size_t k = 1; k < len; k++) {
            if (s[i + k] >> 6 != 2)
                return false;
            u = u << 6 | (s[i + k] & 0x3F);
        }
        if (u < least[len] || u > 0x10FFFF || (u >= 0xD800 && u <= 0xDFFF))
            return false;
        i += len;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct utf8_state s = {0};

    if (size < 1)
        return 0;
    size_t split = data[0] % size;
    struct bytes text = bytes_of(data + 1, size - 1);
    bool want = plain_valid(data + 1, size - 1);
    bool ok = utf8_feed(&s, bytes_of(text.data, split));
    ok = utf8_feed(&s, bytes_skip(text, split)) && ok && utf8_complete(&s);
    if (ok != want || utf8_valid(text) != want)
        abort();
    return 0;
}

#include "common/utf8.h"
#include "common/block.h"

/* The state inside a character: how many bytes are still to come (bits 0-1), and the range of the next one
 * (bits 8-15 lowest, 16-23 highest), for only the second byte of E0, ED, F0 and F4 has a range of its own
 * (RFC 3629, section 4). */
static uint32_t expect(uint32_t left, uint32_t lowest, uint32_t highest)
{
    return left | lowest << 8 | highest << 16;
}

#define UTF8_BAD UINT32_MAX

static uint32_t lead(unsigned char c)
{
    if (c < 0x80)
        return 0;
    if (c < 0xC2)
        return UTF8_BAD;
    if (c < 0xE0)
        return expect(1, 0x80, 0xBF);
    if (c < 0xF0)
        return expect(2, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF);
    if (c < 0xF5)
        return expect(3, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF);
    return UTF8_BAD;
}

static uint32_t follow(uint32_t state, unsigned char c)
{
    uint32_t left = state & 3;

    if (c < (state >> 8 & 0xFF) || c > (state >> 16 & 0xFF))
        return UTF8_BAD;
    return left == 1 ? 0 : expect(left - 1, 0x80, 0xBF);
}

bool utf8_feed(struct utf8_state *s, struct bytes data)
{
    uint32_t state = s->state_;
    size_t i = 0;

    while (i < data.len && state != UTF8_BAD) {
        if (state != 0) {
            state = follow(state, (unsigned char)data.data[i++]);
            continue;
        }
        while (data.len - i >= sizeof(block)) {
            const size_t n = block_first((block)((signed_block)block_at(data.data + i) < 0));
            i += n;
            if (n < sizeof(block))
                break;
        }
        if (i < data.len)
            state = lead((unsigned char)data.data[i++]);
    }
    s->state_ = state;
    return state != UTF8_BAD;
}

bool utf8_valid(struct bytes data)
{
    struct utf8_state s = {0};

    return utf8_feed(&s, data) && utf8_complete(&s);
}

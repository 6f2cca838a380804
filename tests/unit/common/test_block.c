#include "common/block.h"
#include "tests/unit/common/run.h"

/* Each value of a byte at each place, beside bytes that are next to what is looked for. */
START_TEST(finds_the_first)
{
    for (unsigned around = 0; around < 2; around++) {
        for (unsigned value = 0; value < 256; value++) {
            for (size_t at = 0; at <= sizeof(block); at++) {
                char text[sizeof(block) + 1];
                memset(text, around ? '!' : '}', sizeof(text));
                text[at] = (char)value;
                const block b = block_at(text);
                const size_t there = at < sizeof(block) ? at : sizeof(block);
                ck_assert_uint_eq(block_first((block)(b == '"')), value == '"' ? there : sizeof(block));
                ck_assert_uint_eq(block_first((block)(b < ' ')), value < ' ' ? there : sizeof(block));
                ck_assert_uint_eq(block_first((block)((signed_block)b < ' ')),
                                  value < ' ' || value >= 0x80 ? there : sizeof(block));
                ck_assert_uint_eq(block_first((block)(b == 0xC2) | (block)(b == 0x7F)),
                                  value == 0xC2 || value == 0x7F ? there : sizeof(block));
            }
        }
    }
}
END_TEST

START_TEST(finds_the_first_of_several)
{
    for (size_t first = 0; first < sizeof(block); first++) {
        char text[sizeof(block)];
        memset(text, 'a', sizeof(text));
        for (size_t i = first; i < sizeof(block); i += 3)
            text[i] = '\\';
        ck_assert_uint_eq(block_first((block)(block_at(text) == '\\')), first);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("block");

    tcase_add_test(tc, finds_the_first);
    tcase_add_test(tc, finds_the_first_of_several);
    return run_case(tc);
}

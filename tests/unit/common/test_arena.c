#include "common/arena.h"
#include "tests/unit/common/run.h"
#include <stdalign.h>
#include <stdio.h>

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static bool all_are(const unsigned char *p, size_t n, unsigned char c)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != c)
            return false;
    return true;
}

START_TEST(zeroed_aligned_apart)
{
    struct arena a;
    unsigned char *p[500];

    arena_init(&a, 1U << 20);
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        p[i] = arena_alloc(&a, i);
        ck_assert_ptr_nonnull(p[i]);
        ck_assert_uint_eq((uintptr_t)p[i] % alignof(max_align_t), 0);
        ck_assert(all_are(p[i], i, 0));
        memset(p[i], (int)(i % 256), i);
    }
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        ck_assert(all_are(p[i], i, (unsigned char)(i % 256)));
        ck_assert(i == 0 || p[i] != p[i - 1]);
    }
    arena_free(&a);
    ck_assert_uint_eq(a.used, 0);
    arena_free(&a);
    arena_free(NULL);
}
END_TEST

START_TEST(has_a_ceiling)
{
    struct arena a;
    unsigned n = 0;

    arena_init(&a, 10000);
    while (arena_alloc(&a, 16))
        n++;
    ck_assert_uint_eq(n, 625);
    ck_assert_uint_eq(a.used, 10000);
    ck_assert_ptr_null(arena_alloc(&a, 0));
    arena_free(&a);
    ck_assert_ptr_nonnull(arena_alloc(&a, 9990));
    ck_assert_ptr_null(arena_alloc(&a, 17));
    arena_free(&a);
    ck_assert_ptr_null(arena_alloc(&a, 10001));
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
    ck_assert_uint_eq(a.used, 0);
    arena_free(&a);
}
END_TEST

START_TEST(overflow_and_no_memory)
{
    struct arena a;
    struct bytes copy;

    arena_init(&a, SIZE_MAX);
    ck_assert_ptr_null(arena_array(&a, SIZE_MAX / 2, 3));
    ck_assert_ptr_null(arena_array(&a, SIZE_MAX, SIZE_MAX));
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX - 64));
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX / 2));
    ck_assert_uint_eq(a.used, 0);
    ck_assert_ptr_nonnull(arena_array(&a, 0, 8));
    ck_assert_ptr_nonnull(arena_array(&a, 8, 0));
    arena_free(&a);
    arena_init(&a, 8);
    ck_assert(!arena_dup(&a, BYTES("nine bytes"), &copy));
    ck_assert_ptr_null(copy.data);
    ck_assert_uint_eq(copy.len, 0);
    ck_assert_ptr_null(arena_printf(&a, "%s", "nine bytes"));
    arena_free(&a);
}
END_TEST

START_TEST(big_ones_among_small)
{
    struct arena a;
    char *small[200];

    arena_init(&a, 1U << 26);
    for (size_t i = 0; i < ARRAY_LEN(small); i++) {
        small[i] = arena_printf(&a, "number %zu", i);
        ck_assert_ptr_nonnull(small[i]);
        if (i % 50 == 0) {
            char *big = arena_alloc(&a, 200000);
            ck_assert_ptr_nonnull(big);
            memset(big, 'x', 200000);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(small); i++) {
        char want[32];
        (void)snprintf(want, sizeof(want), "number %zu", i);
        ck_assert_str_eq(small[i], want);
    }
    arena_free(&a);
}
END_TEST

START_TEST(copies_end_in_nul)
{
    struct arena a;
    struct bytes copy;

    arena_init(&a, 4096);
    ck_assert(arena_dup(&a, BYTES("a\0b"), &copy));
    ck_assert(bytes_eq(copy, BYTES("a\0b")));
    ck_assert_int_eq(copy.data[3], '\0');
    ck_assert(arena_dup(&a, (struct bytes){NULL, 0}, &copy));
    ck_assert_uint_eq(copy.len, 0);
    ck_assert_str_eq(copy.data, "");
    ck_assert_str_eq(arena_printf(&a, "%s/%d", "v", 1), "v/1");
    arena_free(&a);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("arena");

    tcase_add_test(tc, zeroed_aligned_apart);
    tcase_add_test(tc, has_a_ceiling);
    tcase_add_test(tc, overflow_and_no_memory);
    tcase_add_test(tc, big_ones_among_small);
    tcase_add_test(tc, copies_end_in_nul);
    return run_case(tc);
}

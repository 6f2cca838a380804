#include "common/buf.h"
#include "tests/unit/common/run.h"

/* Lets a hopeless allocation fail as malloc does, instead of ending the program. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

START_TEST(grows_up_to_its_ceiling)
{
    struct buf b;

    buf_init(&b, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_eq(buf_append_char(&b, (char)('a' + i % 26)), ERR_OK);
        ck_assert_uint_le(b.cap, b.max);
    }
    ck_assert_int_eq(buf_append_char(&b, '!'), ERR_LIMIT);
    ck_assert(b.failed);
    ck_assert_uint_eq(b.len, 1000);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_int_eq(b.data[i], (char)('a' + i % 26));
    buf_reset(&b);
    ck_assert(!b.failed);
    ck_assert_uint_eq(b.len, 0);
    ck_assert_uint_gt(b.cap, 0);
    buf_free(&b);
    ck_assert_ptr_null(b.data);
    ck_assert_uint_eq(b.max, 1000);
    buf_free(NULL);
}
END_TEST

START_TEST(failure_leaves_the_contents)
{
    struct buf b;

    buf_init(&b, 8);
    ck_assert_int_eq(buf_append(&b, "abcd", 4), ERR_OK);
    ck_assert_int_eq(buf_append(&b, "efghi", 5), ERR_LIMIT);
    ck_assert(bytes_is(buf_bytes(&b), "abcd"));
    ck_assert_int_eq(buf_printf(&b, "%05d", 1), ERR_LIMIT);
    ck_assert(bytes_is(buf_bytes(&b), "abcd"));
    ck_assert_int_eq(buf_append_u64(&b, 12345), ERR_LIMIT);
    ck_assert(bytes_is(buf_bytes(&b), "abcd"));
    ck_assert_int_eq(buf_reserve(&b, SIZE_MAX), ERR_LIMIT);
    ck_assert_int_eq(buf_append(&b, "efgh", 4), ERR_OK);
    ck_assert(bytes_is(buf_bytes(&b), "abcdefgh"));
    ck_assert(b.failed);
    buf_free(&b);
}
END_TEST

START_TEST(no_ceiling_is_no_overflow)
{
    struct buf b;

    buf_init(&b, SIZE_MAX);
    ck_assert_int_eq(buf_append(&b, "x", 1), ERR_OK);
    ck_assert_int_eq(buf_reserve(&b, SIZE_MAX), ERR_LIMIT);
    ck_assert_int_eq(buf_reserve(&b, SIZE_MAX - 1), ERR_NOMEM);
    ck_assert_int_eq(buf_reserve(&b, SIZE_MAX / 2), ERR_NOMEM);
    ck_assert(bytes_is(buf_bytes(&b), "x"));
    buf_free(&b);
}
END_TEST

START_TEST(reserve_then_write)
{
    struct buf b;

    buf_init(&b, 64);
    ck_assert_int_eq(buf_reserve(&b, 64), ERR_OK);
    memset(b.data, 'z', 64);
    b.len = 64;
    ck_assert_int_eq(buf_reserve(&b, 0), ERR_OK);
    ck_assert_int_eq(buf_reserve(&b, 1), ERR_LIMIT);
    ck_assert(!b.failed);
    buf_free(&b);
}
END_TEST

START_TEST(formats)
{
    struct buf b;

    buf_init(&b, 300);
    ck_assert_int_eq(buf_printf(&b, "%s", ""), ERR_OK);
    ck_assert_uint_eq(b.len, 0);
    ck_assert_int_eq(buf_printf(&b, "%d-%s", -7, "x"), ERR_OK);
    ck_assert_int_eq(buf_printf(&b, "%0290d", 0), ERR_OK);
    ck_assert_uint_eq(b.len, 294);
    ck_assert_int_eq(buf_printf(&b, "%s", "123456"), ERR_OK);
    ck_assert_int_eq(buf_printf(&b, "%s", "1"), ERR_LIMIT);
    ck_assert(b.failed);
    ck_assert_uint_eq(b.len, 300);
    ck_assert(bytes_starts(buf_bytes(&b), BYTES("-7-x000")));
    ck_assert(bytes_is(bytes_skip(buf_bytes(&b), 293), "0123456"));
    buf_reset(&b);
    ck_assert_int_eq(buf_append_u64(&b, 0), ERR_OK);
    ck_assert_int_eq(buf_append_char(&b, ' '), ERR_OK);
    ck_assert_int_eq(buf_append_u64(&b, UINT64_MAX), ERR_OK);
    ck_assert(bytes_is(buf_bytes(&b), "0 18446744073709551615"));
    buf_free(&b);
}
END_TEST

START_TEST(consumes)
{
    struct buf b;

    buf_init(&b, 64);
    buf_consume(&b, 3);
    ck_assert_uint_eq(b.len, 0);
    ck_assert_int_eq(buf_append_bytes(&b, BYTES("abcdef")), ERR_OK);
    ck_assert_int_eq(buf_append_bytes(&b, (struct bytes){NULL, 0}), ERR_OK);
    buf_consume(&b, 0);
    buf_consume(&b, 2);
    ck_assert(bytes_is(buf_bytes(&b), "cdef"));
    buf_consume(&b, 100);
    ck_assert_uint_eq(b.len, 0);
    buf_free(&b);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("buf");

    tcase_add_test(tc, grows_up_to_its_ceiling);
    tcase_add_test(tc, failure_leaves_the_contents);
    tcase_add_test(tc, no_ceiling_is_no_overflow);
    tcase_add_test(tc, reserve_then_write);
    tcase_add_test(tc, formats);
    tcase_add_test(tc, consumes);
    return run_case(tc);
}

/* Look-ups among sorted names and patterns, held against one that looks at each of them. */
#include "gateway/pipeline/names.h"
#include "tests/unit/common/run.h"
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 60, LENGTH = 6 };

static struct arena arena;

static void setup(void)
{
    arena_init(&arena, 1 << 20);
}

static void teardown(void)
{
    arena_free(&arena);
}

static size_t slow_exact(char list[][LENGTH + 1], size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!pattern_is_open(list[i]) && strcmp(list[i], name) == 0)
            return strlen(name) + 1;
    return 0;
}

/* 1 more than the length of the longest stem; 0: none. */
static size_t slow_open(char list[][LENGTH + 1], size_t n, const char *name)
{
    size_t best = 0;
    for (size_t i = 0; i < n; i++)
        if (pattern_is_open(list[i]) && bytes_starts(bytes_cstr(name), pattern_stem(list[i])))
            best = MAX(best, pattern_stem(list[i]).len + 1);
    return best;
}

/* Of few letters, so that many begin with others. */
static void random_name(char ret[LENGTH + 1])
{
    const size_t n = (size_t)rand() % LENGTH;
    for (size_t i = 0; i < n; i++)
        ret[i] = "ab/"[rand() % 3];
    ret[n] = '\0';
}

static void check(const struct names *names, char list[][LENGTH + 1], size_t n, const char *name)
{
    size_t stem = 99;
    const size_t exact = names_exact(names, bytes_cstr(name));
    const size_t open = names_open(names, bytes_cstr(name), &stem);
    ck_assert_uint_eq(exact != NAMES_NONE, slow_exact(list, n, name) > 0);
    if (exact != NAMES_NONE)
        ck_assert_str_eq(list[exact], name);
    ck_assert_uint_eq(open == NAMES_NONE ? 0 : stem + 1, slow_open(list, n, name));
    if (open != NAMES_NONE)
        ck_assert_uint_eq(pattern_stem(list[open]).len, stem);
    else
        ck_assert_uint_eq(stem, 99);
}

START_TEST(the_same_as_looking_at_each)
{
    srand(1);
    for (int round = 0; round < 300; round++) {
        char list[MOST][LENGTH + 1], name[LENGTH + 1];
        const char *pointers[MOST];
        struct names names;
        const size_t n = (size_t)rand() % MOST;
        for (size_t i = 0; i < n; i++) {
            random_name(list[i]);
            if (rand() % 2)
                memcpy(list[i] + strlen(list[i]), "*", 2);
            pointers[i] = list[i];
        }
        ck_assert_int_eq(names_init(&names, &arena, pointers, n, sizeof(pointers[0])), ERR_OK);
        for (int i = 0; i < 100; i++) {
            random_name(name);
            check(&names, list, n, name);
        }
        arena_free(&arena);
        arena_init(&arena, 1 << 20);
    }
}
END_TEST

START_TEST(missing_ones_are_left_out)
{
    static const struct {
        int before;
        const char *name;
    } list[] = {{1, "a"}, {2, NULL}, {3, "b*"}};
    struct names names;
    size_t stem;
    ck_assert_int_eq(names_init(&names, &arena, &list[0].name, ARRAY_LEN(list), sizeof(list[0])), ERR_OK);
    ck_assert_uint_eq(names_exact(&names, BYTES("a")), 0);
    ck_assert_uint_eq(names_exact(&names, BYTES("")), NAMES_NONE);
    ck_assert_uint_eq(names_exact(&names, BYTES("b")), NAMES_NONE);
    ck_assert_uint_eq(names_open(&names, BYTES("bc"), &stem), 2);
    ck_assert_uint_eq(stem, 1);
}
END_TEST

START_TEST(no_room)
{
    static const char *const list[] = {"a", "b*"};
    struct arena small;
    struct names names;
    arena_init(&small, 16);
    ck_assert_int_eq(names_init(&names, &small, list, ARRAY_LEN(list), sizeof(list[0])), ERR_NOMEM);
    arena_free(&small);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("names");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_same_as_looking_at_each);
    tcase_add_test(tc, missing_ones_are_left_out);
    tcase_add_test(tc, no_room);
    return run_case(tc);
}

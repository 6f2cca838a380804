#include "common/memory.h"
#include "tests/unit/common/run.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 8 };

/* Between two pages that nothing may touch, so that it is a mapping of its own. */
static char *map_pages(size_t page)
{
    char *at = mmap(NULL, (PAGES + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(at, MAP_FAILED);
    ck_assert_int_eq(mprotect(at + page, PAGES * page, PROT_READ | PROT_WRITE), 0);
    return at + page;
}

START_TEST(pages_of_zeros_are_given_back_and_nothing_else)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char there[PAGES];
    char *at = map_pages(page);
    memset(at, 0, PAGES * page);
    at[2 * page] = 'a';
    at[6 * page - 1] = 'z';
    ck_assert_int_eq(mincore(at, PAGES * page, there), 0);
    for (unsigned i = 0; i < PAGES; i++)
        ck_assert_uint_eq(there[i] & 1, 1);

    memory_drop_zeros();

    ck_assert_int_eq(mincore(at, PAGES * page, there), 0);
    for (unsigned i = 0; i < PAGES; i++)
        ck_assert_msg((there[i] & 1) == (i == 2 || i == 5), "page %u", i);
    for (size_t i = 0; i < PAGES * page; i++)
        ck_assert_int_eq(at[i], i == 2 * page ? 'a' : i == 6 * page - 1 ? 'z' : 0);
    at[0] = 'b';
    ck_assert_int_eq(at[0], 'b');
    ck_assert_int_eq(munmap(at - page, (PAGES + 2) * page), 0);
}
END_TEST

/* Resident pages that are copies of files: the third number of /proc/self/statm. */
static unsigned long file_pages(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%*s %*s %lu", &pages), 1);
    ck_assert_int_eq(fclose(f), 0);
    return pages;
}

START_TEST(copies_of_files_are_given_back_and_the_program_goes_on)
{
    char *kept = malloc(100000);
    ck_assert_ptr_nonnull(kept);
    memset(kept, 'k', 100000);
    memory_tune();
    const unsigned long before = file_pages();

    memory_trim();

    ck_assert_uint_lt(file_pages(), before);
    for (unsigned i = 0; i < 100000; i++)
        ck_assert_int_eq(kept[i], 'k');
    free(kept);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("memory");

    tcase_add_test(tc, pages_of_zeros_are_given_back_and_nothing_else);
    tcase_add_test(tc, copies_of_files_are_given_back_and_the_program_goes_on);
    return run_case(tc);
}

#pragma once
/* The main() of a test program, but for the list of its tests. */
#include <check.h>
#include <stdlib.h>

static inline int run_case(TCase *tc)
{
    Suite *suite = suite_create("sluice");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

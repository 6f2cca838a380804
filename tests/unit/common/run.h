#pragma once
/* The main() of a test program, but for the list of its tests. */
#include <check.h>
#include <stdlib.h>

/* The exit status of the program. CK_VERBOSITY and the like say how it goes. */
static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static inline int run_case(TCase *tc)
{
    Suite *suite = suite_create("sluice");
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

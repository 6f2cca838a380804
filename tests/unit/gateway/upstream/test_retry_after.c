#include "gateway/upstream/retry_after.h"
#include <check.h>

#define NOW INT64_C(1792567650) /* Wed, 21 Oct 2026 07:27:30 GMT */
#define HALF_PAST "Wed, 21 Oct 2026 07:30:00 GMT"

struct header {
    const char *name, *value;
};

static const struct {
    struct header headers[3];
    int seconds;
} cases[] = {
    {{{"content-type", "7"}}, 0},
    {{{"Retry-After", "7"}}, 7},
    {{{"Retry-After", "0"}}, 0},
    {{{"Retry-After", ""}}, 0},
    {{{"Retry-After", "6.01"}}, 7},
    {{{"Retry-After", "7.00"}}, 7},
    {{{"Retry-After", "86400"}}, 86400},
    {{{"Retry-After", "86401"}}, 86400},
    {{{"Retry-After", "86400.5"}}, 86400},
    {{{"Retry-After", "99999999999999999999999999"}}, 86400},
    {{{"Retry-After", "-7"}}, 0},
    {{{"Retry-After", "7."}}, 0},
    {{{"Retry-After", ".7"}}, 0},
    {{{"Retry-After", "7.x"}}, 0},
    {{{"Retry-After", "7 s"}}, 0},
    {{{"Retry-After", "soon"}}, 0},
    /* The three forms of a date (RFC 9110, 5.6.7), by our clock. */
    {{{"Retry-After", HALF_PAST}}, 150},
    {{{"retry-after", "Wednesday, 21-Oct-26 07:30:00 GMT"}}, 150},
    {{{"RETRY-AFTER", "Wed Oct 21 07:30:00 2026"}}, 150},
    {{{"Retry-After", "Wed, 21 Oct 2026 07:27:30 GMT"}}, 0},
    {{{"Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"}}, 0},
    {{{"Retry-After", "Wed, 21 Oct 2026 07:30:61 GMT and so on, and so on, and so on, and so on"}}, 0},
    {{{"Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"}}, 86400},
    /* By the provider's. */
    {{{"Date", "Wed, 21 Oct 2026 07:29:00 GMT"}, {"Retry-After", HALF_PAST}}, 60},
    {{{"Retry-After", HALF_PAST}, {"Date", "Wed, 21 Oct 2026 07:29:00 GMT"}}, 60},
    {{{"Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"Date", "Sun, 06 Nov 1994 08:49:07 GMT"}}, 30},
    {{{"Retry-After", HALF_PAST}, {"Date", "Wed, 21 Oct 2026 07:31:00 GMT"}}, 0},
    {{{"Retry-After", HALF_PAST}, {"Date", "today"}}, 150},
    {{{"Retry-After", "7"}, {"Date", "Wed, 21 Oct 2026 07:29:00 GMT"}}, 7},
    /* The finer one counts, but not when it says nothing. */
    {{{"retry-after-ms", "1"}}, 1},
    {{{"Retry-After-Ms", "2000"}}, 2},
    {{{"retry-after-ms", "2000.5"}}, 3},
    {{{"retry-after-ms", "86400001"}}, 86400},
    {{{"retry-after-ms", HALF_PAST}}, 0},
    {{{"retry-after-ms", "2500"}, {"Retry-After", "7"}}, 3},
    {{{"Retry-After", "7"}, {"retry-after-ms", "2500"}}, 3},
    {{{"retry-after-ms", "0"}, {"Retry-After", "7"}}, 7},
    {{{"retry-after-ms", "2500"}, {"Retry-After", HALF_PAST}, {"Date", "Wed, 21 Oct 2026 07:29:00 GMT"}}, 3},
};

START_TEST(what_headers_say)
{
    struct retry_after r = {0};
    const struct header *h = cases[_i].headers;
    for (size_t i = 0; i < ARRAY_LEN(cases[_i].headers) && h[i].name; i++)
        retry_after_note(&r, bytes_cstr(h[i].name), bytes_cstr(h[i].value));
    ck_assert_msg(retry_after_s(&r, NOW) == cases[_i].seconds, "%s: %s: %d", h[0].name, h[0].value,
                  retry_after_s(&r, NOW));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("headers");
    tcase_add_loop_test(t, what_headers_say, 0, ARRAY_LEN(cases));
    Suite *s = suite_create("retry_after");
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}

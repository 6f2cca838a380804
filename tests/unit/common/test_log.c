#include "common/bytes.h"
#include "common/log.h"
#include "tests/unit/common/run.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static char seen[32768];
static int kept_stderr;
static FILE *file;

/* Lines go to a file between capture() and captured(). */
static void capture(void)
{
    file = tmpfile();
    ck_assert_ptr_nonnull(file);
    kept_stderr = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
}

static const char *captured(void)
{
    ck_assert_int_ge(dup2(kept_stderr, STDERR_FILENO), 0);
    (void)close(kept_stderr);
    rewind(file);
    seen[fread(seen, 1, sizeof(seen) - 1, file)] = '\0';
    (void)fclose(file);
    return seen;
}

static size_t lines(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += *s == '\n';
    return n;
}

START_TEST(one_line_in_logfmt)
{
    log_set_role("worker-0");
    capture();
    LOG_WARN("upstream failed provider=%s status=%d", "x", 500);
    const char *line = captured();
    ck_assert_uint_eq(lines(line), 1);
    ck_assert_int_eq(strncmp(line, "time=2", 6), 0);
    ck_assert_ptr_eq(strchr(line, 'Z'), line + 5 + 23);
    ck_assert_str_eq(strchr(line, 'Z'),
                     "Z level=warn role=worker-0 msg=\"upstream failed\" provider=x status=500\n");
}
END_TEST

START_TEST(message_and_pairs_part)
{
    static const char *const cases[][2] = {
        {"listening", "msg=\"listening\"\n"},         {"a=1", "a=1\n"},
        {"ready a.b_2=1", "msg=\"ready\" a.b_2=1\n"}, {"say \"hi\" \\o", "msg=\"say \\\"hi\\\" \\\\o\"\n"},
        {"1 + 1 == 2", "msg=\"1 + 1 == 2\"\n"},       {"got reason=\"a b\"", "msg=\"got\" reason=\"a b\"\n"},
    };

    log_set_role("");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        capture();
        LOG_INFO("%s", cases[i][0]);
        ck_assert_str_eq(strstr(captured(), "level=info ") + 11, cases[i][1]);
    }
}
END_TEST

START_TEST(nobody_forges_lines)
{
    log_set_role("");
    capture();
    LOG_ERROR("bad path=\"%s\"", "a\nlevel=error b\r\x1b[2J\x7f\xC2\x9B\xC3\xA9");
    const char *line = captured();
    ck_assert_uint_eq(lines(line), 1);
    ck_assert_str_eq(strstr(line, "path="),
                     "path=\"a\\nlevel=error b\\x0d\\x1b[2J\\x7f\\xc2\\x9b\xC3\xA9\"\n");
    capture();
    LOG_ERROR("bad path=%s", "\xFF\xC3");
    ck_assert_str_eq(strstr(captured(), "path="), "path=\\xff\\xc3\n");
}
END_TEST

START_TEST(long_lines_are_cut)
{
    static char text[100000];

    memset(text, 'a', sizeof(text) - 1);
    capture();
    LOG_INFO("long v=%s", text);
    const char *line = captured();
    ck_assert_uint_eq(lines(line), 1);
    ck_assert_uint_le(strlen(line), 4096);
    memset(text, '\x01', sizeof(text) - 1);
    capture();
    LOG_INFO("long v=%s", text);
    line = captured();
    ck_assert_uint_eq(lines(line), 1);
    ck_assert_uint_le(strlen(line), 4096);
    ck_assert_int_eq(line[strlen(line) - 1], '\n');
}
END_TEST

START_TEST(levels)
{
    enum log_level level = LOG_LEVEL_WARN;

    ck_assert(log_level_parse("debug", &level));
    ck_assert_int_eq(level, LOG_LEVEL_DEBUG);
    ck_assert(log_level_parse("error", &level));
    ck_assert_int_eq(level, LOG_LEVEL_ERROR);
    ck_assert(!log_level_parse("loud", &level));
    ck_assert(!log_level_parse("", &level));
    ck_assert_int_eq(level, LOG_LEVEL_ERROR);
    log_set_level(LOG_LEVEL_WARN);
    ck_assert(!log_enabled(LOG_LEVEL_INFO));
    capture();
    LOG_DEBUG("no");
    LOG_INFO("no");
    LOG_WARN("yes");
    ck_assert_uint_eq(lines(captured()), 1);
    log_set_level(LOG_LEVEL_INFO);
}
END_TEST

START_TEST(errno_and_role)
{
    capture();
    log_set_role("a-role-that-is-much-longer-than-thirty-one-characters");
    errno = ENOENT;
    LOG_INFO("x");
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_ptr_nonnull(strstr(captured(), " role=a-role-that-is-much-longer-than msg="));
    /* Nobody listens: nothing happens. */
    int err = dup(STDERR_FILENO);
    (void)close(STDERR_FILENO);
    errno = 0;
    LOG_INFO("x");
    ck_assert_int_eq(errno, 0);
    (void)dup2(err, STDERR_FILENO);
    (void)close(err);
}
END_TEST

START_TEST(a_gate_counts_what_it_keeps_back)
{
    static const struct {
        uint64_t now_ms;
        unsigned asked, passed, suppressed; /* suppressed: as the first that passes is told */
    } steps[] = {
        {70000, 3, 3, 0}, {70400, 10, 2, 0}, {70999, 1, 0, 0}, {71000, 1, 1, 9},
        {71500, 4, 4, 0}, {71999, 2, 0, 0},  {90000, 7, 5, 2}, {91000, 1, 1, 2},
    };
    struct log_gate g = {0};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        unsigned passed = 0, told = 0, suppressed;
        for (unsigned n = 0; n < steps[i].asked; n++) {
            if (!log_gate_pass(&g, steps[i].now_ms, &suppressed))
                continue;
            passed++;
            told += suppressed;
        }
        ck_assert_msg(passed == steps[i].passed && told == steps[i].suppressed,
                      "step %zu: %u passed, told of %u", i, passed, told);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("log");

    tcase_add_test(tc, one_line_in_logfmt);
    tcase_add_test(tc, message_and_pairs_part);
    tcase_add_test(tc, nobody_forges_lines);
    tcase_add_test(tc, long_lines_are_cut);
    tcase_add_test(tc, levels);
    tcase_add_test(tc, errno_and_role);
    tcase_add_test(tc, a_gate_counts_what_it_keeps_back);
    return run_case(tc);
}

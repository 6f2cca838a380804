#include "common/bytes.h"
#include "common/log.h"
#include "tests/unit/common/run.h"
#include <errno.h>
#include <fcntl.h>
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

static void say_in(enum log_format format)
{
    log_set(&(struct log_opts){.level = LOG_LEVEL_INFO, .format = format, .max_unwritten = 65536});
    log_set_role("");
}

/* The line behind its level. */
static const char *rest(const char *level)
{
    const char *at = strstr(captured(), level);
    ck_assert_ptr_nonnull(at);
    return at + strlen(level);
}

START_TEST(message_and_pairs_part)
{
    say_in(LOG_FORMAT_TEXT);
    const char *const level = "level=info ";
    capture();
    LOG_INFO("listening");
    ck_assert_str_eq(rest(level), "msg=\"listening\"\n");
    capture();
    LOG_INFO("a=1");
    ck_assert_str_eq(rest(level), "a=1\n");
    capture();
    LOG_INFO("ready a.b_2=%d c=%s:%u", -1, "host", 2U);
    ck_assert_str_eq(rest(level), "msg=\"ready\" a.b_2=-1 c=host:2\n");
    capture();
    LOG_INFO("say \"hi\" %s", "\\o");
    ck_assert_str_eq(rest(level), "msg=\"say \\\"hi\\\" \\\\o\"\n");
    capture();
    LOG_INFO("1 + 1 == 2");
    ck_assert_str_eq(rest(level), "msg=\"1 + 1 == 2\"\n");
    capture();
    LOG_INFO("got reason=\"a %s\" other=%s none=%s", "b", "c d", "");
    ck_assert_str_eq(rest(level), "msg=\"got\" reason=\"a b\" other=\"c d\" none=\"\"\n");
    capture();
    LOG_INFO("all d=%d u=%u x=%x l=%ld lu=%lu ll=%lld llu=%llu z=%zu c=%c p=%d%% s=%.*s", -2147483647 - 1,
             4294967295U, 255U, -5L, 6UL, -7LL, 18446744073709551615ULL, (size_t)9, 'x', 50, 2, "abc");
    ck_assert_str_eq(rest(level), "msg=\"all\" d=-2147483648 u=4294967295 x=ff l=-5 lu=6 ll=-7 "
                                  "llu=18446744073709551615 z=9 c=x p=50% s=ab\n");
}
END_TEST

START_TEST(json_has_numbers_and_escaped_text)
{
    say_in(LOG_FORMAT_JSON);
    const char *const level = "\"level\":\"info\",";
    capture();
    LOG_INFO("it \"is\" n=%d text=%s hex=%x both=%d:%d no=", -3, "a\"\\\n\x1b\x7f\xC2\x9B\xC3\xA9", 16U, 1,
             2);
    const char *line = rest(level);
    ck_assert_str_eq(
        line, "\"msg\":\"it \\\"is\\\"\",\"n\":-3,\"text\":\"a\\\"\\\\\\n\\u001b\\u007f\\u009b\xC3\xA9\","
              "\"hex\":\"10\",\"both\":\"1:2\",\"no\":\"\"}\n");
    ck_assert_int_eq(strncmp(seen, "{\"time\":\"2", 10), 0);
    capture();
    LOG_INFO("bad path=%s", "\xFF");
    ck_assert_str_eq(rest(level), "\"msg\":\"bad\",\"path\":\"\\ufffd\"}\n");
    say_in(LOG_FORMAT_TEXT);
}
END_TEST

START_TEST(whose_line_it_is)
{
    const struct log_ids all = {.conn = 7, .session = 2, .request = "req_1", .response = "resp_1"};
    const struct log_ids none = {.request = ""};
    say_in(LOG_FORMAT_TEXT);
    capture();
    log_write(LOG_LEVEL_INFO, &all, "moved to=%s", "x");
    ck_assert_str_eq(rest("level=info "),
                     "msg=\"moved\" conn=7 session=2 request=req_1 response=resp_1 to=x\n");
    capture();
    log_write(LOG_LEVEL_INFO, &none, "moved to=%s", "x");
    ck_assert_str_eq(rest("level=info "), "msg=\"moved\" to=x\n");
}
END_TEST

START_TEST(a_line_field_by_field)
{
    struct log_line l;
    say_in(LOG_FORMAT_JSON);
    capture();
    log_begin(&l, LOG_LEVEL_INFO, "request");
    log_text(&l, "key", BYTES("a b"));
    log_number(&l, "n", 12);
    /* No room for all of these: the line stays a whole one. */
    static char text[1000];
    memset(text, 'a', sizeof(text));
    for (int i = 0; i < 10; i++)
        log_text(&l, "long", bytes_of(text, sizeof(text)));
    log_number(&l, "last", 1);
    log_end(&l);
    const char *line = rest("\"level\":\"info\",");
    ck_assert_int_eq(strncmp(line, "\"msg\":\"request\",\"key\":\"a b\",\"n\":12,\"long\":\"aaa", 42), 0);
    ck_assert_ptr_nonnull(strstr(line, "aaa\",\"last\":1,\"truncated\":true}\n"));
    say_in(LOG_FORMAT_TEXT);
}
END_TEST

/* A pipe takes the place of stderr between these two. */
static int pipe_ends[2];

static void block_stderr(void)
{
    ck_assert_int_eq(pipe(pipe_ends), 0);
    kept_stderr = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(pipe_ends[1], STDERR_FILENO), 0);
    log_unblock();
}

static size_t read_pipe(char *to, size_t size)
{
    size_t n = 0;
    ck_assert_int_eq(fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK), 0);
    for (ssize_t got; n < size && (got = read(pipe_ends[0], to + n, size - n)) > 0;)
        n += (size_t)got;
    return n;
}

START_TEST(a_log_that_nobody_reads_stops_nobody)
{
    enum { LINES = 4000 };
    static char text[1024 * 1024];
    say_in(LOG_FORMAT_TEXT);
    block_stderr();
    /* The description that we share with others is as it was. */
    ck_assert_int_eq(fcntl(pipe_ends[1], F_GETFL) & O_NONBLOCK, 0);
    for (unsigned i = 0; i < LINES; i++)
        LOG_INFO("line n=%u fill=%s", i, "0123456789012345678901234567890123456789");
    ck_assert(log_waiting());
    const uint64_t dropped = log_dropped();
    ck_assert_uint_gt(dropped, 0);
    size_t len = 0;
    for (size_t n; (n = read_pipe(text + len, sizeof(text) - 1 - len)) > 0;) {
        len += n;
        log_flush();
    }
    ck_assert(!log_waiting());
    LOG_INFO("again");
    len += read_pipe(text + len, sizeof(text) - 1 - len);
    (void)dup2(kept_stderr, STDERR_FILENO);
    text[len] = '\0';
    /* What was kept is whole and in order; then what was not is said. */
    unsigned kept = 0;
    char want[64];
    char *at = text;
    for (;; kept++) {
        (void)snprintf(want, sizeof(want), "msg=\"line\" n=%u fill=", kept);
        const char *found = strstr(at, want);
        char *end = strchr(at, '\n');
        ck_assert_ptr_nonnull(end);
        if (!found || found > end)
            break;
        at = end + 1;
    }
    (void)snprintf(want, sizeof(want), " dropped=%llu\n", (unsigned long long)dropped);
    ck_assert_msg(strstr(at, want) == strchr(at, '\n') + 1 - strlen(want), "%s", at);
    ck_assert_ptr_nonnull(strstr(at, "msg=\"again\"\n"));
    ck_assert_uint_eq(lines(at), 2);
    ck_assert_uint_eq(kept + dropped, LINES);
}
END_TEST

START_TEST(nobody_forges_lines)
{
    log_set_role("");
    capture();
    LOG_ERROR("bad path=%s", "a\nlevel=error b\r\x1b[2J\x7f\xC2\x9B\xC3\xA9");
    const char *line = captured();
    ck_assert_uint_eq(lines(line), 1);
    ck_assert_str_eq(strstr(line, "path="),
                     "path=\"a\\nlevel=error b\\x0d\\x1b[2J\\x7f\\xc2\\x9b\xC3\xA9\"\n");
    capture();
    LOG_ERROR("bad path=%s", "\xFF\xC3");
    ck_assert_str_eq(strstr(captured(), "path="), "path=\"\\xff\\xc3\"\n");
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
    log_set(&(struct log_opts){.level = LOG_LEVEL_WARN, .max_unwritten = 65536});
    ck_assert(!log_enabled(LOG_LEVEL_INFO));
    capture();
    LOG_DEBUG("no");
    LOG_INFO("no");
    LOG_WARN("yes");
    ck_assert_uint_eq(lines(captured()), 1);
    say_in(LOG_FORMAT_TEXT);
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
    tcase_add_test(tc, json_has_numbers_and_escaped_text);
    tcase_add_test(tc, whose_line_it_is);
    tcase_add_test(tc, a_line_field_by_field);
    tcase_add_test(tc, a_log_that_nobody_reads_stops_nobody);
    tcase_add_test(tc, nobody_forges_lines);
    tcase_add_test(tc, long_lines_are_cut);
    tcase_add_test(tc, levels);
    tcase_add_test(tc, errno_and_role);
    tcase_add_test(tc, a_gate_counts_what_it_keeps_back);
    return run_case(tc);
}

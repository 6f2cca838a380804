#include "gateway/config/value.h"
#include "tests/unit/common/run.h"
#include <stdio.h>

START_TEST(paths_are_sorted)
{
    ck_assert_uint_gt(config_n_keys, 40);
    for (size_t i = 1; i < config_n_keys; i++)
        ck_assert_msg(strcmp(config_keys[i - 1].path, config_keys[i].path) < 0, "%s is not before %s",
                      config_keys[i - 1].path, config_keys[i].path);
}
END_TEST

START_TEST(every_key_is_found_and_told)
{
    for (size_t i = 0; i < config_n_keys; i++) {
        ck_assert_ptr_eq(config_key_find(config_keys[i].path), &config_keys[i]);
        ck_assert_uint_gt(strlen(config_keys[i].help), 8);
        ck_assert_uint_le(config_keys[i].min, config_keys[i].max);
    }
    ck_assert_ptr_null(config_key_find("listen[].adress"));
    ck_assert_ptr_null(config_key_find(""));
}
END_TEST

/* A parent that is not in the table would make its keys unreachable. */
START_TEST(every_parent_is_in_the_table)
{
    for (size_t i = 0; i < config_n_keys; i++) {
        char parent[128];
        const char *leaf = config_key_leaf(&config_keys[i]);
        if (leaf == config_keys[i].path)
            continue;
        (void)snprintf(parent, sizeof(parent), "%.*s", (int)(leaf - config_keys[i].path) - 1,
                       config_keys[i].path);
        ck_assert(config_key_in(&config_keys[i], parent));
        ck_assert(!config_key_in(&config_keys[i], ""));
        size_t len = strlen(parent);
        bool item = len > 2 && strcmp(parent + len - 2, "[]") == 0;
        if (item)
            parent[len - 2] = '\0';
        const struct config_keydef *d = config_key_find(parent);
        ck_assert_ptr_nonnull(d);
        ck_assert_int_eq(d->type, item ? CONFIG_MAPS : CONFIG_MAP);
    }
}
END_TEST

START_TEST(every_default_is_allowed)
{
    for (size_t i = 0; i < config_n_keys; i++) {
        uint64_t value;
        if (config_keys[i].preset)
            ck_assert_msg(value_parse(&config_keys[i], bytes_cstr(config_keys[i].preset), &value) == ERR_OK,
                          "%s", config_keys[i].path);
    }
}
END_TEST

START_TEST(describe_has_a_line_for_every_key)
{
    struct buf out;
    buf_init(&out, 64 * 1024);
    config_describe(&out);
    ck_assert_int_eq(buf_append_char(&out, '\0'), ERR_OK);
    const char *line = out.data;
    for (size_t i = 0; i < config_n_keys; i++) {
        char start[128];
        (void)snprintf(start, sizeof(start), "  %s ", config_keys[i].path);
        ck_assert_msg(strncmp(line, start, strlen(start)) == 0, "no line for %s", config_keys[i].path);
        const char *end = strchr(line, '\n');
        ck_assert_ptr_nonnull(end);
        ck_assert_ptr_nonnull(strstr(line, config_keys[i].help));
        if (config_keys[i].preset)
            ck_assert(strstr(line, config_keys[i].preset) < end);
        line = end + 1;
    }
    ck_assert_str_eq(line, "");
    buf_free(&out);
}
END_TEST

struct value_case {
    const char *path, *text;
    enum err e;
    uint64_t value;
};

static const struct value_case value_cases[] = {
    {"workers", "auto", ERR_OK, 0},
    {"workers", "1", ERR_OK, 1},
    {"workers", "256", ERR_OK, 256},
    {"workers", "0", ERR_LIMIT, 0},
    {"workers", "257", ERR_LIMIT, 0},
    {"workers", "99999999999999999999999", ERR_LIMIT, 0},
    {"workers", "+1", ERR_SYNTAX, 0},
    {"workers", "-1", ERR_SYNTAX, 0},
    {"workers", "1.5", ERR_SYNTAX, 0},
    {"workers", "Auto", ERR_SYNTAX, 0},
    {"workers", "", ERR_SYNTAX, 0},
    {"limits.max_message_bytes", "128", ERR_OK, 128},
    {"limits.max_message_bytes", "128B", ERR_OK, 128},
    {"limits.max_message_bytes", "3KiB", ERR_OK, 3072},
    {"limits.max_message_bytes", "1MiB", ERR_OK, 1048576},
    {"limits.max_message_bytes", "1GiB", ERR_OK, 1073741824},
    {"limits.max_message_bytes", "127", ERR_LIMIT, 0},
    {"limits.max_message_bytes", "2GiB", ERR_LIMIT, 0},
    {"limits.max_message_bytes", "18446744073709551615TiB", ERR_LIMIT, 0},
    {"limits.max_message_bytes", "16777216TiB", ERR_LIMIT, 0},
    {"limits.max_message_bytes", "1MB", ERR_SYNTAX, 0},
    {"limits.max_message_bytes", "1 MiB", ERR_SYNTAX, 0},
    {"limits.max_message_bytes", "1mib", ERR_SYNTAX, 0},
    {"limits.max_message_bytes", "MiB", ERR_SYNTAX, 0},
    {"timeouts.connect", "10ms", ERR_OK, 10},
    {"timeouts.connect", "5s", ERR_OK, 5000},
    {"timeouts.connect", "2m", ERR_OK, 120000},
    {"timeouts.connect", "24h", ERR_OK, 86400000},
    {"timeouts.connect", "9ms", ERR_LIMIT, 0},
    {"timeouts.connect", "0", ERR_LIMIT, 0},
    {"timeouts.connect", "25h", ERR_LIMIT, 0},
    {"timeouts.connect", "5", ERR_SYNTAX, 0},
    {"timeouts.connect", "5sec", ERR_SYNTAX, 0},
    {"timeouts.connect", "1.5s", ERR_SYNTAX, 0},
    {"timeouts.connect", "1m30s", ERR_SYNTAX, 0},
    {"debug.echo", "true", ERR_OK, 1},
    {"debug.echo", "false", ERR_OK, 0},
    {"debug.echo", "yes", ERR_SYNTAX, 0},
    {"debug.echo", "1", ERR_SYNTAX, 0},
    {"debug.echo", "tru", ERR_SYNTAX, 0},
    {"log.level", "debug", ERR_OK, LOG_LEVEL_DEBUG},
    {"log.level", "info", ERR_OK, LOG_LEVEL_INFO},
    {"log.level", "warn", ERR_OK, LOG_LEVEL_WARN},
    {"log.level", "error", ERR_OK, LOG_LEVEL_ERROR},
    {"log.level", "off", ERR_SYNTAX, 0},
    {"log.level", "debug|info", ERR_SYNTAX, 0},
};

START_TEST(values)
{
    const struct value_case *c = &value_cases[_i];
    const struct config_keydef *d = config_key_find(c->path);
    ck_assert_ptr_nonnull(d);
    uint64_t value = 4711;
    ck_assert_msg(value_parse(d, bytes_cstr(c->text), &value) == c->e, "%s: %s", c->path, c->text);
    ck_assert_uint_eq(value, c->e == ERR_OK ? c->value : 4711);
}
END_TEST

START_TEST(words_that_are_no_strings)
{
    static const char *const no[] = {"true", "No", "ON", "~", "null", "", "1", "-3", "+1.5", ".5", "0"};
    static const char *const yes[] = {"demo", "1.2.3", "gpt-4",        "4o",     "-",
                                      "+",    ".",     "127.0.0.1:80", "truest", "1e"};
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        ck_assert_msg(value_not_string(bytes_cstr(no[i])), "%s", no[i]);
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        ck_assert_msg(!value_not_string(bytes_cstr(yes[i])), "%s", yes[i]);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("table");
    tcase_add_test(t, paths_are_sorted);
    tcase_add_test(t, every_key_is_found_and_told);
    tcase_add_test(t, every_parent_is_in_the_table);
    tcase_add_test(t, every_default_is_allowed);
    tcase_add_test(t, describe_has_a_line_for_every_key);
    tcase_add_loop_test(t, values, 0, ARRAY_LEN(value_cases));
    tcase_add_test(t, words_that_are_no_strings);
    return run_case(t);
}

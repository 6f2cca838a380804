#pragma once
/* A small valid configuration, one key a line, and ways to change it. */
#include "gateway/config/config.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const char base[] = "listen:\n"                     /* 1 */
                           "  - address: 127.0.0.1:8080\n" /* 2 */
                           "workers: 2\n"                  /* 3 */
                           "providers:\n"                  /* 4 */
                           "  - name: demo\n"              /* 5 */
                           "    dialect: demo\n"           /* 6 */
                           "models:\n"                     /* 7 */
                           "  - name: fast\n"              /* 8 */
                           "    targets:\n"                /* 9 */
                           "      - provider: demo\n"      /* 10 */
                           "        model: quick\n"        /* 11 */
                           "keys:\n"                       /* 12 */
                           "  - name: dev\n"               /* 13 */
                           "    plaintext: sk-dev-only\n"  /* 14 */
                           "    models: [\"*\"]\n";        /* 15 */

/* `text` with its one `from` replaced by `to`; "" for `from` appends. The caller frees. */
static inline char *changed(const char *text, const char *from, const char *to)
{
    const char *at = *from ? strstr(text, from) : text + strlen(text);
    ck_assert_msg(at != NULL, "no '%s' in the text", from);
    size_t size = strlen(text) + strlen(to) + 1;
    char *out = malloc(size);
    ck_assert_ptr_nonnull(out);
    (void)snprintf(out, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

/* Parses; the configuration, or NULL with the report's text in `report`. */
static inline struct config *parse(const char *yaml, char *report, size_t size)
{
    struct buf out;
    buf_init(&out, 64 * 1024);
    struct config *cfg = NULL;
    enum err e = config_parse("t.yaml", bytes_cstr(yaml), &out, &cfg);
    (void)snprintf(report, size, "%.*s", BYTES_FMT(buf_bytes(&out)));
    ck_assert_int_eq(e == ERR_OK, out.len == 0);
    ck_assert_int_eq(e == ERR_OK, cfg != NULL);
    if (e != ERR_OK)
        ck_assert_int_eq(e, ERR_INVALID);
    buf_free(&out);
    return cfg;
}

static inline struct config *parse_ok(const char *yaml)
{
    char report[4096];
    struct config *cfg = parse(yaml, report, sizeof(report));
    ck_assert_msg(cfg != NULL, "refused: %s", report);
    return cfg;
}

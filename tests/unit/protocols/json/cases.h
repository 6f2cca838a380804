#pragma once
/* The files of tests/fixtures/json/cases. */
#include "common/bytes.h"
#include "tests/unit/common/run.h"
#include <dirent.h>
#include <stdio.h>

/* A file in memory of exactly its size, so that a sanitizer sees a read beyond it. */
static inline char *read_case(const char *dir, const char *name, size_t *ret_len)
{
    char path[1024];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    long size = ftell(f);
    ck_assert_int_ge(size, 0);
    rewind(f);
    char *text = malloc(size > 0 ? (size_t)size : 1);
    ck_assert_ptr_nonnull(text);
    *ret_len = fread(text, 1, (size_t)size, f);
    ck_assert_uint_eq(*ret_len, (size_t)size);
    (void)fclose(f);
    return text;
}

static inline unsigned each_case(const char *dir, void (*visit)(const char *name, struct bytes text))
{
    unsigned n = 0;

    DIR *d = opendir(dir);
    ck_assert_msg(d != NULL, "%s", dir);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        size_t len;
        if (e->d_name[0] == '.')
            continue;
        char *text = read_case(dir, e->d_name, &len);
        visit(e->d_name, bytes_of(text, len));
        free(text);
        n++;
    }
    (void)closedir(d);
    return n;
}

#pragma once
/* Command lines of the two tools: one const table of options, from which both parsing and the help come. */
#include "common/bytes.h"

enum arg_type {
    ARG_FLAG,     /* bool */
    ARG_TEXT,     /* const char * */
    ARG_COUNT,    /* uint64_t; 10k and 1M are understood */
    ARG_MS,       /* uint64_t milliseconds: 250, 250ms, 5s, 2m */
    ARG_FRACTION, /* double, 0 to 1 */
    ARG_NUMBER,   /* double, not negative */
};

struct arg_def {
    const char *name; /* without the dashes */
    enum arg_type type;
    size_t offset; /* in the options struct */
    const char *value_name;
    const char *help;
};

/* Fills `opts` by the table. On a mistake says so on stderr and answers ERR_INVALID; on --help prints the
 * table to stdout and answers ERR_CLOSED. */
enum err args_parse(const struct arg_def *defs, unsigned n_defs, const char *usage, int argc, char **argv,
                    void *opts) MUST_USE;
/* "64", "10k", "1M"; and "250", "250ms", "5s", "2m". */
bool parse_count(const char *text, uint64_t *ret) MUST_USE;
bool parse_ms(const char *text, uint64_t *ret) MUST_USE;
bool parse_number(const char *text, double *ret) MUST_USE;

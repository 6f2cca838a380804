#include "loadtest/kit/args.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct unit {
    const char *suffix;
    uint64_t factor;
};

static bool parse_with_units(const char *text, const struct unit *units, unsigned n_units, uint64_t *ret)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || v > UINT64_MAX / 1000000)
        return false;
    for (unsigned i = 0; i < n_units; i++)
        if (strcmp(end, units[i].suffix) == 0) {
            *ret = v * units[i].factor;
            return true;
        }
    return false;
}

bool parse_count(const char *text, uint64_t *ret)
{
    static const struct unit units[] = {{"", 1}, {"k", 1000}, {"M", 1000000}};
    return parse_with_units(text, units, ARRAY_LEN(units), ret);
}

bool parse_ms(const char *text, uint64_t *ret)
{
    static const struct unit units[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}};
    return parse_with_units(text, units, ARRAY_LEN(units), ret);
}

bool parse_number(const char *text, double *ret)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !isfinite(v) || v < 0)
        return false;
    *ret = v;
    return true;
}

static bool store(const struct arg_def *d, const char *value, void *opts)
{
    void *field = (char *)opts + d->offset;
    double number;
    switch (d->type) {
    case ARG_FLAG:
        *(bool *)field = true;
        return true;
    case ARG_TEXT:
        *(const char **)field = value;
        return true;
    case ARG_COUNT:
        return parse_count(value, field);
    case ARG_MS:
        return parse_ms(value, field);
    case ARG_FRACTION:
    case ARG_NUMBER:
        if (!parse_number(value, &number) || (d->type == ARG_FRACTION && number > 1))
            return false;
        *(double *)field = number;
        return true;
    }
    return false;
}

static void print_help(const struct arg_def *defs, unsigned n_defs, const char *usage)
{
    (void)printf("%s\n\n", usage);
    for (unsigned i = 0; i < n_defs; i++) {
        char left[48];
        (void)snprintf(left, sizeof(left), "--%s %s", defs[i].name,
                       defs[i].value_name ? defs[i].value_name : "");
        (void)printf("  %-26s %s\n", left, defs[i].help);
    }
}

static const struct arg_def *find(const struct arg_def *defs, unsigned n_defs, const char *arg)
{
    if (strncmp(arg, "--", 2) != 0)
        return NULL;
    for (unsigned i = 0; i < n_defs; i++)
        if (strcmp(defs[i].name, arg + 2) == 0)
            return &defs[i];
    return NULL;
}

enum err args_parse(const struct arg_def *defs, unsigned n_defs, const char *usage, int argc, char **argv,
                    void *opts)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help(defs, n_defs, usage);
            return ERR_CLOSED;
        }
        const struct arg_def *d = find(defs, n_defs, argv[i]);
        if (!d) {
            (void)fprintf(stderr, "unknown option %s (--help lists them)\n", argv[i]);
            return ERR_INVALID;
        }
        const char *value = d->type == ARG_FLAG ? "" : i + 1 < argc ? argv[++i] : NULL;
        if (!value || !store(d, value, opts)) {
            (void)fprintf(stderr, "--%s: expected %s%s%s\n", d->name,
                          d->value_name ? d->value_name : "no value", value ? ", not " : "",
                          value ? value : "");
            return ERR_INVALID;
        }
    }
    return ERR_OK;
}

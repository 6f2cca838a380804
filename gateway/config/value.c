#include "gateway/config/value.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* Greatest first: the way in which values are written out. */
static const struct unit size_units[] = {{"TiB", UINT64_C(1) << 40},
                                         {"GiB", UINT64_C(1) << 30},
                                         {"MiB", UINT64_C(1) << 20},
                                         {"KiB", UINT64_C(1) << 10},
                                         {"B", 1}};
static const struct unit duration_units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

static const struct unit *units_of(enum config_type type, size_t *ret_n)
{
    *ret_n = type == CONFIG_SIZE ? ARRAY_LEN(size_units) : ARRAY_LEN(duration_units);
    return type == CONFIG_SIZE ? size_units : duration_units;
}

static enum err parse_quantity(const struct config_keydef *d, struct bytes text, uint64_t *ret)
{
    size_t digits = 0;
    while (digits < text.len && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    uint64_t value;
    enum err e = bytes_to_u64(bytes_of(text.data, digits), UINT64_MAX, &value);
    if (e)
        return e;
    struct bytes suffix = bytes_skip(text, digits);
    if (suffix.len == 0 && (d->type == CONFIG_SIZE || value == 0)) {
        *ret = value;
        return ERR_OK;
    }
    size_t n;
    const struct unit *units = units_of(d->type, &n);
    for (size_t i = 0; i < n; i++) {
        if (!bytes_is(suffix, units[i].name))
            continue;
        if (value > UINT64_MAX / units[i].factor)
            return ERR_LIMIT;
        *ret = value * units[i].factor;
        return ERR_OK;
    }
    return ERR_SYNTAX;
}

static enum err parse_word(const char *words, struct bytes text, uint64_t *ret)
{
    uint64_t index = 0;
    for (const char *w = words; w; index++) {
        const char *bar = strchr(w, '|');
        if (bytes_eq(text, bytes_of(w, bar ? (size_t)(bar - w) : strlen(w)))) {
            *ret = index;
            return ERR_OK;
        }
        w = bar ? bar + 1 : NULL;
    }
    return ERR_SYNTAX;
}

enum err value_parse(const struct config_keydef *d, struct bytes text, uint64_t *ret)
{
    if (d->type == CONFIG_BOOL)
        return parse_word("false|true", text, ret);
    if (d->type == CONFIG_ENUM || (d->words && parse_word(d->words, text, ret) == ERR_OK))
        return parse_word(d->words, text, ret);
    uint64_t value = 0;
    enum err e =
        d->type == CONFIG_NUMBER ? bytes_to_u64(text, UINT64_MAX, &value) : parse_quantity(d, text, &value);
    if (e == ERR_OK && (value < d->min || value > d->max))
        e = ERR_LIMIT;
    if (e == ERR_OK)
        *ret = value;
    return e;
}

bool value_is_other(const struct config_keydef *d, struct bytes text)
{
    uint64_t index;
    return text.len > 0 && d->others && parse_word(d->others, text, &index) == ERR_OK;
}

static void write_quantity(enum config_type type, uint64_t value, struct buf *out)
{
    size_t n;
    const struct unit *units = units_of(type, &n);
    while (n > 1 && (value < units->factor || value % units->factor != 0)) {
        units++;
        n--;
    }
    (void)buf_printf(out, "%llu%s", (unsigned long long)(value / units->factor), units->name);
}

static void write_number(const struct config_keydef *d, uint64_t value, struct buf *out)
{
    if (d->type == CONFIG_SIZE || d->type == CONFIG_DURATION)
        write_quantity(d->type, value, out);
    else
        (void)buf_append_u64(out, value);
}

static void write_words(const char *words, const char *between, struct buf *out)
{
    for (const char *w = words; *w; w++)
        (void)buf_append_bytes(out, *w == '|' ? bytes_cstr(between) : bytes_of(w, 1));
}

static void write_from_to(const struct config_keydef *d, const char *what, struct buf *out)
{
    (void)buf_printf(out, "%s from ", what);
    write_number(d, d->min, out);
    (void)buf_append_bytes(out, BYTES(" to "));
    write_number(d, d->max, out);
}

void value_allowed(const struct config_keydef *d, struct buf *out)
{
    switch (d->type) {
    case CONFIG_MAP:
        (void)buf_append_bytes(out, BYTES("a map of keys"));
        break;
    case CONFIG_MAPS:
        write_from_to(d, "a list of maps,", out);
        break;
    case CONFIG_STRINGS:
        write_from_to(d, "a list of strings,", out);
        break;
    case CONFIG_STRING:
    case CONFIG_SECRET:
        write_from_to(d, "a string", out);
        (void)buf_append_bytes(out, BYTES(" bytes long"));
        break;
    case CONFIG_BOOL:
        (void)buf_append_bytes(out, BYTES("true or false"));
        break;
    case CONFIG_NUMBER:
        write_from_to(d, "an integer", out);
        if (d->words)
            (void)buf_printf(out, ", or %s", d->words);
        break;
    case CONFIG_SIZE:
        write_from_to(d, "a size", out);
        (void)buf_append_bytes(out, BYTES(", such as 1MiB"));
        break;
    case CONFIG_DURATION:
        write_from_to(d, "a duration", out);
        (void)buf_append_bytes(out, BYTES(", such as 5s"));
        break;
    case CONFIG_ENUM:
        write_words(d->words, ", ", out);
        break;
    }
}

void value_range(const struct config_keydef *d, struct buf *out)
{
    switch (d->type) {
    case CONFIG_MAP:
        (void)buf_append_bytes(out, BYTES("map"));
        break;
    case CONFIG_MAPS:
    case CONFIG_STRINGS:
        (void)buf_printf(out, "list of %s", d->type == CONFIG_MAPS ? "maps" : "strings");
        break;
    case CONFIG_STRING:
    case CONFIG_SECRET:
        (void)buf_append_bytes(out, BYTES("string"));
        break;
    case CONFIG_BOOL:
        (void)buf_append_bytes(out, BYTES("true | false"));
        break;
    case CONFIG_ENUM:
        write_words(d->words, " | ", out);
        break;
    default:
        write_number(d, d->min, out);
        (void)buf_append_bytes(out, BYTES(".."));
        write_number(d, d->max, out);
        if (d->words)
            (void)buf_printf(out, " | %s", d->words);
    }
}

bool value_not_string(struct bytes text)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "null", "~"};
    if (text.len == 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (bytes_eq_nocase(text, bytes_cstr(words[i])))
            return true;
    unsigned digits = 0, dots = 0;
    for (size_t i = text.data[0] == '-' || text.data[0] == '+'; i < text.len; i++) {
        bool digit = text.data[i] >= '0' && text.data[i] <= '9';
        if (!digit && text.data[i] != '.')
            return false;
        digits += digit;
        dots += !digit;
    }
    return digits > 0 && dots <= 1;
}

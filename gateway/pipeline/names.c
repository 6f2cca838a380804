#include "gateway/pipeline/names.h"
#include <stdlib.h>

struct names_entry {
    struct bytes stem;
    size_t index;
    size_t outer; /* open: the longest other one that this one begins with; NAMES_NONE */
};

struct bytes pattern_stem(const char *pattern)
{
    size_t len = strlen(pattern);
    return bytes_of(pattern, len > 0 && pattern[len - 1] == '*' ? len - 1 : len);
}

bool pattern_is_open(const char *name)
{
    return pattern_stem(name).len < strlen(name);
}

static int compare(struct bytes a, struct bytes b)
{
    const size_t n = MIN(a.len, b.len);
    const int order = n > 0 ? memcmp(a.data, b.data, n) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_stem(const void *a, const void *b)
{
    return compare(((const struct names_entry *)a)->stem, ((const struct names_entry *)b)->stem);
}

/* How many are not behind `name`. */
static size_t upper_bound(const struct names_entry *list, size_t n, struct bytes name)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (compare(list[middle].stem, name) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* From entry `at` on outwards: the first one that `name` begins with. */
static size_t enclosing(const struct names_entry *list, size_t at, struct bytes name)
{
    while (at != NAMES_NONE && !bytes_starts(name, list[at].stem))
        at = list[at].outer;
    return at;
}

enum err names_init(struct names *names, struct arena *a, const char *const *first, size_t n, size_t stride)
{
    struct names made = {.exact_ = arena_array(a, n + 1, sizeof(*made.exact_)),
                         .open_ = arena_array(a, n + 1, sizeof(*made.open_))};
    if (!made.exact_ || !made.open_)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *s = *(const char *const *)(const void *)((const char *)first + i * stride);
        if (!s)
            continue;
        struct names_entry *e =
            pattern_is_open(s) ? &made.open_[made.n_open_++] : &made.exact_[made.n_exact_++];
        *e = (struct names_entry){.stem = pattern_stem(s), .index = i, .outer = NAMES_NONE};
    }
    qsort(made.exact_, made.n_exact_, sizeof(*made.exact_), by_stem);
    qsort(made.open_, made.n_open_, sizeof(*made.open_), by_stem);
    for (size_t i = 1; i < made.n_open_; i++)
        made.open_[i].outer = enclosing(made.open_, i - 1, made.open_[i].stem);
    *names = made;
    return ERR_OK;
}

size_t names_exact(const struct names *names, struct bytes name)
{
    const size_t n = upper_bound(names->exact_, names->n_exact_, name);
    return n > 0 && bytes_eq(names->exact_[n - 1].stem, name) ? names->exact_[n - 1].index : NAMES_NONE;
}

/* Whatever lies between a stem and a name that begins with it begins with that stem too: it is the entry
 * before the name, or encloses that one. */
size_t names_open(const struct names *names, struct bytes name, size_t *ret_stem)
{
    const size_t n = upper_bound(names->open_, names->n_open_, name);
    const size_t at = enclosing(names->open_, n > 0 ? n - 1 : NAMES_NONE, name);
    if (at == NAMES_NONE)
        return NAMES_NONE;
    *ret_stem = names->open_[at].stem.len;
    return names->open_[at].index;
}

#include "gateway/config/suggest.h"

enum { NAME_MAX_LEN = 64 };

/* Optimal string alignment: insertions, deletions, changes, and swaps of neighbours cost one each. */
static unsigned distance(struct bytes a, struct bytes b)
{
    unsigned rows[3][NAME_MAX_LEN + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (unsigned j = 0; j <= b.len; j++)
        last[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        now[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned change = last[j - 1] + (a.data[i - 1] != b.data[j - 1]);
            now[j] = MIN(change, MIN(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                now[j] = MIN(now[j], before[j - 2] + 1);
        }
        unsigned *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[b.len];
}

void suggest_init(struct suggestion *s, struct bytes typed)
{
    *s = (struct suggestion){.typed = typed,
                             .distance_ = 1 + (unsigned)(MIN(typed.len, (size_t)NAME_MAX_LEN) / 4)};
}

void suggest_consider(struct suggestion *s, const char *name)
{
    struct bytes b = bytes_cstr(name);
    if (s->typed.len == 0 || s->typed.len > NAME_MAX_LEN || b.len == 0 || b.len > NAME_MAX_LEN)
        return;
    unsigned d = distance(s->typed, b);
    if (d > s->distance_ || (d == s->distance_ && s->best_) || d >= b.len)
        return;
    s->best_ = name;
    s->distance_ = d;
}

const char *suggest_best(const struct suggestion *s)
{
    return s->best_;
}

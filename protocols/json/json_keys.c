/* Keys: equal when they are equal unescaped; two equal ones in an object are refused. */
#include "protocols/json/json_internal.h"

/* An unescaped view of a text, byte by byte. */
struct reader {
    const char *p, *end;
    bool escaped;
    char pending[4];
    size_t at, n;
};

static int next_byte(struct reader *r)
{
    if (r->at == r->n) {
        if (r->p == r->end)
            return -1;
        if (!r->escaped)
            return (unsigned char)*r->p++;
        r->n = json_decode(&r->p, r->pending);
        r->at = 0;
    }
    return (unsigned char)r->pending[r->at++];
}

int json_compare(struct bytes a, bool a_escaped, struct bytes b, bool b_escaped)
{
    if (!a_escaped && !b_escaped) {
        size_t n = MIN(a.len, b.len);
        int order = n > 0 ? memcmp(a.data, b.data, n) : 0;
        return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
    }
    struct reader ra = {.p = a.data, .end = a.data + a.len, .escaped = a_escaped};
    struct reader rb = {.p = b.data, .end = b.data + b.len, .escaped = b_escaped};
    for (;;) {
        int ca = next_byte(&ra), cb = next_byte(&rb);
        if (ca != cb || ca < 0)
            return ca - cb;
    }
}

static bool same_key(const struct json_doc *d, const struct json_node *a, const struct json_node *b)
{
    if (!a->key_escaped && !b->key_escaped && a->key_len != b->key_len)
        return false;
    return json_compare(json_node_key(d, a), a->key_escaped, json_node_key(d, b), b->key_escaped) == 0;
}

bool json_keys_has(const struct json_doc *d, json_ref obj, uint32_t count, const struct json_node *n)
{
    json_ref r = obj + 1;

    for (uint32_t i = 0; i < count; i++, r = d->nodes[r].next)
        if (same_key(d, &d->nodes[r], n))
            return true;
    return false;
}

/* FNV-1a of the unescaped key, folded. It only spares comparisons: whoever makes all hashes equal gets an
 * ordinary sort. */
static uint32_t key_hash(const struct json_doc *d, const struct json_node *n)
{
    struct bytes key = json_node_key(d, n);
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    if (n->key_escaped) {
        struct reader r = {.p = key.data, .end = key.data + key.len, .escaped = true};
        for (int c = next_byte(&r); c >= 0; c = next_byte(&r))
            h = (h ^ (unsigned)c) * UINT64_C(0x100000001b3);
    } else {
        for (size_t i = 0; i < key.len; i++)
            h = (h ^ (unsigned char)key.data[i]) * UINT64_C(0x100000001b3);
    }
    return (uint32_t)(h ^ h >> 32);
}

struct entry {
    uint32_t hash;
    json_ref ref;
};

static int compare_entries(const struct json_doc *d, const struct entry *a, const struct entry *b)
{
    const struct json_node *na = &d->nodes[a->ref], *nb = &d->nodes[b->ref];

    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return json_compare(json_node_key(d, na), na->key_escaped, json_node_key(d, nb), nb->key_escaped);
}

static void sift_down(const struct json_doc *d, struct entry *e, size_t root, size_t n)
{
    struct entry moved = e[root];

    for (size_t child = 2 * root + 1; child < n; child = 2 * root + 1) {
        if (child + 1 < n && compare_entries(d, &e[child], &e[child + 1]) < 0)
            child++;
        if (compare_entries(d, &moved, &e[child]) >= 0)
            break;
        e[root] = e[child];
        root = child;
    }
    e[root] = moved;
}

/* Heapsort: no recursion, no worst case, no memory. */
static void sort(const struct json_doc *d, struct entry *e, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(d, e, i, n);
    for (size_t i = n; i-- > 1;) {
        struct entry last = e[i];
        e[i] = e[0];
        e[0] = last;
        sift_down(d, e, 0, i);
    }
}

enum err json_keys_unique(struct json_doc *d, json_ref obj, json_ref *ret_again)
{
    size_t count = d->nodes[obj].count;
    json_ref again = JSON_NONE;

    enum err e = json_nodes_reserve(d, d->n + (count * sizeof(struct entry)) / sizeof(struct json_node) + 1);
    if (e)
        return e;
    struct entry *entries = (struct entry *)(void *)&d->nodes[d->n];
    json_ref r = obj + 1;
    for (size_t i = 0; i < count; i++, r = d->nodes[r].next)
        entries[i] = (struct entry){key_hash(d, &d->nodes[r]), r};
    sort(d, entries, count);
    for (size_t i = 1; i < count; i++) {
        if (compare_entries(d, &entries[i - 1], &entries[i]) != 0)
            continue;
        json_ref later = MAX(entries[i - 1].ref, entries[i].ref);
        again = MIN(again, later);
    }
    if (again == JSON_NONE)
        return ERR_OK;
    *ret_again = again;
    return ERR_INVALID;
}

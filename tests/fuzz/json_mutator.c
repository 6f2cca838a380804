/* Half of the mutations know JSON: they put, take, double and rename whole values, so that what comes out
 * still is JSON and gets past the parser. Lines of an event stream are shuffled as lines. */
#include "tests/fuzz/fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

enum { MAX_LINES = 256 };

struct lines {
    struct bytes line[MAX_LINES]; /* with their line ends */
    size_t n;
};

static struct lines split(struct bytes text)
{
    struct lines l = {.n = 0};
    while (text.len > 0) {
        const char *lf = l.n < MAX_LINES - 1 ? memchr(text.data, '\n', text.len) : NULL;
        size_t len = lf ? (size_t)(lf - text.data) + 1 : text.len;
        l.line[l.n++] = bytes_of(text.data, len);
        text = bytes_skip(text, len);
    }
    return l;
}

/* The JSON of a line: all of it, or what follows "data:". */
static struct bytes json_of(struct bytes line)
{
    if (bytes_starts(line, BYTES("data:")))
        line = bytes_skip(line, 5);
    return line;
}

static bool parse(struct json_doc *d, struct bytes text)
{
    static const struct json_limits limits = {.max_depth = 128, .max_nodes = 1 << 16};
    return json_parse(d, text, &limits, NULL) == ERR_OK;
}

/* A value from somewhere, as raw text. */
static struct bytes some_value(const struct json_doc *d, uint32_t *random)
{
    static const char *const special[] = {"null",
                                          "true",
                                          "false",
                                          "0",
                                          "1",
                                          "-1",
                                          "1.0",
                                          "1e0",
                                          "0.5",
                                          "1e999",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "-9223372036854775808",
                                          "18446744073709551616",
                                          "\"\"",
                                          "\"a\"",
                                          "\"\\u0000\"",
                                          "\"\\ud83d\\ude00\"",
                                          "\"\\n\"",
                                          "\"\xc3\xa9\"",
                                          "\"\\\"\\\\\"",
                                          "[]",
                                          "{}",
                                          "[null]",
                                          "[\"\"]",
                                          "{\"\":{}}",
                                          "{\"type\":\"x\"}"};
    if (fuzz_next(random) % 3 == 0)
        return bytes_cstr(special[fuzz_next(random) % ARRAY_LEN(special)]);
    return json_raw(d, fuzz_next(random) % (uint32_t)d->n);
}

static json_ref parent_of(const struct json_doc *d, json_ref r)
{
    for (json_ref p = r; p-- > 0;)
        for (json_ref c = json_first(d, p); c != JSON_NONE && c <= r; c = json_next(d, c))
            if (c == r)
                return p;
    return JSON_NONE;
}

/* Where a member begins with its key, or an element, in the text. */
static size_t whole_start(const struct json_node *n)
{
    return n->key_start ? n->key_start - 1 : n->start;
}

/* `text` with [from, to) replaced. */
static void splice(struct buf *out, struct bytes text, size_t from, size_t to, struct bytes with)
{
    buf_append(out, text.data, from);
    buf_append_bytes(out, with);
    buf_append_bytes(out, bytes_skip(text, to));
}

/* Takes `r` out of its container. */
static void take_out(struct buf *out, const struct json_doc *d, json_ref r)
{
    const struct json_node *n = &d->nodes[r];
    size_t from = whole_start(n), to = n->start + n->len;
    json_ref next = json_next(d, r);
    if (next != JSON_NONE)
        to = whole_start(&d->nodes[next]);
    else
        while (from > 0 && d->text.data[from - 1] != '{' && d->text.data[from - 1] != '[' &&
               d->text.data[from] != ',')
            from--;
    splice(out, d->text, from, to, (struct bytes){NULL, 0});
}

/* Puts a value, under the name of any member there is, in front of `r`. */
static void put_in(struct buf *out, const struct json_doc *d, json_ref r, json_ref donor, struct bytes value)
{
    const struct json_node *n = &d->nodes[r];
    struct buf more;
    buf_init(&more, 1 << 20);
    if (n->key_start) {
        buf_append_char(&more, '"');
        if (d->nodes[donor].key_start)
            buf_append_bytes(&more, json_raw_key(d, donor));
        buf_append_bytes(&more, BYTES("\":"));
    }
    buf_append_bytes(&more, value);
    buf_append_char(&more, ',');
    splice(out, d->text, whole_start(n), whole_start(n), buf_bytes(&more));
    buf_free(&more);
}

/* `line_end`: how a blank line end is written between two tokens. */
static void mutate_json(struct buf *out, const struct json_doc *d, struct bytes line_end, uint32_t *random)
{
    json_ref r = fuzz_next(random) % (uint32_t)d->n, donor = fuzz_next(random) % (uint32_t)d->n;
    const struct json_node *n = &d->nodes[r];
    struct bytes value = some_value(d, random);
    unsigned kind = fuzz_next(random) % 6;
    if (r == 0 || parent_of(d, r) == JSON_NONE)
        kind = 0;
    if (kind == 1)
        take_out(out, d, r);
    else if (kind == 2)
        put_in(out, d, r, donor, value);
    else if (kind == 3 && n->key_start && d->nodes[donor].key_start)
        splice(out, d->text, n->key_start, n->key_start + n->key_len, json_raw_key(d, donor));
    else if (kind == 4)
        put_in(out, d, r, r, json_raw(d, r));
    else if (kind == 5)
        splice(out, d->text, n->start, n->start, line_end);
    else
        splice(out, d->text, n->start, n->start + n->len, value);
}

/* One line changed by its JSON, doubled, left out, or put elsewhere. */
static void mutate_lines(struct buf *out, const struct lines *l, uint32_t *random)
{
    size_t chosen = fuzz_next(random) % l->n, other = fuzz_next(random) % l->n;
    unsigned kind = fuzz_next(random) % 8;
    for (size_t i = 0; i < l->n; i++) {
        struct bytes line = l->line[i];
        if (i == chosen && kind < 5) {
            struct bytes json = json_of(line);
            struct json_doc d;
            json_doc_init(&d);
            buf_append(out, line.data, line.len - json.len);
            if (parse(&d, json))
                mutate_json(out, &d, BYTES("\ndata:"), random);
            else
                buf_append_bytes(out, json);
            json_doc_free(&d);
        } else if (i == chosen && kind == 5) {
            buf_append_bytes(out, line);
            buf_append_bytes(out, line);
        } else if (i == chosen && kind == 6) {
            continue;
        } else if (i == other && kind == 7) {
            buf_append_bytes(out, l->line[chosen]);
            buf_append_bytes(out, line);
        } else {
            buf_append_bytes(out, line);
        }
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    uint32_t random = seed;
    struct json_doc d;
    struct buf out;
    if (size == 0 || fuzz_next(&random) % 2)
        return LLVMFuzzerMutate(data, size, max_size);
    json_doc_init(&d);
    buf_init(&out, 1 << 22);
    for (unsigned times = fuzz_next(&random) % 3 + 1; times > 0; times--) {
        struct bytes text = bytes_of(data, size);
        buf_reset(&out);
        if (parse(&d, text)) {
            mutate_json(&out, &d, BYTES("\n"), &random);
        } else {
            struct lines l = split(text);
            mutate_lines(&out, &l, &random);
        }
        if (out.failed || out.len == 0 || out.len > max_size)
            break;
        memcpy(data, out.data, out.len);
        size = out.len;
    }
    buf_free(&out);
    json_doc_free(&d);
    return size;
}

#include "gateway/pipeline/compose.h"
#include "gateway/pipeline/stages.h"
#include "tests/unit/common/run.h"
#include <stdlib.h>
#include <utf8proc.h>

static const struct config_normalize plain,
    off = {.unicode = NORMALIZE_OFF}, strict = {.controls = NORMALIZE_REMOVE, .trim = NORMALIZE_MESSAGE},
    compat = {.unicode = NORMALIZE_NFKC};

static const struct {
    const struct config_normalize *how;
    const char *in, *out;
    size_t changed;
} texts[] = {
    {&plain, "", "", 0},
    {&plain, "plain", "plain", 0},
    {&plain, "  def f():\n    return 1 \n", "  def f():\n    return 1 \n", 0},
    {&plain, "a\r\nb\rc\nd\r\r\n", "a\nb\nc\nd\n\n", 4},
    {&plain, "tab\tbell\x07 and\x1b[0m del\x7f", "tab\tbell\x07 and\x1b[0m del\x7f", 0},
    {&plain,
     "a\xC2\x85"
     "b\xC2\x9F",
     "a\xC2\x85"
     "b\xC2\x9F",
     0},                                                     /* NEL, C1 */
    {&plain, "e\xCC\x81", "\xC3\xA9", 3},                    /* e + combining acute */
    {&plain, "\xE1\x84\x80\xE1\x85\xA1", "\xEA\xB0\x80", 6}, /* Hangul jamo */
    {&plain, "\xEF\xBC\xA1", "\xEF\xBC\xA1", 0},             /* full-width A stays: NFC, not NFKC */
    {&plain, "\xC2\xA0nbsp\xE3\x80\x80", "\xC2\xA0nbsp\xE3\x80\x80", 0},
    {&plain, "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB", "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB",
     0},                                                      /* ZWJ emoji */
    {&plain, "\xE2\x84\xAB", "\xC3\x85", 3},                  /* angstrom sign */
    {&plain, "a\xCC\x81\xCC\xA3", "\xE1\xBA\xA1\xCC\x81", 5}, /* marks in order */
    {&plain, "\xCE\xB1\xCE\xB2 \xCE\xB3", "\xCE\xB1\xCE\xB2 \xCE\xB3", 0},
    {&off, "e\xCC\x81\r\n", "e\xCC\x81\n", 1},
    {&compat, "\xEF\xBC\xA1\xEF\xAC\x81\xC2\xB2 \xE2\x80\xA6", "Afi2 ...", 12},
    {&compat, "\xEF\xBD\xB6\xEF\xBE\x9E", "\xE3\x82\xAC", 6}, /* halfwidth KA and voiced sound mark */
    {&strict, "  two words \n", "two words", 4},
    {&strict, "bell\x07 and\x1b[0m del\x7f", "bell and[0m del", 3},
    {&strict, "\xC2\xA0nbsp\xE3\x80\x80", "nbsp", 5}, /* NBSP, ideographic space */
    {&strict,
     "a\xC2\x85"
     "b\xC2\x9F"
     "c\xC2\xB0",
     "a\nbc\xC2\xB0", 4},
    {&strict, " \xE2\x80\xA8 ", "", 5},
};

START_TEST(test_text)
{
    struct arena a;
    struct bytes text = bytes_cstr(texts[_i].in);
    size_t changed = 0;
    arena_init(&a, 65536);
    ck_assert(normalize_text(&a, texts[_i].how, &text, &changed));
    ck_assert_msg(bytes_is(text, texts[_i].out), "case %d: '%.*s'", _i, BYTES_FMT(text));
    ck_assert_uint_eq(changed, texts[_i].changed);
    struct bytes again = text;
    changed = 0;
    ck_assert(normalize_text(&a, texts[_i].how, &again, &changed));
    ck_assert(bytes_eq(again, text));
    ck_assert_uint_eq(changed, 0);
    arena_free(&a);
}
END_TEST

START_TEST(test_nul_goes)
{
    struct arena a;
    struct bytes text = bytes_of("\0a\0\0b\0", 6);
    size_t changed = 0;
    arena_init(&a, 4096);
    ck_assert(normalize_text(&a, &off, &text, &changed));
    ck_assert(bytes_is(text, "ab"));
    ck_assert_uint_eq(changed, 4);
    arena_free(&a);
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* A character of a kind that texts have, or that composes, decomposes or reorders. */
static utf8proc_int32_t random_char(uint32_t *state)
{
    static const utf8proc_int32_t ranges[][2] = {
        {0x21, 0x7E},     {0xA1, 0x2FF},    {0x300, 0x36F},   {0x370, 0x482},     {0x483, 0x5FF},
        {0x915, 0x9DF},   {0x1100, 0x11FF}, {0x1E00, 0x1FFE}, {0x2010, 0x214F},   {0x3041, 0x30FE},
        {0x4E00, 0x4FFF}, {0xAC00, 0xAD00}, {0xF900, 0xFA6D}, {0x1D15E, 0x1D164}, {0x1F300, 0x1F6FF},
        {0xFB00, 0xFDFB}, {0xFE20, 0xFE2F}, {0xFF01, 0xFFEE},
    };
    const utf8proc_int32_t *r = ranges[next_random(state) % ARRAY_LEN(ranges)];
    return r[0] + (utf8proc_int32_t)(next_random(state) % (uint32_t)(r[1] - r[0] + 1));
}

/* The composed form by utf8proc, and by us. */
static void compare(struct bytes in, enum compose_form form, struct bytes reference, const char *what)
{
    utf8proc_uint8_t *want = NULL;
    const utf8proc_option_t options =
        UTF8PROC_STABLE | UTF8PROC_COMPOSE | (form == COMPOSE_NFKC ? UTF8PROC_COMPAT : 0);
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)reference.data,
                                      (utf8proc_ssize_t)reference.len, &want, options);
    ck_assert_int_ge(n, 0);
    struct buf out;
    size_t changed = 0;
    buf_init(&out, in.len * COMPOSE_GROWTH_NFKC + 64);
    ck_assert(compose_text(form, in, &out, &changed));
    struct bytes got = changed > 0 ? buf_bytes(&out) : in;
    if (!bytes_eq(got, bytes_of(want, (size_t)n)))
        ck_abort_msg("%s: '%.*s' gave '%.*s', not '%s'", what, (int)MIN(in.len, 200), in.data,
                     (int)MIN(got.len, 200), got.data, (const char *)want);
    ck_assert_uint_eq(changed > 0, !bytes_eq(in, got));
    buf_free(&out);
    free(want);
}

/* Composing where it is needed gives what composing the whole gives. */
START_TEST(test_like_utf8proc)
{
    uint32_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        char in[256];
        size_t n = 0;
        for (unsigned i = 1 + next_random(&seed) % 40; i > 0; i--)
            n += (size_t)utf8proc_encode_char(random_char(&seed), (utf8proc_uint8_t *)in + n);
        compare(bytes_of(in, n), COMPOSE_NFC, bytes_of(in, n), "NFC");
        compare(bytes_of(in, n), COMPOSE_NFKC, bytes_of(in, n), "NFKC");
    }
}
END_TEST

/* Longer than what is composed at once, of scripts in which nothing is inert. */
START_TEST(test_long_texts_like_utf8proc)
{
    static const utf8proc_int32_t scripts[][2] = {{0x370, 0x3FF}, {0x1F00, 0x1FFE}, {0x5D0, 0x5EA},
                                                  {0x915, 0x9DF}, {0x1100, 0x11FF}, {0xFB00, 0xFDFB}};
    uint32_t seed = 11;
    for (int round = 0; round < 120; round++) {
        const utf8proc_int32_t *r = scripts[(size_t)round % ARRAY_LEN(scripts)];
        struct buf in;
        buf_init(&in, 1 << 20);
        for (unsigned i = 0; i < 6000; i++) {
            utf8proc_uint8_t one[4];
            utf8proc_int32_t ch = r[0] + (utf8proc_int32_t)(next_random(&seed) % (uint32_t)(r[1] - r[0] + 1));
            if (next_random(&seed) % 4 == 0)
                ch = 0x300 + (utf8proc_int32_t)(next_random(&seed) % 0x50);
            (void)buf_append(&in, one, (size_t)utf8proc_encode_char(ch, one));
        }
        compare(buf_bytes(&in), COMPOSE_NFC, buf_bytes(&in), "long NFC");
        compare(buf_bytes(&in), COMPOSE_NFKC, buf_bytes(&in), "long NFKC");
        buf_free(&in);
    }
}
END_TEST

/* For the reference on long runs: marks of each class, one class after the other, which utf8proc, whose time
 * grows with the square of what is out of order, need not touch. */
static void sorted_marks(struct bytes run, struct buf *out)
{
    for (int class = 1; class < 256; class ++)
        for (size_t at = 0; at < run.len;) {
            int32_t ch;
            const size_t n = compose_decode(bytes_skip(run, at), &ch);
            if (utf8proc_get_property(ch)->combining_class == class)
                (void)buf_append(out, run.data + at, n);
            at += n;
        }
}

static void append_random_marks(struct buf *in, size_t n, uint32_t *seed)
{
    for (size_t i = 0; i < n;) {
        utf8proc_uint8_t one[4];
        const utf8proc_int32_t ch = 0x300 + (utf8proc_int32_t)(next_random(seed) % 0x70);
        /* Those that decompose or have no class would not stay where the reference puts them. */
        if (utf8proc_get_property(ch)->combining_class == 0 || ch == 0x340 || ch == 0x341 || ch == 0x343 ||
            ch == 0x344)
            continue;
        (void)buf_append(in, one, (size_t)utf8proc_encode_char(ch, one));
        i++;
    }
}

START_TEST(test_long_runs_of_marks)
{
    static const size_t lengths[] = {31, 32, 33, 64, 65, 511, 512, 513, 5000};
    uint32_t seed = 23;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        for (int round = 0; round < 10; round++) {
            struct buf in, reference;
            buf_init(&in, 1 << 20);
            buf_init(&reference, 1 << 20);
            (void)buf_append_bytes(&in, BYTES("xa"));
            (void)buf_append_bytes(&reference, BYTES("xa"));
            append_random_marks(&in, lengths[i], &seed);
            sorted_marks(bytes_skip(buf_bytes(&in), 2), &reference);
            (void)buf_append_bytes(&in, BYTES("e\xCC\x81 b"));
            (void)buf_append_bytes(&reference, BYTES("e\xCC\x81 b"));
            compare(buf_bytes(&in), COMPOSE_NFC, buf_bytes(&reference), "run of marks");
            buf_free(&in);
            buf_free(&reference);
        }
}
END_TEST

/* A million marks, each class before the one that belongs before it: in a time that grows with the square of
 * that this would take hours. Nothing is cut. */
START_TEST(test_a_million_marks)
{
    struct buf in;
    struct arena a;
    buf_init(&in, 4 << 20);
    arena_init(&a, 16 << 20);
    (void)buf_append_bytes(&in, BYTES("e"));
    for (size_t i = 0; i < 1000000; i++)
        (void)buf_append_bytes(&in, i < 500000 ? BYTES("\xCC\x81") : BYTES("\xCC\x96"));
    (void)buf_append_bytes(&in, BYTES(" e\xCC\x81"));
    ck_assert(!in.failed);
    struct bytes text = buf_bytes(&in);
    size_t changed = 0;
    ck_assert(normalize_text(&a, &plain, &text, &changed));
    /* The first acute has joined its letter; those below come before the others. */
    ck_assert_uint_eq(text.len, 2 + 999999 * 2 + 3);
    ck_assert(bytes_starts(text, BYTES("\xC3\xA9\xCC\x96")));
    ck_assert(bytes_starts(bytes_skip(text, 2 + 499999 * 2), BYTES("\xCC\x96\xCC\x81")));
    ck_assert(bytes_is(bytes_skip(text, text.len - 5), "\xCC\x81 \xC3\xA9"));
    arena_free(&a);
    buf_free(&in);
}
END_TEST

/* Every character alone and behind a letter that likes company. */
START_TEST(test_every_character)
{
    for (utf8proc_int32_t ch = 0xA1; ch < 0x30000; ch++) {
        static const char *const bases[] = {"", "a", "\xE1\x84\x80", "\xE3\x81\x8B", "\xEA\xB0\x80"};
        if (ch >= 0xD800 && ch <= 0xDFFF)
            continue;
        for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
            utf8proc_uint8_t in[16] = {0};
            size_t n = strlen(bases[i]);
            memcpy(in, bases[i], n);
            n += (size_t)utf8proc_encode_char(ch, in + n);
            in[n++] = 'z';
            compare(bytes_of(in, n), COMPOSE_NFC, bytes_of(in, n), bases[i]);
            compare(bytes_of(in, n), COMPOSE_NFKC, bytes_of(in, n), bases[i]);
        }
    }
}
END_TEST

/* Where a text may be parted: no character that is not said to join is the later half of another. */
START_TEST(test_what_joins)
{
    for (utf8proc_int32_t ch = 0; ch < 0x110000; ch++) {
        utf8proc_int32_t parts[32];
        int boundary = 0;
        const utf8proc_ssize_t n = utf8proc_decompose_char(ch, parts, (utf8proc_ssize_t)ARRAY_LEN(parts),
                                                           UTF8PROC_STABLE | UTF8PROC_COMPOSE, &boundary);
        for (utf8proc_ssize_t i = 1; i < n && !(ch >= 0xD800 && ch <= 0xDFFF); i++)
            if (!compose_joins(parts[i]) && utf8proc_get_property(parts[i])->combining_class == 0)
                ck_abort_msg("U+%04X ends in U+%04X", (unsigned)ch, (unsigned)parts[i]);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("normalize");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_text, 0, (int)ARRAY_LEN(texts));
    tcase_add_test(tc, test_nul_goes);
    tcase_add_test(tc, test_like_utf8proc);
    tcase_add_test(tc, test_long_texts_like_utf8proc);
    tcase_add_test(tc, test_long_runs_of_marks);
    tcase_add_test(tc, test_a_million_marks);
    tcase_add_test(tc, test_every_character);
    tcase_add_test(tc, test_what_joins);
    return run_case(tc);
}

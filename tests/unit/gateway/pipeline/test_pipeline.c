#include "../scripted_upstream.h"
#include "gateway/pipeline/stages.h"
#include "tests/unit/common/run.h"
#include <utf8proc.h>

static struct config *cfg;
static struct response_pool pool;
static struct pipeline pipeline;

static void setup(void)
{
    cfg = test_config("origins: ['https://chat.example.com']\n");
    response_pool_init(&pool, NULL, cfg);
    pipeline_init(&pipeline, cfg, &pool);
    n_transfers = 0;
}

static void teardown(void)
{
    response_pool_reap(&pool);
    config_free(cfg);
}

static const struct {
    const char *in, *out;
} texts[] = {
    {"", ""},
    {"plain", "plain"},
    {"  two words \n", "two words"},
    {"a\r\nb\rc\nd", "a\nb\nc\nd"},
    {"tab\tstays", "tab\tstays"},
    {"bell\x07 and\x1b[0m del\x7f", "bell and[0m del"},
    {"e\xCC\x81", "\xC3\xA9"},                    /* e + combining acute */
    {"\xE1\x84\x80\xE1\x85\xA1", "\xEA\xB0\x80"}, /* Hangul jamo */
    {"\xEF\xBC\xA1", "\xEF\xBC\xA1"},             /* full-width A stays: NFC, not NFKC */
    {"\xC2\xA0nbsp\xE3\x80\x80", "nbsp"},         /* NBSP, ideographic space */
    {"a\xC2\x85"
     "b\xC2\x9F"
     "c",
     "a\nbc"}, /* NEL, C1 */
    {"\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB",
     "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB"}, /* ZWJ emoji */
    {"\xE2\x84\xAB", "\xC3\x85"},                     /* angstrom sign */
    {" \xE2\x80\xA8 ", ""},
};

START_TEST(test_normalize_text)
{
    struct arena a;
    struct bytes text = bytes_cstr(texts[_i].in);
    arena_init(&a, 65536);
    ck_assert(normalize_text(&a, &text));
    ck_assert_msg(bytes_is(text, texts[_i].out), "case %d: '%.*s'", _i, BYTES_FMT(text));
    struct bytes again = text;
    ck_assert(normalize_text(&a, &again));
    ck_assert(bytes_eq(again, text));
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
    };
    const utf8proc_int32_t *r = ranges[next_random(state) % ARRAY_LEN(ranges)];
    return r[0] + (utf8proc_int32_t)(next_random(state) % (uint32_t)(r[1] - r[0] + 1));
}

/* Composing where it is needed gives what composing the whole gives. */
START_TEST(test_normalize_like_utf8proc)
{
    uint32_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        char in[256];
        size_t n = 0;
        in[n++] = 'x'; /* letters at both ends: nothing to trim */
        for (unsigned i = 1 + next_random(&seed) % 40; i > 0; i--)
            n += (size_t)utf8proc_encode_char(random_char(&seed), (utf8proc_uint8_t *)in + n);
        in[n++] = 'x';
        in[n] = 0;
        utf8proc_uint8_t *whole = utf8proc_NFC((const utf8proc_uint8_t *)in);
        struct arena a;
        struct bytes text = bytes_of(in, n);
        arena_init(&a, 65536);
        if (!normalize_text(&a, &text) || !bytes_is(text, (const char *)whole))
            ck_abort_msg("round %d: '%s' gave '%.*s', not '%s'", round, in, BYTES_FMT(text),
                         (const char *)whole);
        arena_free(&a);
        free(whole);
    }
}
END_TEST

/* What would be sorted in a time that grows with its square is left as it is; the words around it are not. */
START_TEST(test_normalize_crowded_marks)
{
    struct buf in, want;
    struct arena a;
    buf_init(&in, 2 << 20);
    buf_init(&want, 2 << 20);
    arena_init(&a, 8 << 20);
    buf_append_bytes(&in, BYTES("e\xCC\x81 b"));
    buf_append_bytes(&want, BYTES("\xC3\xA9 b"));
    for (size_t i = 0; i < 500000; i++) {
        struct bytes mark = i < 250000 ? BYTES("\xCC\x81") : BYTES("\xCC\x96");
        buf_append_bytes(&in, mark);
        buf_append_bytes(&want, mark);
    }
    buf_append_bytes(&in, BYTES(" e\xCC\x81"));
    buf_append_bytes(&want, BYTES(" \xC3\xA9"));
    ck_assert(!in.failed && !want.failed);
    struct bytes text = buf_bytes(&in);
    ck_assert(normalize_text(&a, &text));
    ck_assert(bytes_eq(text, buf_bytes(&want)));
    /* Not yet a crowd: sorted, then composed. */
    text = BYTES("a\xCC\x81\xCC\xA3");
    ck_assert(normalize_text(&a, &text));
    ck_assert(bytes_is(text, "\xE1\xBA\xA1\xCC\x81"));
    arena_free(&a);
    buf_free(&in);
    buf_free(&want);
}
END_TEST

/* Every character alone and behind a letter that likes company. */
START_TEST(test_normalize_every_character)
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
            utf8proc_uint8_t *whole = utf8proc_NFC(in);
            struct arena a;
            struct bytes text = bytes_of(in, n);
            arena_init(&a, 4096);
            bool ok = normalize_text(&a, &text);
            struct bytes want = bytes_cstr((const char *)whole);
            /* What is trimmed off the front is white space: the end must be the same. */
            if (!ok || text.len > want.len ||
                memcmp(text.data, want.data + want.len - text.len, text.len) != 0 ||
                (text.len < want.len && i > 0))
                ck_abort_msg("U+%04X after '%s'", (unsigned)ch, bases[i]);
            arena_free(&a);
            free(whole);
        }
    }
}
END_TEST

static struct call *call_of(const struct config_key *key, const char *json)
{
    struct call *c = NULL;
    struct api_error e;
    ck_assert_int_eq(call_new(cfg, key, bytes_cstr(json), &c, &e), ERR_OK);
    ck_assert_msg(call_decode(c, &dialect_responses, &e) == ERR_OK, "%s", e.message);
    return c;
}

START_TEST(test_walk)
{
    struct call *c = call_of(&cfg->keys[0], "{\"model\":\"solo\",\"input\":\"  hi\\r\\n \"}");
    ck_assert_int_eq(pipeline_run(&pipeline, c), STAGE_DONE);
    ck_assert_ptr_nonnull(c->response);
    ck_assert_uint_eq(n_transfers, 1);
    ck_assert_str_eq(last_transfer()->model, "one");
    ck_assert_str_eq(last_transfer()->last_text, "hi");
    call_free(c);
    ck_assert(transfers[0].cancelled);
}
END_TEST

START_TEST(test_tool_output_is_not_normalized)
{
    struct call *c = call_of(
        &cfg->keys[0], "{\"model\":\"solo\",\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c1\","
                       "\"output\":\"  e\\u0301\\r\\n \"}]}");
    ck_assert_int_eq(stage_normalize(&pipeline, c), STAGE_OK);
    ck_assert(bytes_is(c->request.items[0].text, "  e\xCC\x81\r\n "));
    call_free(c);
}
END_TEST

static const struct {
    unsigned key;
    const char *model;
    int status; /* 0: goes through */
    const char *provider, *upstream_model;
} routes[] = {
    {0, "solo", 0, "a", "one"},
    {0, "wild-x", 0, "b", "w-x"},
    {0, "wild-", 0, "b", "w-"},
    {0, "wild-cat-9", 0, "a", "cat"},
    {0, "b/any/thing", 0, "b", "any/thing"},
    {0, "b/", 404, NULL, NULL},
    {0, "c/x", 404, NULL, NULL},
    {0, "Solo", 404, NULL, NULL},
    {0, "nothing", 404, NULL, NULL},
    {1, "solo", 0, "a", "one"},
    {1, "wild-y", 0, "b", "w-y"},
    {1, "fast", 403, NULL, NULL},
    {1, "a/one", 403, NULL, NULL},
};

START_TEST(test_route)
{
    char json[256];
    snprintf(json, sizeof(json), "{\"model\":\"%s\",\"input\":\"x\"}", routes[_i].model);
    struct call *c = call_of(&cfg->keys[routes[_i].key], json);
    enum verdict v = pipeline_run(&pipeline, c);
    if (routes[_i].status) {
        ck_assert_int_eq(v, STAGE_REJECT);
        ck_assert_int_eq(c->error.status, routes[_i].status);
        ck_assert_str_eq(c->error.param, "model");
        ck_assert_uint_eq(n_transfers, 0);
    } else {
        ck_assert_int_eq(v, STAGE_DONE);
        ck_assert_str_eq(last_transfer()->provider->name, routes[_i].provider);
        ck_assert_str_eq(last_transfer()->model, routes[_i].upstream_model);
    }
    call_free(c);
}
END_TEST

START_TEST(test_weights)
{
    unsigned hits[2] = {0, 0};
    pipeline.route_seed = 88172645463325252ULL;
    for (int i = 0; i < 4000; i++) {
        struct call *c = call_of(&cfg->keys[0], "{\"model\":\"fast\",\"input\":\"x\"}");
        ck_assert_int_eq(stage_route(&pipeline, c), STAGE_OK);
        hits[c->target->provider == &cfg->providers[1]]++;
        call_free(c);
    }
    ck_assert_uint_gt(hits[0], 2800);
    ck_assert_uint_lt(hits[0], 3200);
}
END_TEST

START_TEST(test_overload_sheds)
{
    struct call *c = call_of(&cfg->keys[0], "{\"model\":\"solo\",\"input\":\"x\"}");
    pool.bytes = pool.max_bytes;
    ck_assert_int_eq(pipeline_run(&pipeline, c), STAGE_REJECT);
    ck_assert_int_eq(c->error.status, 503);
    ck_assert_str_eq(c->error.code, "server_overloaded");
    pool.bytes = 0;
    call_free(c);
}
END_TEST

START_TEST(test_warm_up)
{
    struct call *c = call_of(&cfg->keys[0], "{\"model\":\"solo\",\"input\":\"x\",\"generate\":false}");
    ck_assert_int_eq(pipeline_run(&pipeline, c), STAGE_DONE);
    ck_assert(c->response->log.ended);
    ck_assert_int_eq(c->response->log.terminal, LLM_EV_COMPLETED);
    ck_assert_uint_eq(llm_log_n_items(&c->response->log), 0);
    ck_assert_uint_eq(n_transfers, 0);
    call_free(c);
}
END_TEST

static void check_auth(const char *token, bool loopback, const char *name, const char *code)
{
    const struct config_key *k = NULL;
    struct api_error e;
    enum err err = pipeline_authenticate(&pipeline, bytes_cstr(token), loopback, &k, &e);
    if (name) {
        ck_assert_int_eq(err, ERR_OK);
        ck_assert_str_eq(k->name, name);
    } else {
        ck_assert_int_ne(err, ERR_OK);
        ck_assert_int_eq(e.status, 401);
        ck_assert_str_eq(e.code, code);
    }
}

START_TEST(test_authenticate)
{
    check_auth("sk-dev-only", true, "dev", NULL);
    check_auth("sk-narrow", true, "narrow", NULL);
    check_auth("sk-dev-only", false, NULL, "invalid_api_key");
    check_auth("sk-dev-onlyx", true, NULL, "invalid_api_key");
    check_auth("sk-dev-onl", true, NULL, "invalid_api_key");
    check_auth("", true, NULL, "missing_api_key");
}
END_TEST

START_TEST(test_hashed_key)
{
    char key[CONFIG_KEY_TEXT], hash[CONFIG_KEY_HASH], yaml[512];
    ck_assert_int_eq(config_key_new(key, hash), ERR_OK);
    snprintf(yaml, sizeof(yaml), "  - {name: hashed, hash: '%s', models: ['*']}\n", hash);
    struct config *own = test_config(yaml);
    struct pipeline p;
    const struct config_key *k = NULL;
    struct api_error e;
    pipeline_init(&p, own, &pool);
    ck_assert_int_eq(pipeline_authenticate(&p, bytes_cstr(key), false, &k, &e), ERR_OK);
    ck_assert_str_eq(k->name, "hashed");
    key[strlen(key) - 1] ^= 1;
    ck_assert_int_ne(pipeline_authenticate(&p, bytes_cstr(key), false, &k, &e), ERR_OK);
    config_free(own);
}
END_TEST

START_TEST(test_origin)
{
    struct bytes host = BYTES("gw.example.com:8443");
    ck_assert(pipeline_origin_allowed(&pipeline, BYTES("https://gw.example.com:8443"), host, true));
    ck_assert(!pipeline_origin_allowed(&pipeline, BYTES("http://gw.example.com:8443"), host, true));
    ck_assert(!pipeline_origin_allowed(&pipeline, BYTES("https://gw.example.com"), host, true));
    ck_assert(pipeline_origin_allowed(&pipeline, BYTES("https://chat.example.com"), host, true));
    ck_assert(!pipeline_origin_allowed(&pipeline, BYTES("https://chat.example.com.evil.com"), host, true));
    ck_assert(!pipeline_origin_allowed(&pipeline, BYTES("https://evilchat.example.com"), host, true));
    ck_assert(!pipeline_origin_allowed(&pipeline, BYTES("null"), host, true));
    ck_assert(!pipeline_origin_allowed(&pipeline, BYTES("https://"), BYTES(""), true));
}
END_TEST

static const char *const bad_messages[] = {"", "{", "[1,2", "{\"a\":1,\"a\":2}", "{\"a\":NaN}", "nul"};

START_TEST(test_bad_json)
{
    struct call *c = NULL;
    struct api_error e;
    ck_assert_int_ne(call_new(cfg, &cfg->keys[0], bytes_cstr(bad_messages[_i]), &c, &e), ERR_OK);
    ck_assert_ptr_null(c);
    ck_assert_int_eq(e.status, 400);
    ck_assert_str_eq(e.code, "invalid_json");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("pipeline");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_normalize_text, 0, (int)ARRAY_LEN(texts));
    tcase_add_test(tc, test_normalize_like_utf8proc);
    tcase_add_test(tc, test_normalize_crowded_marks);
    tcase_add_test(tc, test_normalize_every_character);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_walk);
    tcase_add_test(tc, test_tool_output_is_not_normalized);
    tcase_add_loop_test(tc, test_route, 0, (int)ARRAY_LEN(routes));
    tcase_add_test(tc, test_weights);
    tcase_add_test(tc, test_overload_sheds);
    tcase_add_test(tc, test_warm_up);
    tcase_add_test(tc, test_authenticate);
    tcase_add_test(tc, test_hashed_key);
    tcase_add_test(tc, test_origin);
    tcase_add_loop_test(tc, test_bad_json, 0, (int)ARRAY_LEN(bad_messages));
    return run_case(tc);
}

#include "../scripted_upstream.h"
#include "gateway/pipeline/stages.h"
#include "tests/unit/common/run.h"

static struct config *cfg;
static struct response_pool pool;
static struct wheel wheel;
static struct pipeline pipeline;

static void setup(void)
{
    cfg = test_config("origins: ['https://chat.example.com']\n");
    wheel_init(&wheel, 0);
    response_pool_init(&pool, NULL, cfg, &wheel);
    ck_assert_int_eq(pipeline_init(&pipeline, cfg, &pool), ERR_OK);
    n_transfers = 0;
}

static void teardown(void)
{
    response_pool_close(&pool);
    response_pool_reap(&pool, 0);
    response_pool_free(&pool);
    pipeline_free(&pipeline);
    config_free(cfg);
}

static const struct principal *who(size_t i)
{
    return principals_at(&pipeline.principals, i);
}

static struct call *call_of(const struct principal *principal, const char *json)
{
    struct call *c = NULL;
    struct api_error e;
    ck_assert_int_eq(call_new(cfg, principal, bytes_cstr(json), &c, &e), ERR_OK);
    ck_assert_msg(call_decode(c, &dialect_responses, &e) == ERR_OK, "%s", e.message);
    return c;
}

START_TEST(test_walk)
{
    struct call *c = call_of(who(0), "{\"model\":\"solo\",\"input\":\"  hi\\r\\n \"}");
    ck_assert_int_eq(pipeline_run(&pipeline, c), STAGE_DONE);
    ck_assert_ptr_nonnull(c->response);
    ck_assert_uint_eq(n_transfers, 1);
    ck_assert_str_eq(last_transfer()->model, "one");
    ck_assert_str_eq(last_transfer()->last_text, "  hi\n ");
    ck_assert_uint_eq(c->normalized_bytes, 1);
    call_free(c);
    ck_assert(transfers[0].cancelled);
}
END_TEST

START_TEST(test_tool_output_is_not_normalized)
{
    struct call *c = call_of(
        who(0), "{\"model\":\"solo\",\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c1\","
                "\"output\":\"  e\\u0301\\r\\n \"}]}");
    ck_assert_int_eq(stage_normalize(&pipeline, c), STAGE_OK);
    ck_assert(bytes_is(c->request.items[0].text, "  e\xCC\x81\r\n "));
    call_free(c);
}
END_TEST

/* Half a surrogate pair is no character; programs that cut strings by units send such. */
START_TEST(test_half_a_pair_goes)
{
    struct call *c =
        call_of(who(0), "{\"model\":\"solo\",\"input\":\"a\\ud83d b\\udE00\\ud83d\\ude00c\\\\ud83d"
                        "\\u0000\"}");
    ck_assert_uint_eq(c->normalized_bytes, 12);
    ck_assert_int_eq(stage_normalize(&pipeline, c), STAGE_OK);
    ck_assert(bytes_is(c->request.items[0].contents[0].text, "a b\xF0\x9F\x98\x80"
                                                             "c\\ud83d"));
    ck_assert_uint_eq(c->normalized_bytes, 13);
    call_free(c);
    struct api_error e;
    ck_assert_int_eq(call_new(cfg, who(0), BYTES("{\"a\":\"\\ud83d\",}"), &c, &e), ERR_SYNTAX);
    ck_assert_str_eq(e.code, "invalid_json");
}
END_TEST

/* A model's own way; the outer ends are those of the message, not of its parts. */
START_TEST(test_normalize_by_model)
{
    struct call *c = call_of(
        who(0),
        "{\"model\":\"solo\",\"instructions\":\" \\u001b\\uff21 "
        "\",\"input\":[{\"role\":\"user\",\"content\":["
        "{\"type\":\"input_text\",\"text\":\" \"},{\"type\":\"input_text\",\"text\":\"\\n  if:\\u0007\\n\"},"
        "{\"type\":\"input_text\",\"text\":\"    \\ufb01x  \"},{\"type\":\"input_text\",\"text\":\" "
        "\\n\"}]}]}");
    struct config_normalize *how = NULL;
    for (size_t i = 0; i < cfg->n_models; i++)
        if (strcmp(cfg->models[i].name, "solo") == 0)
            how = &cfg->models[i].normalize;
    ck_assert_ptr_nonnull(how);
    *how = (struct config_normalize){NORMALIZE_NFKC, NORMALIZE_REMOVE, NORMALIZE_MESSAGE};
    ck_assert_int_eq(stage_normalize(&pipeline, c), STAGE_OK);
    const struct llm_content *parts = c->request.items[0].contents;
    ck_assert(bytes_is(c->request.instructions, "A"));
    ck_assert_uint_eq(parts[0].text.len, 0);
    ck_assert(bytes_is(parts[1].text, "if:\n"));
    ck_assert(bytes_is(parts[2].text, "    fix"));
    ck_assert_uint_eq(parts[3].text.len, 0);
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
    /* "*" stands for what is configured; a provider must be named. */
    {0, "a/any", 403, NULL, NULL},
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
    struct call *c = call_of(who(routes[_i].key), json);
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

static void expect_models(const struct principal *principal, const char *expected)
{
    struct buf out, ids;
    buf_init(&out, 65536);
    buf_init(&ids, 65536);
    pipeline_models(&pipeline, principal, &out);
    buf_append_char(&out, '\0');
    for (const char *at = out.data; (at = strstr(at, "\"id\":\"")) != NULL;) {
        at += strlen("\"id\":\"");
        buf_printf(&ids, "%s%.*s", ids.len ? " " : "", (int)strcspn(at, "\""), at);
    }
    ck_assert_msg(bytes_is(buf_bytes(&ids), expected), "%.*s", BYTES_FMT(buf_bytes(&ids)));
    buf_free(&out);
    buf_free(&ids);
}

/* The same of a key that is not in the configuration. */
static void expect_models_of(struct config_key *key, const char *expected)
{
    const struct config own = {.keys = key, .n_keys = 1};
    struct principals all;
    ck_assert_int_eq(principals_init(&all, &own), ERR_OK);
    expect_models(principals_at(&all, 0), expected);
    principals_free(&all);
}

START_TEST(test_models)
{
    static const char *exact[] = {"fast", "a/one", "b/two*", "wild-z", "nothing", "a/", "ax/y"};
    static const char *again[] = {"wild-*", "wild-*", "solo", "solo"};
    struct config_key key = {.name = "k", .id = "k", .models = exact, .n_models = ARRAY_LEN(exact)};
    expect_models(who(0), "fast solo wild-* wild-cat* b/*");
    expect_models(who(1), "solo wild-c* wild-y wild-cat*");
    expect_models_of(&key, "fast wild-z a/one b/two*");
    key.models = again;
    key.n_models = ARRAY_LEN(again);
    expect_models_of(&key, "solo wild-* wild-cat*");
}
END_TEST

static void expect_model(unsigned key, const char *id, const char *owner)
{
    char expected[200];
    struct api_error e;
    struct buf out;
    buf_init(&out, 1024);
    enum err err = pipeline_model(&pipeline, who(key), bytes_cstr(id), &out, &e);
    if (owner) {
        snprintf(expected, sizeof(expected),
                 "{\"id\":\"%s\",\"object\":\"model\",\"created\":0,\"owned_by\":\"%s\"}", id, owner);
        ck_assert_int_eq(err, ERR_OK);
        ck_assert(bytes_is(buf_bytes(&out), expected));
    } else {
        ck_assert_int_eq(err, ERR_NOT_FOUND);
        ck_assert_int_eq(e.status, 404);
        ck_assert_str_eq(e.code, "model_not_found");
        ck_assert_ptr_nonnull(strstr(e.message, id));
    }
    buf_free(&out);
}

START_TEST(test_model)
{
    expect_model(0, "fast", "sluice");
    expect_model(0, "wild-7", "sluice");
    expect_model(0, "b/anything", "b");
    expect_model(0, "a/anything", NULL);
    expect_model(0, "nothing", NULL);
    expect_model(1, "fast", NULL);
    expect_model(1, "wild-y", "sluice");
    expect_model(1, "wild-x", NULL);
}
END_TEST

START_TEST(test_weights)
{
    unsigned hits[2] = {0, 0};
    pipeline.route_seed = 88172645463325252ULL;
    for (int i = 0; i < 4000; i++) {
        struct call *c = call_of(who(0), "{\"model\":\"fast\",\"input\":\"x\"}");
        ck_assert_int_eq(stage_route(&pipeline, c), STAGE_OK);
        hits[c->plan.targets[0].provider == &cfg->providers[1]]++;
        call_free(c);
    }
    ck_assert_uint_gt(hits[0], 2800);
    ck_assert_uint_lt(hits[0], 3200);
}
END_TEST

START_TEST(test_overload_sheds)
{
    struct call *c = call_of(who(0), "{\"model\":\"solo\",\"input\":\"x\"}");
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
    struct call *c = call_of(who(0), "{\"model\":\"solo\",\"input\":\"x\",\"generate\":false}");
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
    const struct principal *k = NULL;
    struct api_error e;
    const struct peer peer = {.loopback = loopback};
    enum err err = principal_of_token(&pipeline.principals, bytes_cstr(token), &peer, &k, &e);
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
    const struct peer peer = {.loopback = false};
    struct principals p;
    const struct principal *k = NULL;
    struct api_error e;
    ck_assert_int_eq(principals_init(&p, own), ERR_OK);
    ck_assert_int_eq(principal_of_token(&p, bytes_cstr(key), &peer, &k, &e), ERR_OK);
    ck_assert_str_eq(k->name, "hashed");
    key[strlen(key) - 1] ^= 1;
    ck_assert_int_ne(principal_of_token(&p, bytes_cstr(key), &peer, &k, &e), ERR_OK);
    principals_free(&p);
    config_free(own);
}
END_TEST

START_TEST(test_origin)
{
    ck_assert(pipeline_origin_listed(&pipeline, BYTES("https://chat.example.com")));
    ck_assert(!pipeline_origin_listed(&pipeline, BYTES("https://chat.example.com.evil.com")));
    ck_assert(!pipeline_origin_listed(&pipeline, BYTES("https://evilchat.example.com")));
    ck_assert(!pipeline_origin_listed(&pipeline, BYTES("null")));
    ck_assert(!pipeline_origin_listed(&pipeline, BYTES("")));
}
END_TEST

static const char *const bad_messages[] = {"", "{", "[1,2", "{\"a\":1,\"a\":2}", "{\"a\":NaN}", "nul"};

START_TEST(test_bad_json)
{
    struct call *c = NULL;
    struct api_error e;
    ck_assert_int_ne(call_new(cfg, who(0), bytes_cstr(bad_messages[_i]), &c, &e), ERR_OK);
    ck_assert_ptr_null(c);
    ck_assert_int_eq(e.status, 400);
    ck_assert_str_eq(e.code, "invalid_json");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("pipeline");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_walk);
    tcase_add_test(tc, test_tool_output_is_not_normalized);
    tcase_add_test(tc, test_half_a_pair_goes);
    tcase_add_test(tc, test_normalize_by_model);
    tcase_add_loop_test(tc, test_route, 0, (int)ARRAY_LEN(routes));
    tcase_add_test(tc, test_models);
    tcase_add_test(tc, test_model);
    tcase_add_test(tc, test_weights);
    tcase_add_test(tc, test_overload_sheds);
    tcase_add_test(tc, test_warm_up);
    tcase_add_test(tc, test_authenticate);
    tcase_add_test(tc, test_hashed_key);
    tcase_add_test(tc, test_origin);
    tcase_add_loop_test(tc, test_bad_json, 0, (int)ARRAY_LEN(bad_messages));
    return run_case(tc);
}

/* What a valid file becomes. */
#include "tests/unit/common/run.h"
#include "tests/unit/gateway/config/base.h"
#include <sched.h>
#include <unistd.h>

START_TEST(smallest_file_and_its_defaults)
{
    char *text = changed(base, "workers: 2\n", "");
    struct config *c = parse_ok(text);
    cpu_set_t cpus;
    ck_assert_int_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
    ck_assert_uint_eq(c->workers, (unsigned)CPU_COUNT(&cpus));
    ck_assert_int_eq(c->log.level, LOG_LEVEL_INFO);
    ck_assert(!c->echo);
    ck_assert_uint_eq(c->n_origins, 0);
    ck_assert_str_eq(c->file, "t.yaml");
    const struct {
        uint64_t got, want;
    } numbers[] = {
        {c->timeouts.connect, 5000},
        {c->timeouts.first_token, 60000},
        {c->timeouts.between_tokens, 30000},
        {c->timeouts.total, 600000},
        {c->timeouts.handshake, 10000},
        {c->timeouts.idle, 3600000},
        {c->timeouts.ping, 30000},
        {c->timeouts.keep_alive, 60000},
        {c->timeouts.heartbeat, 15000},
        {c->timeouts.resume_ttl, 120000},
        {c->keys[0].on_disconnect, ON_DISCONNECT_CANCEL},
        {c->timeouts.write, 30000},
        {c->timeouts.drain, 30000},
        {c->timeouts.upstream_idle, 118000},
        {c->providers[0].max_connections, 16384},
        {c->providers[0].max_http2_connections, 32},
        {c->providers[0].max_idle_connections, 1024},
        {c->limits.max_sessions, 100000},
        {c->limits.max_sessions_per_address, 200},
        {c->limits.max_message_bytes, 1 << 20},
        {c->limits.max_header_bytes, 16384},
        {c->limits.max_json_depth, 32},
        {c->limits.max_json_nodes, 100000},
        {c->limits.max_response_bytes, 4 << 20},
        {c->limits.max_responses_bytes, 256 << 20},
        {c->limits.max_context_bytes, 1 << 20},
        {c->limits.max_in_flight_per_session, 16},
        {c->limits.max_queued_per_session, 64},
        {c->limits.max_queued_bytes_per_session, 8 << 20},
        {c->limits.max_lanes_per_session, 32},
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        ck_assert_msg(numbers[i].got == numbers[i].want, "number %zu", i);
    ck_assert_uint_eq(c->n_listen, 1);
    ck_assert(!c->listen[0].tls && !c->listen[0].allow_plaintext && c->listen[0].loopback);
    ck_assert_uint_eq(c->models[0].targets[0].weight, 1);
    config_free(c);
    free(text);
}
END_TEST

#define HASH_LINE "hmac-sha256:00112233aabb:000102030405060708090a0b0c0d0e0f:"
#define HASH_HEX "f0e0d0c0b0a090807060504030201000ffeeddccbbaa99887766554433221100"

static const char full[] =
    "listen:\n"
    "  - address: 0.0.0.0:8443\n"
    "    tls: {certificate: %s/a.crt, key: %s/a.key}\n"
    "  - address: 127.0.0.1:0\n"
    "  - address: 127.0.0.1:0\n"
    "  - address: \"[::1]:8080\"\n"
    "  - {address: \"[2001:db8::1]:80\", allow_plaintext: true}\n"
    "  - address: unix:/run/sluice.sock\n"
    "debug: {echo: true}\n"
    "log: {level: debug, format: json, max_unwritten_bytes: 64KiB}\n"
    "admin: {address: \"0.0.0.0:9090\", allow_remote: true}\n"
    "workers: 7\n"
    "origins: [\"https://chat.example.com\", \"http://localhost:3000\"]\n"
    "providers:\n"
    "  - name: openai\n"
    "    dialect: chat_completions\n"
    "    base_url: https://api.openai.com/v1///\n"
    "    api_key: ${SLUICE_TEST_KEY}\n"
    "  - name: local\n"
    "    dialect: responses\n"
    "    base_url: http://[::1]:8000/v1\n"
    "    allow_plaintext: true\n"
    "    max_connections: 300\n"
    "    max_http2_connections: 3\n"
    "    max_idle_connections: 30\n"
    "  - name: demo\n"
    "    dialect: demo\n"
    "models:\n"
    "  - name: fast\n"
    "    targets: [{provider: openai, model: mini, weight: 3}, {provider: local, model: \"70b\"}]\n"
    "  - name: \"gpt-*\"\n"
    "    targets: [{provider: demo, model: \"x-*\"}]\n"
    "timeouts: {connect: 250ms, first_token: 2m, between_tokens: 1h, total: 1h}\n"
    "keys:\n"
    "  - name: web-frontend\n"
    "    hash: \"" HASH_LINE HASH_HEX "\"\n"
    "    models: [\"fast\", \"gpt-*\"]\n"
    "  - {name: local-dev, plaintext: \"sk-dev-only\", models: [\"*\"]}\n"
    "limits:\n"
    "  max_sessions: 5\n"
    "  max_message_bytes: 64KiB\n";

static char dir[] = "/tmp/sluice-config-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static void check_listeners_of_full(const struct config *c)
{
    ck_assert_uint_eq(c->n_listen, 7);
    const struct config_listener *l = c->listen;
    ck_assert(l[0].tls && !l[0].loopback);
    ck_assert_str_eq(l[0].address, "0.0.0.0:8443");
    ck_assert_str_eq(l[0].host, "0.0.0.0");
    ck_assert_uint_eq(l[0].port, 8443);
    ck_assert_ptr_nonnull(strstr(l[0].certificates[0].certificate, "/a.crt"));
    ck_assert_ptr_nonnull(strstr(l[0].certificates[0].key, "/a.key"));
    ck_assert(l[1].loopback && !l[1].tls && l[1].port == 0);
    ck_assert(l[2].loopback && l[2].port == 0);
    ck_assert(l[3].loopback);
    ck_assert_str_eq(l[3].host, "::1");
    ck_assert(l[4].allow_plaintext && !l[4].loopback);
    ck_assert_str_eq(l[4].host, "2001:db8::1");
    ck_assert_str_eq(l[5].unix_path, "/run/sluice.sock");
    ck_assert(l[5].loopback && !l[5].host);
}

static void check_routes_of_full(const struct config *c)
{
    ck_assert_uint_eq(c->n_providers, 3);
    ck_assert_ptr_eq(c->providers[0].dialect, dialect_find(BYTES("chat_completions")));
    ck_assert_str_eq(c->providers[0].base_url, "https://api.openai.com/v1");
    ck_assert(secret_eq(&c->providers[0].api_key, BYTES("sk-from-environment")));
    ck_assert(!c->providers[0].demo && !c->providers[0].allow_plaintext);
    ck_assert_uint_eq(c->providers[0].max_connections, 16384);
    ck_assert_uint_eq(c->providers[1].max_connections, 300);
    ck_assert_uint_eq(c->providers[1].max_http2_connections, 3);
    ck_assert_uint_eq(c->providers[1].max_idle_connections, 30);
    ck_assert_ptr_eq(c->providers[1].dialect, dialect_find(BYTES("responses")));
    ck_assert_str_eq(c->providers[1].base_url, "http://[::1]:8000/v1");
    ck_assert(c->providers[1].allow_plaintext && !secret_is_set(&c->providers[1].api_key));
    ck_assert(c->providers[2].demo && !c->providers[2].dialect && !c->providers[2].base_url);
    ck_assert_uint_eq(c->n_models, 2);
    ck_assert_str_eq(c->models[0].name, "fast");
    ck_assert_uint_eq(c->models[0].n_targets, 2);
    ck_assert_ptr_eq(c->models[0].targets[0].provider, &c->providers[0]);
    ck_assert_str_eq(c->models[0].targets[0].model, "mini");
    ck_assert_uint_eq(c->models[0].targets[0].weight, 3);
    ck_assert_ptr_eq(c->models[0].targets[1].provider, &c->providers[1]);
    ck_assert_uint_eq(c->models[0].targets[1].weight, 1);
    ck_assert_str_eq(c->models[1].targets[0].model, "x-*");
}

START_TEST(a_file_like_the_example)
{
    char text[4096], path[256];
    (void)setenv("SLUICE_TEST_KEY", "sk-from-environment", 1);
    write_file("a.crt", "x");
    write_file("a.key", "x");
    /* Certificate absolute, key relative to the file. */
    (void)snprintf(text, sizeof(text), full, dir, ".");
    write_file("full.yaml", text);
    (void)snprintf(path, sizeof(path), "%s/full.yaml", dir);
    struct buf report;
    buf_init(&report, 4096);
    struct config *c = NULL;
    enum err e = config_load(path, &report, &c);
    ck_assert_msg(e == ERR_OK, "%.*s", BYTES_FMT(buf_bytes(&report)));
    check_listeners_of_full(c);
    check_routes_of_full(c);
    ck_assert(c->echo);
    ck_assert_uint_eq(c->workers, 7);
    ck_assert(c->listen[c->n_listen - 1].admin);
    ck_assert_uint_eq(c->listen[c->n_listen - 1].port, 9090);
    ck_assert(!c->listen[0].admin);
    ck_assert_int_eq(c->log.format, LOG_FORMAT_JSON);
    ck_assert_uint_eq(c->log.max_unwritten, 65536);
    ck_assert_int_eq(c->log.level, LOG_LEVEL_DEBUG);
    ck_assert_uint_eq(c->n_origins, 2);
    ck_assert_str_eq(c->origins[1], "http://localhost:3000");
    ck_assert_uint_eq(c->timeouts.connect, 250);
    ck_assert_uint_eq(c->timeouts.total, 3600000);
    ck_assert_uint_eq(c->timeouts.drain, 30000);
    ck_assert_uint_eq(c->limits.max_sessions, 5);
    ck_assert_uint_eq(c->limits.max_message_bytes, 65536);
    ck_assert_uint_eq(c->n_keys, 2);
    const struct config_key *k = c->keys;
    ck_assert(!k[0].plaintext && !secret_is_set(&k[0].value));
    ck_assert_str_eq(k[0].id, "00112233aabb");
    ck_assert_uint_eq(k[0].salt.len, 16);
    ck_assert_mem_eq(k[0].salt.data, "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", 16);
    ck_assert_uint_eq(k[0].hash[0], 0xf0);
    ck_assert_uint_eq(k[0].hash[31], 0x00);
    ck_assert_uint_eq(k[0].n_models, 2);
    ck_assert_str_eq(k[0].models[1], "gpt-*");
    ck_assert(k[1].plaintext && secret_eq(&k[1].value, BYTES("sk-dev-only")));
    config_free(c);
    buf_free(&report);
}
END_TEST

START_TEST(interpolation)
{
    static const struct {
        const char *written, *name;
    } cases[] = {
        {"${SLUICE_TEST_A}", "one"},
        {"a${SLUICE_TEST_A}b${SLUICE_TEST_B}", "aonebtwo"},
        {"\"${SLUICE_TEST_A}\"", "one"},
        {"$${SLUICE_TEST_A}", "${SLUICE_TEST_A}"},
        {"a$b$$c$", "a$b$c$"},
        {"$$$$", "$$"},
        {"\"${SLUICE_TEST_UNSET:-x y}\"", "x y"},
        {"${SLUICE_TEST_A:-x}", "one"},
        {"a${SLUICE_TEST_UNSET:-}", "a"},
        {"'${SLUICE_TEST_DOLLAR}'", "${SLUICE_TEST_A}"},
        {"${SLUICE_TEST_NUMBER}", "12"},
    };
    (void)setenv("SLUICE_TEST_A", "one", 1);
    (void)setenv("SLUICE_TEST_B", "two", 1);
    (void)setenv("SLUICE_TEST_NUMBER", "12", 1);
    (void)setenv("SLUICE_TEST_DOLLAR", "${SLUICE_TEST_A}", 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char with[128];
        (void)snprintf(with, sizeof(with), "- name: %s", cases[i].written);
        char *text = changed(base, "- name: dev", with);
        struct config *c = parse_ok(text);
        ck_assert_str_eq(c->keys[0].name, cases[i].name);
        config_free(c);
        free(text);
    }
    /* Numbers too, quoted or not. */
    char *text =
        changed(base, "workers: 2",
                "workers: \"${SLUICE_TEST_NUMBER}\"\nlimits: {max_json_depth: \"${SLUICE_TEST_NUMBER}\"}");
    struct config *c = parse_ok(text);
    ck_assert_uint_eq(c->workers, 12);
    ck_assert_uint_eq(c->limits.max_json_depth, 12);
    config_free(c);
    free(text);
}
END_TEST

START_TEST(interpolation_is_bounded)
{
    size_t size = 65 * 1024;
    char *big = malloc(size), report[2048];
    ck_assert_ptr_nonnull(big);
    memset(big, 'a', size - 1);
    big[size - 1] = '\0';
    (void)setenv("SLUICE_TEST_BIG", big, 1);
    char *text = changed(base, "- name: dev", "- name: ${SLUICE_TEST_BIG}");
    ck_assert_ptr_null(parse(text, report, sizeof(report)));
    ck_assert_str_eq(report, "t.yaml:13: keys[0].name: too long with its variables; allowed: 65536 bytes\n");
    free(text);
    free(big);
    (void)unsetenv("SLUICE_TEST_BIG");
}
END_TEST

START_TEST(json_is_yaml)
{
    struct config *c = parse_ok(
        "{\"listen\": [{\"address\": \"127.0.0.1:0\"}], \"workers\": 3,\n"
        " \"providers\": [{\"name\": \"demo\", \"dialect\": \"demo\"}],\n"
        " \"models\": [{\"name\": \"*\", \"targets\": [{\"provider\": \"demo\", \"model\": \"*\"}]}],\n"
        " \"debug\": {\"echo\": true},\n"
        " \"keys\": [{\"name\": \"k\", \"plaintext\": \"sk-test-only\", \"models\": [\"*\"]}]}\n");
    ck_assert_uint_eq(c->workers, 3);
    ck_assert(c->echo);
    config_free(c);
}
END_TEST

static bool all_hex(const char *s, size_t n)
{
    return strspn(s, "0123456789abcdef") >= n;
}

START_TEST(a_new_key_fits_its_hash)
{
    char key[CONFIG_KEY_TEXT], hash[CONFIG_KEY_HASH], other[CONFIG_KEY_TEXT], line[256];
    ck_assert_int_eq(config_key_new(other, hash), ERR_OK);
    ck_assert_int_eq(config_key_new(key, hash), ERR_OK);
    ck_assert_str_ne(key, other);
    ck_assert_uint_eq(strlen(key), 3 + 12 + 1 + 40);
    ck_assert(strncmp(key, "sk-", 3) == 0 && all_hex(key + 3, 12) && key[15] == '-' && all_hex(key + 16, 40));
    (void)snprintf(line, sizeof(line), "hash: \"%s\"", hash);
    char *text = changed(base, "plaintext: sk-dev-only", line);
    struct config *c = parse_ok(text);
    const struct config_key *k = &c->keys[0];
    ck_assert(strncmp(k->id, key + 3, 12) == 0 && strlen(k->id) == 12);
    unsigned char made[SECRET_HASH_SIZE];
    ck_assert_int_eq(secret_hash(k->salt, bytes_cstr(key), made), ERR_OK);
    ck_assert(secret_hash_eq(made, k->hash));
    ck_assert_int_eq(secret_hash(k->salt, bytes_cstr(other), made), ERR_OK);
    ck_assert(!secret_hash_eq(made, k->hash));
    config_free(c);
    free(text);
}
END_TEST

static uint32_t random_state = 20240607;

/* xorshift: the same mutations in every run. */
static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % n;
}

static size_t mutate(char *text, size_t len, size_t room)
{
    static const char alphabet[] = "{}[],:-#&*!|>'\"%@`$\\ \t\n\r\0\xff\xc3 a0~?";
    size_t at = random_below((uint32_t)len), n = 1 + random_below(12);
    switch (random_below(4)) {
    case 0:
        text[at] = alphabet[random_below(sizeof(alphabet) - 1)];
        return len;
    case 1:
        n = MIN(n, len - at);
        memmove(text + at, text + at + n, len - at - n);
        return len - n > 1 ? len - n : len;
    case 2:
        n = MIN(MIN(n, len - at), room - len);
        memmove(text + at + n, text + at, len - at);
        return len + n;
    default: {
        size_t from = random_below((uint32_t)len);
        n = MIN(MIN(len - at, len - from), (size_t)40);
        memmove(text + at, text + from, n);
        return len;
    }
    }
}

/* Whatever stands in the file: an answer, no crash, no leak, and never a refusal without a word. */
START_TEST(mutations)
{
    char text[8192], original[4096];
    (void)setenv("SLUICE_TEST_KEY", "sk-from-environment", 1);
    write_file("a.crt", "x");
    write_file("a.key", "x");
    int len = snprintf(original, sizeof(original), full, dir, dir);
    ck_assert_int_gt(len, 0);
    unsigned accepted = 0;
    struct buf report;
    buf_init(&report, 64 * 1024);
    for (unsigned i = 0; i < 4000; i++) {
        size_t size = (size_t)len;
        memcpy(text, original, size);
        for (unsigned n = 1 + random_below(6); n > 0; n--)
            size = mutate(text, size, sizeof(text));
        struct config *c = NULL;
        buf_reset(&report);
        enum err e = config_parse("m.yaml", bytes_of(text, size), &report, &c);
        ck_assert_int_eq(e == ERR_OK, c != NULL);
        ck_assert_int_eq(e == ERR_OK, report.len == 0);
        accepted += e == ERR_OK;
        config_free(c);
    }
    ck_assert_uint_gt(accepted, 20);
    ck_assert_uint_lt(accepted, 3980);
    buf_free(&report);
}
END_TEST

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    (void)unsetenv("SLUICE_TEST_UNSET");
    TCase *t = tcase_create("parse");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, smallest_file_and_its_defaults);
    tcase_add_test(t, a_file_like_the_example);
    tcase_add_test(t, interpolation);
    tcase_add_test(t, interpolation_is_bounded);
    tcase_add_test(t, json_is_yaml);
    tcase_add_test(t, a_new_key_fits_its_hash);
    tcase_add_test(t, mutations);
    int status = run_case(t);
    static const char *const names[] = {"a.crt", "a.key", "full.yaml"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[256];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
    return status;
}

/* Every rule: one change to a valid file, and the one line that it is told with. */
#include "tests/unit/common/run.h"
#include "tests/unit/gateway/config/base.h"

struct rule {
    const char *from, *to; /* the change; from "": at the end */
    const char *complaint; /* the whole report; a '%' at the end: only its beginning */
};

#define HASH "hmac-sha256:00112233aabb:000102030405060708090a0b0c0d0e0f:"
#define HEX64 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define TOP                                                                                                  \
    "admin, debug, group, hosts, keys, limits, listen, log, models, origins, providers, sandbox, timeouts, " \
    "trusted_header, trusted_proxies, user, workers"

static const struct rule rules[] = {
    /* Unknown, missing, twice. */
    {"workers: 2", "wrokers: 2",
     "t.yaml:3: wrokers: unknown key, did you mean workers?; allowed here: " TOP "\n"},
    {"workers: 2", "admin: {}",
     "t.yaml:3: admin.address: is missing; allowed: a string from 1 to 120 bytes long\n"},
    {"workers: 2", "admin: {address: 0.0.0.0:9090}",
     "t.yaml:3: admin.address: would show everybody what goes on here; allowed: a loopback address, "
     "unix:/PATH, or allow_remote: true\n"},
    {"workers: 2", "admin: {address: localhost}", "t.yaml:3: admin.address: %"},
    {"workers: 2", "admin: {address: 127.0.0.1:8080}",
     "t.yaml:3: admin.address: is listen[0] already; allowed: one of its own\n"},
    {"workers: 2", "store: {kind: local}", "t.yaml:3: store: unknown key; allowed here: " TOP "\n"},
    {"workers: 2", "user: no-such-user-here\ngroup: no-such-group-here",
     "t.yaml:3: user: no user of this machine is called 'no-such-user-here'; allowed: one that is\n"
     "t.yaml:4: group: no group of this machine is called 'no-such-group-here'; allowed: one that is\n"},
    {"workers: 2", "timeouts: {conect: 5s}",
     "t.yaml:3: timeouts.conect: unknown key, did you mean connect?; allowed here: between_tokens, connect, "
     "drain, "
     "first_token, handshake, heartbeat, idle, keep_alive, ping, resume_ttl, tickets, total, "
     "unauthenticated, "
     "upstream_idle, "
     "write\n"},
    {"8080\n", "8080\n    adress: x\n",
     "t.yaml:3: listen[0].adress: unknown key, did you mean address?; allowed here: address, "
     "allow_plaintext, mode, proxy_protocol, tls\n"},
    {"    dialect: demo\n", "    dialect: demo\n    kind: x\n",
     "t.yaml:7: providers[0].kind: unknown key; allowed here: allow_plaintext, api_key, api_key_file, "
     "base_url, dialect, "
     "max_connections, max_http2_connections, max_idle_connections, name\n"},
    {"model: quick", "model: quick\n        wieght: 2",
     "t.yaml:12: models[0].targets[0].wieght: unknown key, did you mean weight?; allowed here: model, "
     "provider, weight\n"},
    {"    targets:", "    fallback: []\n    targets:",
     "t.yaml:9: models[0].fallback: unknown key; allowed here: name, normalize, targets\n"},
    {"", "    limits: {concurrent: 1}\n",
     "t.yaml:16: keys[0].limits: unknown key; allowed here: hash, models, name, on_disconnect, plaintext\n"},
    {"", "    on_drain: keep\n",
     "t.yaml:16: keys[0].on_drain: unknown key; allowed here: hash, models, name, on_disconnect, "
     "plaintext\n"},
    {"", "? [a]\n: b\n", "t.yaml:16: a key is not a plain word; allowed: KEY: VALUE\n"},
    {"", "workers: 3\n", "t.yaml:16: workers: stands twice, first in line 3; allowed: once\n"},
    {"  - name: fast\n    targets:", "  - targets:",
     "t.yaml:8: models[0].name: is missing; allowed: a string from 1 to 256 bytes long\n"},
    {"        model: quick\n", "",
     "t.yaml:10: models[0].targets[0].model: is missing; allowed: a string from 1 to 256 bytes long\n"},
    {"    dialect: demo\n", "", "t.yaml:5: providers[0].dialect: is missing; allowed: responses, %"},
    {"    models: [\"*\"]\n", "",
     "t.yaml:13: keys[0].models: is missing; allowed: a list of strings, from 1 to 1000\n"},
    {"keys:\n  - name: dev\n    plaintext: sk-dev-only\n    models: [\"*\"]\n", "",
     "t.yaml:1: keys: is missing; allowed: a list of maps, from 1 to 10000\n"},
    {"listen:\n  - address: 127.0.0.1:8080\n", "listen: []\n",
     "t.yaml:1: listen: has no items; allowed: a list of maps, from 1 to 64\n%"},
    {"models: [\"*\"]", "models: []",
     "t.yaml:15: keys[0].models: has no items; allowed: a list of strings, from 1 to 1000\n"},
    /* Types and ranges. */
    {"workers: 2", "workers: many",
     "t.yaml:3: workers: 'many' is no such value; allowed: an integer from 1 to 256, or auto\n"},
    {"workers: 2", "workers: 0",
     "t.yaml:3: workers: '0' is out of range; allowed: an integer from 1 to 256, or auto\n"},
    {"workers: 2", "workers: 100000",
     "t.yaml:3: workers: '100000' is out of range; allowed: an integer from 1 to 256, or auto\n"},
    {"workers: 2", "workers: [2]",
     "t.yaml:3: workers: is a list; allowed: an integer from 1 to 256, or auto\n"},
    {"workers: 2", "workers: {a: 2}",
     "t.yaml:3: workers: is a map; allowed: an integer from 1 to 256, or auto\n"},
    {"workers: 2", "workers:", "t.yaml:3: workers: is nothing; allowed: an integer from 1 to 256, or auto\n"},
    {"workers: 2", "limits: {max_json_depth: \"8\"}",
     "t.yaml:3: limits.max_json_depth: \"8\" is in quotes and so a string; allowed: an integer from 4 to "
     "256\n"},
    {"workers: 2", "limits: {max_json_depth: 3}",
     "t.yaml:3: limits.max_json_depth: '3' is out of range; allowed: an integer from 4 to 256\n"},
    {"workers: 2", "limits: {max_message_bytes: 1MB}",
     "t.yaml:3: limits.max_message_bytes: '1MB' is no such value; allowed: a size from 128B to 1GiB, such as "
     "1MiB\n"},
    {"workers: 2", "limits: {max_message_bytes: 2GiB}",
     "t.yaml:3: limits.max_message_bytes: '2GiB' is out of range; allowed: a size from 128B to 1GiB, such as "
     "1MiB\n"},
    {"workers: 2", "limits: [1]", "t.yaml:3: limits: is a list; allowed: a map of keys\n"},
    {"workers: 2", "limits: 1", "t.yaml:3: limits: is a single value; allowed: a map of keys\n"},
    {"workers: 2", "timeouts: {total: 10}",
     "t.yaml:3: timeouts.total: '10' is no such value; allowed: a duration from 10ms to 24h, such as 5s\n"},
    {"    models: [\"*\"]\n", "    models: [\"*\"]\n    on_disconnect: wait\n",
     "t.yaml:16: keys[0].on_disconnect: 'wait' is no such value; allowed: cancel, keep, finish\n"},
    {"workers: 2", "timeouts: {resume_ttl: 25h}",
     "t.yaml:3: timeouts.resume_ttl: '25h' is out of range; allowed: a duration from 0ms to 24h, such as "
     "5s\n"},
    {"workers: 2", "timeouts: {total: 1ms}",
     "t.yaml:3: timeouts.total: '1ms' is out of range; allowed: a duration from 10ms to 24h, such as 5s\n"},
    {"workers: 2", "debug: {echo: yes}",
     "t.yaml:3: debug.echo: 'yes' is no such value; allowed: true or false\n"},
    {"workers: 2", "debug: {echo: \"true\"}",
     "t.yaml:3: debug.echo: \"true\" is in quotes and so a string; allowed: true or false\n"},
    {"workers: 2", "log: {level: loud}",
     "t.yaml:3: log.level: 'loud' is no such value; allowed: debug, info, warn, error\n"},
    {"workers: 2",
     "log: {level: \"a\\nb\\eccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc\"}",
     "t.yaml:3: log.level: 'a?b?cccccccccccccccccccccccccccccccccccccccccccc...' is no such value; allowed: "
     "debug, "
     "info, warn, error\n"},
    {"model: quick", "model: quick\n        weight: 0",
     "t.yaml:12: models[0].targets[0].weight: '0' is out of range; allowed: an integer from 1 to 1000\n"},
    {"workers: 2", "trusted_proxies: [\"::1\", unix, 10.0.0.0/8, 10.0.0.1/8]",
     "t.yaml:3: trusted_proxies[3]: has bits behind those that its / leaves; allowed: an address, "
     "ADDRESS/BITS such "
     "as 10.0.0.0/8, or unix\n"},
    {"workers: 2", "trusted_proxies: [proxy.example.com]",
     "t.yaml:3: trusted_proxies[0]: is no numeric address; %"},
    {"8080\n", "8080\n    proxy_protocol: true\n",
     "t.yaml:3: listen[0].proxy_protocol: is believed of trusted_proxies only, and there are none; allowed: "
     "false, or "
     "the proxy's address under trusted_proxies\n"},
    {"workers: 2", "trusted_header: via",
     "t.yaml:3: trusted_header: 'via' is no such value; allowed: x-forwarded-for, forwarded\n"},
    {"workers: 2", "hosts: [\"a.example.com:80\"]",
     "t.yaml:3: hosts[0]: is no name of a host; allowed: a name such as gateway.example.com, without scheme, "
     "port and *\n"},
    {"workers: 2", "hosts: [a.example.com, \"*.example.com\"]",
     "t.yaml:3: hosts[1]: is no name of a host; %"},
    {"workers: 2", "hosts: [\"https://a.example.com\"]", "t.yaml:3: hosts[0]: is no name of a host; %"},
    {"dialect: demo", "dialect: latin",
     "t.yaml:6: providers[0].dialect: 'latin' is no such value; allowed: responses, %"},
    {"- name: dev", "- name: true",
     "t.yaml:13: keys[0].name: reads as a number or a truth value, put quotes around it; allowed: a string "
     "from 1 to 64 "
     "bytes long\n"},
    {"plaintext: sk-dev-only", "plaintext: 1234567890",
     "t.yaml:14: keys[0].plaintext: reads as a number or a truth value, put quotes around it; allowed: a "
     "string from 1 "
     "to 200 bytes long\n"},
    {"- name: dev", "- name: ''",
     "t.yaml:13: keys[0].name: is empty; allowed: a string from 1 to 64 bytes long\n"},
    {"- name: dev", "- name: [a]",
     "t.yaml:13: keys[0].name: is a list; allowed: a string from 1 to 64 bytes long\n"},
    {"- name: dev", "- name: \"a\\tb\"",
     "t.yaml:13: keys[0].name: holds a control character (a line's end?); allowed: a string from 1 to 64 "
     "bytes long\n"},
    {"- name: dev", "- name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "t.yaml:13: keys[0].name: is too long; allowed: a string from 1 to 64 bytes long\n"},
    {"models: [\"*\"]", "models: \"*\"",
     "t.yaml:15: keys[0].models: is a single value; allowed: a list of strings, from 1 to 1000\n"},
    {"models: [\"*\"]", "models: [\"a\", 4]",
     "t.yaml:15: keys[0].models[1]: reads as a number or a truth value, put quotes around it; allowed: a "
     "list of "
     "strings, from 1 to 1000\n"},
    {"keys:\n", "keys:\n  - sk-secret-value\n",
     "t.yaml:13: keys[0]: is a single value; allowed: a map of keys\n%"},
    /* The environment. */
    {"workers: 2", "origins: [\"https://${SLUICE_TEST_UNSET}\"]",
     "t.yaml:3: origins[0]: the environment variable SLUICE_TEST_UNSET is not set; set it, or write "
     "${SLUICE_TEST_UNSET:-DEFAULT}, or $$ for a dollar sign\n"},
    {"sk-dev-only", "${SLUICE_TEST_UNSET}",
     "t.yaml:14: keys[0].plaintext: the environment variable SLUICE_TEST_UNSET is not set; set it, or write "
     "${SLUICE_TEST_UNSET:-DEFAULT}, or $$ for a dollar sign\n"},
    {"sk-dev-only", "${}",
     "t.yaml:14: keys[0].plaintext: ${ without a name and a }; allowed: ${NAME} or ${NAME:-DEFAULT} for an "
     "environment "
     "variable, $$ for a dollar sign\n"},
    {"sk-dev-only", "${9}", "t.yaml:14: keys[0].plaintext: ${ without a name and a };%"},
    {"sk-dev-only", "\"${A\"", "t.yaml:14: keys[0].plaintext: ${ without a name and a };%"},
    {"sk-dev-only", "${SLUICE_TEST_EMPTY}",
     "t.yaml:14: keys[0].plaintext: is empty; allowed: a string from 1 to 200 bytes long\n"},
    {"sk-dev-only", "${SLUICE_TEST_LINE}",
     "t.yaml:14: keys[0].plaintext: holds a control character (a line's end?); allowed: a string from 1 to "
     "200 bytes "
     "long\n"},
    {"workers: 2", "workers: ${SLUICE_TEST_SECRET}",
     "t.yaml:3: workers: '${SLUICE_TEST_SECRET}' is no such value; allowed: an integer from 1 to 256, or "
     "auto\n"},
    /* Listeners. */
    {"127.0.0.1:8080", "localhost:8080",
     "t.yaml:2: listen[0].address: the host is not a numeric address (IPv6 stands in brackets; 0.0.0.0 and "
     "[::] are all "
     "of this machine's); allowed: IPV4:PORT, [IPV6]:PORT or unix:/PATH\n%"},
    {"127.0.0.1:8080", "\"::1:8080\"", "t.yaml:2: listen[0].address: the host is not a numeric address%"},
    {"127.0.0.1:8080", "\"[127.0.0.1]:8080\"",
     "t.yaml:2: listen[0].address: the host is not a numeric address%"},
    {"127.0.0.1:8080", "\"[::ffff:127.0.0.1]:8080\"",
     "t.yaml:2: listen[0].address: the host is not a numeric address%"},
    {"127.0.0.1:8080", "\"8080\"", "t.yaml:2: listen[0].address: has no port; allowed:%"},
    {"127.0.0.1:8080", "\"127.0.0.1:\"",
     "t.yaml:2: listen[0].address: the port is not a number from 0 to 65535;%"},
    {"127.0.0.1:8080",
     "127.0.0.1:", "t.yaml:2: not valid YAML: mapping values are not allowed in this context\n"},
    {"127.0.0.1:8080", "127.0.0.1:http",
     "t.yaml:2: listen[0].address: the port is not a number from 0 to 65535;%"},
    {"127.0.0.1:8080", "127.0.0.1:65536",
     "t.yaml:2: listen[0].address: the port is not a number from 0 to 65535;%"},
    {"127.0.0.1:8080", "unix:run.sock",
     "t.yaml:2: listen[0].address: the path of a Unix socket must begin with /;%"},
    {"127.0.0.1:8080",
     "unix:/"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaa",
     "t.yaml:2: listen[0].address: the path of a Unix socket is longer than 107 bytes;%"},
    {"8080\n", "8080\n  - address: 10.0.0.1:80\n",
     "t.yaml:3: listen[1].address: would be without TLS for others than this machine; allowed: tls, a "
     "loopback address, "
     "or allow_plaintext: true\n"},
    {"8080\n", "8080\n  - address: \"[::]:80\"\n", "t.yaml:3: listen[1].address: would be without TLS%"},
    {"8080\n", "8080\n  - address: 127.0.0.1:8080\n",
     "t.yaml:3: listen[1].address: stands twice, first as listen[0]; allowed: once\n"},
    {"127.0.0.1:8080\n", "unix:/tmp/a\n  - address: unix:/tmp/a\n",
     "t.yaml:3: listen[1].address: stands twice, first as listen[0]; allowed: once\n"},
    {"8080\n", "8080\n    tls: {certificate: /nonexistent/c, key: /}\n",
     "t.yaml:3: listen[0].tls.certificate: /nonexistent/c cannot be read: No such file or directory; "
     "allowed: a PEM file "
     "that this user can read\n"
     "t.yaml:3: listen[0].tls.key: / is not a regular file; allowed: a PEM file that this user can read\n"},
    {"8080\n", "8080\n    tls: {}\n",
     "t.yaml:3: listen[0].tls.certificate: is missing; allowed: a string from 1 to 4096 bytes long\n"
     "t.yaml:3: listen[0].tls.key: is missing; allowed: a string from 1 to 4096 bytes long\n"},
    {"127.0.0.1:8080\nworkers: 2", "10.0.0.1:80\n    allow_plaintext: true\ndebug: {echo: true}",
     "t.yaml:4: debug.echo: works on loopback listeners only, and there is none; allowed: false, or a "
     "listener on "
     "127.0.0.1, [::1] or unix:/PATH\n"
     "t.yaml:15: keys[0].plaintext: counts on loopback listeners only, and there is none; allowed: hash, or "
     "a listener "
     "on 127.0.0.1, [::1] or unix:/PATH\n"},
    /* Origins. */
    {"workers: 2", "origins: [\"https://a.example/\"]",
     "t.yaml:3: origins[0]: has a path; allowed: SCHEME://HOST[:PORT] in lower case, as browsers send it\n"},
    {"workers: 2", "origins: [\"https://a.example\", \"*\"]",
     "t.yaml:3: origins[1]: has no scheme; allowed:%"},
    {"workers: 2", "origins: [\"https://*.example\"]",
     "t.yaml:3: origins[0]: has a *; origins are compared%"},
    {"workers: 2", "origins: [\"https://A.example\"]",
     "t.yaml:3: origins[0]: has a capital letter; allowed:%"},
    {"workers: 2", "origins: [\"https://a.example:99999\"]",
     "t.yaml:3: origins[0]: has a port that is not a number%"},
    {"workers: 2", "origins: [\"https://\"]", "t.yaml:3: origins[0]: has no host; allowed:%"},
    {"workers: 2", "origins: https://a.example",
     "t.yaml:3: origins: is a single value; allowed: a list of strings, from 0 to 1000\n"},
    /* Limits. */
    {"workers: 2", "limits: {max_response_bytes: 1GiB}",
     "t.yaml:3: limits.max_response_bytes: one answer may be larger (1073741824 bytes) than all together "
     "(268435456 "
     "bytes); allowed: max_response_bytes <= max_responses_bytes\n"},
    {"workers: 2", "limits: {max_responses_bytes: 1MiB}",
     "t.yaml:3: limits.max_responses_bytes: one answer may be%"},
    /* Providers. */
    {"    dialect: demo\n", "    dialect: responses\n",
     "t.yaml:5: providers[0]: base_url is missing; allowed: https://HOST[:PORT][/PATH]\n"},
    {"    dialect: demo\n",
     "    dialect: demo\n    base_url: https://a.example\n    api_key: sk-secret-value\n",
     "t.yaml:7: providers[0].base_url: the demo provider is built in and takes none; allowed there: dialect, "
     "name\n"
     "t.yaml:8: providers[0].api_key: the demo provider is built in and takes none; allowed there: dialect, "
     "name\n"},
    {"    dialect: demo\n", "    dialect: responses\n    base_url: http://127.0.0.1:8000/v1\n",
     "t.yaml:7: providers[0].base_url: goes without TLS; allowed: https://, or allow_plaintext: true beside "
     "it\n"},
    {"    dialect: demo\n", "    dialect: responses\n    base_url: ftp://a.example\n",
     "t.yaml:7: providers[0].base_url: does not begin with https:// or http://; allowed: "
     "https://HOST[:PORT][/PATH], or "
     "http:// with allow_plaintext: true\n"},
    {"    dialect: demo\n", "    dialect: responses\n    base_url: https://me:sk-secret-value@a.example\n",
     "t.yaml:7: providers[0].base_url: holds a user name or password; allowed:%"},
    {"    dialect: demo\n", "    dialect: responses\n    base_url: https://a.example/?key=sk-secret-value\n",
     "t.yaml:7: providers[0].base_url: holds a query or a fragment; allowed:%"},
    {"    dialect: demo\n", "    dialect: responses\n    base_url: \"https://a.example/#sk-secret-value\"\n",
     "t.yaml:7: providers[0].base_url: holds a query or a fragment; allowed:%"},
    {"    dialect: demo\n", "    dialect: responses\n    base_url: \"https://a.example/ v1\"\n",
     "t.yaml:7: providers[0].base_url: holds a space or a character that is not ASCII; allowed:%"},
    {"    dialect: demo\n", "    dialect: responses\n    base_url: https:///v1\n",
     "t.yaml:7: providers[0].base_url: has no host; allowed:%"},
    {"    dialect: demo\n", "    dialect: responses\n    base_url: https://a.example:0/v1\n",
     "t.yaml:7: providers[0].base_url: has a port that is not a number from 1 to 65535; allowed:%"},
    {"    dialect: demo\n", "    dialect: responses\n    base_url: https://[::1/v1\n",
     "t.yaml:7: providers[0].base_url: has a host in brackets that is no IPv6 address; allowed:%"},
    {"    dialect: demo\n", "    dialect: responses\n    base_url: https://a!b\n",
     "t.yaml:7: providers[0].base_url: has a character in its host that none may have; allowed:%"},
    {"    dialect: demo\n", "    dialect: demo\n  - {name: demo, dialect: demo}\n",
     "t.yaml:7: providers[1].name: 'demo' is also the name of providers[0]; allowed: each name once\n"},
    {"    dialect: demo\n", "    dialect: demo\n  - {name: a/b, dialect: demo}\n",
     "t.yaml:7: providers[1].name: has a character that a provider's name may not have; allowed: letters, "
     "digits, _ . -\n"},
    {"    dialect: demo\n", "    dialect: demo\n    max_connections: 5\n",
     "t.yaml:7: providers[0].max_connections: the demo provider is built in and takes none; allowed there: "
     "dialect, name\n"},
    {"    dialect: demo\n",
     "    dialect: responses\n    base_url: https://a.example\n    max_connections: 0\n",
     "t.yaml:8: providers[0].max_connections: '0' is out of range; allowed: an integer from 1 to 65535\n"},
    {"    dialect: demo\n",
     "    dialect: responses\n    base_url: https://a.example\n    max_http2_connections: 257\n",
     "t.yaml:8: providers[0].max_http2_connections: '257' is out of range; allowed: an integer from 1 to "
     "256\n"},
    /* Models. */
    {"provider: demo", "provider: dmeo",
     "t.yaml:10: models[0].targets[0].provider: no provider has this name, did you mean demo?; allowed: "
     "demo\n"},
    {"provider: demo", "provider: something",
     "t.yaml:10: models[0].targets[0].provider: no provider has this name; allowed: demo\n"},
    {"- name: fast", "- name: \"f*t\"",
     "t.yaml:8: models[0].name: has a * before its end; allowed: an exact name, or one * at the end\n"},
    {"model: quick", "model: \"q*\"",
     "t.yaml:11: models[0].targets[0].model: has a *, but the name 'fast' has none that it could stand for; "
     "allowed: no "
     "*\n"},
    {"- name: fast\n    targets:\n      - provider: demo\n        model: quick",
     "- {name: \"f*\", targets: [{provider: demo, model: \"*-*\"}]}",
     "t.yaml:8: models[0].targets[0].model: has more than one *; allowed: one, for what the name's * "
     "matched\n"},
    {"model: quick\n", "model: quick\n  - {name: fast, targets: [{provider: demo, model: x}]}\n",
     "t.yaml:12: models[1].name: 'fast' is also the name of models[0]; allowed: each name once\n"},
    /* Keys. */
    {"    plaintext: sk-dev-only\n", "",
     "t.yaml:13: keys[0]: has neither hash and plaintext; allowed: one of them\n"},
    {"", "    hash: " HASH HEX64 "\n",
     "t.yaml:13: keys[0]: has both hash and plaintext; allowed: one of them\n"},
    {"plaintext: sk-dev-only", "hash: sk-secret-value",
     "t.yaml:14: keys[0].hash: is not a key's hash; allowed: hmac-sha256:ID:SALT:HASH, as `sluice key new "
     "NAME` prints "
     "it\n"},
    {"plaintext: sk-dev-only", "hash: " HASH "00", "t.yaml:14: keys[0].hash: is not a key's hash;%"},
    {"plaintext: sk-dev-only", "hash: " HASH HEX64 "0", "t.yaml:14: keys[0].hash: is not a key's hash;%"},
    {"plaintext: sk-dev-only", "hash: HMAC-SHA256:00112233aabb:000102030405060708090a0b0c0d0e0f:" HEX64,
     "t.yaml:14: keys[0].hash: is not a key's hash;%"},
    {"plaintext: sk-dev-only", "hash: hmac-sha256:00112233AABB:000102030405060708090a0b0c0d0e0f:" HEX64,
     "t.yaml:14: keys[0].hash: is not a key's hash;%"},
    {"plaintext: sk-dev-only", "plaintext: \"sk dev only\"",
     "t.yaml:14: keys[0].plaintext: has a character that a key may not have;%"},
    {"plaintext: sk-dev-only", "plaintext: \"sk-dev,only\"",
     "t.yaml:14: keys[0].plaintext: has a character that a key may not have;%"},
    {"", "  - {name: two, plaintext: sk-dev-only, models: [a]}\n",
     "t.yaml:16: keys[1].plaintext: is also the key of keys[0]; allowed: each key once\n"},
    {"", "  - {name: dev, plaintext: sk-dev-other, models: [a]}\n",
     "t.yaml:16: keys[1].name: 'dev' is also the name of keys[0]; allowed: each name once\n"},
    {"    plaintext: sk-dev-only\n",
     "    hash: " HASH HEX64 "\n    models: [a]\n  - name: two\n    hash: " HASH HEX64 "\n",
     "t.yaml:17: keys[1].hash: has the id of keys[0]; allowed: each key once\n"},
    {"models: [\"*\"]", "models: [\"a*b\"]",
     "t.yaml:15: keys[0].models[0]: has a * before its end; allowed: an exact name, or one * at the end\n"},
    /* YAML. */
    {"workers: 2", "workers: &a 2",
     "t.yaml:3: workers: YAML anchors and aliases (&, *) are not read here; write the value itself\n"},
    {"workers: 2", "workers: *a",
     "t.yaml:3: workers: YAML anchors and aliases (&, *) are not read here; write the value itself\n"},
    {"workers: 2", "workers: !!int 2",
     "t.yaml:3: workers: YAML tags (!) are not read here; write the value itself\n"},
    {"keys:\n", "keys: &k\n", "t.yaml:12: keys: YAML anchors%"},
    {"", "---\na: b\n", "t.yaml:16: a second document begins here; allowed: one\n"},
    {"workers: 2", "workers: [", "t.yaml:%"},
    {"workers: 2", "\tworkers: 2",
     "t.yaml:3: not valid YAML: while scanning a plain scalar, found a tab character that violates "
     "indentation; allowed: "
     "indentation by spaces, not by tabs\n"},
    {"workers: 2", "workers:\n\t- 2",
     "t.yaml:4: not valid YAML: while scanning for the next token, found character that cannot start any "
     "token; allowed: "
     "indentation by spaces, not by tabs\n"},
    {"workers: 2", "workers: \"2", "t.yaml:%"},
    {"workers: 2", "workers: \xff", "t.yaml:3: not valid text: %"},
    {"workers: 2", "workers: \x01",
     "t.yaml:3: not valid text: control characters are not allowed; allowed: UTF-8 without control "
     "characters\n"},
    {"workers: 2", "x: [[[[[[[[[[[[[[1]]]]]]]]]]]]]]",
     "t.yaml:3: x[0][0][0][0][0][0][0][0][0][0][0][0]: nested too deeply; allowed: 12 levels\n"},
};

START_TEST(one_rule)
{
    const struct rule *r = &rules[_i];
    char *text = changed(base, r->from, r->to), report[8192];
    struct config *cfg = parse(text, report, sizeof(report));
    ck_assert_msg(cfg == NULL, "accepted: %s", text);
    size_t len = strlen(r->complaint);
    if (r->complaint[len - 1] == '%')
        ck_assert_msg(strncmp(report, r->complaint, len - 1) == 0, "report: %s", report);
    else
        ck_assert_str_eq(report, r->complaint);
    ck_assert_msg(strstr(report, "sk-") == NULL, "a secret in: %s", report);
    free(text);
}
END_TEST

/* A dialect is in the list of all, and so one can configure it, or is told why not. */
START_TEST(every_dialect_is_known)
{
    const struct dialect *d = dialects[_i];
    char to[200], report[1024], expected[128];
    struct buf help;
    snprintf(to, sizeof(to), "    dialect: %s\n    base_url: https://a.example/v1\n", d->name);
    char *text = changed(base, "    dialect: demo\n", to);
    struct config *cfg = parse(text, report, sizeof(report));
    buf_init(&help, 64 * 1024);
    config_describe(&help);
    buf_append_char(&help, '\0');
    const char *line = strstr(help.data, "providers[].dialect ");
    ck_assert_ptr_nonnull(line);
    const char *named = strstr(line, d->name);
    bool in_help = named && named < strchr(line, '\n');
    ck_assert_int_eq(in_help, dialect_faces_providers(d));
    if (dialect_faces_providers(d)) {
        ck_assert_msg(cfg != NULL, "refused: %s", report);
        ck_assert_ptr_eq(cfg->providers[0].dialect, d);
    } else {
        snprintf(expected, sizeof(expected),
                 "providers[0].dialect: '%s' is spoken by clients only; allowed: ", d->name);
        ck_assert_ptr_null(cfg);
        ck_assert_msg(strstr(report, expected) != NULL, "report: %s", report);
    }
    config_free(cfg);
    buf_free(&help);
    free(text);
}
END_TEST

START_TEST(nothing_at_all)
{
    static const struct {
        const char *text, *complaint;
    } cases[] = {{"", "t.yaml: is empty; needed: listen, models, providers and keys\n"},
                 {"# only a remark\n", "t.yaml: is empty; needed: listen, models, providers and keys\n"},
                 {"---\n", "t.yaml: is empty; needed: listen, models, providers and keys\n"},
                 {"~\n", "t.yaml: is empty; needed: listen, models, providers and keys\n"},
                 {"\nhello\n", "t.yaml:2: is not a map; allowed: KEY: VALUE lines\n"},
                 {"- a\n", "t.yaml:1: is not a map; allowed: KEY: VALUE lines\n"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char report[1024];
        ck_assert_ptr_null(parse(cases[i].text, report, sizeof(report)));
        ck_assert_str_eq(report, cases[i].complaint);
    }
}
END_TEST

START_TEST(all_problems_at_once)
{
    char report[8192];
    ck_assert_ptr_null(parse("listen: [{address: x}, {address: 127.0.0.1:1, tls: 1}]\n"
                             "workers: 0\n"
                             "bogus: 1\n"
                             "providers: [{name: a, dialect: x}]\n"
                             "models: [{name: m, targets: [{provider: b, model: c}]}]\n"
                             "keys: [{name: k, hash: x}]\n"
                             "timeouts: {total: x}\n",
                             report, sizeof(report)));
    static const char *const starts[] = {"t.yaml:1: listen[0].address: ",
                                         "t.yaml:1: listen[1].tls: ",
                                         "t.yaml:2: workers: ",
                                         "t.yaml:3: bogus: ",
                                         "t.yaml:4: providers[0].dialect: ",
                                         "t.yaml:5: models[0].targets[0].provider: ",
                                         "t.yaml:6: keys[0].models: ",
                                         "t.yaml:6: keys[0].hash: ",
                                         "t.yaml:7: timeouts.total: "};
    size_t lines = 0;
    for (const char *c = report; *c; c++)
        lines += *c == '\n';
    ck_assert_uint_eq(lines, ARRAY_LEN(starts));
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        ck_assert_msg(strstr(report, starts[i]) != NULL, "no '%s' in %s", starts[i], report);
}
END_TEST

START_TEST(too_many_problems_are_cut)
{
    struct buf text;
    buf_init(&text, 64 * 1024);
    for (int i = 0; i < 60; i++)
        buf_printf(&text, "k%d: 1\n", i);
    buf_append_bytes(&text, BYTES("keys: ["));
    for (int i = 0; i < 200; i++)
        buf_append_bytes(&text, BYTES("1,"));
    buf_append_bytes(&text, BYTES("]\n\0"));
    ck_assert(!text.failed);
    char report[32 * 1024];
    ck_assert_ptr_null(parse(text.data, report, sizeof(report)));
    size_t lines = 0;
    for (const char *c = report; *c; c++)
        lines += *c == '\n';
    ck_assert_uint_eq(lines, 101);
    ck_assert_ptr_nonnull(strstr(report, "t.yaml: more than 100 problems; the rest is not shown\n"));
    buf_free(&text);
}
END_TEST

START_TEST(ceilings)
{
    struct buf text, report;
    struct config *cfg = NULL;
    buf_init(&text, 4 * 1024 * 1024);
    buf_init(&report, 1024);
    ck_assert_int_eq(buf_reserve(&text, 1024 * 1024 + 1), ERR_OK);
    memset(text.data, '\n', 1024 * 1024 + 1);
    text.len = 1024 * 1024 + 1;
    ck_assert_int_eq(config_parse("t.yaml", buf_bytes(&text), &report, &cfg), ERR_INVALID);
    ck_assert(bytes_is(buf_bytes(&report),
                       "t.yaml: is larger than a configuration may be; allowed: 1048576 bytes\n"));
    buf_reset(&report);
    buf_reset(&text);
    for (int i = 0; i < 65; i++)
        buf_printf(&text, "k%d: 1\n", i);
    ck_assert(!text.failed);
    ck_assert_int_eq(config_parse("t.yaml", buf_bytes(&text), &report, &cfg), ERR_INVALID);
    ck_assert(bytes_is(buf_bytes(&report), "t.yaml:1: too many keys; allowed: 64\n"));
    buf_reset(&report);
    buf_reset(&text);
    buf_append_bytes(&text, BYTES("a: ["));
    for (int i = 0; i < 100001; i++)
        buf_append_bytes(&text, BYTES("1,\n"));
    ck_assert(!text.failed);
    ck_assert_int_eq(config_parse("t.yaml", buf_bytes(&text), &report, &cfg), ERR_INVALID);
    ck_assert(
        bytes_starts(buf_bytes(&report), BYTES("t.yaml:99999: too many values; allowed: 100000 in all\n")));
    ck_assert_ptr_null(cfg);
    buf_free(&text);
    buf_free(&report);
}
END_TEST

START_TEST(files)
{
    struct buf report;
    struct config *cfg = NULL;
    buf_init(&report, 4096);
    ck_assert_int_eq(config_load("/nonexistent/a.yaml", &report, &cfg), ERR_IO);
    ck_assert(bytes_is(buf_bytes(&report),
                       "/nonexistent/a.yaml: cannot be read: No such file or directory; give a readable "
                       "file with --config\n"));
    buf_reset(&report);
    ck_assert_int_eq(config_load("/", &report, &cfg), ERR_IO);
    ck_assert(bytes_is(buf_bytes(&report),
                       "/: cannot be read: Is a directory; give a readable file with --config\n"));
    ck_assert_ptr_null(cfg);
    buf_free(&report);
}
END_TEST

int main(void)
{
    (void)unsetenv("SLUICE_TEST_UNSET");
    (void)setenv("SLUICE_TEST_EMPTY", "", 1);
    (void)setenv("SLUICE_TEST_LINE", "sk-secret-value\n", 1);
    (void)setenv("SLUICE_TEST_SECRET", "sk-secret-value", 1);
    TCase *t = tcase_create("errors");
    tcase_add_loop_test(t, every_dialect_is_known, 0, (int)n_dialects);
    tcase_add_loop_test(t, one_rule, 0, ARRAY_LEN(rules));
    tcase_add_test(t, nothing_at_all);
    tcase_add_test(t, all_problems_at_once);
    tcase_add_test(t, too_many_problems_are_cut);
    tcase_add_test(t, ceilings);
    tcase_add_test(t, files);
    return run_case(t);
}

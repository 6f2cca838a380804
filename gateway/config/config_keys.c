#include "gateway/config/config_keys.h"
#include <stdlib.h>

/* protocols/dialects.def, as the words that one may write. */
static const char provider_dialects[] =
#define CLIENT_DIALECT(name)
#define DIALECT(name) #name "|"
#include "protocols/dialects.def"
    "demo";
static const char client_dialects[] =
#define CLIENT_DIALECT(name) #name "|"
#define DIALECT(name)
#include "protocols/dialects.def"
    "";

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define S UINT64_C(1000)
#define H (S * 3600)

/* Members and designators take no parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define NOWHERE .at = CONFIG_ELSEWHERE
#define AT(record, member)                                                                                   \
    .at = offsetof(struct record, member), .width = (uint32_t)sizeof(((struct record *)0)->member)
#define LIST_AT(record, member, count)                                                                       \
    .at = offsetof(struct record, member), .width = (uint32_t)sizeof(*((struct record *)0)->member),         \
    .count_at = offsetof(struct record, count)

#define GROUP(name, text)                                                                                    \
    {                                                                                                        \
        .path = name, .type = CONFIG_MAP, .reload = true, NOWHERE, .help = text                              \
    }
#define DURATION(name, value, text)                                                                          \
    {                                                                                                        \
        .path = "timeouts." #name, .type = CONFIG_DURATION, .preset = value, .min = 10, .max = 24 * H,       \
        .reload = true, AT(config, timeouts.name), .help = text                                              \
    }
#define LIMIT(name, kind, value, least, most, text)                                                          \
    {                                                                                                        \
        .path = "limits." #name, .type = kind, .preset = value, .min = least, .max = most, .reload = true,   \
        AT(config, limits.name), .help = text                                                                \
    }
#define AUTO_LIMIT(name, most, text)                                                                         \
    {                                                                                                        \
        .path = "limits." #name, .type = CONFIG_NUMBER, .preset = "auto", .min = 1, .max = most,             \
        .words = "auto", .reload = true, AT(config, limits.name), .help = text                               \
    }
#define CEILING(name, value, most, text)                                                                     \
    {                                                                                                        \
        .path = "providers[]." #name, .type = CONFIG_NUMBER, .preset = value, .min = 1, .max = most,         \
        .reload = true, AT(config_provider, name), .help = text                                              \
    }
#define STRING(name, kind, most, need, place, text)                                                          \
    {                                                                                                        \
        .path = name, .type = kind, .min = 1, .max = most, .required = need, .reload = true, place,          \
        .help = text                                                                                         \
    }
#define FLAG(name, place, text)                                                                              \
    {                                                                                                        \
        .path = name, .type = CONFIG_BOOL, .preset = "false", .reload = true, place, .help = text            \
    }
#define ON(name, place, text)                                                                                \
    {                                                                                                        \
        .path = name, .type = CONFIG_BOOL, .preset = "true", .reload = true, place, .help = text             \
    }
#define WORDS(name, all, value, place, text)                                                                 \
    {                                                                                                        \
        .path = name, .type = CONFIG_ENUM, .preset = value, .words = all, .reload = true, place,             \
        .help = text                                                                                         \
    }
#define LIST(name, kind, least, most, need, place, text)                                                     \
    {                                                                                                        \
        .path = name, .type = kind, .min = least, .max = most, .required = need, .reload = true, place,      \
        .help = text                                                                                         \
    }

/* NOLINTEND(bugprone-macro-parentheses) */

const struct config_keydef config_keys[] = {
    GROUP("admin", "health and metrics, for those who run it; without it there is no such listener"),
    STRING("admin.address", CONFIG_STRING, 120, true, AT(config, admin_address),
           "IPV4:PORT, [IPV6]:PORT or unix:/PATH; it asks nobody for a key"),
    FLAG("admin.allow_remote", AT(config, admin_allow_remote), "allows an address that is not loopback"),
    GROUP("debug", "for tests of the gateway itself"),
    FLAG("debug.echo", AT(config, echo), "/echo returns every WebSocket message; on loopback listeners only"),
    STRING("group", CONFIG_STRING, 64, false, AT(config, group), "the workers' group; default: the user's"),
    LIST("hosts", CONFIG_STRINGS, 0, 1000, false, LIST_AT(config, hosts, n_hosts),
         "names that requests may address this server by, beside numeric addresses; none: any, on a loopback "
         "address "
         "localhost alone"),
    LIST("keys", CONFIG_MAPS, 1, 10000, true, LIST_AT(config, keys, n_keys), "who may ask: API keys"),
    STRING("keys[].hash", CONFIG_SECRET, 200, false, NOWHERE,
           "the key's hash, as `sluice key new` prints it"),
    LIST("keys[].models", CONFIG_STRINGS, 1, 1000, true, LIST_AT(config_key, models, n_models),
         "models that the key may ask for: names, or beginnings with a * at the end"),
    STRING("keys[].name", CONFIG_STRING, 64, true, AT(config_key, name), "who it is; unique"),
    {.path = "keys[].on_disconnect",
     .type = CONFIG_ENUM,
     .preset = "cancel",
     .words = "cancel|keep|finish",
     .reload = true,
     AT(config_key, on_disconnect),
     .help = "an answer whose client has gone: stops, goes on for resume_ttl, or goes on to its end"},
    STRING("keys[].plaintext", CONFIG_SECRET, 200, false, NOWHERE,
           "instead of hash: the key itself; counts on loopback listeners only"),
    GROUP("limits", "ceilings for everybody"),
    LIMIT(max_context_bytes, CONFIG_SIZE, "1MiB", KIB, GIB,
          "conversation kept in a lane for previous_response_id"),
    LIMIT(max_handshakes, CONFIG_NUMBER, "4096", 1, 65536, "TLS handshakes under way, all workers together"),
    LIMIT(max_handshakes_per_address, CONFIG_NUMBER, "200", 1, 65536,
          "the same of one address (IPv6: of one /64, and ten times as many of one /48)"),
    LIMIT(max_handshakes_per_second, CONFIG_NUMBER, "2000", 1, 1000000,
          "TLS handshakes begun, all workers together; connections past it are closed before they cost one"),
    LIMIT(max_handshakes_per_second_per_address, CONFIG_NUMBER, "200", 1, 1000000,
          "the same of one address (IPv6: of one /64, and ten times as many of one /48)"),
    LIMIT(max_header_bytes, CONFIG_SIZE, "16KiB", KIB, MIB, "request line and headers of one request"),
    LIMIT(max_in_flight_per_session, CONFIG_NUMBER, "16", 1, 1024, "answers at once on one WebSocket"),
    LIMIT(max_json_depth, CONFIG_NUMBER, "32", 4, 256, "nesting of one message"),
    LIMIT(max_json_nodes, CONFIG_NUMBER, "100000", 100, 10000000, "values in one message"),
    LIMIT(max_lanes_per_session, CONFIG_NUMBER, "32", 1, 1024, "named lanes of one WebSocket"),
    LIMIT(max_message_bytes, CONFIG_SIZE, "1MiB", 128, GIB, "one WebSocket message, or one HTTP body"),
    LIMIT(max_queued_bytes_per_session, CONFIG_SIZE, "8MiB", KIB, GIB,
          "memory of the requests that wait on one WebSocket"),
    LIMIT(max_queued_per_session, CONFIG_NUMBER, "64", 0, 4096, "requests that wait on one WebSocket"),
    LIMIT(max_response_bytes, CONFIG_SIZE, "4MiB", KIB, GIB, "one answer's log"),
    LIMIT(max_responses_bytes, CONFIG_SIZE, "256MiB", KIB, 1024 * GIB,
          "all logs of a worker; past it new requests are shed"),
    LIMIT(max_sessions, CONFIG_NUMBER, "100000", 1, 10000000, "open connections, all workers together"),
    LIMIT(max_sessions_per_address, CONFIG_NUMBER, "200", 1, 10000000,
          "open connections of one address (IPv6: of one /64, and ten times as many of one /48)"),
    AUTO_LIMIT(max_unauthenticated, 10000000,
               "of these, connections of which nothing has authenticated yet; auto: half of max_sessions, "
               "10000 at most"),
    AUTO_LIMIT(max_unauthenticated_per_address, 10000000,
               "the same of one address; auto: max_sessions_per_address, for a crowd that comes at once"),
    AUTO_LIMIT(reserved_descriptors, 1000000,
               "descriptors of a worker that clients leave to providers; auto: a quarter of those that the "
               "system allows, 4096 at most"),
    LIST("listen", CONFIG_MAPS, 1, 64, true, LIST_AT(config, listen, n_listen), "where clients connect"),
    STRING("listen[].address", CONFIG_STRING, 120, true, AT(config_listener, address),
           "IPV4:PORT, [IPV6]:PORT or unix:/PATH; port 0: any free one"),
    FLAG("listen[].allow_plaintext", AT(config_listener, allow_plaintext),
         "allows an address that is not loopback to do without tls"),
    STRING("listen[].mode", CONFIG_STRING, 4, false, AT(config_listener, mode_text),
           "rights of a Unix socket, octal, as \"0660\"; default: as the umask has it"),
    FLAG("listen[].proxy_protocol", AT(config_listener, proxy_protocol),
         "each connection begins with a PROXY protocol head, version 2; believed of trusted_proxies alone"),
    GROUP("listen[].tls", "wss and https; without it ws and http"),
    STRING("listen[].tls.certificate", CONFIG_STRING, 4096, true, NOWHERE,
           "PEM file, the chain included; a relative path begins at this file's directory"),
    LIST("listen[].tls.certificates", CONFIG_MAPS, 1, 1000, false, LIST_AT(config_listener, more, n_more),
         "more of them: a client gets the first one that has the name it asks for, or else the one above"),
    STRING("listen[].tls.certificates[].certificate", CONFIG_STRING, 4096, true, NOWHERE,
           "PEM file, the chain included"),
    STRING("listen[].tls.certificates[].key", CONFIG_STRING, 4096, true, NOWHERE,
           "PEM file of its private key"),
    STRING("listen[].tls.key", CONFIG_STRING, 4096, true, NOWHERE, "PEM file of its private key"),
    GROUP("log", "what is written to standard error"),
    WORDS("log.format", "text|json", "text", AT(config, log.format),
          "lines of key=value, or of JSON objects"),
    WORDS("log.level", "debug|info|warn|error", "info", AT(config, log.level), "the least that is written"),
    {.path = "log.max_unwritten_bytes",
     .type = CONFIG_SIZE,
     .preset = "1MiB",
     .min = 64 * KIB,
     .max = GIB,
     .reload = true,
     AT(config, log.max_unwritten),
     .help = "lines of one process that wait for who reads them; past it they are dropped, and counted"},
    LIST("models", CONFIG_MAPS, 1, 10000, true, LIST_AT(config, models, n_models),
         "what clients may ask for"),
    STRING("models[].name", CONFIG_STRING, 256, true, AT(config_model, name),
           "exact, or with a * at the end; unique"),
    GROUP("models[].normalize", "what is done to the text that people wrote, line ends (to LF) aside"),
    WORDS("models[].normalize.controls", "keep|remove", "keep", AT(config_model, normalize.controls),
          "control characters; line ends and tabs stay, NUL always goes"),
    WORDS("models[].normalize.trim", "none|message", "none", AT(config_model, normalize.trim),
          "white space at the outer ends of a whole message, never of a part of it"),
    WORDS("models[].normalize.unicode", "nfc|nfkc|off", "nfc", AT(config_model, normalize.unicode),
          "normalization form of its characters"),
    LIST("models[].targets", CONFIG_MAPS, 1, 64, true, LIST_AT(config_model, targets, n_targets),
         "who answers"),
    STRING("models[].targets[].model", CONFIG_STRING, 256, true, AT(config_target, model),
           "the provider's name for it; a * stands for what the name's * matched"),
    STRING("models[].targets[].provider", CONFIG_STRING, 64, true, NOWHERE,
           "name of a provider below providers"),
    {.path = "models[].targets[].weight",
     .type = CONFIG_NUMBER,
     .preset = "1",
     .min = 1,
     .max = 1000,
     .reload = true,
     AT(config_target, weight),
     .help = "its share among the targets"},
    LIST("origins", CONFIG_STRINGS, 0, 1000, false, LIST_AT(config, origins, n_origins),
         "web pages elsewhere that may connect: SCHEME://HOST[:PORT], exact"),
    LIST("providers", CONFIG_MAPS, 1, 1000, true, LIST_AT(config, providers, n_providers),
         "where answers come from"),
    FLAG("providers[].allow_plaintext", AT(config_provider, allow_plaintext), "allows an http:// base_url"),
    STRING("providers[].api_key", CONFIG_SECRET, 4096, false, AT(config_provider, api_key),
           "sent as the dialect wants it, such as Authorization: Bearer"),
    STRING(
        "providers[].api_key_file", CONFIG_STRING, 4096, false, NOWHERE,
        "instead of api_key: a file that holds it, a line end apart; as systemd's LoadCredential makes it"),
    STRING("providers[].base_url", CONFIG_STRING, 1024, false, NOWHERE,
           "https://HOST[:PORT][/PATH]; not for demo"),
    {.path = "providers[].dialect",
     .type = CONFIG_ENUM,
     .words = provider_dialects,
     .others = client_dialects,
     .others_why = "is spoken by clients only",
     .required = true,
     .reload = true,
     NOWHERE,
     .help = "what it speaks; demo: built in, a text without any network"},
    CEILING(max_connections, "16384", 65535,
            "connections of one worker to it; past them requests wait their turn"),
    CEILING(max_http2_connections, "32", CONFIG_MOST_HTTP2_CONNECTIONS,
            "of these, so many while it speaks HTTP/2, 100 requests each"),
    CEILING(max_idle_connections, "1024", 65535, "of these, so many are kept when no request uses them"),
    STRING("providers[].name", CONFIG_STRING, 64, true, AT(config_provider, name),
           "unique; letters, digits, _ . -"),
    GROUP("sandbox", "what workers give up before they serve, beside their privileges"),
    ON("sandbox.landlock", AT(config, sandbox.landlock), "files that they do not need (Landlock)"),
    ON("sandbox.seccomp", AT(config, sandbox.seccomp), "system calls that they do not need (seccomp)"),
    GROUP("timeouts", "how long is too long"),
    DURATION(between_tokens, "30s", "an answer that says nothing for so long has failed"),
    DURATION(connect, "5s", "to connect to a provider, TLS included"),
    DURATION(drain, "30s", "answers in flight may go on for so long after SIGTERM or SIGHUP"),
    DURATION(first_token, "60s", "from the request to a provider to its first token"),
    DURATION(handshake, "10s", "from a connection's accept to its whole request"),
    DURATION(heartbeat, "15s", "an SSE comment after so long without an event"),
    DURATION(idle, "1h", "a WebSocket without any message or pong for so long is closed"),
    DURATION(keep_alive, "60s", "an HTTP connection between two requests"),
    DURATION(ping, "30s", "a WebSocket ping after so long without a byte from the client"),
    {.path = "timeouts.resume_ttl",
     .type = CONFIG_DURATION,
     .preset = "120s",
     .min = 0,
     .max = 24 * H,
     .reload = true,
     AT(config, timeouts.resume_ttl),
     .help = "an answer that is over can be asked for again by its id for so long; 0: not at all"},
    DURATION(tickets, "1h", "keys of TLS session tickets are changed so often; the former ones still count"),
    DURATION(total, "10m", "one answer, from its request to its end"),
    DURATION(unauthenticated, "60s", "a connection of which nothing authenticates, from accept to its end"),
    DURATION(upstream_idle, "118s", "a connection to a provider between two requests"),
    DURATION(write, "30s", "a client whose socket takes nothing for so long is closed"),
    WORDS("trusted_header", "x-forwarded-for|forwarded", "x-forwarded-for", AT(config, trusted_header),
          "where trusted_proxies tell of their client: X-Forwarded-For with X-Forwarded-Proto, or Forwarded "
          "(RFC "
          "7239)"),
    LIST("trusted_proxies", CONFIG_STRINGS, 0, 1000, false,
         LIST_AT(config, trusted_proxies, n_trusted_proxies),
         "peers that are believed who asks through them: addresses, networks such as 10.0.0.0/8, or unix"),
    STRING("user", CONFIG_STRING, 64, false, AT(config, user),
           "workers run as this user; the master, which must be root then, opens sockets and keys before"),
    {.path = "workers",
     .type = CONFIG_NUMBER,
     .preset = "auto",
     .min = 1,
     .max = 256,
     .words = "auto",
     .reload = true,
     AT(config, workers),
     .help = "processes; auto: one a CPU"},
};
const size_t config_n_keys = ARRAY_LEN(config_keys);

static int by_path(const void *path, const void *def)
{
    return strcmp(path, ((const struct config_keydef *)def)->path);
}

const struct config_keydef *config_key_find(const char *path)
{
    return bsearch(path, config_keys, config_n_keys, sizeof(config_keys[0]), by_path);
}

const char *config_key_leaf(const struct config_keydef *d)
{
    const char *dot = strrchr(d->path, '.');
    return dot ? dot + 1 : d->path;
}

bool config_key_in(const struct config_keydef *d, const char *map)
{
    size_t len = (size_t)(config_key_leaf(d) - d->path);
    return len == (*map ? strlen(map) + 1 : 0) && strncmp(d->path, map, strlen(map)) == 0;
}

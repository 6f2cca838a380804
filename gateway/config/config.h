#pragma once
/* The configuration: YAML in, one immutable struct out. Every key stands in one sorted table (config_keys.c):
 * path, type, default, range, unit, whether SIGHUP may change it, and a line of help; `sluice serve --help`
 * and the README's table are made from it. A key that is not in the table is an error, as are wrong types,
 * values out of range and unset ${NAME}s: each names file, line, key and what is allowed. */
#include "common/arena.h"
#include "common/buf.h"
#include "common/log.h"
#include "common/network.h"
#include "common/secret.h"
#include "protocols/dialect.h"
#include "protocols/http1/http1_forwarded.h"
#include <sys/types.h>

/* A certificate with its chain, and its private key: the files, and the PEM texts that were in them when the
 * configuration was read. Nobody opens the files again: workers may not. */
struct config_certificate {
    const char *certificate, *key;
    struct secret chain, private_key;
};

struct config_listener {
    const char *address; /* as written: "0.0.0.0:8443", "[::]:8443", "unix:/run/sluice.sock" */
    const char *host;    /* numeric; NULL for a Unix socket */
    uint16_t port;       /* 0: any free one; the log line "listening" tells which */
    const char *unix_path;
    const char *mode_text;
    unsigned mode; /* of the Unix socket's file; 0: as the umask has it */
    bool loopback; /* 127.0.0.0/8, ::1 or a Unix socket */
    bool allow_plaintext;
    bool tls;
    bool proxy_protocol;
    bool admin; /* what admin.address made: the last one */
    struct config_certificate
        *certificates; /* the first one is for clients that ask for none of the others */
    size_t n_certificates;
    struct config_certificate *more; /* as written: those behind the first */
    size_t n_more;
};

/* Past so many HTTP/2 connections nobody needs more: each carries 100 requests. */
enum { CONFIG_MOST_HTTP2_CONNECTIONS = 256 };

struct config_provider {
    const char *name;
    const struct dialect *dialect; /* NULL: demo */
    bool demo;
    const char *base_url;  /* without a trailing slash */
    struct secret api_key; /* may be unset */
    bool allow_plaintext;
    unsigned max_connections;       /* of one worker */
    unsigned max_http2_connections; /* of these, while it speaks HTTP/2 */
    unsigned max_idle_connections;
};

struct config_target {
    const struct config_provider *provider;
    const char *model; /* a '*' stands for what the alias's '*' matched */
    unsigned weight;   /* >= 1 */
};

/* What is done to the text that people wrote. */
struct config_normalize {
    enum normalize_unicode { NORMALIZE_NFC, NORMALIZE_NFKC, NORMALIZE_OFF } unicode;
    enum normalize_controls { NORMALIZE_KEEP, NORMALIZE_REMOVE } controls;
    enum normalize_trim { NORMALIZE_NONE, NORMALIZE_MESSAGE } trim;
};

struct config_model {
    const char *name; /* may end in '*' */
    struct config_normalize normalize;
    struct config_target *targets;
    size_t n_targets;
};

/* What it means for an answer that is still being made when its last reader leaves. */
enum on_disconnect {
    ON_DISCONNECT_CANCEL, /* nobody wants it: stop paying for it */
    ON_DISCONNECT_KEEP,   /* it goes on for timeouts.resume_ttl, for the reader to come back */
    ON_DISCONNECT_FINISH, /* it goes on to its end */
};

struct config_key {
    const char *name;    /* of the principal; unique */
    bool plaintext;      /* accepted on loopback listeners only */
    struct secret value; /* plaintext */
    const char *id;      /* hashed: the public part of the key, by which it is found */
    struct bytes salt;
    unsigned char hash[SECRET_HASH_SIZE];
    enum on_disconnect on_disconnect;
    const char **models; /* patterns: exact, or with one '*' at the end */
    size_t n_models;
};

struct config {
    struct arena arena;
    const char *file;
    struct config_listener *listen; /* the admin's included */
    size_t n_listen;
    const char *admin_address; /* NULL: none */
    bool admin_allow_remote;
    bool echo;        /* debug.echo */
    unsigned workers; /* resolved: >= 1 */
    struct log_opts log;
    const char *user, *group;
    bool has_user; /* one of them is written: workers become uid and gid */
    uid_t uid;
    gid_t gid;
    struct {
        bool seccomp, landlock;
    } sandbox;
    const char **origins;
    size_t n_origins;
    const char **hosts;
    size_t n_hosts;
    const char **trusted_proxies; /* as written */
    size_t n_trusted_proxies;
    struct network *trusted;
    size_t n_trusted;
    bool trust_unix;                        /* "unix" is among them */
    enum http1_forwarded_by trusted_header; /* that they write */
    struct config_provider *providers;
    size_t n_providers;
    struct config_model *models;
    size_t n_models;
    struct config_key *keys;
    size_t n_keys;
    struct {                                                  /* milliseconds */
        uint64_t connect, first_token, between_tokens, total; /* of one upstream answer */
        uint64_t handshake;       /* TLS hello, request head and body: from accept, in all */
        uint64_t idle;            /* a session without any message or pong for so long is closed (1000) */
        uint64_t ping;            /* server ping after so long without a byte from the client */
        uint64_t keep_alive;      /* an HTTP connection between requests */
        uint64_t tickets;         /* life of a key of TLS session tickets */
        uint64_t unauthenticated; /* a connection of which nothing authenticates, in all */
        uint64_t heartbeat;       /* SSE comment after so long without an event */
        uint64_t upstream_idle;   /* a provider's connection that nobody uses */
        uint64_t resume_ttl; /* an answer that is over and that nobody reads is kept for so long; 0: is not */
        uint64_t write;      /* a socket that has not drained for so long is closed */
        uint64_t drain;      /* in-flight answers may go on for so long after SIGTERM or SIGHUP */
    } timeouts;
    struct {
        uint64_t max_sessions; /* open connections, all workers */
        uint64_t max_sessions_per_address;
        uint64_t max_unauthenticated; /* of these, connections of which nothing has authenticated yet */
        uint64_t max_unauthenticated_per_address;
        uint64_t reserved_descriptors; /* of a worker, that clients leave to connections to providers */
        uint64_t max_handshakes;       /* TLS handshakes under way, all workers */
        uint64_t max_handshakes_per_address;
        uint64_t max_handshakes_per_second; /* begun */
        uint64_t max_handshakes_per_second_per_address;
        uint64_t max_message_bytes; /* of one WebSocket message and of one HTTP body */
        uint64_t max_header_bytes;  /* request line and headers */
        uint64_t max_json_depth;
        uint64_t max_json_nodes;      /* values in one message */
        uint64_t max_response_bytes;  /* one answer's log */
        uint64_t max_responses_bytes; /* all logs of a worker; past it new requests are shed with 503 */
        uint64_t max_context_bytes;   /* conversation kept for previous_response_id, a lane */
        uint64_t max_in_flight_per_session;
        uint64_t max_queued_per_session;
        uint64_t max_queued_bytes_per_session;
        uint64_t max_lanes_per_session;
    } limits;
};

/* Prints every problem to `report` (one a line: FILE:LINE: KEY: what is wrong; what is allowed) and answers
 * ERR_INVALID, or ERR_IO when the file cannot be read. On success *ret is the caller's to free with
 * config_free. */
enum err config_load(const char *file, struct buf *report, struct config **ret) MUST_USE;
/* The same from text (tests, embedded defaults); `name` stands for the file in messages. */
enum err config_parse(const char *name, struct bytes yaml, struct buf *report, struct config **ret) MUST_USE;
void config_free(struct config *c);
/* In a process that reads no configuration any more: forgets the secrets that came from the environment. */
void config_forget_environment(void);
/* The table of all keys, for --help: aligned text. */
void config_describe(struct buf *out);

/* `sluice key new`: a new key "sk-<12 hex: id>-<40 hex>" and its "hmac-sha256:<id>:<salt hex>:<hash hex>". */
enum { CONFIG_KEY_TEXT = 64, CONFIG_KEY_HASH = 160 };
enum err config_key_new(char ret_key[CONFIG_KEY_TEXT], char ret_hash[CONFIG_KEY_HASH]) MUST_USE;

#include "gateway/pipeline/stages.h"

/* "sk-" ID "-" SECRET: the part by which a hashed key is found. */
static struct bytes key_id(struct bytes token)
{
    struct bytes rest = bytes_skip(token, 3);
    if (!bytes_starts(token, BYTES("sk-")))
        return (struct bytes){NULL, 0};
    const char *dash = rest.len ? memchr(rest.data, '-', rest.len) : NULL;
    return dash ? bytes_of(rest.data, (size_t)(dash - rest.data)) : (struct bytes){NULL, 0};
}

static bool hash_matches(const struct config_key *k, struct bytes token)
{
    unsigned char hash[SECRET_HASH_SIZE];
    return secret_hash(k->salt, token, hash) == ERR_OK && secret_hash_eq(hash, k->hash);
}

enum err pipeline_authenticate(const struct pipeline *p, struct bytes token, bool loopback,
                               const struct config_key **ret_key, struct api_error *ret_error)
{
    struct bytes id = key_id(token);
    bool only_loopback = false;
    for (size_t i = 0; i < p->cfg->n_keys; i++) {
        const struct config_key *k = &p->cfg->keys[i];
        bool match = k->plaintext ? secret_eq(&k->value, token)
                                  : id.len > 0 && bytes_is(id, k->id) && hash_matches(k, token);
        if (match && k->plaintext && !loopback)
            only_loopback = true;
        else if (match) {
            *ret_key = k;
            return ERR_OK;
        }
    }
    if (token.len == 0)
        api_error_set(ret_error, 401, API_AUTH, "missing_api_key", NULL,
                      "No API key was given. Send it as 'Authorization: Bearer KEY', or, from a browser's "
                      "WebSocket, as "
                      "the subprotocol 'openai-insecure-api-key.KEY'.");
    else if (only_loopback)
        api_error_set(
            ret_error, 401, API_AUTH, "invalid_api_key", NULL,
            "This key is kept in plain text in the configuration and counts on loopback listeners only.");
    else
        api_error_set(ret_error, 401, API_AUTH, "invalid_api_key", NULL, "The API key is not known here.");
    return ERR_INVALID;
}

bool pipeline_origin_listed(const struct pipeline *p, struct bytes origin)
{
    for (size_t i = 0; i < p->cfg->n_origins; i++)
        if (bytes_is(origin, p->cfg->origins[i]))
            return true;
    return false;
}

struct bytes pattern_stem(const char *pattern)
{
    size_t len = strlen(pattern);
    return bytes_of(pattern, len > 0 && pattern[len - 1] == '*' ? len - 1 : len);
}

bool pattern_is_open(const char *name)
{
    return pattern_stem(name).len < strlen(name);
}

/* It names the provider: "*", or a mere beginning of the name, stand for configured models only. */
static bool names_provider(const char *pattern, const struct config_provider *through)
{
    return pattern_stem(pattern).len > strlen(through->name);
}

bool key_may_use(const struct config_key *k, struct bytes model, const struct config_provider *through)
{
    for (size_t i = 0; i < k->n_models; i++)
        if (config_match(k->models[i], model, NULL) && (!through || names_provider(k->models[i], through)))
            return true;
    return false;
}

enum verdict stage_authorize(struct pipeline *p, struct call *c)
{
    const struct bytes name = c->request.model;
    call_resolve(p, c);
    if (key_may_use(c->key, name, c->provider))
        return STAGE_OK;
    if (c->provider && key_may_use(c->key, name, NULL))
        api_error_set(&c->error, 403, API_PERMISSION, "model_not_allowed", "model",
                      "The key '%s' may use configured models only: to pass '%.*s' through to the provider "
                      "'%s', its models must list '%s/*' or that name.",
                      c->key->name, (int)MIN(name.len, 100), name.data, c->provider->name, c->provider->name);
    else
        api_error_set(&c->error, 403, API_PERMISSION, "model_not_allowed", "model",
                      "The key '%s' may not use the model '%.*s'.", c->key->name, (int)MIN(name.len, 100),
                      name.data);
    return STAGE_REJECT;
}

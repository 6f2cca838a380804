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

bool pipeline_origin_allowed(const struct pipeline *p, struct bytes origin, struct bytes host, bool tls)
{
    struct bytes scheme = tls ? BYTES("https://") : BYTES("http://");
    if (bytes_starts(origin, scheme) && host.len > 0 && bytes_eq_nocase(bytes_skip(origin, scheme.len), host))
        return true;
    for (size_t i = 0; i < p->cfg->n_origins; i++)
        if (bytes_is(origin, p->cfg->origins[i]))
            return true;
    return false;
}

static bool key_may_use(const struct config_key *k, struct bytes model)
{
    for (size_t i = 0; i < k->n_models; i++)
        if (config_match(k->models[i], model, NULL))
            return true;
    return false;
}

enum verdict stage_authorize(struct pipeline *p UNUSED, struct call *c)
{
    if (key_may_use(c->key, c->request.model))
        return STAGE_OK;
    api_error_set(&c->error, 403, API_PERMISSION, "model_not_allowed", "model",
                  "The key '%s' may not use the model '%.*s'.", c->key->name,
                  (int)MIN(c->request.model.len, 100), c->request.model.data);
    return STAGE_REJECT;
}

static void write_model(struct json_writer *w, const char *id, const char *owner)
{
    jw_object(w);
    jw_kcstr(w, "id", id);
    jw_kcstr(w, "object", "model");
    jw_kint(w, "created", 0);
    jw_kcstr(w, "owned_by", owner);
    jw_object_end(w);
}

/* Wildcards cannot be listed; what they match can be asked for all the same. */
void pipeline_models(const struct pipeline *p, const struct config_key *key, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object(&w);
    jw_kcstr(&w, "object", "list");
    jw_key(&w, "data");
    jw_array(&w);
    for (size_t i = 0; i < p->cfg->n_models; i++) {
        const struct config_model *m = &p->cfg->models[i];
        struct bytes name = bytes_cstr(m->name);
        if (name.data[name.len - 1] != '*' && key_may_use(key, name))
            write_model(&w, m->name, "sluice");
    }
    jw_array_end(&w);
    jw_object_end(&w);
}

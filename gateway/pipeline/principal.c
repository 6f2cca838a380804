#include "gateway/pipeline/principal.h"
#include <stdlib.h>

/* Found by a number that nobody outside can guess, then compared in constant time: the time of a look-up
 * tells nothing of the key. */
struct plaintext_key {
    uint64_t number;
    size_t index; /* of cfg->keys */
};

static int by_number(const void *a, const void *b)
{
    const uint64_t x = ((const struct plaintext_key *)a)->number,
                   y = ((const struct plaintext_key *)b)->number;
    return x < y ? -1 : x > y;
}

static uint64_t number_of(const struct principals *p, struct bytes token)
{
    uint64_t h = p->salt_;
    for (size_t i = 0; i < token.len; i++) {
        h = (h ^ (unsigned char)token.data[i]) * UINT64_C(0x9E3779B97F4A7C15);
        h ^= h >> 29;
    }
    return h;
}

static enum err init_one(struct principals *p, size_t i)
{
    const struct config_key *k = &p->cfg_->keys[i];
    struct principal *one = &p->all_[i];
    one->name = k->name;
    one->owner.id = arena_printf(&p->arena_, "key:%s", k->name);
    one->owner.on_disconnect = k->on_disconnect;
    one->models = k->models;
    one->n_models = k->n_models;
    if (!one->owner.id)
        return ERR_NOMEM;
    if (k->plaintext) {
        p->plaintext_[p->n_plaintext_++] =
            (struct plaintext_key){.number = number_of(p, secret_reveal(&k->value)), .index = i};
    }
    return names_init(&one->names_, &p->arena_, k->models, k->n_models, sizeof(k->models[0]));
}

enum err principals_init(struct principals *p, const struct config *cfg)
{
    *p = (struct principals){.cfg_ = cfg, .n_ = cfg->n_keys};
    arena_init(&p->arena_, SIZE_MAX);
    random_bytes(&p->salt_, sizeof(p->salt_));
    p->all_ = arena_array(&p->arena_, cfg->n_keys + 1, sizeof(*p->all_));
    p->plaintext_ = arena_array(&p->arena_, cfg->n_keys + 1, sizeof(*p->plaintext_));
    if (!p->all_ || !p->plaintext_)
        return ERR_NOMEM;
    for (size_t i = 0; i < cfg->n_keys; i++) {
        const enum err err = init_one(p, i);
        if (err != ERR_OK)
            return err;
    }
    qsort(p->plaintext_, p->n_plaintext_, sizeof(*p->plaintext_), by_number);
    return names_init(&p->by_id_, &p->arena_, (const char *const *)&cfg->keys[0].id, cfg->n_keys,
                      sizeof(cfg->keys[0]));
}

void principals_free(struct principals *p)
{
    arena_free(&p->arena_);
    *p = (struct principals){0};
}

const struct principal *principals_at(const struct principals *p, size_t i)
{
    assert(i < p->n_);
    return &p->all_[i];
}

bool principal_may_use(const struct principal *p, struct bytes model, const struct config_provider *through)
{
    size_t stem = model.len;
    if (names_exact(&p->names_, model) == NAMES_NONE && names_open(&p->names_, model, &stem) == NAMES_NONE)
        return false;
    /* "*", or a mere beginning of the provider's name, stand for configured models only. */
    return !through || stem > strlen(through->name);
}

/* "sk-" ID "-" SECRET: the part by which a hashed key is found. */
static struct bytes key_id(struct bytes token)
{
    struct bytes rest = bytes_skip(token, 3);
    if (!bytes_starts(token, BYTES("sk-")))
        return (struct bytes){NULL, 0};
    const char *dash = rest.len ? memchr(rest.data, '-', rest.len) : NULL;
    return dash ? bytes_of(rest.data, (size_t)(dash - rest.data)) : (struct bytes){NULL, 0};
}

static const struct principal *find_hashed(const struct principals *p, struct bytes token)
{
    unsigned char hash[SECRET_HASH_SIZE];
    const size_t i = names_exact(&p->by_id_, key_id(token));
    if (i == NAMES_NONE)
        return NULL;
    const struct config_key *k = &p->cfg_->keys[i];
    const bool ok = secret_hash(k->salt, token, hash) == ERR_OK && secret_hash_eq(hash, k->hash);
    return ok ? &p->all_[i] : NULL;
}

static const struct principal *find_plaintext(const struct principals *p, struct bytes token)
{
    const struct plaintext_key wanted = {.number = number_of(p, token)};
    if (p->n_plaintext_ == 0)
        return NULL;
    const struct plaintext_key *k =
        bsearch(&wanted, p->plaintext_, p->n_plaintext_, sizeof(*p->plaintext_), by_number);
    return k && secret_eq(&p->cfg_->keys[k->index].value, token) ? &p->all_[k->index] : NULL;
}

enum err principal_of_token(const struct principals *p, struct bytes token, const struct peer *peer,
                            const struct principal **ret, struct api_error *ret_error)
{
    const struct principal *hashed = find_hashed(p, token);
    const struct principal *plaintext = hashed ? NULL : find_plaintext(p, token);
    if (hashed || (plaintext && peer->loopback)) {
        *ret = hashed ? hashed : plaintext;
        return ERR_OK;
    }
    if (token.len == 0)
        api_error_set(ret_error, 401, API_AUTH, "missing_api_key", NULL,
                      "No API key was given. Send it as 'Authorization: Bearer KEY', or, from a browser's "
                      "WebSocket, as "
                      "the subprotocol 'openai-insecure-api-key.KEY'.");
    else if (plaintext)
        api_error_set(
            ret_error, 401, API_AUTH, "invalid_api_key", NULL,
            "This key is kept in plain text in the configuration and counts on loopback listeners only.");
    else
        api_error_set(ret_error, 401, API_AUTH, "invalid_api_key", NULL, "The API key is not known here.");
    return ERR_INVALID;
}

#pragma once
/* Who asks, however that was shown. One for each key of the configuration, made when the pipeline is; they
 * live as long as it, so that whatever a principal asks for may point to it. */
#include "gateway/pipeline/names.h"
#include "gateway/response/response.h"

struct principal {
    const char *name; /* unique; for logs and figures */
    struct owner owner;
    const char *const *models; /* patterns, as configured */
    size_t n_models;
    struct names names_; /* the same, to be looked up */
};

/* All of a worker. */
struct principals {
    struct arena arena_;
    struct principal *all_; /* one for each cfg->keys */
    size_t n_;
    const struct config *cfg_;
    struct names by_id_; /* hashed keys, by their public part */
    struct plaintext_key *plaintext_;
    size_t n_plaintext_;
    uint64_t salt_; /* under which plaintext_ is sorted; this process's own */
};

/* ERR_NOMEM; principals_free is allowed then, too. `cfg` outlives it. */
enum err principals_init(struct principals *p, const struct config *cfg) MUST_USE;
void principals_free(struct principals *p);
/* The principal of the i-th of cfg->keys. */
const struct principal *principals_at(const struct principals *p, size_t i);

/* `through`: the provider that the model is passed through to; NULL: it is configured. Passing through must
 * be allowed by a pattern that names the provider. */
bool principal_may_use(const struct principal *p, struct bytes model, const struct config_provider *through);

/* From where it is asked. */
struct peer {
    bool loopback; /* who asks is on this machine: keys kept in plain text count there only */
};
/* Whose token is it? ERR_INVALID with 401 missing_api_key or invalid_api_key. */
enum err principal_of_token(const struct principals *p, struct bytes token, const struct peer *peer,
                            const struct principal **ret, struct api_error *ret_error) MUST_USE;

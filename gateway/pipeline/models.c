/* The list of models that a principal may ask for. */
#include "gateway/pipeline/stages.h"

static void write_model(struct json_writer *w, struct bytes id, const char *owner)
{
    jw_object(w);
    jw_kstring(w, "id", id);
    jw_kcstr(w, "object", "model");
    jw_kint(w, "created", 0);
    jw_kcstr(w, "owned_by", owner);
    jw_object_end(w);
}

static bool is_configured(const struct config *cfg, const char *name)
{
    for (size_t i = 0; i < cfg->n_models; i++)
        if (strcmp(cfg->models[i].name, name) == 0)
            return true;
    return false;
}

/* A pattern of a principal's that lies within `outer`: its names are a part of those. */
static bool lies_within(const char *inner, struct bytes outer)
{
    return bytes_starts(pattern_stem(inner), outer) && (pattern_is_open(inner) || strlen(inner) > outer.len);
}

/* Of all that a configured pattern stands for: the pattern, when the principal may use all; else what it
 * names of it. */
static void list_pattern(const struct config *cfg, const struct principal *who, const char *pattern,
                         struct json_writer *w)
{
    for (size_t i = 0; i < who->n_models; i++)
        if (pattern_is_open(who->models[i]) &&
            bytes_starts(pattern_stem(pattern), pattern_stem(who->models[i]))) {
            write_model(w, bytes_cstr(pattern), "sluice");
            return;
        }
    for (size_t i = 0; i < who->n_models; i++)
        if (lies_within(who->models[i], pattern_stem(pattern)) && !is_configured(cfg, who->models[i]))
            write_model(w, bytes_cstr(who->models[i]), "sluice");
}

/* What the principal may pass through to a provider, in its own words: PROVIDER/NAME, PROVIDER/BEGINNING*. */
static void list_through(const struct config *cfg, const struct principal *who,
                         const struct config_provider *through, struct json_writer *w)
{
    for (size_t i = 0; i < who->n_models; i++) {
        const char *m = who->models[i];
        const struct bytes s = pattern_stem(m), provider = bytes_cstr(through->name);
        if (bytes_starts(s, provider) && s.len > provider.len && s.data[provider.len] == '/' &&
            (pattern_is_open(m) || s.len > provider.len + 1) && !is_configured(cfg, m))
            write_model(w, bytes_cstr(m), through->name);
    }
}

void pipeline_models(const struct pipeline *p, const struct principal *who, struct buf *out)
{
    const struct config *cfg = p->cfg;
    struct json_writer w;
    jw_init(&w, out);
    jw_object(&w);
    jw_kcstr(&w, "object", "list");
    jw_key(&w, "data");
    jw_array(&w);
    for (size_t i = 0; i < cfg->n_models; i++) {
        const char *name = cfg->models[i].name;
        if (pattern_is_open(name))
            list_pattern(cfg, who, name, &w);
        else if (principal_may_use(who, bytes_cstr(name), NULL))
            write_model(&w, bytes_cstr(name), "sluice");
    }
    for (size_t i = 0; i < cfg->n_providers; i++)
        list_through(cfg, who, &cfg->providers[i], &w);
    jw_array_end(&w);
    jw_object_end(&w);
}

enum err pipeline_model(const struct pipeline *p, const struct principal *who, struct bytes id,
                        struct buf *out, struct api_error *ret_error)
{
    struct resolved r = pipeline_resolve(p, id);
    if ((!r.model && !r.provider) || !principal_may_use(who, id, r.provider)) {
        api_error_set(
            ret_error, 404, API_INVALID, "model_not_found", "model",
            "The model '%.*s' does not exist, or this key may not use it. GET /v1/models lists those "
            "that do.",
            (int)MIN(id.len, 100), id.data);
        return ERR_NOT_FOUND;
    }
    struct json_writer w;
    jw_init(&w, out);
    write_model(&w, id, r.provider ? r.provider->name : "sluice");
    return ERR_OK;
}

/* What the server asks before there is a session or an exchange. */
#include "gateway/session/session.h"

enum err session_authenticate(const struct session_env *env, struct bytes token, bool loopback,
                              const struct config_key **ret_key, struct api_error *ret_error)
{
    return pipeline_authenticate(env->pipeline, token, loopback, ret_key, ret_error);
}

bool session_origin_listed(const struct session_env *env, struct bytes origin)
{
    return pipeline_origin_listed(env->pipeline, origin);
}

void session_models(const struct session_env *env, const struct config_key *key, struct buf *out)
{
    pipeline_models(env->pipeline, key, out);
}

enum err session_model(const struct session_env *env, const struct config_key *key, struct bytes id,
                       struct buf *out, struct api_error *ret_error)
{
    return pipeline_model(env->pipeline, key, id, out, ret_error);
}

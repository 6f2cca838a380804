/* What the server asks before there is a session or an exchange. */
#include "gateway/session/session.h"

enum err session_authenticate(const struct session_env *env, struct bytes token, const struct peer *peer,
                              const struct principal **ret, struct api_error *ret_error)
{
    return principal_of_token(&env->pipeline->principals, token, peer, ret, ret_error);
}

bool session_origin_listed(const struct session_env *env, struct bytes origin)
{
    return pipeline_origin_listed(env->pipeline, origin);
}

void session_models(const struct session_env *env, const struct principal *who, struct buf *out)
{
    pipeline_models(env->pipeline, who, out);
}

enum err session_model(const struct session_env *env, const struct principal *who, struct bytes id,
                       struct buf *out, struct api_error *ret_error)
{
    return pipeline_model(env->pipeline, who, id, out, ret_error);
}

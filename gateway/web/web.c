#include "gateway/web/web.h"
#include "gateway/web/assets.h"

/* Nothing inline and nothing from elsewhere. connect-src 'self' covers wss: to the same host (CSP Level 3,
 * section 6.7.2.8); naming `wss:` instead would let a script that got in talk to anybody. */
const char web_csp[] = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                       "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const struct web_asset *web_find(struct bytes path)
{
    for (size_t i = 0; i < web_assets_count; i++) {
        if (bytes_is(path, web_assets[i].path))
            return &web_assets[i];
    }
    return NULL;
}

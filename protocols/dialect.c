#include "protocols/dialect.h"

const struct dialect *const dialects[] = {
#define DIALECT(name) &dialect_##name,
#include "protocols/dialects.def"
};
const size_t n_dialects = ARRAY_LEN(dialects);

const struct dialect *dialect_find(struct bytes name)
{
    for (size_t i = 0; i < n_dialects; i++)
        if (bytes_is(name, dialects[i]->name))
            return dialects[i];
    return NULL;
}

const struct dialect *dialect_at(struct bytes endpoint)
{
    for (size_t i = 0; i < n_dialects; i++)
        if (dialects[i]->endpoint && bytes_is(endpoint, dialects[i]->endpoint))
            return dialects[i];
    return NULL;
}

#include "protocols/dialect.h"

const struct dialect *dialect_find(struct bytes name)
{
    static const struct dialect *const all[] = {&dialect_responses, &dialect_chat_completions};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (bytes_is(name, all[i]->name))
            return all[i];
    return NULL;
}

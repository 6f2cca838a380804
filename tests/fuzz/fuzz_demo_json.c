/* A value of a schema's shape, for any schema. */
#include "gateway/upstream/demo.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = exact_copy(data, size);
    struct buf out;
    buf_init(&out, DEMO_MAX_TEXT);
    if (demo_json_value(bytes_of(copy, size), &out))
        MUST_JSON(buf_bytes(&out));
    buf_free(&out);
    free(copy);
    return 0;
}

#include "tests/fuzz/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    answer_fuzz(&dialect_messages, data, size);
    return 0;
}

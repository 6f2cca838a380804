/* The same without the machine's own instructions. */
#undef __SSE2__
#include "tests/unit/common/test_block.c" // NOLINT(bugprone-suspicious-include)

/* The PROXY protocol's head: the same whatever the pieces, and no byte behind it is asked for. */
#include "protocols/proxy/proxy_v2.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_v2 whole, pieces;
    size_t end = 0, wanted = 0, got = 0;
    enum proxy_result all = proxy_v2_parse(bytes_of(data, size), &whole, &end), r;
    while ((r = proxy_v2_parse(bytes_of(data, got), &pieces, &wanted)) == PROXY_MORE && got < size) {
        MUST(wanted > got && wanted <= PROXY_V2_MAX);
        got++;
    }
    MUST(r == all);
    if (r == PROXY_DONE) {
        MUST(wanted == end && got == end && whole.own == pieces.own && whole.tls == pieces.tls);
        MUST(bytes_eq(address_bytes(&whole.client), address_bytes(&pieces.client)));
    }
    return 0;
}

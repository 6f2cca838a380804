#include "common/secret.h"
#include "tests/unit/common/run.h"

static void from_hex(const char *hex, unsigned char *ret, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        ret[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
}

START_TEST(holds_compares_forgets)
{
    struct secret s = {0};
    char source[] = "sk-very-secret";

    ck_assert(!secret_is_set(&s));
    ck_assert(!secret_eq(&s, BYTES("")));
    ck_assert_uint_eq(secret_reveal(&s).len, 0);
    ck_assert_int_eq(secret_set(&s, bytes_cstr(source)), ERR_OK);
    source[0] = 'X';
    ck_assert(secret_is_set(&s));
    ck_assert(secret_eq(&s, BYTES("sk-very-secret")));
    ck_assert(!secret_eq(&s, BYTES("sk-very-secreT")));
    ck_assert(!secret_eq(&s, BYTES("sk-very-secret\0")));
    ck_assert(!secret_eq(&s, BYTES("sk-very-secre")));
    ck_assert(!secret_eq(&s, (struct bytes){NULL, 0}));
    ck_assert(bytes_is(secret_reveal(&s), "sk-very-secret"));
    ck_assert_int_eq(secret_set(&s, BYTES("new")), ERR_OK);
    ck_assert(secret_eq(&s, BYTES("new")));
    ck_assert_int_eq(secret_set(&s, secret_reveal(&s)), ERR_OK);
    ck_assert(secret_eq(&s, BYTES("new")));
    ck_assert_int_eq(secret_set(&s, BYTES("")), ERR_INVALID);
    ck_assert(secret_eq(&s, BYTES("new")));
    secret_free(&s);
    ck_assert(!secret_is_set(&s));
    ck_assert(!secret_eq(&s, BYTES("new")));
    secret_free(&s);
    secret_free(NULL);
}
END_TEST

/* RFC 4231, test cases 1, 2 and 6. */
START_TEST(hmac_vectors)
{
    unsigned char key[131], want[SECRET_HASH_SIZE], hash[SECRET_HASH_SIZE];

    memset(key, 0x0b, 20);
    from_hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", want, sizeof(want));
    ck_assert_int_eq(secret_hash(bytes_of(key, 20), BYTES("Hi There"), hash), ERR_OK);
    ck_assert(secret_hash_eq(hash, want));
    from_hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", want, sizeof(want));
    ck_assert(!secret_hash_eq(hash, want));
    ck_assert_int_eq(secret_hash(BYTES("Jefe"), BYTES("what do ya want for nothing?"), hash), ERR_OK);
    ck_assert(secret_hash_eq(hash, want));
    memset(key, 0xaa, sizeof(key));
    from_hex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", want, sizeof(want));
    ck_assert_int_eq(secret_hash(bytes_of(key, sizeof(key)),
                                 BYTES("Test Using Larger Than Block-Size Key - Hash Key First"), hash),
                     ERR_OK);
    ck_assert(secret_hash_eq(hash, want));
    want[31] ^= 1;
    ck_assert(!secret_hash_eq(hash, want));
}
END_TEST

START_TEST(hmac_of_nothing)
{
    unsigned char a[SECRET_HASH_SIZE], b[SECRET_HASH_SIZE], want[SECRET_HASH_SIZE];

    from_hex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", want, sizeof(want));
    ck_assert_int_eq(secret_hash((struct bytes){NULL, 0}, (struct bytes){NULL, 0}, a), ERR_OK);
    ck_assert(secret_hash_eq(a, want));
    ck_assert_int_eq(secret_hash(BYTES("salt"), BYTES(""), b), ERR_OK);
    ck_assert(!secret_hash_eq(a, b));
    ck_assert_int_eq(secret_hash((struct bytes){NULL, 0}, BYTES(""), b), ERR_OK);
    ck_assert(secret_hash_eq(a, b));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("secret");

    tcase_add_test(tc, holds_compares_forgets);
    tcase_add_test(tc, hmac_vectors);
    tcase_add_test(tc, hmac_of_nothing);
    return run_case(tc);
}

/* Answers that nobody reads: found by their ids, kept for a while, and let go in order. */
#include "../scripted_upstream.h"
#include "tests/unit/common/run.h"

static struct config *cfg;
static struct response_pool pool;
static struct wheel wheel;
static uint64_t now;
static struct owner owners[] = {{.id = "one"}, {.id = "other"}};

enum { TTL = 120000 };

static void turn(uint64_t later)
{
    now += later;
    wheel_advance(&wheel, now);
    response_pool_reap(&pool, now);
}

static void setup(void)
{
    cfg = test_config("limits: {max_response_bytes: 64KiB, max_responses_bytes: 256KiB}\n");
    now = 1000;
    wheel_init(&wheel, now);
    response_pool_init(&pool, NULL, cfg, &wheel);
    n_transfers = 0;
}

static void teardown(void)
{
    response_pool_close(&pool);
    turn(0);
    ck_assert_uint_eq(pool.n_live + pool.n_retained, 0);
    ck_assert_uint_eq(pool.bytes, 0);
    ck_assert_uint_eq(pool.n_indexed_, 0);
    response_pool_free(&pool);
    config_free(cfg);
}

static void wake(void *ctx UNUSED) {}

static struct response *started(struct cursor *c, const struct owner *owner)
{
    static const struct llm_request request;
    const struct attempt_target target = {.provider = &cfg->providers[0], .model = BYTES("m")};
    const struct attempt_plan plan = {.targets = &target, .n_targets = 1, .request = &request};
    const struct llm_head head = {.model = BYTES("m")};
    struct response *r = response_new(&pool, owner, &head);
    ck_assert_ptr_nonnull(r);
    r->resumable = true;
    response_start(r, &plan);
    *c = (struct cursor){0};
    ck_assert_int_eq(cursor_attach(c, r, &dialect_responses, 0, wake, NULL), ERR_OK);
    response_unref(r);
    return r;
}

/* An answer that is over and that nobody reads; its id in `ret`. */
static struct response *over(char ret[ID_MAX], const char *text)
{
    struct cursor c;
    struct response *r = started(&c, &owners[0]);
    say(last_transfer(), text);
    finish(last_transfer());
    memcpy(ret, r->id, ID_MAX);
    cursor_detach(&c);
    n_transfers = 0;
    return r;
}

static struct response *find(const char *id)
{
    return response_find(&pool, &owners[0], bytes_cstr(id));
}

static void set_policy(enum on_disconnect policy)
{
    owners[0].on_disconnect = policy;
}

static void sink_begin(struct event_sink *s, const char *name)
{
    buf_append_bytes(s->out, bytes_cstr(name));
    buf_append_char(s->out, ' ');
}

static void sink_end(struct event_sink *s)
{
    buf_append_char(s->out, '\n');
}

/* All that a cursor at event `from` reads. */
static void read_from(struct response *r, uint32_t from, struct buf *out)
{
    struct cursor c = {0};
    struct event_sink sink = {.out = out, .begin = sink_begin, .end = sink_end};
    ck_assert_int_eq(cursor_attach(&c, r, &dialect_responses, from, wake, NULL), ERR_OK);
    while (!cursor_at_end(&c))
        cursor_encode(&c, &sink, SIZE_MAX);
    cursor_detach(&c);
}

START_TEST(only_its_owner_finds_it)
{
    struct cursor c;
    struct response *r = started(&c, &owners[0]);
    ck_assert_ptr_eq(find(r->id), r);
    ck_assert_ptr_null(response_find(&pool, &owners[1], bytes_cstr(r->id)));
    ck_assert_ptr_null(find("resp_00000000000000000000000000000000"));
    ck_assert_ptr_null(response_find(&pool, &owners[0], BYTES("")));
    ck_assert_ptr_null(response_find(&pool, &owners[0], bytes_of(r->id, strlen(r->id) - 1)));
    finish(last_transfer());
    ck_assert_ptr_eq(find(r->id), r);
    cursor_detach(&c);
    ck_assert_ptr_eq(find(r->id), r);
    ck_assert_ptr_null(response_find(&pool, &owners[1], bytes_cstr(r->id)));
}
END_TEST

START_TEST(an_empty_pool_finds_nothing)
{
    ck_assert_ptr_null(find("resp_00000000000000000000000000000000"));
}
END_TEST

START_TEST(it_reads_the_same_from_any_event_on)
{
    char id[ID_MAX];
    struct buf whole, part;
    struct response *r = over(id, "hello");
    buf_init(&whole, 1 << 16);
    buf_init(&part, 1 << 16);
    read_from(r, 0, &whole);
    for (uint32_t n = 0; n <= r->log.count; n++) {
        struct bytes rest = buf_bytes(&whole);
        for (uint32_t i = 0; i < n; i++)
            rest =
                bytes_skip(rest, (size_t)((const char *)memchr(rest.data, '\n', rest.len) - rest.data) + 1);
        ck_assert_ptr_eq(find(id), r);
        buf_reset(&part);
        read_from(r, n, &part);
        ck_assert_uint_eq(part.len, rest.len);
        ck_assert(rest.len == 0 || memcmp(part.data, rest.data, rest.len) == 0);
    }
    struct cursor c = {0};
    ck_assert_int_eq(cursor_attach(&c, r, &dialect_responses, r->log.count + 1, wake, NULL), ERR_INVALID);
    ck_assert_ptr_eq(find(id), r);
    buf_free(&whole);
    buf_free(&part);
}
END_TEST

START_TEST(it_goes_when_its_term_is_over)
{
    char first[ID_MAX], second[ID_MAX];
    over(first, "a");
    turn(0);
    turn(TTL / 2);
    over(second, "b");
    turn(0);
    ck_assert_uint_eq(pool.n_retained, 2);
    ck_assert(wheel_next_ms(&wheel, now) <= TTL / 2); /* somebody will wake the loop */
    turn(TTL / 2 + 10);
    ck_assert_ptr_null(find(first));
    ck_assert_ptr_nonnull(find(second));
    ck_assert(wheel_next_ms(&wheel, now) <= TTL / 2);
    turn(TTL);
    ck_assert_ptr_null(find(second));
    ck_assert_uint_eq(pool.bytes, 0);
    ck_assert_uint_eq(wheel_next_ms(&wheel, now), UINT64_MAX);
}
END_TEST

START_TEST(a_reader_makes_its_term_begin_anew)
{
    char id[ID_MAX];
    struct cursor c = {0};
    struct response *r = over(id, "a");
    turn(0);
    turn(TTL - 100);
    ck_assert_int_eq(cursor_attach(&c, r, &dialect_responses, 0, wake, NULL), ERR_OK);
    ck_assert_uint_eq(pool.n_retained, 0);
    turn(10 * TTL);
    cursor_detach(&c);
    turn(0);
    turn(TTL - 100);
    ck_assert_ptr_nonnull(find(id));
    turn(200);
    ck_assert_ptr_null(find(id));
}
END_TEST

START_TEST(the_oldest_goes_first_when_memory_is_short)
{
    enum { N = 12 };
    char ids[N][ID_MAX], big[30 * 1024 + 1];
    struct cursor c;
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = 0;
    for (int i = 0; i < N; i++) {
        over(ids[i], big);
        ck_assert(!response_pool_full(&pool)); /* nobody is refused for the sake of what is only kept */
        turn(0);
        ck_assert_uint_le(pool.bytes, pool.max_bytes);
    }
    int gone = 0;
    while (gone < N && !find(ids[gone]))
        gone++;
    ck_assert_int_gt(gone, 0);
    for (int i = gone; i < N; i++)
        ck_assert_ptr_nonnull(find(ids[i]));
    /* What is being made pushes out all of it, and only then is the pool full. */
    struct cursor live[16];
    int n = 0;
    while (!response_pool_full(&pool)) {
        started(&live[n++], &owners[0]);
        say(last_transfer(), big);
        ck_assert_int_lt(n, (int)ARRAY_LEN(live));
    }
    ck_assert_uint_eq(pool.n_retained, 0);
    started(&c, &owners[0]);
    cursor_detach(&c);
    while (n > 0)
        cursor_detach(&live[--n]);
    ck_assert(!response_pool_full(&pool));
}
END_TEST

START_TEST(what_cannot_be_asked_for_again_is_not_kept)
{
    struct cursor c;
    struct response *r = started(&c, &owners[0]);
    r->resumable = false;
    finish(last_transfer());
    cursor_detach(&c);
    ck_assert_uint_eq(pool.n_retained + pool.n_live, 0);
    pool.resume_ttl = 0;
    started(&c, &owners[0]);
    finish(last_transfer());
    cursor_detach(&c);
    ck_assert_uint_eq(pool.n_retained + pool.n_live, 0);
    ck_assert_uint_eq(pool.n_indexed_, 0);
}
END_TEST

START_TEST(cancelled_with_its_last_reader_it_can_still_be_read)
{
    struct cursor c;
    struct response *r = started(&c, &owners[0]);
    say(last_transfer(), "h");
    cursor_detach(&c);
    ck_assert(last_transfer()->cancelled);
    ck_assert_ptr_eq(find(r->id), r);
    ck_assert_int_eq(r->log.terminal, LLM_EV_CANCELLED);
}
END_TEST

START_TEST(kept_it_goes_on_until_its_reader_is_back)
{
    struct cursor c;
    char id[ID_MAX];
    set_policy(ON_DISCONNECT_KEEP);
    struct response *r = started(&c, &owners[0]);
    memcpy(id, r->id, ID_MAX);
    cursor_detach(&c);
    turn(0);
    turn(TTL - 100);
    say(last_transfer(), "h");
    ck_assert(!last_transfer()->cancelled);
    ck_assert_int_eq(cursor_attach(&c, find(id), &dialect_responses, 0, wake, NULL), ERR_OK);
    turn(TTL);
    ck_assert(!last_transfer()->cancelled);
    cursor_detach(&c);
    turn(0);
    turn(TTL - 100);
    ck_assert(!last_transfer()->cancelled);
    turn(200); /* nobody came */
    ck_assert(last_transfer()->cancelled);
    ck_assert_ptr_null(find(id));
}
END_TEST

START_TEST(kept_it_may_end_before_its_reader_is_back)
{
    struct cursor c;
    char id[ID_MAX];
    set_policy(ON_DISCONNECT_KEEP);
    struct response *r = started(&c, &owners[0]);
    memcpy(id, r->id, ID_MAX);
    cursor_detach(&c);
    turn(0);
    turn(TTL - 100);
    finish(last_transfer());
    turn(0);
    turn(TTL - 100);
    ck_assert_int_eq(find(id)->log.terminal, LLM_EV_COMPLETED);
    turn(200);
    ck_assert_ptr_null(find(id));
}
END_TEST

START_TEST(nobody_can_come_back_to_some)
{
    struct cursor c;
    set_policy(ON_DISCONNECT_KEEP);
    struct response *r = started(&c, &owners[0]);
    r->resumable = false;
    cursor_detach(&c);
    ck_assert(last_transfer()->cancelled);
}
END_TEST

START_TEST(finishing_takes_as_long_as_it_takes)
{
    struct cursor c;
    set_policy(ON_DISCONNECT_FINISH);
    struct response *r = started(&c, &owners[0]);
    r->resumable = _i == 0;
    cursor_detach(&c);
    turn(0);
    turn(10 * TTL);
    ck_assert(!last_transfer()->cancelled);
    finish(last_transfer());
    ck_assert_uint_eq(pool.n_retained, _i == 0);
    ck_assert_uint_eq(pool.n_live, 0);
}
END_TEST

START_TEST(closing_cancels_what_nobody_reads)
{
    struct cursor a, b;
    set_policy((enum on_disconnect)_i);
    started(&a, &owners[0]);
    started(&b, &owners[0]);
    cursor_detach(&a);
    response_pool_close(&pool);
    ck_assert(transfers[0].cancelled);
    ck_assert(!transfers[1].cancelled);
    cursor_detach(&b);
    ck_assert(transfers[1].cancelled);
}
END_TEST

START_TEST(many_are_found)
{
    enum { N = 3000 };
    static char ids[N][ID_MAX];
    pool.max_bytes = SIZE_MAX;
    for (int i = 0; i < N; i++)
        over(ids[i], "x");
    ck_assert_uint_ge(pool.n_buckets_, N);
    for (int i = 0; i < N; i++)
        ck_assert_str_eq(find(ids[i])->id, ids[i]);
    for (int i = 0; i < N; i += 2)
        response_drop(find(ids[i]));
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(find(ids[i]) != NULL, i % 2);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("retention");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, only_its_owner_finds_it);
    tcase_add_test(tc, an_empty_pool_finds_nothing);
    tcase_add_test(tc, it_reads_the_same_from_any_event_on);
    tcase_add_test(tc, it_goes_when_its_term_is_over);
    tcase_add_test(tc, a_reader_makes_its_term_begin_anew);
    tcase_add_test(tc, the_oldest_goes_first_when_memory_is_short);
    tcase_add_test(tc, what_cannot_be_asked_for_again_is_not_kept);
    tcase_add_test(tc, cancelled_with_its_last_reader_it_can_still_be_read);
    tcase_add_test(tc, kept_it_goes_on_until_its_reader_is_back);
    tcase_add_test(tc, kept_it_may_end_before_its_reader_is_back);
    tcase_add_test(tc, nobody_can_come_back_to_some);
    tcase_add_loop_test(tc, finishing_takes_as_long_as_it_takes, 0, 2);
    tcase_add_loop_test(tc, closing_cancels_what_nobody_reads, ON_DISCONNECT_CANCEL,
                        ON_DISCONNECT_FINISH + 1);
    tcase_add_test(tc, many_are_found);
    return run_case(tc);
}

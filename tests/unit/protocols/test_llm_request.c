#include "support.h"

START_TEST(test_defaults)
{
    struct arena a;
    struct llm_request r;
    arena_init(&a, 1 << 20);
    memset(&r, 0x5a, sizeof r);
    llm_request_init(&r, &a, &dialect_chat_completions);
    ck_assert_ptr_eq(r.arena, &a);
    ck_assert_ptr_eq(r.dialect, &dialect_chat_completions);
    ck_assert_int_eq(r.store, -1);
    ck_assert_int_eq(r.parallel_tool_calls, -1);
    ck_assert_int_eq(r.format.strict, -1);
    ck_assert_uint_eq(r.n_items, 0);
    ck_assert(!r.stream && !r.warm_up && !r.temperature.set);
    arena_free(&a);
}
END_TEST

START_TEST(test_prepend)
{
    struct arena a;
    struct llm_request r;
    arena_init(&a, 1 << 20);
    llm_request_init(&r, &a, &dialect_chat_completions);
    struct llm_item own = {.kind = LLM_ITEM_MESSAGE, .text = BYTES("c")};
    const struct llm_item before[] = {{.text = BYTES("a")}, {.text = BYTES("b")}};
    r.items = &own;
    r.n_items = 1;
    ck_assert_int_eq(llm_request_prepend(&r, NULL, 0), ERR_OK);
    ck_assert_ptr_eq(r.items, &own);
    ck_assert_int_eq(llm_request_prepend(&r, before, 2), ERR_OK);
    ck_assert_uint_eq(r.n_items, 3);
    expect_bytes(r.items[0].text, "a");
    expect_bytes(r.items[1].text, "b");
    expect_bytes(r.items[2].text, "c");
    arena_free(&a);
}
END_TEST

START_TEST(test_prepend_no_room)
{
    struct arena a;
    struct llm_request r;
    arena_init(&a, 16);
    llm_request_init(&r, &a, &dialect_chat_completions);
    const struct llm_item before = {.text = BYTES("a")};
    ck_assert_int_eq(llm_request_prepend(&r, &before, 1), ERR_NOMEM);
    ck_assert_uint_eq(r.n_items, 0);
    ck_assert_ptr_null(r.items);
    arena_free(&a);
}
END_TEST

/* The copy shares nothing with its model. */
START_TEST(test_copy)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    char text[] = "texttexttext";
    struct llm_content contents[] = {
        {.kind = LLM_CONTENT_IMAGE, .text = {text, 4}, .detail = {text + 4, 4}},
        {.kind = LLM_CONTENT_OPAQUE, .raw = {text + 8, 4}},
    };
    const struct llm_item item = {.kind = LLM_ITEM_MESSAGE,
                                  .role = LLM_ROLE_DEVELOPER,
                                  .id = {text, 1},
                                  .call_id = {text, 2},
                                  .name = {text, 3},
                                  .text = {text, 4},
                                  .raw = {text, 12},
                                  .contents = contents,
                                  .n_contents = 2};
    struct llm_item copy;
    ck_assert_int_eq(llm_item_copy(&a, &item, &copy), ERR_OK);
    memset(text, '-', sizeof text);
    memset(contents, 0, sizeof contents);
    ck_assert_int_eq(copy.kind, LLM_ITEM_MESSAGE);
    ck_assert_int_eq(copy.role, LLM_ROLE_DEVELOPER);
    expect_bytes(copy.id, "t");
    expect_bytes(copy.call_id, "te");
    expect_bytes(copy.name, "tex");
    expect_bytes(copy.text, "text");
    expect_bytes(copy.raw, "texttexttext");
    ck_assert_uint_eq(copy.n_contents, 2);
    ck_assert_int_eq(copy.contents[0].kind, LLM_CONTENT_IMAGE);
    expect_bytes(copy.contents[0].text, "text");
    expect_bytes(copy.contents[0].detail, "text");
    expect_bytes(copy.contents[1].raw, "text");
    arena_free(&a);
}
END_TEST

START_TEST(test_copy_no_room)
{
    const struct llm_item item = {.text = BYTES("more than there is room for")};
    struct llm_item copy = {.role = LLM_ROLE_DEVELOPER};
    struct arena a;
    arena_init(&a, 8);
    ck_assert_int_eq(llm_item_copy(&a, &item, &copy), ERR_NOMEM);
    ck_assert_int_eq(copy.role, LLM_ROLE_DEVELOPER);
    arena_free(&a);
}
END_TEST

START_TEST(test_dialect_find)
{
    ck_assert_ptr_eq(dialect_find(BYTES("chat_completions")), &dialect_chat_completions);
    ck_assert_ptr_eq(dialect_find(BYTES("responses")), &dialect_responses);
    ck_assert_ptr_null(dialect_find(BYTES("chat")));
    ck_assert_ptr_null(dialect_find(BYTES("")));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_defaults, test_prepend,      test_prepend_no_room,
                                  test_copy,     test_copy_no_room, test_dialect_find};
    return run_tests("llm_request", tests, ARRAY_LEN(tests));
}

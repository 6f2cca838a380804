#include "common/list.h"
#include "tests/unit/common/run.h"

struct item {
    int n;
    struct list node;
};

static int sum_in_order(struct list *l)
{
    int all = 0;

    LIST_EACH(l, node)
    all = all * 10 + CONTAINER_OF(node, struct item, node)->n;
    return all;
}

START_TEST(keeps_order)
{
    struct list l, other;
    struct item items[5];

    list_init(&l);
    list_init(&other);
    ck_assert(list_empty(&l));
    for (int i = 0; i < 5; i++) {
        items[i].n = i + 1;
        list_init(&items[i].node);
        ck_assert(!list_linked(&items[i].node));
        list_append(i < 3 ? &l : &other, &items[i].node);
        ck_assert(list_linked(&items[i].node));
    }
    ck_assert_int_eq(sum_in_order(&l), 123);
    ck_assert_int_eq(LIST_FIRST(&other, struct item, node)->n, 4);
    list_splice(&l, &other);
    ck_assert(list_empty(&other));
    ck_assert_int_eq(sum_in_order(&l), 12345);
    list_splice(&l, &other);
    ck_assert_int_eq(sum_in_order(&l), 12345);
    list_remove(&items[0].node);
    list_remove(&items[0].node);
    list_remove(&items[4].node);
    ck_assert_int_eq(sum_in_order(&l), 234);
    LIST_EACH(&l, node)
    list_remove(node);
    ck_assert(list_empty(&l));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("list");

    tcase_add_test(tc, keeps_order);
    return run_case(tc);
}

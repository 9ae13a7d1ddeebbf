/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include "support/test.h"

struct item {
    int value;
    struct etcd__node node;
};

static struct item *item_of(struct etcd__node *node)
{
    return ETCD__CONTAINER(node, struct item, node);
}

static void list_is(struct etcd__list *list, const char *digits)
{
    ETCD__LIST_FOREACH(node, list)
    assert_int_equal(item_of(node)->value, *digits++ - '0');
    assert_int_equal(*digits, '\0');
}

static void order_is_kept(void **state)
{
    struct item items[5];
    struct etcd__list list;

    (void)state;
    etcd__list_init(&list);
    assert_true(etcd__list_empty(&list));
    assert_null(etcd__list_first(&list));
    assert_null(etcd__list_pop(&list));
    memset(items, 0, sizeof(items));
    for (int i = 0; i < 5; i++)
        items[i].value = i;
    etcd__list_push(&list, &items[1].node);
    etcd__list_push(&list, &items[3].node);
    etcd__list_push_front(&list, &items[0].node);
    etcd__list_insert_before(&items[3].node, &items[2].node);
    list_is(&list, "0123");
    assert_true(etcd__node_linked(&items[2].node));
    etcd__node_unlink(&items[2].node);
    etcd__node_unlink(&items[2].node);
    etcd__node_unlink(&items[4].node); /* never was in a list */
    assert_false(etcd__node_linked(&items[2].node));
    list_is(&list, "013");
    assert_ptr_equal(item_of(etcd__list_pop(&list)), &items[0]);
    list_is(&list, "13");
}

static void splice_appends_all(void **state)
{
    struct item items[4];
    struct etcd__list to, from;

    (void)state;
    memset(items, 0, sizeof(items));
    etcd__list_init(&to);
    etcd__list_init(&from);
    for (int i = 0; i < 4; i++) {
        items[i].value = i;
        etcd__list_push(i < 2 ? &to : &from, &items[i].node);
    }
    etcd__list_splice(&to, &from);
    list_is(&to, "0123");
    list_is(&from, "");
    etcd__list_splice(&to, &from);
    etcd__list_splice(&from, &to);
    list_is(&from, "0123");
}

static void safe_loop_allows_unlinking(void **state)
{
    struct item items[4];
    struct etcd__list list;

    (void)state;
    memset(items, 0, sizeof(items));
    etcd__list_init(&list);
    for (int i = 0; i < 4; i++) {
        items[i].value = i;
        etcd__list_push(&list, &items[i].node);
    }
    ETCD__LIST_FOREACH_SAFE(node, &list)
    {
        if (item_of(node)->value % 2 == 0)
            etcd__node_unlink(node);
    }
    list_is(&list, "13");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(splice_appends_all),
        cmocka_unit_test(safe_loop_allows_unlinking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

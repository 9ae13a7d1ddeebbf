/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include "support/test.h"

enum { NODES = 500 };

static int64_t smallest(const struct etcd__heap_node *nodes)
{
    int64_t min = INT64_MAX;

    for (size_t i = 0; i < NODES; i++) {
        if (nodes[i].linked && nodes[i].key < min)
            min = nodes[i].key;
    }
    return min;
}

static void empty_heap(void **state)
{
    struct etcd__heap heap = {0};
    struct etcd__heap_node node = {0};

    (void)state;
    assert_null(etcd__heap_min(&heap));
    etcd__heap_remove(&heap, &node);
    etcd__heap_insert(&heap, &node, INT64_MIN);
    assert_ptr_equal(etcd__heap_min(&heap), &node);
    etcd__heap_remove(&heap, &node);
    assert_null(etcd__heap_min(&heap));
}

/* Random inserts and removals of any node, compared with a search after each step. */
static void agrees_with_a_search(void **state)
{
    static struct etcd__heap_node nodes[NODES];
    struct etcd__heap heap = {0};
    uint32_t chance = 1;

    (void)state;
    for (size_t step = 0; step < 20000; step++) {
        struct etcd__heap_node *node;

        chance = chance * 1664525 + 1013904223;
        node = &nodes[(chance >> 8) % NODES];
        if (node->linked)
            etcd__heap_remove(&heap, node);
        else
            etcd__heap_insert(&heap, node, (int64_t)(chance >> 20) - 2000);
        if (etcd__heap_min(&heap) != NULL)
            assert_int_equal(etcd__heap_min(&heap)->key, smallest(nodes));
        else
            assert_int_equal(smallest(nodes), INT64_MAX);
    }
}

static void comes_out_in_order(void **state)
{
    static struct etcd__heap_node nodes[100000]; /* also: nothing in it is recursive */
    struct etcd__heap heap = {0};
    int64_t last = INT64_MIN;

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(nodes); i++)
        etcd__heap_insert(&heap, &nodes[i], (int64_t)(i * 7919 % 100003));
    for (size_t i = 0; i < ETCD__COUNT(nodes); i++) {
        struct etcd__heap_node *min = etcd__heap_min(&heap);

        assert_true(min->key >= last);
        last = min->key;
        etcd__heap_remove(&heap, min);
    }
    assert_null(etcd__heap_min(&heap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_heap),
        cmocka_unit_test(agrees_with_a_search),
        cmocka_unit_test(comes_out_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

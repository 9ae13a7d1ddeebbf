/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "support/alloc_fail.h"
#include "support/test.h"

static char things[4096]; /* what the values point to */

static void empty_map(void **state)
{
    struct etcd__map map = {0};
    size_t pos = 0;

    (void)state;
    assert_null(etcd__map_get(&map, 0));
    assert_null(etcd__map_remove(&map, 0));
    assert_null(etcd__map_next(&map, &pos));
    etcd__map_deinit(&map);
}

static void extreme_keys(void **state)
{
    static const uint64_t keys[] = {0, 1, UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 32};
    struct etcd__map map = {0};

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(keys); i++)
        assert_true(etcd__map_put(&map, keys[i], &things[i]));
    assert_true(etcd__map_put(&map, 0, &things[9])); /* replaces */
    assert_int_equal(map.count, ETCD__COUNT(keys));
    assert_ptr_equal(etcd__map_remove(&map, 0), &things[9]);
    assert_null(etcd__map_get(&map, 0));
    for (size_t i = 1; i < ETCD__COUNT(keys); i++)
        assert_ptr_equal(etcd__map_get(&map, keys[i]), &things[i]);
    etcd__map_deinit(&map);
}

/* Random puts and removals, compared with an array after each step; keys that collide often. */
static void agrees_with_an_array(void **state)
{
    static bool present[1024];
    struct etcd__map map = {0};
    uint32_t chance = 1;
    size_t count = 0;

    (void)state;
    for (size_t step = 0; step < 100000; step++) {
        size_t i;

        chance = chance * 1664525 + 1013904223;
        i = (chance >> 8) % ETCD__COUNT(present);
        assert_ptr_equal(etcd__map_get(&map, i << 40), present[i] ? &things[i] : NULL);
        if (present[i])
            assert_ptr_equal(etcd__map_remove(&map, i << 40), &things[i]);
        else
            assert_true(etcd__map_put(&map, i << 40, &things[i]));
        present[i] = !present[i];
        count = present[i] ? count + 1 : count - 1;
        assert_int_equal(map.count, count);
    }
    for (size_t i = 0; i < ETCD__COUNT(present); i++)
        assert_ptr_equal(etcd__map_get(&map, i << 40), present[i] ? &things[i] : NULL);
    etcd__map_deinit(&map);
}

static void walk_meets_each_once(void **state)
{
    struct etcd__map map = {0};
    bool seen[1000] = {false};
    size_t pos = 0, count = 0;
    char *thing;

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(seen); i++)
        assert_true(etcd__map_put(&map, i * 3, &things[i]));
    while ((thing = etcd__map_next(&map, &pos)) != NULL) {
        assert_false(seen[thing - things]);
        seen[thing - things] = true;
        count++;
    }
    assert_int_equal(count, ETCD__COUNT(seen));
    etcd__map_deinit(&map);
}

static void survives_out_of_memory(void **state)
{
    struct etcd__map map = {0};
    size_t stored = 0;

    (void)state;
    alloc_fail_from(1);
    assert_false(etcd__map_put(&map, 1, things));
    alloc_fail_from(2);
    while (etcd__map_put(&map, stored, &things[stored]))
        stored++;
    assert_true(stored > 0);
    assert_int_equal(map.count, stored);
    assert_true(etcd__map_put(&map, 0, &things[100])); /* replacing needs none */
    for (size_t i = 1; i < stored; i++)
        assert_ptr_equal(etcd__map_remove(&map, i), &things[i]);
    alloc_fail_at(0);
    etcd__map_deinit(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_map),
        cmocka_unit_test(extreme_keys),
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(walk_meets_each_once),
        cmocka_unit_test(survives_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

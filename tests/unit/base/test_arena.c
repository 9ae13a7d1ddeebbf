/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "support/alloc_fail.h"
#include "support/test.h"

static void zeroed_memory_is_empty(void **state)
{
    struct etcd__arena arena = {0};

    (void)state;
    etcd__arena_deinit(&arena);
    assert_non_null(etcd__arena_alloc(&arena, 0));
    etcd__arena_deinit(&arena);
}

static void allocations_are_aligned_and_apart(void **state)
{
    enum { COUNT = 3000 };
    static unsigned char *ptrs[COUNT];
    struct etcd__arena arena;

    (void)state;
    etcd__arena_init(&arena, 64);
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i * 7 % 523;

        ptrs[i] = etcd__arena_alloc(&arena, size);
        assert_non_null(ptrs[i]);
        assert_int_equal((uintptr_t)ptrs[i] % ETCD__ARENA_ALIGN, 0);
        memset(ptrs[i], (int)(i & 0xff), size);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < i * 7 % 523; j++)
            assert_int_equal(ptrs[i][j], i & 0xff);
    }
    etcd__arena_deinit(&arena);
}

static void many_small_ones_cost_few_blocks(void **state)
{
    struct etcd__arena arena = {0};

    (void)state;
    alloc_fail_at(0);
    for (size_t i = 0; i < 100000; i++)
        assert_non_null(etcd__arena_alloc(&arena, 24));
    assert_true(alloc_count() < 24);
    alloc_fail_at(0);
    for (size_t i = 0; i < 1000; i++)
        assert_non_null(etcd__arena_alloc(&arena, 6000));
    assert_true(alloc_count() < 40);
    etcd__arena_deinit(&arena);
    assert_int_equal(alloc_live(), 0);
}

static void a_hint_saves_blocks(void **state)
{
    struct etcd__arena arena;

    (void)state;
    etcd__arena_init(&arena, 100000);
    alloc_fail_at(0);
    for (size_t i = 0; i < 100; i++)
        assert_non_null(etcd__arena_alloc(&arena, 1000));
    assert_int_equal(alloc_count(), 1);
    etcd__arena_deinit(&arena);
}

static void large_ones_can_be_released(void **state)
{
    struct etcd__arena arena = {0};
    void *small = etcd__arena_alloc(&arena, 10);
    void *large = etcd__arena_alloc(&arena, 1000000);
    void *other = etcd__arena_alloc(&arena, 1000000);
    size_t live = alloc_live();

    (void)state;
    memset(large, 1, 1000000);
    etcd__arena_release(&arena, large);
    assert_int_equal(alloc_live(), live - 1);
    etcd__arena_release(&arena, small);
    etcd__arena_release(&arena, NULL);
    assert_int_equal(alloc_live(), live - 1);
    memset(other, 1, 1000000);
    memset(small, 1, 10);
    etcd__arena_deinit(&arena);
    assert_int_equal(alloc_live(), 0);
}

static void calloc_zeroes_and_checks(void **state)
{
    struct etcd__arena arena = {0};
    static const char zeroes[300];
    void *dirty = etcd__arena_alloc(&arena, 300);

    (void)state;
    memset(dirty, 0xff, 300);
    assert_memory_equal(etcd__arena_calloc(&arena, 3, 100), zeroes, 300);
    assert_null(etcd__arena_calloc(&arena, SIZE_MAX / 2, 3));
    assert_null(etcd__arena_alloc(&arena, SIZE_MAX));
    assert_null(etcd__arena_alloc(&arena, SIZE_MAX - 20));
    assert_null(etcd__arena_memdup(&arena, "x", SIZE_MAX));
    assert_memory_equal(etcd__arena_memdup(&arena, "a\0b", 3), "a\0b", 4);
    assert_memory_equal(etcd__arena_memdup(&arena, NULL, 0), "", 1);
    etcd__arena_deinit(&arena);
}

static void others_memory_goes_with_it(void **state)
{
    struct etcd__arena arena = {0};

    (void)state;
    etcd__arena_adopt(&arena, etcd__malloc(10));
    assert_non_null(etcd__arena_alloc(&arena, 1));
    etcd__arena_deinit(&arena);
    etcd__arena_adopt(&arena, etcd__malloc(10)); /* empty again */
    etcd__arena_deinit(&arena);
    assert_int_equal(alloc_live(), 0);
}

static void survives_out_of_memory(void **state)
{
    struct etcd__arena arena = {0};

    (void)state;
    alloc_fail_from(1);
    assert_null(etcd__arena_alloc(&arena, 1));
    assert_null(etcd__arena_calloc(&arena, 1, 1));
    assert_null(etcd__arena_memdup(&arena, "x", 1));
    assert_null(etcd__arena_alloc(&arena, 1000000));
    alloc_fail_at(0);
    assert_non_null(etcd__arena_alloc(&arena, 1));
    etcd__arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroed_memory_is_empty),
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(many_small_ones_cost_few_blocks),
        cmocka_unit_test(a_hint_saves_blocks),
        cmocka_unit_test(large_ones_can_be_released),
        cmocka_unit_test(calloc_zeroes_and_checks),
        cmocka_unit_test(others_memory_goes_with_it),
        cmocka_unit_test(survives_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

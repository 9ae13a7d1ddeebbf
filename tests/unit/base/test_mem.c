/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include "support/alloc_fail.h"
#include "support/test.h"

static void zero_bytes_are_an_allocation(void **state)
{
    void *ptrs[4];

    (void)state;
    ptrs[0] = etcd__malloc(0);
    ptrs[1] = etcd__calloc(0, 8);
    ptrs[2] = etcd__realloc(NULL, 0);
    ptrs[3] = etcd__memdup(NULL, 0);
    for (size_t i = 0; i < ETCD__COUNT(ptrs); i++) {
        assert_non_null(ptrs[i]);
        etcd__free(ptrs[i]);
    }
    etcd__free(NULL);
}

static void impossible_sizes_fail(void **state)
{
    volatile size_t huge = SIZE_MAX; /* the compiler must not see through it and warn */

    (void)state;
    assert_null(etcd__calloc(huge, 2));
    assert_null(etcd__memdup("x", huge));
}

static void copies_end_in_nul(void **state)
{
    char *copy = etcd__memdup("a\0b", 3);
    char *text = etcd__strdup("text");

    (void)state;
    assert_memory_equal(copy, "a\0b", 4);
    assert_string_equal(text, "text");
    etcd__free(copy);
    etcd__free(text);
}

static void wipe_zeroes(void **state)
{
    char secret[] = "secret";
    static const char zeroes[sizeof(secret)];

    (void)state;
    etcd__wipe(secret, sizeof(secret));
    assert_memory_equal(secret, zeroes, sizeof(secret));
    etcd__wipe(NULL, 0);
}

static void failures_are_injected(void **state)
{
    size_t live = alloc_live();
    void *first, *second;

    (void)state;
    alloc_fail_at(2);
    first = etcd__malloc(1);
    assert_non_null(first);
    assert_null(etcd__strdup("x"));
    second = etcd__calloc(1, 1);
    assert_non_null(second);
    assert_int_equal(alloc_count(), 3);
    assert_int_equal(alloc_live(), live + 2);
    alloc_fail_from(1);
    assert_null(etcd__malloc(1));
    assert_null(etcd__realloc(first, 100));
    assert_null(etcd__memdup("x", 1));
    alloc_fail_at(0);
    etcd__free(first);
    etcd__free(second);
    assert_int_equal(alloc_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_bytes_are_an_allocation),
        cmocka_unit_test(impossible_sizes_fail),
        cmocka_unit_test(copies_end_in_nul),
        cmocka_unit_test(wipe_zeroes),
        cmocka_unit_test(failures_are_injected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

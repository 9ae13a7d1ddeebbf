/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/load.h"

#include "base/mem.h"
#include "support/test.h"

static bool adds(struct etcd__load *load, const char *key)
{
    etcd_kv kv = {.key = etcd_cstr(key), .value = etcd_cstr("v")};

    return etcd__pairs_add(&load->pairs, &kv);
}

static void the_first_page_is_the_prefix(void **state)
{
    struct etcd__load load;
    etcd_get_opts opts;

    (void)state;
    etcd__load_init(&load, etcd_cstr("a/"), etcd_cstr("a0"));
    opts = etcd__load_opts(&load, 1234);
    assert_int_equal(opts.size, sizeof(opts));
    assert_true(opts.prefix);
    assert_int_equal(opts.range_end.len, 0);
    assert_int_equal(opts.revision, 0);
    assert_int_equal(opts.timeout_ms, 1234);
    assert_true(opts.limit > 0);
    assert_int_equal(etcd__load_key(&load).len, 2);
    etcd__load_deinit(&load);
}

static void pages_shrink_until_one(void **state)
{
    struct etcd__load load;
    int64_t size;
    int steps = 0;

    (void)state;
    etcd__load_init(&load, etcd_cstr("a/"), etcd_cstr("a0"));
    do {
        size = etcd__load_opts(&load, 0).limit;
        steps++;
    } while (etcd__load_recover(&load, ETCD_E_TOO_LARGE) && etcd__load_opts(&load, 0).limit < size);
    assert_int_equal(size, 1);
    assert_true(steps > 2);
    assert_false(etcd__load_recover(&load, ETCD_E_TOO_LARGE)); /* one pair is too large */
    etcd__load_deinit(&load);
}

/* The revision of the first page was compacted before the last one was read. */
static void begins_again_after_compaction(void **state)
{
    struct etcd__load load;

    (void)state;
    etcd__load_init(&load, etcd_cstr("a/"), etcd_cstr("a0"));
    assert_false(etcd__load_recover(&load, ETCD_E_COMPACTED)); /* nothing was pinned */
    assert_true(adds(&load, "a/1"));
    load.revision = 7;
    load.next_key = etcd__memdup("a/1", 4);
    load.next_len = 4;
    assert_false(etcd__load_opts(&load, 0).prefix);
    assert_int_equal(etcd__load_opts(&load, 0).revision, 7);
    assert_int_equal(etcd__load_opts(&load, 0).range_end.len, 2);
    assert_true(etcd__load_recover(&load, ETCD_E_COMPACTED));
    assert_int_equal(load.pairs.count, 0);
    assert_int_equal(load.revision, 0);
    assert_true(etcd__load_opts(&load, 0).prefix);
    etcd__load_deinit(&load);
}

static void other_failures_are_failures(void **state)
{
    static const etcd_status statuses[] = {ETCD_E_DENIED, ETCD_E_DEADLINE, ETCD_E_CLOSED, ETCD_E_NO_MEMORY};
    struct etcd__load load;

    (void)state;
    etcd__load_init(&load, etcd_cstr("a/"), etcd_cstr("a0"));
    load.revision = 7;
    for (size_t i = 0; i < ETCD__COUNT(statuses); i++)
        assert_false(etcd__load_recover(&load, statuses[i]));
    etcd__load_deinit(&load);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_page_is_the_prefix),
        cmocka_unit_test(pages_shrink_until_one),
        cmocka_unit_test(begins_again_after_compaction),
        cmocka_unit_test(other_failures_are_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

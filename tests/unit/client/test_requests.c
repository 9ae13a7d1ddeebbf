/* SPDX-License-Identifier: Apache-2.0 */
#include "client/requests.h"

#include "support/alloc_fail.h"
#include "support/test.h"

/* ---- ranges ----------------------------------------------------------------------------------------------
 */

static void test_prefix_ends(void **state)
{
    static const struct {
        const char *prefix;
        size_t len;
        const char *end;
        size_t end_len;
    } cases[] = {
        {"a", 1, "b", 1},         {"/config/", 8, "/config0", 8},
        {"a\xff", 2, "b", 1},     {"\xff", 1, "\0", 1},
        {"\xff\xff", 2, "\0", 1}, {"a\xfe\xff", 3, "a\xff", 2},
        {"a\0", 2, "a\x01", 2},   {"", 0, "\0", 1},
        {"\0", 1, "\x01", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char dst[16];
        etcd_bytes end = etcd_prefix_end(etcd_bytes_of(cases[i].prefix, cases[i].len), dst);

        print_message("case %zu\n", i);
        assert_int_equal(end.len, cases[i].end_len);
        assert_memory_equal(end.data, cases[i].end, end.len);
    }
}

static void assert_bytes(ProtobufCBinaryData bytes, const char *wanted, size_t len)
{
    assert_int_equal(bytes.len, len);
    if (len > 0)
        assert_memory_equal(bytes.data, wanted, len);
}

static void test_ranges(void **state)
{
    static const struct {
        const char *key;
        etcd_get_opts opts;
        const char *wanted_key, *wanted_end;
        size_t key_len, end_len;
    } cases[] = {
        {"k", {.size = sizeof(etcd_get_opts)}, "k", "", 1, 0},
        {"k", {.size = sizeof(etcd_get_opts), .prefix = true}, "k", "l", 1, 1},
        {"", {.size = sizeof(etcd_get_opts), .prefix = true}, "\0", "\0", 1, 1},
        {"k", {.size = sizeof(etcd_get_opts), .from_key = true}, "k", "\0", 1, 1},
        {"", {.size = sizeof(etcd_get_opts), .from_key = true}, "\0", "\0", 1, 1},
        {"k", {.size = sizeof(etcd_get_opts), .range_end = {"z", 1}}, "k", "z", 1, 1},
        {"\xff", {.size = sizeof(etcd_get_opts), .prefix = true}, "\xff", "\0", 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Etcd__Pb__RangeRequest request = ETCD__PB__RANGE_REQUEST__INIT;
        struct etcd__range range = {.own = NULL};
        etcd_get_opts own = ETCD_GET_OPTS_INIT;

        print_message("case %zu\n", i);
        assert_int_equal(
            etcd__get_request(etcd_cstr(cases[i].key), &cases[i].opts, &own, &range, &request, NULL),
            ETCD_OK);
        assert_bytes(request.key, cases[i].wanted_key, cases[i].key_len);
        assert_bytes(request.range_end, cases[i].wanted_end, cases[i].end_len);
        etcd__range_deinit(&range);
    }
}

/* ---- all fields -------------------------------------------------------------------------------------------
 */

static void test_get_fields(void **state)
{
    Etcd__Pb__RangeRequest request = ETCD__PB__RANGE_REQUEST__INIT;
    struct etcd__range range = {.own = NULL};
    etcd_get_opts own = ETCD_GET_OPTS_INIT;
    const etcd_get_opts *opts =
        ETCD_GET_OPTS(.timeout_ms = 1, .limit = 2, .revision = 3, .min_mod_revision = 4,
                      .max_mod_revision = 5, .min_create_revision = 6, .max_create_revision = 7,
                      .sort_target = ETCD_SORT_BY_VALUE, .sort_order = ETCD_SORT_DESCEND,
                      .serializable = true, .keys_only = true, .count_only = true, .fail_fast = true);

    (void)state;
    assert_int_equal(etcd__get_request(etcd_cstr("k"), opts, &own, &range, &request, NULL), ETCD_OK);
    assert_int_equal(own.timeout_ms, 1);
    assert_true(own.fail_fast);
    assert_int_equal(request.limit, 2);
    assert_int_equal(request.revision, 3);
    assert_int_equal(request.min_mod_revision, 4);
    assert_int_equal(request.max_mod_revision, 5);
    assert_int_equal(request.min_create_revision, 6);
    assert_int_equal(request.max_create_revision, 7);
    assert_int_equal(request.sort_target, ETCD__PB__RANGE_REQUEST__SORT_TARGET__BY_VALUE);
    assert_int_equal(request.sort_order, ETCD__PB__RANGE_REQUEST__SORT_ORDER__DESCEND);
    assert_true(request.serializable && request.keys_only && request.count_only);
    etcd__range_deinit(&range);
}

/* Keys come in that order anyway: asking for it costs the server a sort. */
static void test_ascending_keys_are_not_asked_for(void **state)
{
    static const struct {
        etcd_sort_target target;
        etcd_sort_order order;
        Etcd__Pb__RangeRequest__SortOrder wanted;
    } cases[] = {
        {ETCD_SORT_BY_KEY, ETCD_SORT_ASCEND, ETCD__PB__RANGE_REQUEST__SORT_ORDER__UNSORTED},
        {ETCD_SORT_BY_KEY, ETCD_SORT_DESCEND, ETCD__PB__RANGE_REQUEST__SORT_ORDER__DESCEND},
        {ETCD_SORT_BY_VERSION, ETCD_SORT_ASCEND, ETCD__PB__RANGE_REQUEST__SORT_ORDER__ASCEND},
        {ETCD_SORT_BY_KEY, ETCD_SORT_NONE, ETCD__PB__RANGE_REQUEST__SORT_ORDER__UNSORTED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Etcd__Pb__RangeRequest request = ETCD__PB__RANGE_REQUEST__INIT;
        struct etcd__range range = {.own = NULL};
        etcd_get_opts own = ETCD_GET_OPTS_INIT;

        assert_int_equal(
            etcd__get_request(etcd_cstr("k"),
                              ETCD_GET_OPTS(.sort_target = cases[i].target, .sort_order = cases[i].order),
                              &own, &range, &request, NULL),
            ETCD_OK);
        assert_int_equal(request.sort_order, cases[i].wanted);
    }
}

static void test_put_fields(void **state)
{
    Etcd__Pb__PutRequest request = ETCD__PB__PUT_REQUEST__INIT;
    etcd_put_opts own = ETCD_PUT_OPTS_INIT;

    (void)state;
    assert_int_equal(etcd__put_request(etcd_bytes_of("a\0b", 3), etcd_bytes_of("", 0),
                                       ETCD_PUT_OPTS(.lease_id = -5, .prev_kv = true, .ignore_value = true),
                                       &own, &request, NULL),
                     ETCD_OK);
    assert_bytes(request.key, "a\0b", 3);
    assert_int_equal(request.value.len, 0);
    assert_int_equal(request.lease, -5);
    assert_true(request.prev_kv && request.ignore_value && !request.ignore_lease);
    assert_int_equal(etcd__put_request(etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.ignore_lease = true),
                                       &own, &request, NULL),
                     ETCD_OK);
    assert_true(request.ignore_lease);
}

static void test_delete_fields(void **state)
{
    Etcd__Pb__DeleteRangeRequest request = ETCD__PB__DELETE_RANGE_REQUEST__INIT;
    struct etcd__range range = {.own = NULL};
    etcd_delete_opts own = ETCD_DELETE_OPTS_INIT;

    (void)state;
    assert_int_equal(etcd__delete_request(etcd_cstr("k"), ETCD_DELETE_OPTS(.prefix = true, .prev_kv = true),
                                          &own, &range, &request, NULL),
                     ETCD_OK);
    assert_bytes(request.key, "k", 1);
    assert_bytes(request.range_end, "l", 1);
    assert_true(request.prev_kv);
    etcd__range_deinit(&range);
}

static void make_prefix(size_t n, void *user)
{
    struct etcd__range range = {.own = NULL};
    size_t before = alloc_live();
    etcd_error err;
    etcd_status st = etcd__range_make("get", etcd_cstr("/config/"), etcd_cstr(NULL), true, false, &range,
                                      &err);

    (void)n;
    (void)user;
    assert_true(st == ETCD_OK || st == ETCD_E_NO_MEMORY);
    etcd__range_deinit(&range);
    assert_int_equal(alloc_live(), before);
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_int_equal(alloc_fail_each(make_prefix, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefix_ends), cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_get_fields),  cmocka_unit_test(test_ascending_keys_are_not_asked_for),
        cmocka_unit_test(test_put_fields),  cmocka_unit_test(test_delete_fields),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

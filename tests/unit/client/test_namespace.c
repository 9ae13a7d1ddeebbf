/* SPDX-License-Identifier: Apache-2.0 */
#include "client/namespace.h"

#include "support/alloc_fail.h"
#include "support/test.h"

#include "client/rpc.h"
#include "wire/convert.h"

#include <string.h>

/* ---- ranges ---------------------------------------------------------------------------------------- */

static void test_ranges(void **state)
{
    static const struct {
        etcd_bytes space;
        const char *key;
        etcd_bytes range_end;
        bool prefix, from_key;
        etcd_bytes wanted_key, wanted_end;
    } cases[] = {
        /* one key; a range; to the end; everything */
        {{"pfx/", 4}, "a", {NULL, 0}, false, false, {"pfx/a", 5}, {NULL, 0}},
        {{"pfx/", 4}, "abc", {"def", 3}, false, false, {"pfx/abc", 7}, {"pfx/def", 7}},
        {{"pfx/", 4}, "abc", {"\0", 1}, false, false, {"pfx/abc", 7}, {"pfx0", 4}},
        {{"pfx/", 4}, "abc", {NULL, 0}, false, true, {"pfx/abc", 7}, {"pfx0", 4}},
        {{"pfx/", 4}, "", {NULL, 0}, false, true, {"pfx/\0", 5}, {"pfx0", 4}},
        {{"pfx/", 4}, "", {NULL, 0}, true, false, {"pfx/\0", 5}, {"pfx0", 4}},
        {{"pfx/", 4}, "k", {NULL, 0}, true, false, {"pfx/k", 5}, {"pfx/l", 5}},
        /* an end that is only like "to the end" */
        {{"pfx/", 4}, "", {"\0\0", 2}, false, true, {NULL, 0}, {NULL, 0}},
        {{"pfx/", 4}, "\x01", {"\0\0", 2}, false, false, {"pfx/\x01", 5}, {"pfx/\0\0", 6}},
        /* prefixes without a next one */
        {{"pfx/", 4}, "\xff", {NULL, 0}, true, false, {"pfx/\xff", 5}, {"pfx0", 4}},
        {{"a\xff", 2}, "k", {NULL, 0}, false, true, {"a\xffk", 3}, {"b", 1}},
        {{"a\xff", 2}, "\xff\xff", {NULL, 0}, true, false, {"a\xff\xff\xff", 4}, {"b", 1}},
        {{"\xff\xff", 2}, "k", {NULL, 0}, false, true, {"\xff\xffk", 3}, {"\0", 1}},
        {{"\xff\xff", 2}, "", {NULL, 0}, true, false, {"\xff\xff\0", 3}, {"\0", 1}},
        {{"\xff\xff", 2}, "k", {NULL, 0}, true, false, {"\xff\xffk", 3}, {"\xff\xffl", 3}},
        {{"\0", 1}, "k", {NULL, 0}, false, true, {"\0k", 2}, {"\x01", 1}},
        /* none: as it was */
        {{NULL, 0}, "k", {NULL, 0}, false, true, {"k", 1}, {"\0", 1}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct etcd__range range = {.own = NULL};
        etcd_status st = etcd__range_make("get", etcd_cstr(cases[i].key), cases[i].range_end, cases[i].prefix,
                                          cases[i].from_key, &range, NULL);

        print_message("case %zu\n", i);
        if (cases[i].wanted_key.len == 0) {
            assert_int_equal(st, ETCD_E_INVALID_ARGUMENT);
            continue;
        }
        assert_int_equal(st, ETCD_OK);
        assert_int_equal(etcd__namespace_range(cases[i].space, &range, NULL), ETCD_OK);
        assert_int_equal(range.key.len, cases[i].wanted_key.len);
        assert_memory_equal(range.key.data, cases[i].wanted_key.data, range.key.len);
        assert_int_equal(range.end.len, cases[i].wanted_end.len);
        if (range.end.len > 0)
            assert_memory_equal(range.end.data, cases[i].wanted_end.data, range.end.len);
        etcd__range_deinit(&range);
    }
}

static void test_no_memory_for_a_range(void **state)
{
    struct etcd__range range = {.key = etcd_cstr("k"), .end = etcd_cstr("l")};
    size_t before = alloc_live();

    (void)state;
    alloc_fail_at(1);
    assert_int_equal(etcd__namespace_range(etcd_cstr("a/"), &range, NULL), ETCD_E_NO_MEMORY);
    alloc_fail_at(0);
    assert_int_equal(range.key.len, 1);
    assert_int_equal(alloc_live(), before);
}

/* ---- requests -------------------------------------------------------------------------------------- */

static void assert_bytes(ProtobufCBinaryData bytes, const char *wanted)
{
    assert_int_equal(bytes.len, strlen(wanted));
    assert_memory_equal(bytes.data, wanted, bytes.len);
}

static const etcd_bytes space = {"a/", 2};

/* The value is not copied, and the given request stays as it is. */
static void test_put(void **state)
{
    Etcd__Pb__PutRequest request = ETCD__PB__PUT_REQUEST__INIT;
    const Etcd__Pb__PutRequest *inside;
    struct etcd__arena arena = {0};

    (void)state;
    request.key = etcd__wire_data(etcd_cstr("k"));
    request.value = etcd__wire_data(etcd_cstr("v"));
    request.lease = 7;
    inside = (const Etcd__Pb__PutRequest *)etcd__put_scope.enter(space, &request.base, &arena);
    assert_non_null(inside);
    assert_bytes(inside->key, "a/k");
    assert_ptr_equal(inside->value.data, request.value.data);
    assert_int_equal(inside->lease, 7);
    assert_bytes(request.key, "k");
    etcd__arena_deinit(&arena);
}

/* What the tests below have: compares, one of them of a range, and each kind of operation, two levels deep.
 */
struct txn {
    Etcd__Pb__Compare compare, range_compare, *compares[2];
    Etcd__Pb__PutRequest put;
    Etcd__Pb__RangeRequest range;
    Etcd__Pb__DeleteRangeRequest del;
    Etcd__Pb__RequestOp put_op, range_op, del_op, txn_op, *success[2], *failure[1], *inner_success[1];
    Etcd__Pb__TxnRequest request, inner;
};

static void make_txn(struct txn *txn)
{
    txn->compare = (Etcd__Pb__Compare)ETCD__PB__COMPARE__INIT;
    txn->range_compare = (Etcd__Pb__Compare)ETCD__PB__COMPARE__INIT;
    txn->compare.key = txn->range_compare.key = etcd__wire_data(etcd_cstr("c"));
    txn->range_compare.range_end = etcd__wire_data(etcd_cstr("d"));
    txn->compares[0] = &txn->compare;
    txn->compares[1] = &txn->range_compare;
    txn->put = (Etcd__Pb__PutRequest)ETCD__PB__PUT_REQUEST__INIT;
    txn->put.key = etcd__wire_data(etcd_cstr("p"));
    txn->range = (Etcd__Pb__RangeRequest)ETCD__PB__RANGE_REQUEST__INIT;
    txn->range.key = etcd__wire_data(etcd_cstr("r"));
    txn->range.range_end = etcd__wire_data(etcd_bytes_of("\0", 1));
    txn->del = (Etcd__Pb__DeleteRangeRequest)ETCD__PB__DELETE_RANGE_REQUEST__INIT;
    txn->del.key = etcd__wire_data(etcd_cstr("x"));
    txn->del.range_end = etcd__wire_data(etcd_cstr("z"));
    txn->put_op = txn->range_op = txn->del_op = txn->txn_op = (Etcd__Pb__RequestOp)ETCD__PB__REQUEST_OP__INIT;
    txn->put_op.request_case = ETCD__PB__REQUEST_OP__REQUEST_REQUEST_PUT;
    txn->put_op.request_put = &txn->put;
    txn->range_op.request_case = ETCD__PB__REQUEST_OP__REQUEST_REQUEST_RANGE;
    txn->range_op.request_range = &txn->range;
    txn->del_op.request_case = ETCD__PB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
    txn->del_op.request_delete_range = &txn->del;
    txn->txn_op.request_case = ETCD__PB__REQUEST_OP__REQUEST_REQUEST_TXN;
    txn->txn_op.request_txn = &txn->inner;
    txn->inner = (Etcd__Pb__TxnRequest)ETCD__PB__TXN_REQUEST__INIT;
    txn->inner_success[0] = &txn->del_op;
    txn->inner.success = txn->inner_success;
    txn->inner.n_success = 1;
    txn->request = (Etcd__Pb__TxnRequest)ETCD__PB__TXN_REQUEST__INIT;
    txn->request.compare = txn->compares;
    txn->request.n_compare = 2;
    txn->success[0] = &txn->put_op;
    txn->success[1] = &txn->range_op;
    txn->request.success = txn->success;
    txn->request.n_success = 2;
    txn->failure[0] = &txn->txn_op;
    txn->request.failure = txn->failure;
    txn->request.n_failure = 1;
}

static void test_txn(void **state)
{
    const Etcd__Pb__TxnRequest *inside;
    struct etcd__arena arena = {0};
    struct txn txn;

    (void)state;
    make_txn(&txn);
    inside = (const Etcd__Pb__TxnRequest *)etcd__txn_scope.enter(space, &txn.request.base, &arena);
    assert_non_null(inside);
    assert_bytes(inside->compare[0]->key, "a/c");
    assert_int_equal(inside->compare[0]->range_end.len, 0);
    assert_bytes(inside->compare[1]->range_end, "a/d");
    assert_bytes(inside->success[0]->request_put->key, "a/p");
    assert_bytes(inside->success[1]->request_range->key, "a/r");
    assert_bytes(inside->success[1]->request_range->range_end, "a0");
    assert_bytes(inside->failure[0]->request_txn->success[0]->request_delete_range->key, "a/x");
    assert_bytes(inside->failure[0]->request_txn->success[0]->request_delete_range->range_end, "a/z");
    assert_bytes(txn.compare.key, "c");
    assert_bytes(txn.del.key, "x");
    etcd__arena_deinit(&arena);
}

/* The arena takes its memory in blocks: with many parts there are several. */
static void txn_without_memory(size_t n, void *user)
{
    enum { MANY = 400 };
    static Etcd__Pb__RequestOp *many[MANY];
    const ProtobufCMessage *inside;
    struct etcd__arena arena = {0};
    size_t before = alloc_live();
    struct txn txn;

    make_txn(&txn);
    for (size_t i = 0; i < MANY; i++)
        many[i] = i % 2 == 0 ? &txn.put_op : &txn.range_op;
    txn.request.success = many;
    txn.request.n_success = MANY;
    inside = etcd__txn_scope.enter(space, &txn.request.base, &arena);
    if (inside == NULL)
        ++*(size_t *)user;
    else
        assert_true(n == 0 || n > alloc_count());
    etcd__arena_deinit(&arena);
    assert_int_equal(alloc_live(), before);
}

static void test_no_memory_for_a_request(void **state)
{
    size_t failed = 0, all;

    (void)state;
    all = alloc_fail_each(txn_without_memory, &failed);
    print_message("%zu allocations\n", all);
    assert_true(all > 3);
    assert_int_equal(failed, all);
}

/* ---- results --------------------------------------------------------------------------------------- */

static void test_keys_are_cut_in_place(void **state)
{
    const char *whole = "a/key";
    etcd_bytes key = etcd_cstr(whole);

    (void)state;
    assert_true(etcd__namespace_cut(space, &key));
    assert_ptr_equal(key.data, whole + 2);
    assert_int_equal(key.len, 3);
}

static void test_foreign_keys(void **state)
{
    static const char *const foreign[] = {"", "a", "a/", "b/key", "A/key"};

    (void)state;
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        etcd_bytes key = etcd_cstr(foreign[i]);
        etcd_kv pairs[2] = {{.key = etcd_cstr("a/k")}, {.key = key}};
        struct etcd_get_result get = {.kvs = pairs, .count = 2};
        struct etcd_put_result put = {.has_prev_kv = true, .prev_kv = {.key = key}};
        struct etcd_delete_result del = {.prev_kvs = &pairs[1], .prev_count = 1};
        struct etcd__txn_entry entry = {.kind = ETCD_TXN_KIND_DELETE, .as.del = del};
        struct etcd_txn_result inner = {.entries = &entry, .count = 1}, txn = {.count = 1};
        struct etcd__txn_entry nested = {.kind = ETCD_TXN_KIND_TXN, .as.txn = &inner};
        etcd_kv prev = {.key = key};
        etcd_event event = {.kv = {.key = etcd_cstr("a/k")}, .prev_kv = &prev};
        etcd_error err;

        txn.entries = &nested;
        assert_false(etcd__namespace_cut(space, &key));
        assert_int_equal(etcd__get_scope.leave(space, &get, &err), ETCD_E_PROTOCOL);
        assert_non_null(strstr(err.message, "namespace"));
        assert_int_equal(etcd__put_scope.leave(space, &put, &err), ETCD_E_PROTOCOL);
        assert_int_equal(etcd__delete_scope.leave(space, &del, &err), ETCD_E_PROTOCOL);
        assert_int_equal(etcd__txn_scope.leave(space, &txn, &err), ETCD_E_PROTOCOL);
        assert_false(etcd__namespace_leave_events(space, &event, 1));
    }
}

static void test_without_a_namespace(void **state)
{
    etcd_bytes none = {NULL, 0}, key = etcd_cstr("");
    etcd_event event = {.kv = {.key = etcd_cstr("k")}};

    (void)state;
    assert_true(etcd__namespace_cut(none, &key));
    assert_true(etcd__namespace_leave_events(none, &event, 1));
    assert_int_equal(event.kv.key.len, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_no_memory_for_a_range),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_txn),
        cmocka_unit_test(test_no_memory_for_a_request),
        cmocka_unit_test(test_keys_are_cut_in_place),
        cmocka_unit_test(test_foreign_keys),
        cmocka_unit_test(test_without_a_namespace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/convert.h"

#include "support/alloc_fail.h"
#include "support/test.h"

static Etcd__Pb__KeyValue sample_kv(void)
{
    static uint8_t key[] = "key", value[] = "value";
    Etcd__Pb__KeyValue kv = ETCD__PB__KEY_VALUE__INIT;

    kv.key = (ProtobufCBinaryData){.len = 3, .data = key};
    kv.value = (ProtobufCBinaryData){.len = 5, .data = value};
    kv.create_revision = 1;
    kv.mod_revision = 2;
    kv.version = 3;
    kv.lease = 4;
    return kv;
}

static void pairs_are_views(void **state)
{
    Etcd__Pb__KeyValue from = sample_kv();
    etcd_kv kv = etcd__wire_kv(&from);

    (void)state;
    assert_ptr_equal(kv.key.data, from.key.data);
    assert_ptr_equal(kv.value.data, from.value.data);
    assert_int_equal(kv.key.len, 3);
    assert_int_equal(kv.value.len, 5);
    assert_true(kv.create_revision == 1 && kv.mod_revision == 2 && kv.version == 3 && kv.lease_id == 4);
}

static void empty_bytes_are_text_too(void **state)
{
    Etcd__Pb__KeyValue from = ETCD__PB__KEY_VALUE__INIT;
    etcd_kv absent = etcd__wire_kv(NULL), empty = etcd__wire_kv(&from);

    (void)state;
    assert_string_equal(absent.key.data, "");
    assert_string_equal(absent.value.data, "");
    assert_string_equal(empty.key.data, "");
    assert_string_equal(empty.value.data, "");
    assert_int_equal(empty.value.len, 0);
}

static void headers(void **state)
{
    Etcd__Pb__ResponseHeader from = ETCD__PB__RESPONSE_HEADER__INIT;
    etcd_header header;

    (void)state;
    from.cluster_id = UINT64_MAX;
    from.member_id = 2;
    from.revision = 3;
    from.raft_term = 4;
    header = etcd__wire_header(&from);
    assert_true(header.cluster_id == UINT64_MAX && header.member_id == 2 && header.revision == 3 &&
                header.raft_term == 4);
    header = etcd__wire_header(NULL);
    assert_true(header.cluster_id == 0 && header.revision == 0);
}

static void lists(void **state)
{
    Etcd__Pb__KeyValue from[] = {sample_kv(), sample_kv()};
    Etcd__Pb__KeyValue *list[] = {&from[0], &from[1]};
    struct etcd__arena arena = {0};
    etcd_kv *kvs = NULL;

    (void)state;
    from[1].version = 77;
    assert_int_equal(etcd__wire_kvs(&arena, NULL, 0, &kvs), ETCD_OK);
    assert_null(kvs);
    alloc_fail_at(1);
    assert_int_equal(etcd__wire_kvs(&arena, list, 2, &kvs), ETCD_E_NO_MEMORY);
    assert_int_equal(etcd__wire_kvs(&arena, list, SIZE_MAX, &kvs), ETCD_E_NO_MEMORY);
    assert_null(kvs);
    alloc_fail_at(0);
    assert_int_equal(etcd__wire_kvs(&arena, list, 2, &kvs), ETCD_OK);
    assert_int_equal(kvs[0].version, 3);
    assert_int_equal(kvs[1].version, 77);
    etcd__arena_deinit(&arena);
}

static void requests_borrow(void **state)
{
    ProtobufCBinaryData data = etcd__wire_data((etcd_bytes){.data = "abc", .len = 3});

    (void)state;
    assert_int_equal(data.len, 3);
    assert_memory_equal(data.data, "abc", 3);
    assert_string_equal(etcd__wire_text("text"), "text");
}

static void the_term_is_found(void **state)
{
    /* cluster, member, revision, term 7; then something of the answer. */
    static const uint8_t answer[] = {0x0a, 8, 8, 1, 16, 2, 24, 3, 32, 7, 0x12, 1, 0};
    static const uint8_t without[] = {0x0a, 2, 8, 1, 0x12, 1, 0}, other[] = {0x12, 2, 32, 7},
                         group[] = {0x0a, 3, 0x0b, 32, 7};

    (void)state;
    assert_true(etcd__wire_raft_term(answer, sizeof(answer)) == 7);
    for (size_t len = 0; len < 10; len++)
        assert_true(etcd__wire_raft_term(answer, len) == 0);
    assert_true(etcd__wire_raft_term(without, sizeof(without)) == 0);
    assert_true(etcd__wire_raft_term(other, sizeof(other)) == 0);
    assert_true(etcd__wire_raft_term(group, sizeof(group)) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_views), cmocka_unit_test(empty_bytes_are_text_too),
        cmocka_unit_test(headers),         cmocka_unit_test(lists),
        cmocka_unit_test(requests_borrow), cmocka_unit_test(the_term_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

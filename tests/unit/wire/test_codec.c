/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/codec.h"

#include "support/alloc_fail.h"
#include "support/test.h"
#include "support/wire_fill.h"
#include "wire/messages.h"

#define TYPE(name) &etcd__pb__##name##__descriptor

/* Every message. */
static const ProtobufCMessageDescriptor *const types[] = {
    TYPE(response_header),
    TYPE(key_value),
    TYPE(event),
    TYPE(range_request),
    TYPE(range_response),
    TYPE(range_stream_response),
    TYPE(put_request),
    TYPE(put_response),
    TYPE(delete_range_request),
    TYPE(delete_range_response),
    TYPE(compare),
    TYPE(request_op),
    TYPE(response_op),
    TYPE(txn_request),
    TYPE(txn_response),
    TYPE(compaction_request),
    TYPE(compaction_response),
    TYPE(watch_create_request),
    TYPE(watch_cancel_request),
    TYPE(watch_progress_request),
    TYPE(watch_request),
    TYPE(watch_response),
    TYPE(lease_grant_request),
    TYPE(lease_grant_response),
    TYPE(lease_revoke_request),
    TYPE(lease_revoke_response),
    TYPE(lease_keep_alive_request),
    TYPE(lease_keep_alive_response),
    TYPE(lease_time_to_live_request),
    TYPE(lease_time_to_live_response),
    TYPE(lease_leases_request),
    TYPE(lease_status),
    TYPE(lease_leases_response),
    TYPE(member),
    TYPE(member_add_request),
    TYPE(member_add_response),
    TYPE(member_remove_request),
    TYPE(member_remove_response),
    TYPE(member_update_request),
    TYPE(member_update_response),
    TYPE(member_list_request),
    TYPE(member_list_response),
    TYPE(member_promote_request),
    TYPE(member_promote_response),
    TYPE(alarm_request),
    TYPE(alarm_member),
    TYPE(alarm_response),
    TYPE(status_request),
    TYPE(downgrade_info),
    TYPE(status_response),
    TYPE(defragment_request),
    TYPE(defragment_response),
    TYPE(hash_request),
    TYPE(hash_response),
    TYPE(hash_kv_request),
    TYPE(hash_kv_response),
    TYPE(snapshot_request),
    TYPE(snapshot_response),
    TYPE(move_leader_request),
    TYPE(move_leader_response),
    TYPE(downgrade_request),
    TYPE(downgrade_response),
    TYPE(permission),
    TYPE(user_add_options),
    TYPE(auth_enable_request),
    TYPE(auth_enable_response),
    TYPE(auth_disable_request),
    TYPE(auth_disable_response),
    TYPE(auth_status_request),
    TYPE(auth_status_response),
    TYPE(authenticate_request),
    TYPE(authenticate_response),
    TYPE(auth_user_add_request),
    TYPE(auth_user_add_response),
    TYPE(auth_user_get_request),
    TYPE(auth_user_get_response),
    TYPE(auth_user_list_request),
    TYPE(auth_user_list_response),
    TYPE(auth_user_delete_request),
    TYPE(auth_user_delete_response),
    TYPE(auth_user_change_password_request),
    TYPE(auth_user_change_password_response),
    TYPE(auth_user_grant_role_request),
    TYPE(auth_user_grant_role_response),
    TYPE(auth_user_revoke_role_request),
    TYPE(auth_user_revoke_role_response),
    TYPE(auth_role_add_request),
    TYPE(auth_role_add_response),
    TYPE(auth_role_get_request),
    TYPE(auth_role_get_response),
    TYPE(auth_role_list_request),
    TYPE(auth_role_list_response),
    TYPE(auth_role_delete_request),
    TYPE(auth_role_delete_response),
    TYPE(auth_role_grant_permission_request),
    TYPE(auth_role_grant_permission_response),
    TYPE(auth_role_revoke_permission_request),
    TYPE(auth_role_revoke_permission_response),
};

enum { ROUNDS = 8, DEPTH = 3 };

/* A message of the type, encoded; a different one for each seed. Free `data`. */
struct sample {
    uint8_t *data;
    size_t len;
};

static struct sample make_sample(const ProtobufCMessageDescriptor *type, uint32_t seed)
{
    struct etcd__arena arena = {0};
    struct sample sample;

    assert_int_equal(etcd__wire_pack(wire_fill(&arena, type, DEPTH, &seed), 0, &sample.data, &sample.len),
                     ETCD_OK);
    etcd__arena_deinit(&arena);
    return sample;
}

/* Decodes from an allocation of exactly this size, so that a sanitizer sees a read beyond it. */
static void *unpack_exact(const ProtobufCMessageDescriptor *type, struct etcd__arena *arena,
                          const uint8_t *data, size_t len, etcd_status *ret_status)
{
    uint8_t *exact = test_malloc(len + (len == 0));
    void *message;

    memcpy(exact, data, len);
    message = etcd__wire_unpack(type, arena, exact, len, ret_status);
    assert_int_equal(message != NULL, *ret_status == ETCD_OK);
    test_free(exact); /* nothing may refer to it any more */
    return message;
}

static void every_message_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(types); i++) {
        for (uint32_t seed = 0; seed < ROUNDS; seed++) {
            struct sample sample = make_sample(types[i], seed), again;
            struct etcd__arena arena = {0};
            etcd_status status;
            ProtobufCMessage *message = unpack_exact(types[i], &arena, sample.data, sample.len, &status);

            assert_int_equal(status, ETCD_OK);
            assert_true(wire_has_nuls(message));
            assert_int_equal(etcd__wire_pack(message, 0, &again.data, &again.len), ETCD_OK);
            assert_int_equal(again.len, sample.len);
            assert_memory_equal(again.data, sample.data, sample.len);
            etcd__arena_deinit(&arena);
            etcd__free(sample.data);
            etcd__free(again.data);
        }
    }
    assert_int_equal(alloc_live(), 0);
}

static void every_message_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(types); i++) {
        struct sample sample = make_sample(types[i], 1);

        for (size_t len = 0; len < sample.len; len++) {
            struct etcd__arena arena = {0};
            etcd_status status;

            unpack_exact(types[i], &arena, sample.data, len, &status);
            /* A cut between two fields leaves a message: protobuf has no end mark. */
            assert_true(status == ETCD_E_PROTOCOL || status == ETCD_OK);
            if (len == sample.len - 1 && sample.data[len] < 0x80 && sample.len > 2)
                assert_int_equal(status, ETCD_E_PROTOCOL);
            etcd__arena_deinit(&arena);
        }
        etcd__free(sample.data);
    }
}

/* Each field with each wire type that is not its own. */
static void wrong_wire_types_are_refused(void **state)
{
    static const unsigned wire_types[] = {0, 1, 2, 3, 4, 5, 6, 7};

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(types); i++) {
        for (unsigned f = 0; f < types[i]->n_fields; f++) {
            const ProtobufCFieldDescriptor *field = &types[i]->fields[f];
            bool bytes = field->type == PROTOBUF_C_TYPE_BYTES || field->type == PROTOBUF_C_TYPE_STRING ||
                         field->type == PROTOBUF_C_TYPE_MESSAGE;
            bool packable = !bytes && field->label == PROTOBUF_C_LABEL_REPEATED;

            for (size_t w = 0; w < ETCD__COUNT(wire_types); w++) {
                uint8_t data[16] = {0};
                size_t len = 0;
                struct etcd__arena arena = {0};
                etcd_status status;

                if (wire_types[w] == (bytes ? 2u : 0u) || (packable && wire_types[w] == 2))
                    continue;
                if (field->id >= 16)
                    data[len++] = (uint8_t)((field->id << 3 | wire_types[w]) | 0x80);
                data[len++] = (uint8_t)(field->id >= 16 ? field->id >> 4 : field->id << 3 | wire_types[w]);
                unpack_exact(types[i], &arena, data,
                             len + (wire_types[w] == 1   ? 8
                                    : wire_types[w] == 5 ? 4
                                                         : 1),
                             &status);
                etcd__arena_deinit(&arena);
                /* protobuf-c 1.4 reads a flag from whatever bytes it finds. That is lax and does no harm. */
                if (status != ETCD_E_PROTOCOL && field->type != PROTOBUF_C_TYPE_BOOL)
                    fail_msg("%s.%s with wire type %u", types[i]->name, field->name, wire_types[w]);
            }
        }
    }
}

/* Bytes changed at random: any outcome but a crash or a read out of bounds. */
static void damaged_messages_do_no_harm(void **state)
{
    uint32_t chance = 7;

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(types); i++) {
        struct sample sample = make_sample(types[i], 2);

        for (size_t round = 0; sample.len > 0 && round < 200; round++) {
            uint8_t *copy = etcd__memdup(sample.data, sample.len);
            struct etcd__arena arena = {0};
            etcd_status status;

            for (int changes = 0; changes < 3; changes++) {
                chance = chance * 1664525 + 1013904223;
                copy[(chance >> 8) % sample.len] = (uint8_t)(chance >> 24);
            }
            unpack_exact(types[i], &arena, copy, sample.len, &status);
            etcd__arena_deinit(&arena);
            etcd__free(copy);
        }
        etcd__free(sample.data);
    }
}

static void unpack_once(size_t n, void *user)
{
    const struct sample *sample = user;
    struct etcd__arena arena = {0};
    etcd_status status;
    void *message;

    message = etcd__wire_unpack(TYPE(txn_response), &arena, sample->data, sample->len, &status);
    assert_int_equal(message == NULL, status != ETCD_OK);
    if (alloc_count() >= n)
        assert_int_equal(status, ETCD_E_NO_MEMORY);
    else
        assert_int_equal(status, ETCD_OK);
    etcd__arena_deinit(&arena);
}

static void out_of_memory_is_told_apart(void **state)
{
    Etcd__Pb__RangeResponse range = ETCD__PB__RANGE_RESPONSE__INIT;
    Etcd__Pb__ResponseOp op = ETCD__PB__RESPONSE_OP__INIT, *ops[] = {&op};
    Etcd__Pb__TxnResponse txn = ETCD__PB__TXN_RESPONSE__INIT;
    static uint8_t key[] = {'k', 'e', 'y'};
    static Etcd__Pb__KeyValue kvs[5000];
    static Etcd__Pb__KeyValue *list[ETCD__COUNT(kvs)];
    struct sample sample;

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(kvs); i++) {
        etcd__pb__key_value__init(&kvs[i]);
        kvs[i].mod_revision = (int64_t)i;
        kvs[i].key = (ProtobufCBinaryData){.len = sizeof(key), .data = key};
        list[i] = &kvs[i];
    }
    range.kvs = list;
    range.n_kvs = ETCD__COUNT(kvs);
    op.response_case = ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE;
    op.response_range = &range;
    txn.responses = ops;
    txn.n_responses = 1;
    assert_int_equal(etcd__wire_pack(&txn.base, 0, &sample.data, &sample.len), ETCD_OK);
    assert_true(alloc_fail_each(unpack_once, &sample) > 3);
    alloc_fail_at(1);
    assert_int_equal(etcd__wire_pack(&txn.base, 0, &sample.data, &sample.len), ETCD_E_NO_MEMORY);
    alloc_fail_at(0);
    etcd__free(sample.data);
    assert_int_equal(alloc_live(), 0);
}

static void headroom_is_left_in_front(void **state)
{
    Etcd__Pb__PutRequest put = ETCD__PB__PUT_REQUEST__INIT;
    static const uint8_t expected[] = {0x0a, 1, 'k', 0x12, 1, 'v'};
    uint8_t *data;
    size_t len;

    (void)state;
    put.key = (ProtobufCBinaryData){.len = 1, .data = (uint8_t[]){'k'}};
    put.value = (ProtobufCBinaryData){.len = 1, .data = (uint8_t[]){'v'}};
    assert_int_equal(etcd__wire_pack(&put.base, 5, &data, &len), ETCD_OK);
    assert_int_equal(len, sizeof(expected));
    memset(data, 0, 5);
    assert_memory_equal(data + 5, expected, sizeof(expected));
    etcd__free(data);
    assert_int_equal(etcd__wire_pack(&put.base, SIZE_MAX, &data, &len), ETCD_E_NO_MEMORY);
    etcd__pb__put_request__init(&put);
    assert_int_equal(etcd__wire_pack(&put.base, 0, &data, &len), ETCD_OK); /* no bytes at all */
    assert_int_equal(len, 0);
    assert_non_null(data);
    etcd__free(data);
}

static void unknown_fields_are_passed_over(void **state)
{
    /* Field 1000 with each wire type, around a put answer's header with revision 5. */
    static const uint8_t data[] = {0xc0, 0x3e, 1, 0xc1, 0x3e, 1, 2, 3, 4,    5,    6, 7, 8, 0x0a,
                                   2,    0x18, 5, 0xc2, 0x3e, 2, 9, 9, 0xc5, 0x3e, 1, 2, 3, 4};
    struct etcd__arena arena = {0};
    etcd_status status;
    Etcd__Pb__PutResponse *put = unpack_exact(TYPE(put_response), &arena, data, sizeof(data), &status);

    (void)state;
    assert_int_equal(status, ETCD_OK);
    assert_int_equal(put->header->revision, 5);
    etcd__arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back),       cmocka_unit_test(every_message_cut_anywhere),
        cmocka_unit_test(wrong_wire_types_are_refused),   cmocka_unit_test(damaged_messages_do_no_harm),
        cmocka_unit_test(out_of_memory_is_told_apart),    cmocka_unit_test(headroom_is_left_in_front),
        cmocka_unit_test(unknown_fields_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

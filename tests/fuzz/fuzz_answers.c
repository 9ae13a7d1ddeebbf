/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a server's answer: the first byte chooses whose, the rest is the message. */
#include "client/results.h"
#include "wire/bulk.h"
#include "wire/codec.h"
#include "wire/messages.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef etcd_status decode_fn(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr);
typedef void release_fn(void *result);

/* Answers that have a decoder of their own. */
static const struct {
    decode_fn *decode;
    release_fn *release;
} results[] = {
    {etcd__get_decode, etcd__get_result_release},
    {etcd__put_decode, etcd__put_result_release},
    {etcd__delete_decode, etcd__delete_result_release},
    {etcd__txn_decode, etcd__txn_result_release},
};

#define TYPE(name) &etcd__pb__##name##__descriptor

/* Whatever a server can say, and the requests that can nest. */
static const ProtobufCMessageDescriptor *const types[] = {
    TYPE(member_list_response),
    TYPE(lease_time_to_live_response),
    TYPE(range_response),
    TYPE(range_stream_response),
    TYPE(put_response),
    TYPE(delete_range_response),
    TYPE(txn_response),
    TYPE(txn_request),
    TYPE(compaction_response),
    TYPE(watch_response),
    TYPE(lease_grant_response),
    TYPE(lease_revoke_response),
    TYPE(lease_keep_alive_response),
    TYPE(lease_leases_response),
    TYPE(member_add_response),
    TYPE(member_remove_response),
    TYPE(member_update_response),
    TYPE(member_promote_response),
    TYPE(alarm_response),
    TYPE(status_response),
    TYPE(defragment_response),
    TYPE(hash_response),
    TYPE(hash_kv_response),
    TYPE(snapshot_response),
    TYPE(move_leader_response),
    TYPE(downgrade_response),
    TYPE(auth_enable_response),
    TYPE(auth_disable_response),
    TYPE(auth_status_response),
    TYPE(authenticate_response),
    TYPE(auth_user_add_response),
    TYPE(auth_user_get_response),
    TYPE(auth_user_list_response),
    TYPE(auth_user_delete_response),
    TYPE(auth_user_change_password_response),
    TYPE(auth_user_grant_role_response),
    TYPE(auth_user_revoke_role_response),
    TYPE(auth_role_add_response),
    TYPE(auth_role_get_response),
    TYPE(auth_role_list_response),
    TYPE(auth_role_delete_response),
    TYPE(auth_role_grant_permission_response),
    TYPE(auth_role_revoke_permission_response),
};

enum {
    RESULTS = sizeof(results) / sizeof(results[0]),
    TYPES = sizeof(types) / sizeof(types[0]),
    BULK = 3,
};

static void decode(size_t which, const uint8_t *data, size_t size)
{
    void *result = NULL;
    etcd_error err;

    if (results[which].decode(data, size, &result, &err) == ETCD_OK)
        results[which].release(result);
}

static void read_bulk(size_t which, const uint8_t *data, size_t size)
{
    struct etcd__arena arena = {0};
    struct etcd__wire_watch watch;
    struct etcd__wire_range range;
    struct etcd__wire_lease lease;

    (void)etcd__wire_read_lease(data, size, &lease);
    if (which == 0)
        (void)etcd__wire_read_watch(&arena, data, size, &watch);
    else if (which == 1)
        (void)etcd__wire_read_range(&arena, data, size, &range);
    else
        (void)etcd__wire_read_range_part(&arena, data, size, &range);
    etcd__arena_deinit(&arena);
}

static void unpack(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size)
{
    struct etcd__arena arena = {0};
    etcd_status st;

    (void)etcd__wire_unpack(type, &arena, data, size, &st);
    etcd__arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t which = size == 0 ? 0 : data[0] % (RESULTS + BULK + TYPES);

    if (size == 0)
        return 0;
    data++;
    size--;
    if (which < RESULTS)
        decode(which, data, size);
    else if (which < RESULTS + BULK)
        read_bulk(which - RESULTS, data, size);
    else
        unpack(types[which - RESULTS - BULK], data, size);
    return 0;
}

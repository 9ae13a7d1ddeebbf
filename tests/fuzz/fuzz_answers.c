/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a server's answer: the first byte chooses whose, the rest is the message. */
#include "client/results.h"
#include "wire/bulk.h"
#include "wire/codec.h"
#include "wire/messages.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef etcd_status decode_fn(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr);

static void decode(decode_fn *fn, void (*release)(void *result), const uint8_t *data, size_t size)
{
    void *result = NULL;
    etcd_error err;

    if (fn(data, size, &result, &err) == ETCD_OK)
        release(result);
}

static void read_watch(const uint8_t *data, size_t size)
{
    struct etcd__arena arena = {0};
    struct etcd__wire_watch watch;

    (void)etcd__wire_read_watch(&arena, data, size, &watch);
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
    if (size == 0)
        return 0;
    switch (data[0] % 7) {
    case 0:
        decode(etcd__get_decode, etcd__get_result_release, data + 1, size - 1);
        break;
    case 1:
        decode(etcd__put_decode, etcd__put_result_release, data + 1, size - 1);
        break;
    case 2:
        decode(etcd__delete_decode, etcd__delete_result_release, data + 1, size - 1);
        break;
    case 3:
        decode(etcd__txn_decode, etcd__txn_result_release, data + 1, size - 1);
        break;
    case 4:
        read_watch(data + 1, size - 1);
        break;
    case 5:
        unpack(&etcd__pb__member_list_response__descriptor, data + 1, size - 1);
        break;
    default:
        unpack(&etcd__pb__lease_time_to_live_response__descriptor, data + 1, size - 1);
        break;
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a transaction or its answer: what passes the check for nesting, and is then decoded by
 * recursion, nests no deeper than the check promises. The first byte chooses the type.
 */
#include "wire/codec.h"
#include "wire/messages.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t request_depth(const Etcd__Pb__TxnRequest *txn);

static size_t request_op_depth(Etcd__Pb__RequestOp *const *ops, size_t count)
{
    size_t deepest = 0;

    for (size_t i = 0; i < count; i++) {
        size_t depth = 0;

        if (ops[i]->request_case == ETCD__PB__REQUEST_OP__REQUEST_REQUEST_TXN)
            depth = request_depth(ops[i]->request_txn);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest;
}

static size_t request_depth(const Etcd__Pb__TxnRequest *txn)
{
    size_t success = request_op_depth(txn->success, txn->n_success);
    size_t failure = request_op_depth(txn->failure, txn->n_failure);

    return 1 + (success > failure ? success : failure);
}

static size_t response_depth(const Etcd__Pb__TxnResponse *txn)
{
    size_t deepest = 0;

    for (size_t i = 0; i < txn->n_responses; i++) {
        const Etcd__Pb__ResponseOp *op = txn->responses[i];
        size_t depth = 0;

        if (op->response_case == ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_TXN)
            depth = response_depth(op->response_txn);
        deepest = depth > deepest ? depth : deepest;
    }
    return 1 + deepest;
}

static size_t depth_of(const ProtobufCMessageDescriptor *type, void *message)
{
    if (type == &etcd__pb__txn_request__descriptor)
        return request_depth(message);
    if (type == &etcd__pb__txn_response__descriptor)
        return response_depth(message);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &etcd__pb__txn_request__descriptor,
        &etcd__pb__txn_response__descriptor,
        &etcd__pb__request_op__descriptor,
        &etcd__pb__response_op__descriptor,
    };
    struct etcd__arena arena = {0};
    const ProtobufCMessageDescriptor *type;
    etcd_status st;
    void *message;

    if (size == 0)
        return 0;
    type = types[data[0] % 4];
    message = etcd__wire_unpack(type, &arena, data + 1, size - 1, &st);
    if (message != NULL && depth_of(type, message) > ETCD__WIRE_DEPTH_MAX)
        abort();
    etcd__arena_deinit(&arena);
    return 0;
}

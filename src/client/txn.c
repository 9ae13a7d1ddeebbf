/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transaction is kept as the message it becomes: its parts and all bytes lie in one arena. Lists grow in
 * the arena too, by doubling; what they leave behind is small and goes with the rest.
 */
#include "etcdc/txn.h"

#include "base/arena.h"
#include "client/client.h"
#include "client/requests.h"
#include "client/results.h"
#include "client/rpc.h"
#include "wire/codec.h"
#include "wire/convert.h"

struct etcd_txn {
    struct etcd__arena arena;
    Etcd__Pb__TxnRequest request;
    size_t compare_room, success_room, failure_room;
    unsigned depth;     /* of transactions inside; 0: none */
    etcd_error mistake; /* the first; status ETCD_OK: none */
};

static const struct etcd__rpc_kind txn_kind = {
    .method = {"/etcdserverpb.KV/Txn", "txn", false},
    .needs_leader = true,
    .writes = true,
    .decode = etcd__txn_decode,
    .free_result = etcd__txn_result_release,
    .scope = &etcd__txn_scope,
};

/* The same call when no branch can write. */
static const struct etcd__rpc_kind read_txn_kind = {
    .method = {"/etcdserverpb.KV/Txn", "txn", false},
    .needs_leader = true,
    .repeatable = true,
    .decode = etcd__txn_decode,
    .free_result = etcd__txn_result_release,
    .scope = &etcd__txn_scope,
};

etcd_txn *etcd_txn_new(void)
{
    struct etcd_txn *txn = ETCD__NEW(struct etcd_txn);

    if (txn == NULL)
        return NULL;
    etcd__pb__txn_request__init(&txn->request);
    return txn;
}

void etcd_txn_free(etcd_txn *txn)
{
    if (txn == NULL)
        return;
    etcd__arena_deinit(&txn->arena);
    etcd__free(txn);
}

/* ---- parts ----------------------------------------------------------------------------------------- */

/* Nothing can be added any more: no memory for the transaction, or a mistake before. */
static bool spoilt(const etcd_txn *txn)
{
    return txn == NULL || txn->mistake.status != ETCD_OK;
}

static void *new_part(etcd_txn *txn, size_t size)
{
    void *part = etcd__arena_calloc(&txn->arena, 1, size);

    if (part == NULL)
        (void)etcd__fail_memory(&txn->mistake);
    return part;
}

static bool copy_bytes(etcd_txn *txn, ProtobufCBinaryData *bytes)
{
    bytes->data = etcd__arena_memdup(&txn->arena, bytes->data, bytes->len);
    if (bytes->data == NULL)
        (void)etcd__fail_memory(&txn->mistake);
    return bytes->data != NULL;
}

/* Appends to one of the message's lists of pointers. */
static bool append(etcd_txn *txn, void ***list, size_t *count, size_t *room, void *part)
{
    if (*count == *room) {
        size_t bigger = *room == 0 ? 8 : *room * 2;
        void **copy = etcd__arena_calloc(&txn->arena, bigger, sizeof(*copy));

        if (copy == NULL) {
            (void)etcd__fail_memory(&txn->mistake);
            return false;
        }
        if (*count > 0)
            memcpy(copy, *list, *count * sizeof(*copy));
        *list = copy;
        *room = bigger;
    }
    (*list)[(*count)++] = part;
    return true;
}

/* ---- comparisons ----------------------------------------------------------------------------------- */

static Etcd__Pb__Compare *new_compare(etcd_txn *txn, etcd_bytes key, etcd_cmp cmp)
{
    Etcd__Pb__Compare *compare;
    void **list;

    if (spoilt(txn) || etcd__check_bytes("txn", "key", key, &txn->mistake) != ETCD_OK)
        return NULL;
    if (key.len == 0) {
        (void)etcd__fail(&txn->mistake, ETCD_E_INVALID_ARGUMENT, "txn: key of a comparison is empty");
        return NULL;
    }
    if ((unsigned)cmp > ETCD_CMP_NOT_EQUAL) {
        (void)etcd__fail(&txn->mistake, ETCD_E_INVALID_ARGUMENT, "txn: cmp is %d", (int)cmp);
        return NULL;
    }
    compare = new_part(txn, sizeof(*compare));
    if (compare == NULL)
        return NULL;
    etcd__pb__compare__init(compare);
    compare->result = (Etcd__Pb__Compare__Result)cmp;
    compare->key = etcd__wire_data(key);
    list = (void **)txn->request.compare;
    if (!copy_bytes(txn, &compare->key) ||
        !append(txn, &list, &txn->request.n_compare, &txn->compare_room, compare))
        return NULL;
    txn->request.compare = (Etcd__Pb__Compare **)list;
    return compare;
}

static void set_number(Etcd__Pb__Compare *compare, etcd_cmp_target target, int64_t number)
{
    switch (target) {
    case ETCD_CMP_CREATE_REVISION:
        compare->operand_case = ETCD__PB__COMPARE__OPERAND_CREATE_REVISION;
        compare->create_revision = number;
        break;
    case ETCD_CMP_MOD_REVISION:
        compare->operand_case = ETCD__PB__COMPARE__OPERAND_MOD_REVISION;
        compare->mod_revision = number;
        break;
    case ETCD_CMP_LEASE:
        compare->operand_case = ETCD__PB__COMPARE__OPERAND_LEASE;
        compare->lease = number;
        break;
    default:
        compare->operand_case = ETCD__PB__COMPARE__OPERAND_VERSION;
        compare->version = number;
        break;
    }
}

void etcd_txn_if(etcd_txn *txn, etcd_bytes key, etcd_cmp_target target, etcd_cmp cmp, int64_t number)
{
    Etcd__Pb__Compare *compare;

    if (spoilt(txn))
        return;
    if ((unsigned)target > ETCD_CMP_LEASE || target == (etcd_cmp_target)ETCD__PB__COMPARE__TARGET__VALUE) {
        (void)etcd__fail(&txn->mistake, ETCD_E_INVALID_ARGUMENT, "txn: target is %d", (int)target);
        return;
    }
    compare = new_compare(txn, key, cmp);
    if (compare == NULL)
        return;
    compare->target = (Etcd__Pb__Compare__Target)target;
    set_number(compare, target, number);
}

void etcd_txn_if_value(etcd_txn *txn, etcd_bytes key, etcd_cmp cmp, etcd_bytes value)
{
    Etcd__Pb__Compare *compare;

    if (spoilt(txn) || etcd__check_bytes("txn", "value", value, &txn->mistake) != ETCD_OK)
        return;
    compare = new_compare(txn, key, cmp);
    if (compare == NULL)
        return;
    compare->target = ETCD__PB__COMPARE__TARGET__VALUE;
    compare->operand_case = ETCD__PB__COMPARE__OPERAND_VALUE;
    compare->value = etcd__wire_data(value);
    (void)copy_bytes(txn, &compare->value);
}

void etcd_txn_if_exists(etcd_txn *txn, etcd_bytes key)
{
    etcd_txn_if(txn, key, ETCD_CMP_VERSION, ETCD_CMP_GREATER, 0);
}

void etcd_txn_if_missing(etcd_txn *txn, etcd_bytes key)
{
    etcd_txn_if(txn, key, ETCD_CMP_VERSION, ETCD_CMP_EQUAL, 0);
}

void etcd_txn_if_range(etcd_txn *txn, etcd_bytes range_end)
{
    Etcd__Pb__Compare *compare;

    if (spoilt(txn) || etcd__check_bytes("txn", "range_end", range_end, &txn->mistake) != ETCD_OK)
        return;
    if (txn->request.n_compare == 0) {
        (void)etcd__fail(&txn->mistake, ETCD_E_INVALID_ARGUMENT,
                         "txn: a range end without a comparison before it");
        return;
    }
    compare = txn->request.compare[txn->request.n_compare - 1];
    compare->range_end = etcd__wire_data(range_end);
    (void)copy_bytes(txn, &compare->range_end);
}

/* ---- operations ------------------------------------------------------------------------------------ */

static Etcd__Pb__RequestOp *new_op(etcd_txn *txn, etcd_txn_branch branch)
{
    Etcd__Pb__RequestOp *op;
    void **list;
    bool added;

    if (branch != ETCD_TXN_THEN && branch != ETCD_TXN_ELSE) {
        (void)etcd__fail(&txn->mistake, ETCD_E_INVALID_ARGUMENT, "txn: branch is %d", (int)branch);
        return NULL;
    }
    op = new_part(txn, sizeof(*op));
    if (op == NULL)
        return NULL;
    etcd__pb__request_op__init(op);
    list = (void **)(branch == ETCD_TXN_THEN ? txn->request.success : txn->request.failure);
    if (branch == ETCD_TXN_THEN)
        added = append(txn, &list, &txn->request.n_success, &txn->success_room, op);
    else
        added = append(txn, &list, &txn->request.n_failure, &txn->failure_room, op);
    if (branch == ETCD_TXN_THEN)
        txn->request.success = (Etcd__Pb__RequestOp **)list;
    else
        txn->request.failure = (Etcd__Pb__RequestOp **)list;
    return added ? op : NULL;
}

void etcd_txn_put(etcd_txn *txn, etcd_txn_branch branch, etcd_bytes key, etcd_bytes value,
                  const etcd_put_opts *opts)
{
    Etcd__Pb__PutRequest request = ETCD__PB__PUT_REQUEST__INIT;
    Etcd__Pb__RequestOp *op;
    etcd_put_opts own;

    if (spoilt(txn) || etcd__put_request(key, value, opts, &own, &request, &txn->mistake) != ETCD_OK)
        return;
    op = new_op(txn, branch);
    if (op == NULL)
        return;
    op->request_put = new_part(txn, sizeof(request));
    if (op->request_put == NULL)
        return;
    *op->request_put = request;
    op->request_case = ETCD__PB__REQUEST_OP__REQUEST_REQUEST_PUT;
    if (copy_bytes(txn, &op->request_put->key))
        (void)copy_bytes(txn, &op->request_put->value);
}

void etcd_txn_get(etcd_txn *txn, etcd_txn_branch branch, etcd_bytes key, const etcd_get_opts *opts)
{
    Etcd__Pb__RangeRequest request = ETCD__PB__RANGE_REQUEST__INIT;
    struct etcd__range range = {.own = NULL};
    Etcd__Pb__RequestOp *op;
    etcd_get_opts own;

    if (spoilt(txn) || etcd__get_request(key, opts, &own, &range, &request, &txn->mistake) != ETCD_OK)
        return;
    op = new_op(txn, branch);
    if (op != NULL)
        op->request_range = new_part(txn, sizeof(request));
    if (op != NULL && op->request_range != NULL) {
        *op->request_range = request;
        op->request_case = ETCD__PB__REQUEST_OP__REQUEST_REQUEST_RANGE;
        if (copy_bytes(txn, &op->request_range->key))
            (void)copy_bytes(txn, &op->request_range->range_end);
    }
    etcd__range_deinit(&range);
}

void etcd_txn_delete(etcd_txn *txn, etcd_txn_branch branch, etcd_bytes key, const etcd_delete_opts *opts)
{
    Etcd__Pb__DeleteRangeRequest request = ETCD__PB__DELETE_RANGE_REQUEST__INIT;
    struct etcd__range range = {.own = NULL};
    Etcd__Pb__RequestOp *op;
    etcd_delete_opts own;

    if (spoilt(txn) || etcd__delete_request(key, opts, &own, &range, &request, &txn->mistake) != ETCD_OK)
        return;
    op = new_op(txn, branch);
    if (op != NULL)
        op->request_delete_range = new_part(txn, sizeof(request));
    if (op != NULL && op->request_delete_range != NULL) {
        *op->request_delete_range = request;
        op->request_case = ETCD__PB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
        if (copy_bytes(txn, &op->request_delete_range->key))
            (void)copy_bytes(txn, &op->request_delete_range->range_end);
    }
    etcd__range_deinit(&range);
}

/* Encodes and decodes: the copy then lies whole in our arena. */
static Etcd__Pb__TxnRequest *copy_request(etcd_txn *txn, const etcd_txn *nested)
{
    Etcd__Pb__TxnRequest *copy = NULL;
    uint8_t *data;
    size_t len;
    etcd_status st = etcd__wire_pack(&nested->request.base, 0, &data, &len);

    if (st == ETCD_OK) {
        copy = etcd__wire_unpack(&etcd__pb__txn_request__descriptor, &txn->arena, data, len, &st);
        etcd__free(data);
    }
    if (copy == NULL)
        (void)etcd__fail_memory(&txn->mistake);
    return copy;
}

static bool can_nest(etcd_txn *txn, const etcd_txn *nested)
{
    if (nested == NULL)
        (void)etcd__fail_memory(&txn->mistake);
    else if (nested->mistake.status != ETCD_OK)
        txn->mistake = nested->mistake;
    else if (nested->depth + 2 > ETCD__WIRE_DEPTH_MAX)
        (void)etcd__fail(&txn->mistake, ETCD_E_INVALID_ARGUMENT, "txn: transactions nested more than %d deep",
                         ETCD__WIRE_DEPTH_MAX);
    return txn->mistake.status == ETCD_OK;
}

void etcd_txn_nest(etcd_txn *txn, etcd_txn_branch branch, const etcd_txn *nested)
{
    Etcd__Pb__TxnRequest *copy;
    Etcd__Pb__RequestOp *op;

    if (spoilt(txn) || !can_nest(txn, nested))
        return;
    copy = copy_request(txn, nested);
    op = copy == NULL ? NULL : new_op(txn, branch);
    if (op == NULL)
        return;
    op->request_txn = copy;
    op->request_case = ETCD__PB__REQUEST_OP__REQUEST_REQUEST_TXN;
    if (txn->depth < nested->depth + 1)
        txn->depth = nested->depth + 1;
}

/* ---- committing ------------------------------------------------------------------------------------ */

static bool only_reads(Etcd__Pb__RequestOp *const *ops, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ops[i]->request_case != ETCD__PB__REQUEST_OP__REQUEST_REQUEST_RANGE)
            return false;
    }
    return true;
}

static const struct etcd__rpc_kind *kind_of(const etcd_txn *txn)
{
    bool reads = only_reads(txn->request.success, txn->request.n_success) &&
                 only_reads(txn->request.failure, txn->request.n_failure);

    return reads ? &read_txn_kind : &txn_kind;
}

static etcd_status start_txn(etcd_client *client, const etcd_txn *txn, const etcd_txn_opts *opts,
                             struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    etcd_txn_opts own = ETCD_TXN_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, "txn", reterr);

    if (st != ETCD_OK)
        return st;
    if (txn == NULL)
        return etcd__fail_memory(reterr);
    if (txn->mistake.status != ETCD_OK) {
        etcd__error_copy(reterr, &txn->mistake);
        return txn->mistake.status;
    }
    how.timeout_ms = own.timeout_ms;
    how.fail_fast = own.fail_fast;
    how.idempotent = own.idempotent;
    how.in_wait = own.in_wait;
    return etcd__rpc_start(client, kind_of(txn), &txn->request.base, &how, ret_op, reterr);
}

etcd_status etcd_txn_commit(etcd_client *client, const etcd_txn *txn, const etcd_txn_opts *opts,
                            etcd_txn_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_txn(client, txn, opts, etcd__rpc_blocking(), &op, reterr);

    st = etcd__rpc_finish(st, op, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_txn_commit_async(etcd_client *client, const etcd_txn *txn, const etcd_txn_opts *opts,
                                  etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_txn(client, txn, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_txn_take(etcd_op *op, etcd_txn_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    const void *kind = op != NULL && op->kind == &read_txn_kind ? (const void *)&read_txn_kind : &txn_kind;
    etcd_status st = etcd__op_take(op, kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

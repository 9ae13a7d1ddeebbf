/* SPDX-License-Identifier: Apache-2.0 */
#include "client/namespace.h"

#include "wire/convert.h"

#include <string.h>

/* ---- keys into it ---------------------------------------------------------------------------------- */

static bool is_to_the_end(etcd_bytes end)
{
    return end.len == 1 && *(const unsigned char *)end.data == 0;
}

/* `dst` has room for both. */
static etcd_bytes put_before(etcd_bytes space, etcd_bytes key, void *dst)
{
    memcpy(dst, space.data, space.len);
    if (key.len > 0)
        memcpy((char *)dst + space.len, key.data, key.len);
    return etcd_bytes_of(dst, space.len + key.len);
}

/* The end of a range, if it has one: "to the end" is that of the namespace. `dst` has room for both. */
static etcd_bytes enter_end(etcd_bytes space, etcd_bytes end, void *dst)
{
    if (end.len == 0)
        return end;
    return is_to_the_end(end) ? etcd_prefix_end(space, dst) : put_before(space, end, dst);
}

etcd_status etcd__namespace_range(etcd_bytes space, struct etcd__range *range, etcd_error *reterr)
{
    size_t key_room = space.len + range->key.len;
    struct etcd__range inside;

    if (space.len == 0)
        return ETCD_OK;
    inside.own = etcd__malloc(key_room + space.len + range->end.len);
    if (inside.own == NULL)
        return etcd__fail_memory(reterr);
    inside.key = put_before(space, range->key, inside.own);
    inside.end = enter_end(space, range->end, (char *)inside.own + key_room);
    etcd__range_deinit(range);
    *range = inside;
    return ETCD_OK;
}

/* ---- requests -------------------------------------------------------------------------------------- */

static etcd_bytes bytes_of(ProtobufCBinaryData data)
{
    return etcd_bytes_of(data.data, data.len);
}

/* Both take their memory from the arena; false: there is none. */
static bool enter_key(etcd_bytes space, ProtobufCBinaryData *key, struct etcd__arena *arena)
{
    void *dst = etcd__arena_alloc(arena, space.len + key->len);

    if (dst == NULL)
        return false;
    *key = etcd__wire_data(put_before(space, bytes_of(*key), dst));
    return true;
}

static bool enter_bounds(etcd_bytes space, ProtobufCBinaryData *key, ProtobufCBinaryData *end,
                         struct etcd__arena *arena)
{
    void *dst = end->len == 0 ? NULL : etcd__arena_alloc(arena, space.len + end->len);

    if (dst == NULL && end->len > 0)
        return false;
    *end = etcd__wire_data(enter_end(space, bytes_of(*end), dst));
    return enter_key(space, key, arena);
}

/* A copy that leads to the same bytes. */
static void *copy_of(const void *message, size_t size, struct etcd__arena *arena)
{
    void *copy = etcd__arena_alloc(arena, size);

    if (copy != NULL)
        memcpy(copy, message, size);
    return copy;
}

static Etcd__Pb__PutRequest *put_inside(etcd_bytes space, const Etcd__Pb__PutRequest *request,
                                        struct etcd__arena *arena)
{
    Etcd__Pb__PutRequest *put = copy_of(request, sizeof(*put), arena);

    return put != NULL && enter_key(space, &put->key, arena) ? put : NULL;
}

static Etcd__Pb__RangeRequest *range_inside(etcd_bytes space, const Etcd__Pb__RangeRequest *request,
                                            struct etcd__arena *arena)
{
    Etcd__Pb__RangeRequest *range = copy_of(request, sizeof(*range), arena);

    return range != NULL && enter_bounds(space, &range->key, &range->range_end, arena) ? range : NULL;
}

static Etcd__Pb__DeleteRangeRequest *delete_inside(etcd_bytes space,
                                                   const Etcd__Pb__DeleteRangeRequest *request,
                                                   struct etcd__arena *arena)
{
    Etcd__Pb__DeleteRangeRequest *del = copy_of(request, sizeof(*del), arena);

    return del != NULL && enter_bounds(space, &del->key, &del->range_end, arena) ? del : NULL;
}

static const ProtobufCMessage *enter_put(etcd_bytes space, const ProtobufCMessage *request,
                                         struct etcd__arena *arena)
{
    Etcd__Pb__PutRequest *put = put_inside(space, (const Etcd__Pb__PutRequest *)request, arena);

    return put == NULL ? NULL : &put->base;
}

static const ProtobufCMessage *enter_get(etcd_bytes space, const ProtobufCMessage *request,
                                         struct etcd__arena *arena)
{
    Etcd__Pb__RangeRequest *range = range_inside(space, (const Etcd__Pb__RangeRequest *)request, arena);

    return range == NULL ? NULL : &range->base;
}

static const ProtobufCMessage *enter_delete(etcd_bytes space, const ProtobufCMessage *request,
                                            struct etcd__arena *arena)
{
    Etcd__Pb__DeleteRangeRequest *del = delete_inside(space, (const Etcd__Pb__DeleteRangeRequest *)request,
                                                      arena);

    return del == NULL ? NULL : &del->base;
}

/* ---- requests: transactions ------------------------------------------------------------------------ */

static Etcd__Pb__TxnRequest *txn_inside(etcd_bytes space, const Etcd__Pb__TxnRequest *request,
                                        struct etcd__arena *arena);

static bool enter_op(etcd_bytes space, Etcd__Pb__RequestOp *op, struct etcd__arena *arena)
{
    switch (op->request_case) {
    case ETCD__PB__REQUEST_OP__REQUEST_REQUEST_PUT:
        op->request_put = put_inside(space, op->request_put, arena);
        return op->request_put != NULL;
    case ETCD__PB__REQUEST_OP__REQUEST_REQUEST_RANGE:
        op->request_range = range_inside(space, op->request_range, arena);
        return op->request_range != NULL;
    case ETCD__PB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE:
        op->request_delete_range = delete_inside(space, op->request_delete_range, arena);
        return op->request_delete_range != NULL;
    case ETCD__PB__REQUEST_OP__REQUEST_REQUEST_TXN:
        op->request_txn = txn_inside(space, op->request_txn, arena);
        return op->request_txn != NULL;
    default:
        return true;
    }
}

static bool enter_ops(etcd_bytes space, Etcd__Pb__RequestOp ***ops, size_t count, struct etcd__arena *arena)
{
    Etcd__Pb__RequestOp **list = etcd__arena_calloc(arena, count, sizeof(*list));

    if (list == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        list[i] = copy_of((*ops)[i], sizeof(*list[i]), arena);
        if (list[i] == NULL || !enter_op(space, list[i], arena))
            return false;
    }
    *ops = list;
    return true;
}

static bool enter_compares(etcd_bytes space, Etcd__Pb__TxnRequest *txn, struct etcd__arena *arena)
{
    Etcd__Pb__Compare **list = etcd__arena_calloc(arena, txn->n_compare, sizeof(*list));

    if (list == NULL)
        return false;
    for (size_t i = 0; i < txn->n_compare; i++) {
        list[i] = copy_of(txn->compare[i], sizeof(*list[i]), arena);
        if (list[i] == NULL || !enter_bounds(space, &list[i]->key, &list[i]->range_end, arena))
            return false;
    }
    txn->compare = list;
    return true;
}

/* As deep as etcd_txn_nest() allows. */
static Etcd__Pb__TxnRequest *txn_inside(etcd_bytes space, const Etcd__Pb__TxnRequest *request,
                                        struct etcd__arena *arena)
{
    Etcd__Pb__TxnRequest *txn = copy_of(request, sizeof(*txn), arena);

    if (txn == NULL || !enter_compares(space, txn, arena) ||
        !enter_ops(space, &txn->success, txn->n_success, arena) ||
        !enter_ops(space, &txn->failure, txn->n_failure, arena))
        return NULL;
    return txn;
}

static const ProtobufCMessage *enter_txn(etcd_bytes space, const ProtobufCMessage *request,
                                         struct etcd__arena *arena)
{
    Etcd__Pb__TxnRequest *txn = txn_inside(space, (const Etcd__Pb__TxnRequest *)request, arena);

    return txn == NULL ? NULL : &txn->base;
}

/* ---- keys out of it -------------------------------------------------------------------------------- */

bool etcd__namespace_cut(etcd_bytes space, etcd_bytes *key)
{
    if (space.len == 0)
        return true;
    if (key->len <= space.len || memcmp(key->data, space.data, space.len) != 0)
        return false;
    *key = etcd_bytes_of((const char *)key->data + space.len, key->len - space.len);
    return true;
}

static bool cut_all(etcd_bytes space, etcd_kv *kvs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!etcd__namespace_cut(space, &kvs[i].key))
            return false;
    }
    return true;
}

static bool cut_put(etcd_bytes space, struct etcd_put_result *put)
{
    return !put->has_prev_kv || etcd__namespace_cut(space, &put->prev_kv.key);
}

static bool cut_txn(etcd_bytes space, struct etcd_txn_result *txn);

static bool cut_entry(etcd_bytes space, struct etcd__txn_entry *entry)
{
    switch (entry->kind) {
    case ETCD_TXN_KIND_PUT:
        return cut_put(space, &entry->as.put);
    case ETCD_TXN_KIND_GET:
        return cut_all(space, entry->as.get.kvs, entry->as.get.count);
    case ETCD_TXN_KIND_DELETE:
        return cut_all(space, entry->as.del.prev_kvs, entry->as.del.prev_count);
    case ETCD_TXN_KIND_TXN:
        return cut_txn(space, entry->as.txn);
    default:
        return true;
    }
}

static bool cut_txn(etcd_bytes space, struct etcd_txn_result *txn)
{
    for (size_t i = 0; i < txn->count; i++) {
        if (!cut_entry(space, &txn->entries[i]))
            return false;
    }
    return true;
}

/* ---- results --------------------------------------------------------------------------------------- */

static etcd_status judge(bool inside, etcd_error *reterr)
{
    if (inside)
        return ETCD_OK;
    return etcd__fail(reterr, ETCD_E_PROTOCOL, "the server's answer has a key outside of the namespace");
}

static etcd_status leave_put(etcd_bytes space, void *result, etcd_error *reterr)
{
    return judge(cut_put(space, result), reterr);
}

static etcd_status leave_get(etcd_bytes space, void *result, etcd_error *reterr)
{
    return etcd__namespace_leave_get(space, result, reterr);
}

static etcd_status leave_delete(etcd_bytes space, void *result, etcd_error *reterr)
{
    struct etcd_delete_result *del = result;

    return judge(cut_all(space, del->prev_kvs, del->prev_count), reterr);
}

static etcd_status leave_txn(etcd_bytes space, void *result, etcd_error *reterr)
{
    return judge(cut_txn(space, result), reterr);
}

etcd_status etcd__namespace_leave_get(etcd_bytes space, struct etcd_get_result *result, etcd_error *reterr)
{
    return judge(cut_all(space, result->kvs, result->count), reterr);
}

/* The pair before an event lies in the batch as well, which is not shared with anybody yet. */
bool etcd__namespace_leave_events(etcd_bytes space, etcd_event *events, size_t count)
{
    for (size_t i = 0; space.len > 0 && i < count; i++) {
        etcd_kv *prev = (etcd_kv *)(uintptr_t)events[i].prev_kv;

        if (!etcd__namespace_cut(space, &events[i].kv.key) ||
            (prev != NULL && !etcd__namespace_cut(space, &prev->key)))
            return false;
    }
    return true;
}

const struct etcd__scope etcd__put_scope = {enter_put, leave_put};
const struct etcd__scope etcd__get_scope = {enter_get, leave_get};
const struct etcd__scope etcd__delete_scope = {enter_delete, leave_delete};
const struct etcd__scope etcd__txn_scope = {enter_txn, leave_txn};

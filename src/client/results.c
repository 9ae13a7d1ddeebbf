/* SPDX-License-Identifier: Apache-2.0 */
#include "client/results.h"

#include "wire/bulk.h"
#include "wire/codec.h"
#include "wire/convert.h"

enum { ARENA_FIRST = 640 }; /* bytes; holds the answer to a put or a small get */

etcd_status etcd__fail_decode(etcd_error *reterr, etcd_status status)
{
    if (status == ETCD_E_NO_MEMORY)
        return etcd__fail_memory(reterr);
    return etcd__fail(reterr, status, "the server's answer cannot be read");
}

etcd_status etcd__done_decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    (void)data;
    (void)len;
    (void)reterr;
    *ret_result = NULL;
    return ETCD_OK;
}

/* ---- filling a result from a message, both in `arena` ---------------------------------------------- */

static void fill_put(struct etcd_put_result *result, const Etcd__Pb__PutResponse *from)
{
    result->header = etcd__wire_header(from->header);
    result->has_prev_kv = from->prev_kv != NULL;
    if (result->has_prev_kv)
        result->prev_kv = etcd__wire_kv(from->prev_kv);
}

static etcd_status fill_get(struct etcd_get_result *result, const Etcd__Pb__RangeResponse *from,
                            struct etcd__arena *arena)
{
    result->header = etcd__wire_header(from->header);
    result->count = from->n_kvs;
    result->total = from->count;
    result->more = from->more;
    return etcd__wire_kvs(arena, from->kvs, from->n_kvs, &result->kvs);
}

static etcd_status fill_delete(struct etcd_delete_result *result, const Etcd__Pb__DeleteRangeResponse *from,
                               struct etcd__arena *arena)
{
    result->header = etcd__wire_header(from->header);
    result->deleted = from->deleted;
    result->prev_count = from->n_prev_kvs;
    return etcd__wire_kvs(arena, from->prev_kvs, from->n_prev_kvs, &result->prev_kvs);
}

static etcd_status fill_txn(struct etcd_txn_result *result, const Etcd__Pb__TxnResponse *from,
                            struct etcd__arena *arena);

static etcd_status fill_nested(struct etcd__txn_entry *entry, const Etcd__Pb__TxnResponse *from,
                               struct etcd__arena *arena)
{
    entry->as.txn = etcd__arena_calloc(arena, 1, sizeof(*entry->as.txn));
    return entry->as.txn == NULL ? ETCD_E_NO_MEMORY : fill_txn(entry->as.txn, from, arena);
}

/* Nesting is bounded: the decoder has refused anything deeper than ETCD__WIRE_DEPTH_MAX. */
static etcd_status fill_entry(struct etcd__txn_entry *entry, const Etcd__Pb__ResponseOp *from,
                              struct etcd__arena *arena)
{
    switch (from->response_case) {
    case ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_PUT:
        entry->kind = ETCD_TXN_KIND_PUT;
        fill_put(&entry->as.put, from->response_put);
        return ETCD_OK;
    case ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE:
        entry->kind = ETCD_TXN_KIND_GET;
        return fill_get(&entry->as.get, from->response_range, arena);
    case ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE:
        entry->kind = ETCD_TXN_KIND_DELETE;
        return fill_delete(&entry->as.del, from->response_delete_range, arena);
    case ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_TXN:
        entry->kind = ETCD_TXN_KIND_TXN;
        return fill_nested(entry, from->response_txn, arena);
    default:
        return ETCD_E_PROTOCOL;
    }
}

static etcd_status fill_txn(struct etcd_txn_result *result, const Etcd__Pb__TxnResponse *from,
                            struct etcd__arena *arena)
{
    etcd_status st = ETCD_OK;

    result->header = etcd__wire_header(from->header);
    result->succeeded = from->succeeded;
    result->count = from->n_responses;
    result->entries = etcd__arena_calloc(arena, from->n_responses, sizeof(*result->entries));
    if (result->entries == NULL)
        return ETCD_E_NO_MEMORY;
    for (size_t i = 0; i < from->n_responses && st == ETCD_OK; i++)
        st = fill_entry(&result->entries[i], from->responses[i], arena);
    return st;
}

/* ---- decoding -------------------------------------------------------------------------------------- */

/* Decodes the message and makes room for the result, both in `arena`. */
static etcd_status start(struct etcd__arena *arena, const ProtobufCMessageDescriptor *type,
                         const uint8_t *data, size_t len, size_t result_size, void **ret_message,
                         void **ret_result)
{
    etcd_status st;

    /* A decoded message is larger than its encoding: structs, lists, the NULs. */
    etcd__arena_init(arena, len < ARENA_FIRST / 4 ? ARENA_FIRST : len * 3);
    *ret_message = etcd__wire_unpack(type, arena, data, len, &st);
    if (*ret_message == NULL)
        return st;
    *ret_result = etcd__arena_calloc(arena, 1, result_size);
    return *ret_result == NULL ? ETCD_E_NO_MEMORY : ETCD_OK;
}

/* Hands the result over, with its arena moved into it, or cleans up. */
static etcd_status finish(struct etcd__arena *arena, etcd_status st, void *result,
                          struct etcd__arena *in_result, void **ret_result, etcd_error *reterr)
{
    if (st != ETCD_OK) {
        etcd__arena_deinit(arena);
        return etcd__fail_decode(reterr, st);
    }
    *in_result = *arena;
    *ret_result = result;
    return ETCD_OK;
}

etcd_status etcd__put_decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena;
    void *message, *result = NULL;
    struct etcd_put_result *put;
    etcd_status st = start(&arena, &etcd__pb__put_response__descriptor, data, len, sizeof(*put), &message,
                           &result);

    put = result;
    if (st == ETCD_OK)
        fill_put(put, message);
    return finish(&arena, st, put, put == NULL ? NULL : &put->arena, ret_result, reterr);
}

typedef etcd_status read_range_fn(struct etcd__arena *arena, const uint8_t *data, size_t len,
                                  struct etcd__wire_range *ret);

/* The result of what was read into the arena, or the failure of reading it. */
static etcd_status finish_range(struct etcd__arena *arena, etcd_status st,
                                const struct etcd__wire_range *range, struct etcd_get_result **ret_result,
                                etcd_error *reterr)
{
    struct etcd_get_result *get = st == ETCD_OK ? etcd__arena_calloc(arena, 1, sizeof(*get)) : NULL;

    if (get == NULL) {
        etcd__arena_deinit(arena);
        return etcd__fail_decode(reterr, st == ETCD_OK ? ETCD_E_NO_MEMORY : st);
    }
    *get = (struct etcd_get_result){
        .arena = *arena,
        .header = range->header,
        .kvs = range->kvs,
        .count = range->kv_count,
        .total = range->count,
        .more = range->more,
    };
    *ret_result = get;
    return ETCD_OK;
}

/* Ranges can be large: they are read without going through protobuf-c. */
static etcd_status decode_range(read_range_fn *read_range, const uint8_t *data, size_t len,
                                struct etcd_get_result **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena;
    struct etcd__wire_range range;
    etcd_status st;

    etcd__arena_init(&arena, len < ARENA_FIRST / 4 ? ARENA_FIRST : len * 3);
    st = read_range(&arena, data, len, &range);
    return finish_range(&arena, st, &range, ret_result, reterr);
}

etcd_status etcd__get_decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd_get_result *get = NULL;
    etcd_status st = decode_range(etcd__wire_read_range, data, len, &get, reterr);

    if (st == ETCD_OK)
        *ret_result = get;
    return st;
}

etcd_status etcd__get_decode_large(struct etcd__buf *answer, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    struct etcd__wire_range range;
    struct etcd_get_result *get = NULL;
    etcd_status st;

    etcd__arena_adopt(&arena, answer->data);
    st = etcd__wire_read_range_in_place(&arena, etcd__buf_front(answer), etcd__buf_len(answer), &range);
    st = finish_range(&arena, st, &range, &get, reterr);
    if (st == ETCD_OK)
        *ret_result = get;
    return st;
}

etcd_status etcd__get_part_decode(const uint8_t *data, size_t len, struct etcd_get_result **ret_result,
                                  etcd_error *reterr)
{
    return decode_range(etcd__wire_read_range_part, data, len, ret_result, reterr);
}

etcd_status etcd__delete_decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena;
    void *message, *result = NULL;
    struct etcd_delete_result *del;
    etcd_status st = start(&arena, &etcd__pb__delete_range_response__descriptor, data, len, sizeof(*del),
                           &message, &result);

    del = result;
    if (st == ETCD_OK)
        st = fill_delete(del, message, &arena);
    return finish(&arena, st, del, del == NULL ? NULL : &del->arena, ret_result, reterr);
}

etcd_status etcd__txn_decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena;
    void *message, *result = NULL;
    struct etcd_txn_result *txn;
    etcd_status st = start(&arena, &etcd__pb__txn_response__descriptor, data, len, sizeof(*txn), &message,
                           &result);

    txn = result;
    if (st == ETCD_OK)
        st = fill_txn(txn, message, &arena);
    return finish(&arena, st, txn, txn == NULL ? NULL : &txn->arena, ret_result, reterr);
}

/* ---- freeing: the result itself lies in the arena -------------------------------------------------- */

static void release(const struct etcd__arena *in_result)
{
    struct etcd__arena arena = *in_result;

    etcd__arena_deinit(&arena);
}

void etcd__put_result_release(void *result)
{
    release(&((struct etcd_put_result *)result)->arena);
}

void etcd__get_result_release(void *result)
{
    release(&((struct etcd_get_result *)result)->arena);
}

void etcd__delete_result_release(void *result)
{
    release(&((struct etcd_delete_result *)result)->arena);
}

void etcd__txn_result_release(void *result)
{
    release(&((struct etcd_txn_result *)result)->arena);
}

void etcd_put_result_free(etcd_put_result *result)
{
    if (result != NULL)
        etcd__put_result_release(result);
}

void etcd_get_result_free(etcd_get_result *result)
{
    if (result != NULL)
        etcd__get_result_release(result);
}

void etcd_delete_result_free(etcd_delete_result *result)
{
    if (result != NULL)
        etcd__delete_result_release(result);
}

void etcd_txn_result_free(etcd_txn_result *result)
{
    if (result != NULL)
        etcd__txn_result_release(result);
}

/* ---- looking at them ------------------------------------------------------------------------------- */

const etcd_header *etcd_put_result_header(const etcd_put_result *result)
{
    return &result->header;
}

const etcd_kv *etcd_put_result_prev_kv(const etcd_put_result *result)
{
    return result->has_prev_kv ? &result->prev_kv : NULL;
}

const etcd_header *etcd_get_result_header(const etcd_get_result *result)
{
    return &result->header;
}

size_t etcd_get_result_count(const etcd_get_result *result)
{
    return result->count;
}

const etcd_kv *etcd_get_result_kv(const etcd_get_result *result, size_t index)
{
    return index < result->count ? &result->kvs[index] : NULL;
}

int64_t etcd_get_result_total(const etcd_get_result *result)
{
    return result->total;
}

bool etcd_get_result_more(const etcd_get_result *result)
{
    return result->more;
}

const etcd_header *etcd_delete_result_header(const etcd_delete_result *result)
{
    return &result->header;
}

int64_t etcd_delete_result_deleted(const etcd_delete_result *result)
{
    return result->deleted;
}

size_t etcd_delete_result_prev_count(const etcd_delete_result *result)
{
    return result->prev_count;
}

const etcd_kv *etcd_delete_result_prev_kv(const etcd_delete_result *result, size_t index)
{
    return index < result->prev_count ? &result->prev_kvs[index] : NULL;
}

const etcd_header *etcd_txn_result_header(const etcd_txn_result *result)
{
    return &result->header;
}

bool etcd_txn_result_succeeded(const etcd_txn_result *result)
{
    return result->succeeded;
}

size_t etcd_txn_result_count(const etcd_txn_result *result)
{
    return result->count;
}

etcd_txn_kind etcd_txn_result_kind(const etcd_txn_result *result, size_t index)
{
    return index < result->count ? result->entries[index].kind : ETCD_TXN_KIND_NONE;
}

const etcd_put_result *etcd_txn_result_put(const etcd_txn_result *result, size_t index)
{
    return etcd_txn_result_kind(result, index) == ETCD_TXN_KIND_PUT ? &result->entries[index].as.put : NULL;
}

const etcd_get_result *etcd_txn_result_get(const etcd_txn_result *result, size_t index)
{
    return etcd_txn_result_kind(result, index) == ETCD_TXN_KIND_GET ? &result->entries[index].as.get : NULL;
}

const etcd_delete_result *etcd_txn_result_delete(const etcd_txn_result *result, size_t index)
{
    return etcd_txn_result_kind(result, index) == ETCD_TXN_KIND_DELETE ? &result->entries[index].as.del
                                                                       : NULL;
}

const etcd_txn_result *etcd_txn_result_nested(const etcd_txn_result *result, size_t index)
{
    return etcd_txn_result_kind(result, index) == ETCD_TXN_KIND_TXN ? result->entries[index].as.txn : NULL;
}

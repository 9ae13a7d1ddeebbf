/* SPDX-License-Identifier: Apache-2.0 */
#include "etcdc/kv.h"

#include "client/client.h"
#include "client/requests.h"
#include "client/results.h"
#include "client/rpc.h"

#include <inttypes.h>

static const struct etcd__rpc_kind put_kind = {
    .method = {"/etcdserverpb.KV/Put", "put", false},
    .needs_leader = true,
    .writes = true,
    .decode = etcd__put_decode,
    .free_result = etcd__put_result_release,
    .scope = &etcd__put_scope,
};

static const struct etcd__rpc_kind get_kind = {
    .method = {"/etcdserverpb.KV/Range", "get", false},
    .needs_leader = true,
    .repeatable = true,
    .decode = etcd__get_decode,
    .decode_large = etcd__get_decode_large,
    .free_result = etcd__get_result_release,
    .scope = &etcd__get_scope,
};

static const struct etcd__rpc_kind delete_kind = {
    .method = {"/etcdserverpb.KV/DeleteRange", "delete", false},
    .needs_leader = true,
    .writes = true,
    .decode = etcd__delete_decode,
    .free_result = etcd__delete_result_release,
    .scope = &etcd__delete_scope,
};

static const struct etcd__rpc_kind compact_kind = {
    .method = {"/etcdserverpb.KV/Compact", "compact", false},
    .needs_leader = true,
    .writes = true,
    .decode = etcd__done_decode,
};

/* ---- put ------------------------------------------------------------------------------------------- */

static etcd_status start_put(etcd_client *client, etcd_bytes key, etcd_bytes value, const etcd_put_opts *opts,
                             struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__PutRequest request = ETCD__PB__PUT_REQUEST__INIT;
    etcd_put_opts own = ETCD_PUT_OPTS_INIT;
    etcd_status st = etcd__put_request(key, value, opts, &own, &request, reterr);

    how.timeout_ms = own.timeout_ms;
    how.fail_fast = own.fail_fast;
    how.idempotent = own.idempotent;
    if (st == ETCD_OK)
        st = etcd__rpc_start(client, &put_kind, &request.base, &how, ret_op, reterr);
    return st;
}

etcd_status etcd_put(etcd_client *client, etcd_bytes key, etcd_bytes value, const etcd_put_opts *opts,
                     etcd_put_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_put(client, key, value, opts, etcd__rpc_blocking(), &op, reterr);

    st = etcd__rpc_finish(st, op, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_put_async(etcd_client *client, etcd_bytes key, etcd_bytes value, const etcd_put_opts *opts,
                           etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_put(client, key, value, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_put_take(etcd_op *op, etcd_put_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &put_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

/* ---- get ------------------------------------------------------------------------------------------- */

static etcd_status start_get(etcd_client *client, etcd_bytes key, const etcd_get_opts *opts,
                             struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__RangeRequest request = ETCD__PB__RANGE_REQUEST__INIT;
    struct etcd__range range = {.own = NULL};
    etcd_get_opts own = ETCD_GET_OPTS_INIT;
    etcd_status st = etcd__get_request(key, opts, &own, &range, &request, reterr);

    how.timeout_ms = own.timeout_ms;
    how.fail_fast = own.fail_fast;
    how.in_wait = own.in_wait;
    how.serializable = request.serializable;
    if (st == ETCD_OK)
        st = etcd__rpc_start(client, &get_kind, &request.base, &how, ret_op, reterr);
    etcd__range_deinit(&range);
    return st;
}

etcd_status etcd_get(etcd_client *client, etcd_bytes key, const etcd_get_opts *opts,
                     etcd_get_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_get(client, key, opts, etcd__rpc_blocking(), &op, reterr);

    st = etcd__rpc_finish(st, op, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_get_async(etcd_client *client, etcd_bytes key, const etcd_get_opts *opts,
                           etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_get(client, key, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_get_take(etcd_op *op, etcd_get_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &get_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

/* ---- delete ---------------------------------------------------------------------------------------- */

static etcd_status start_delete(etcd_client *client, etcd_bytes key, const etcd_delete_opts *opts,
                                struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__DeleteRangeRequest request = ETCD__PB__DELETE_RANGE_REQUEST__INIT;
    struct etcd__range range = {.own = NULL};
    etcd_delete_opts own = ETCD_DELETE_OPTS_INIT;
    etcd_status st = etcd__delete_request(key, opts, &own, &range, &request, reterr);

    how.timeout_ms = own.timeout_ms;
    how.fail_fast = own.fail_fast;
    how.idempotent = own.idempotent;
    if (st == ETCD_OK)
        st = etcd__rpc_start(client, &delete_kind, &request.base, &how, ret_op, reterr);
    etcd__range_deinit(&range);
    return st;
}

etcd_status etcd_delete(etcd_client *client, etcd_bytes key, const etcd_delete_opts *opts,
                        etcd_delete_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_delete(client, key, opts, etcd__rpc_blocking(), &op, reterr);

    st = etcd__rpc_finish(st, op, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_delete_async(etcd_client *client, etcd_bytes key, const etcd_delete_opts *opts,
                              etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_delete(client, key, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_delete_take(etcd_op *op, etcd_delete_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &delete_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

/* ---- compact --------------------------------------------------------------------------------------- */

static etcd_status start_compact(etcd_client *client, int64_t revision, const etcd_compact_opts *opts,
                                 struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__CompactionRequest request = ETCD__PB__COMPACTION_REQUEST__INIT;
    etcd_compact_opts own = ETCD_COMPACT_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, "compact", reterr);

    if (st != ETCD_OK)
        return st;
    if (revision <= 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "compact: revision is %" PRId64, revision);
    request.revision = revision;
    request.physical = own.physical;
    how.timeout_ms = own.timeout_ms;
    how.fail_fast = own.fail_fast;
    return etcd__rpc_start(client, &compact_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_compact(etcd_client *client, int64_t revision, const etcd_compact_opts *opts,
                         etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_compact(client, revision, opts, etcd__rpc_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_compact_async(etcd_client *client, int64_t revision, const etcd_compact_opts *opts,
                               etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_compact(client, revision, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "etcdc/kv.h"

#include "client/client.h"
#include "client/requests.h"
#include "client/results.h"
#include "client/rpc.h"

#include <inttypes.h>

static const struct etcd__rpc_kind put_kind = {
    .method = {"/etcdserverpb.KV/Put", "put", false},
    .writes = true,
    .decode = etcd__put_decode,
    .free_result = etcd__put_result_release,
};

static const struct etcd__rpc_kind get_kind = {
    .method = {"/etcdserverpb.KV/Range", "get", false},
    .repeatable = true,
    .decode = etcd__get_decode,
    .free_result = etcd__get_result_release,
};

static const struct etcd__rpc_kind delete_kind = {
    .method = {"/etcdserverpb.KV/DeleteRange", "delete", false},
    .writes = true,
    .decode = etcd__delete_decode,
    .free_result = etcd__delete_result_release,
};

static const struct etcd__rpc_kind compact_kind = {
    .method = {"/etcdserverpb.KV/Compact", "compact", false},
    .writes = true,
    .decode = etcd__done_decode,
};

/* ---- put ---------------------------------------------------------------------------------------------- */

etcd_status etcd_put(etcd_client *client, etcd_bytes key, etcd_bytes value, const etcd_put_opts *opts,
                     etcd_put_result **ret_result, etcd_error *reterr)
{
    Etcd__Pb__PutRequest request = ETCD__PB__PUT_REQUEST__INIT;
    etcd_put_opts own;
    void *result = NULL;
    etcd_status st = etcd__put_request(key, value, opts, &own, &request, reterr);

    if (st == ETCD_OK)
        st = etcd__rpc_call(client, &put_kind, &request.base,
                            &(struct etcd__rpc_options){.timeout_ms = own.timeout_ms, .fail_fast = own.fail_fast},
                            ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_put_async(etcd_client *client, etcd_bytes key, etcd_bytes value, const etcd_put_opts *opts,
                           etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__PutRequest request = ETCD__PB__PUT_REQUEST__INIT;
    etcd_put_opts own;
    etcd_status st = etcd__put_request(key, value, opts, &own, &request, reterr);

    if (st != ETCD_OK)
        return st;
    return etcd__rpc_start(client, &put_kind, &request.base,
                           &(struct etcd__rpc_options){.timeout_ms = own.timeout_ms,
                                                       .fail_fast = own.fail_fast,
                                                       .on_done = on_done,
                                                       .user_data = user_data},
                           ret_op, reterr);
}

etcd_status etcd_put_take(etcd_op *op, etcd_put_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &put_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

/* ---- get ---------------------------------------------------------------------------------------------- */

etcd_status etcd_get(etcd_client *client, etcd_bytes key, const etcd_get_opts *opts, etcd_get_result **ret_result,
                     etcd_error *reterr)
{
    Etcd__Pb__RangeRequest request = ETCD__PB__RANGE_REQUEST__INIT;
    struct etcd__range range = {.own = NULL};
    etcd_get_opts own;
    void *result = NULL;
    etcd_status st = etcd__get_request(key, opts, &own, &range, &request, reterr);

    if (st == ETCD_OK)
        st = etcd__rpc_call(client, &get_kind, &request.base,
                            &(struct etcd__rpc_options){.timeout_ms = own.timeout_ms, .fail_fast = own.fail_fast},
                            ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    etcd__range_deinit(&range);
    return st;
}

etcd_status etcd_get_async(etcd_client *client, etcd_bytes key, const etcd_get_opts *opts, etcd_op_fn *on_done,
                           void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__RangeRequest request = ETCD__PB__RANGE_REQUEST__INIT;
    struct etcd__range range = {.own = NULL};
    etcd_get_opts own;
    etcd_status st = etcd__get_request(key, opts, &own, &range, &request, reterr);

    if (st == ETCD_OK)
        st = etcd__rpc_start(client, &get_kind, &request.base,
                             &(struct etcd__rpc_options){.timeout_ms = own.timeout_ms,
                                                         .fail_fast = own.fail_fast,
                                                         .on_done = on_done,
                                                         .user_data = user_data},
                             ret_op, reterr);
    etcd__range_deinit(&range);
    return st;
}

etcd_status etcd_get_take(etcd_op *op, etcd_get_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &get_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

/* ---- delete ------------------------------------------------------------------------------------------- */

etcd_status etcd_delete(etcd_client *client, etcd_bytes key, const etcd_delete_opts *opts,
                        etcd_delete_result **ret_result, etcd_error *reterr)
{
    Etcd__Pb__DeleteRangeRequest request = ETCD__PB__DELETE_RANGE_REQUEST__INIT;
    struct etcd__range range = {.own = NULL};
    etcd_delete_opts own;
    void *result = NULL;
    etcd_status st = etcd__delete_request(key, opts, &own, &range, &request, reterr);

    if (st == ETCD_OK)
        st = etcd__rpc_call(client, &delete_kind, &request.base,
                            &(struct etcd__rpc_options){.timeout_ms = own.timeout_ms, .fail_fast = own.fail_fast},
                            ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    etcd__range_deinit(&range);
    return st;
}

etcd_status etcd_delete_async(etcd_client *client, etcd_bytes key, const etcd_delete_opts *opts, etcd_op_fn *on_done,
                              void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__DeleteRangeRequest request = ETCD__PB__DELETE_RANGE_REQUEST__INIT;
    struct etcd__range range = {.own = NULL};
    etcd_delete_opts own;
    etcd_status st = etcd__delete_request(key, opts, &own, &range, &request, reterr);

    if (st == ETCD_OK)
        st = etcd__rpc_start(client, &delete_kind, &request.base,
                             &(struct etcd__rpc_options){.timeout_ms = own.timeout_ms,
                                                         .fail_fast = own.fail_fast,
                                                         .on_done = on_done,
                                                         .user_data = user_data},
                             ret_op, reterr);
    etcd__range_deinit(&range);
    return st;
}

etcd_status etcd_delete_take(etcd_op *op, etcd_delete_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &delete_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

/* ---- compact ------------------------------------------------------------------------------------------ */

static etcd_status compact_request(int64_t revision, const etcd_compact_opts *opts, etcd_compact_opts *ret_opts,
                                   Etcd__Pb__CompactionRequest *request, etcd_error *reterr)
{
    etcd_compact_opts own = ETCD_COMPACT_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, "compact", reterr);

    if (st != ETCD_OK)
        return st;
    if (revision <= 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "compact: revision is %" PRId64, revision);
    request->revision = revision;
    request->physical = own.physical;
    *ret_opts = own;
    return ETCD_OK;
}

etcd_status etcd_compact(etcd_client *client, int64_t revision, const etcd_compact_opts *opts, etcd_error *reterr)
{
    Etcd__Pb__CompactionRequest request = ETCD__PB__COMPACTION_REQUEST__INIT;
    etcd_compact_opts own;
    etcd_status st = compact_request(revision, opts, &own, &request, reterr);

    if (st != ETCD_OK)
        return st;
    return etcd__rpc_call(client, &compact_kind, &request.base,
                          &(struct etcd__rpc_options){.timeout_ms = own.timeout_ms, .fail_fast = own.fail_fast}, NULL,
                          reterr);
}

etcd_status etcd_compact_async(etcd_client *client, int64_t revision, const etcd_compact_opts *opts,
                               etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__CompactionRequest request = ETCD__PB__COMPACTION_REQUEST__INIT;
    etcd_compact_opts own;
    etcd_status st = compact_request(revision, opts, &own, &request, reterr);

    if (st != ETCD_OK)
        return st;
    return etcd__rpc_start(client, &compact_kind, &request.base,
                           &(struct etcd__rpc_options){.timeout_ms = own.timeout_ms,
                                                       .fail_fast = own.fail_fast,
                                                       .on_done = on_done,
                                                       .user_data = user_data},
                           ret_op, reterr);
}

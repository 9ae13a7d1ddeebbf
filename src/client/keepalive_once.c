/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One renewal, as a call: a stream of its own with one request, over with the first answer. The request's
 * side stays open until then, because a grpc-proxy drops what is under way when it closes.
 */
#include "etcdc/lease.h"

#include "client/client.h"
#include "client/results.h"
#include "client/rpc.h"
#include "wire/bulk.h"
#include "wire/messages.h"

#include <inttypes.h>

static etcd_status make_lease(const struct etcd__wire_lease *answer, void **ret_result, etcd_error *reterr)
{
    etcd_lease *lease;

    /* That is how servers say it here. */
    if (answer->ttl_s <= 0)
        return etcd__fail(reterr, ETCD_E_LEASE_NOT_FOUND, "there is no lease %016" PRIx64 " (any more)",
                          (uint64_t)answer->id);
    lease = ETCD__NEW(etcd_lease);
    if (lease == NULL)
        return etcd__fail_memory(reterr);
    *lease = (etcd_lease){.id = answer->id, .ttl_s = answer->ttl_s};
    *ret_result = lease;
    return ETCD_OK;
}

static etcd_status decode(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__wire_lease answer;
    etcd_status st = etcd__wire_read_lease(data, len, &answer);

    return st == ETCD_OK ? make_lease(&answer, ret_result, reterr) : etcd__fail_decode(reterr, st);
}

static const struct etcd__rpc_kind once_kind = {
    .method = {"/etcdserverpb.Lease/LeaseKeepAlive", "lease keep-alive once", true},
    .repeatable = true,
    .needs_leader = true,
    .decode = decode,
    .free_result = etcd__free,
};

static etcd_status start(etcd_client *client, int64_t lease_id, const etcd_lease_opts *opts,
                         struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__LeaseKeepAliveRequest request = ETCD__PB__LEASE_KEEP_ALIVE_REQUEST__INIT;
    etcd_lease_opts own = ETCD_LEASE_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, once_kind.method.name, reterr);

    if (st == ETCD_OK && lease_id == 0)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: lease_id is 0", once_kind.method.name);
    if (st != ETCD_OK)
        return st;
    how.timeout_ms = own.timeout_ms;
    how.fail_fast = own.fail_fast;
    how.in_wait = own.in_wait;
    request.id = lease_id;
    return etcd__rpc_start(client, &once_kind, &request.base, &how, ret_op, reterr);
}

static void hand_over(void *result, etcd_lease *ret_lease)
{
    if (result != NULL)
        *ret_lease = *(const etcd_lease *)result;
    etcd__free(result);
}

etcd_status etcd_lease_keepalive_once(etcd_client *client, int64_t lease_id, const etcd_lease_opts *opts,
                                      etcd_lease *ret_lease, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start(client, lease_id, opts, (struct etcd__rpc_options){.blocking = true}, &op, reterr);

    st = etcd__rpc_finish(st, op, ret_lease == NULL ? NULL : &result, reterr);
    hand_over(result, ret_lease);
    return st;
}

etcd_status etcd_lease_keepalive_once_async(etcd_client *client, int64_t lease_id,
                                            const etcd_lease_opts *opts, etcd_op_fn *on_done, void *user_data,
                                            etcd_op **ret_op, etcd_error *reterr)
{
    struct etcd__rpc_options how = {.on_done = on_done, .user_data = user_data};

    return start(client, lease_id, opts, how, ret_op, reterr);
}

etcd_status etcd_lease_keepalive_once_take(etcd_op *op, etcd_lease *ret_lease, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &once_kind, ret_lease == NULL ? NULL : &result, reterr);

    hand_over(result, ret_lease);
    return st;
}

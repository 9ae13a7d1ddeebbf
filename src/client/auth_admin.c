/* SPDX-License-Identifier: Apache-2.0 */
/* Authentication on and off. */
#include "client/admin.h"
#include "client/client.h"
#include "client/results.h"
#include "etcdc/auth.h"
#include "wire/codec.h"
#include "wire/convert.h"

struct etcd_auth_status_result {
    etcd_header header;
    bool enabled;
    uint64_t revision;
};

static etcd_status make_status(const Etcd__Pb__AuthStatusResponse *answer, void **ret_result,
                               etcd_error *reterr)
{
    struct etcd_auth_status_result *result = ETCD__NEW(struct etcd_auth_status_result);

    if (result == NULL)
        return etcd__fail_memory(reterr);
    result->header = etcd__wire_header(answer->header);
    result->enabled = answer->enabled;
    result->revision = answer->auth_revision;
    *ret_result = result;
    return ETCD_OK;
}

static etcd_status decode_status(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__AuthStatusResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__auth_status_response__descriptor, &arena, data, len, &st);
    st = answer == NULL ? etcd__fail_decode(reterr, st) : make_status(answer, ret_result, reterr);
    etcd__arena_deinit(&arena);
    return st;
}

static const struct etcd__rpc_kind enable_kind = {
    .method = {"/etcdserverpb.Auth/AuthEnable", "auth enable", false},
    .writes = true,
    .decode = etcd__done_decode,
};

static const struct etcd__rpc_kind disable_kind = {
    .method = {"/etcdserverpb.Auth/AuthDisable", "auth disable", false},
    .writes = true,
    .decode = etcd__done_decode,
};

static const struct etcd__rpc_kind status_kind = {
    .method = {"/etcdserverpb.Auth/AuthStatus", "auth status", false},
    .repeatable = true,
    .decode = decode_status,
    .free_result = etcd__free,
};

/* ---- enable ---------------------------------------------------------------------------------------- */

static etcd_status start_enable(etcd_client *client, const etcd_admin_opts *opts,
                                struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AuthEnableRequest request = ETCD__PB__AUTH_ENABLE_REQUEST__INIT;
    etcd_status st = etcd__admin_import("auth enable", opts, &how, reterr);

    return st != ETCD_OK ? st : etcd__rpc_start(client, &enable_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_auth_enable(etcd_client *client, const etcd_admin_opts *opts, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_enable(client, opts, etcd__rpc_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_auth_enable_async(etcd_client *client, const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                   void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_enable(client, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

/* ---- disable --------------------------------------------------------------------------------------- */

static etcd_status start_disable(etcd_client *client, const etcd_admin_opts *opts,
                                 struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AuthDisableRequest request = ETCD__PB__AUTH_DISABLE_REQUEST__INIT;
    etcd_status st = etcd__admin_import("auth disable", opts, &how, reterr);

    return st != ETCD_OK ? st : etcd__rpc_start(client, &disable_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_auth_disable(etcd_client *client, const etcd_admin_opts *opts, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_disable(client, opts, etcd__rpc_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_auth_disable_async(etcd_client *client, const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                    void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_disable(client, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

/* ---- status ---------------------------------------------------------------------------------------- */

static etcd_status start_status(etcd_client *client, const etcd_admin_opts *opts,
                                struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AuthStatusRequest request = ETCD__PB__AUTH_STATUS_REQUEST__INIT;
    etcd_status st = etcd__admin_import("auth status", opts, &how, reterr);

    return st != ETCD_OK ? st : etcd__rpc_start(client, &status_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_auth_status(etcd_client *client, const etcd_admin_opts *opts,
                             etcd_auth_status_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_status(client, opts, etcd__rpc_blocking(), &op, reterr);

    st = etcd__rpc_finish(st, op, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_auth_status_async(etcd_client *client, const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                   void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_status(client, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_auth_status_take(etcd_op *op, etcd_auth_status_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &status_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

const etcd_header *etcd_auth_status_result_header(const etcd_auth_status_result *result)
{
    return &result->header;
}

bool etcd_auth_status_result_enabled(const etcd_auth_status_result *result)
{
    return result->enabled;
}

uint64_t etcd_auth_status_result_revision(const etcd_auth_status_result *result)
{
    return result->revision;
}

void etcd_auth_status_result_free(etcd_auth_status_result *result)
{
    etcd__free(result);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Status, defragmentation, hashes, leadership and downgrade. */
#include "client/maintenance.h"

#include "client/client.h"
#include "client/results.h"
#include "wire/codec.h"
#include "wire/convert.h"

#include <inttypes.h>

struct status_result {
    etcd_member_status_result shown;
    struct etcd__arena arena; /* holds this and all that is shown */
};

struct etcd_downgrade_result {
    etcd_header header;
    const char *version;
    struct etcd__arena arena; /* holds this too */
};

etcd_status etcd__maintenance_import(const char *what, const char *endpoint, const etcd_admin_opts *opts,
                                     struct etcd__rpc_options *how, etcd_error *reterr)
{
    etcd_admin_opts own = ETCD_ADMIN_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, what, reterr);

    how->timeout_ms = own.timeout_ms;
    how->fail_fast = own.fail_fast;
    how->endpoint = endpoint;
    return st;
}

/* ---- answers --------------------------------------------------------------------------------------- */

static void fill_status(etcd_member_status_result *shown, const Etcd__Pb__StatusResponse *answer)
{
    const Etcd__Pb__DowngradeInfo *downgrade = answer->downgrade_info;

    *shown = (etcd_member_status_result){
        .header = etcd__wire_header(answer->header),
        .version = answer->version,
        .db_size = answer->db_size,
        .leader_id = answer->leader,
        .raft_index = answer->raft_index,
        .raft_term = answer->raft_term,
        .raft_applied_index = answer->raft_applied_index,
        .errors = (const char *const *)answer->errors,
        .error_count = answer->n_errors,
        .db_size_in_use = answer->db_size_in_use,
        .is_learner = answer->is_learner,
        .downgrade_enabled = downgrade != NULL && downgrade->enabled,
        .storage_version = answer->storage_version,
        .db_size_quota = answer->db_size_quota,
        .downgrade_target_version = downgrade == NULL ? "" : downgrade->target_version,
    };
}

static etcd_status decode_status(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__StatusResponse *answer;
    struct status_result *result = NULL;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__status_response__descriptor, &arena, data, len, &st);
    if (st == ETCD_OK)
        result = etcd__arena_calloc(&arena, 1, sizeof(*result));
    if (result == NULL) {
        etcd__arena_deinit(&arena);
        return etcd__fail_decode(reterr, st == ETCD_OK ? ETCD_E_NO_MEMORY : st);
    }
    fill_status(&result->shown, answer);
    result->arena = arena;
    *ret_result = &result->shown;
    return ETCD_OK;
}

static void release_status(void *shown)
{
    struct etcd__arena arena = ETCD__CONTAINER(shown, struct status_result, shown)->arena;

    etcd__arena_deinit(&arena);
}

static etcd_status make_hash(etcd_hash_result hash, void **ret_result, etcd_error *reterr)
{
    etcd_hash_result *result = ETCD__NEW(etcd_hash_result);

    if (result == NULL)
        return etcd__fail_memory(reterr);
    *result = hash;
    *ret_result = result;
    return ETCD_OK;
}

static etcd_status decode_hash(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__HashResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__hash_response__descriptor, &arena, data, len, &st);
    if (answer == NULL)
        st = etcd__fail_decode(reterr, st);
    else
        st = make_hash((etcd_hash_result){.header = etcd__wire_header(answer->header), .hash = answer->hash},
                       ret_result, reterr);
    etcd__arena_deinit(&arena);
    return st;
}

static etcd_status decode_hash_kv(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__HashKvResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__hash_kv_response__descriptor, &arena, data, len, &st);
    if (answer == NULL)
        st = etcd__fail_decode(reterr, st);
    else
        st = make_hash((etcd_hash_result){.header = etcd__wire_header(answer->header),
                                          .compact_revision = answer->compact_revision,
                                          .hash_revision = answer->hash_revision,
                                          .hash = answer->hash},
                       ret_result, reterr);
    etcd__arena_deinit(&arena);
    return st;
}

static etcd_status decode_downgrade(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__DowngradeResponse *answer;
    struct etcd_downgrade_result *result = NULL;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__downgrade_response__descriptor, &arena, data, len, &st);
    if (st == ETCD_OK)
        result = etcd__arena_calloc(&arena, 1, sizeof(*result));
    if (result == NULL) {
        etcd__arena_deinit(&arena);
        return etcd__fail_decode(reterr, st == ETCD_OK ? ETCD_E_NO_MEMORY : st);
    }
    result->header = etcd__wire_header(answer->header);
    result->version = answer->version;
    result->arena = arena;
    *ret_result = result;
    return ETCD_OK;
}

static void release_downgrade(void *result)
{
    struct etcd__arena arena = ((struct etcd_downgrade_result *)result)->arena;

    etcd__arena_deinit(&arena);
}

/* ---- kinds ----------------------------------------------------------------------------------------- */

static const struct etcd__rpc_kind status_kind = {
    .method = {"/etcdserverpb.Maintenance/Status", "member status", false},
    .repeatable = true,
    .decode = decode_status,
    .free_result = release_status,
};

static const struct etcd__rpc_kind defragment_kind = {
    .method = {"/etcdserverpb.Maintenance/Defragment", "defragment", false},
    .writes = true,
    .decode = etcd__done_decode,
};

static const struct etcd__rpc_kind hash_kind = {
    .method = {"/etcdserverpb.Maintenance/Hash", "hash", false},
    .repeatable = true,
    .decode = decode_hash,
    .free_result = etcd__free,
};

static const struct etcd__rpc_kind hash_kv_kind = {
    .method = {"/etcdserverpb.Maintenance/HashKV", "hash kv", false},
    .repeatable = true,
    .decode = decode_hash_kv,
    .free_result = etcd__free,
};

static const struct etcd__rpc_kind move_leader_kind = {
    .method = {"/etcdserverpb.Maintenance/MoveLeader", "move leader", false},
    .repeatable = true,
    .writes = true,
    .decode = etcd__done_decode,
};

static const struct etcd__rpc_kind downgrade_kind = {
    .method = {"/etcdserverpb.Maintenance/Downgrade", "downgrade", false},
    .writes = true,
    .needs_leader = true,
    .decode = decode_downgrade,
    .free_result = release_downgrade,
};

/* ---- status ---------------------------------------------------------------------------------------- */

static etcd_status start_status(etcd_client *client, const char *endpoint, const etcd_admin_opts *opts,
                                struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__StatusRequest request = ETCD__PB__STATUS_REQUEST__INIT;
    etcd_status st = etcd__maintenance_import("member status", endpoint, opts, &how, reterr);

    return st != ETCD_OK ? st : etcd__rpc_start(client, &status_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_member_status(etcd_client *client, const char *endpoint, const etcd_admin_opts *opts,
                               etcd_member_status_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_status(client, endpoint, opts, etcd__maintenance_blocking(), &op, reterr);

    st = etcd__rpc_finish(st, op, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_member_status_async(etcd_client *client, const char *endpoint, const etcd_admin_opts *opts,
                                     etcd_op_fn *on_done, void *user_data, etcd_op **ret_op,
                                     etcd_error *reterr)
{
    return start_status(client, endpoint, opts, etcd__maintenance_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_member_status_take(etcd_op *op, etcd_member_status_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &status_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

void etcd_member_status_result_free(etcd_member_status_result *result)
{
    if (result != NULL)
        release_status(result);
}

/* ---- defragmentation ------------------------------------------------------------------------------- */

static etcd_status start_defragment(etcd_client *client, const char *endpoint, const etcd_admin_opts *opts,
                                    struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__DefragmentRequest request = ETCD__PB__DEFRAGMENT_REQUEST__INIT;
    etcd_status st = etcd__maintenance_import("defragment", endpoint, opts, &how, reterr);

    return st != ETCD_OK ? st
                         : etcd__rpc_start(client, &defragment_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_defragment(etcd_client *client, const char *endpoint, const etcd_admin_opts *opts,
                            etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_defragment(client, endpoint, opts, etcd__maintenance_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_defragment_async(etcd_client *client, const char *endpoint, const etcd_admin_opts *opts,
                                  etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_defragment(client, endpoint, opts, etcd__maintenance_async(on_done, user_data), ret_op,
                            reterr);
}

/* ---- hashes ---------------------------------------------------------------------------------------- */

static etcd_status start_hash(etcd_client *client, const char *endpoint, const etcd_admin_opts *opts,
                              struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__HashRequest request = ETCD__PB__HASH_REQUEST__INIT;
    etcd_status st = etcd__maintenance_import("hash", endpoint, opts, &how, reterr);

    return st != ETCD_OK ? st : etcd__rpc_start(client, &hash_kind, &request.base, &how, ret_op, reterr);
}

static etcd_status start_hash_kv(etcd_client *client, const char *endpoint, int64_t revision,
                                 const etcd_admin_opts *opts, struct etcd__rpc_options how, etcd_op **ret_op,
                                 etcd_error *reterr)
{
    Etcd__Pb__HashKvRequest request = ETCD__PB__HASH_KV_REQUEST__INIT;
    etcd_status st = etcd__maintenance_import("hash kv", endpoint, opts, &how, reterr);

    if (st == ETCD_OK && revision < 0)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "hash kv: revision is %" PRId64, revision);
    request.revision = revision;
    return st != ETCD_OK ? st : etcd__rpc_start(client, &hash_kv_kind, &request.base, &how, ret_op, reterr);
}

static void hand_over_hash(void *result, etcd_hash_result *ret_result)
{
    if (result != NULL)
        *ret_result = *(const etcd_hash_result *)result;
    etcd__free(result);
}

static etcd_status finish_hash(etcd_status started, etcd_op *op, etcd_hash_result *ret_result,
                               etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__rpc_finish(started, op, ret_result == NULL ? NULL : &result, reterr);

    hand_over_hash(result, ret_result);
    return st;
}

etcd_status etcd_hash(etcd_client *client, const char *endpoint, const etcd_admin_opts *opts,
                      etcd_hash_result *ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_hash(client, endpoint, opts, etcd__maintenance_blocking(), &op, reterr);

    return finish_hash(st, op, ret_result, reterr);
}

etcd_status etcd_hash_async(etcd_client *client, const char *endpoint, const etcd_admin_opts *opts,
                            etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_hash(client, endpoint, opts, etcd__maintenance_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_hash_kv(etcd_client *client, const char *endpoint, int64_t revision,
                         const etcd_admin_opts *opts, etcd_hash_result *ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_hash_kv(client, endpoint, revision, opts, etcd__maintenance_blocking(), &op,
                                   reterr);

    return finish_hash(st, op, ret_result, reterr);
}

etcd_status etcd_hash_kv_async(etcd_client *client, const char *endpoint, int64_t revision,
                               const etcd_admin_opts *opts, etcd_op_fn *on_done, void *user_data,
                               etcd_op **ret_op, etcd_error *reterr)
{
    return start_hash_kv(client, endpoint, revision, opts, etcd__maintenance_async(on_done, user_data),
                         ret_op, reterr);
}

etcd_status etcd_hash_take(etcd_op *op, etcd_hash_result *ret_result, etcd_error *reterr)
{
    const void *kind = op != NULL && op->kind == &hash_kv_kind ? &hash_kv_kind : &hash_kind;
    void *result = NULL;
    etcd_status st = etcd__op_take(op, kind, ret_result == NULL ? NULL : &result, reterr);

    hand_over_hash(result, ret_result);
    return st;
}

/* ---- leadership ------------------------------------------------------------------------------------ */

static etcd_status start_move(etcd_client *client, const char *endpoint, uint64_t target_id,
                              const etcd_admin_opts *opts, struct etcd__rpc_options how, etcd_op **ret_op,
                              etcd_error *reterr)
{
    Etcd__Pb__MoveLeaderRequest request = ETCD__PB__MOVE_LEADER_REQUEST__INIT;
    etcd_status st = etcd__maintenance_import("move leader", endpoint, opts, &how, reterr);

    if (st == ETCD_OK && target_id == 0)
        st = etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "move leader: target_id is 0");
    request.target_id = target_id;
    return st != ETCD_OK ? st
                         : etcd__rpc_start(client, &move_leader_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_move_leader(etcd_client *client, const char *endpoint, uint64_t target_id,
                             const etcd_admin_opts *opts, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_move(client, endpoint, target_id, opts, etcd__maintenance_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_move_leader_async(etcd_client *client, const char *endpoint, uint64_t target_id,
                                   const etcd_admin_opts *opts, etcd_op_fn *on_done, void *user_data,
                                   etcd_op **ret_op, etcd_error *reterr)
{
    return start_move(client, endpoint, target_id, opts, etcd__maintenance_async(on_done, user_data), ret_op,
                      reterr);
}

/* ---- downgrade ------------------------------------------------------------------------------------- */

static etcd_status check_downgrade(etcd_downgrade_action action, const char *version, etcd_error *reterr)
{
    bool has_version = version != NULL && version[0] != '\0';

    if ((unsigned)action > ETCD_DOWNGRADE_CANCEL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "downgrade: action is %d", (int)action);
    if (action == ETCD_DOWNGRADE_CANCEL && has_version)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "downgrade: version is \"%s\" where one is cancelled", version);
    if (action != ETCD_DOWNGRADE_CANCEL && !has_version)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "downgrade: version is empty");
    return ETCD_OK;
}

static etcd_status start_downgrade(etcd_client *client, const char *endpoint, etcd_downgrade_action action,
                                   const char *version, const etcd_admin_opts *opts,
                                   struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__DowngradeRequest request = ETCD__PB__DOWNGRADE_REQUEST__INIT;
    etcd_status st = etcd__maintenance_import("downgrade", endpoint, opts, &how, reterr);

    if (st == ETCD_OK)
        st = check_downgrade(action, version, reterr);
    if (st != ETCD_OK)
        return st;
    request.action = (Etcd__Pb__DowngradeRequest__Action)action;
    request.version = etcd__wire_text(version == NULL ? "" : version);
    return etcd__rpc_start(client, &downgrade_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_downgrade(etcd_client *client, const char *endpoint, etcd_downgrade_action action,
                           const char *version, const etcd_admin_opts *opts,
                           etcd_downgrade_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_downgrade(client, endpoint, action, version, opts, etcd__maintenance_blocking(),
                                     &op, reterr);

    st = etcd__rpc_finish(st, op, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_downgrade_async(etcd_client *client, const char *endpoint, etcd_downgrade_action action,
                                 const char *version, const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                 void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_downgrade(client, endpoint, action, version, opts,
                           etcd__maintenance_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_downgrade_take(etcd_op *op, etcd_downgrade_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &downgrade_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

const etcd_header *etcd_downgrade_result_header(const etcd_downgrade_result *result)
{
    return &result->header;
}

const char *etcd_downgrade_result_version(const etcd_downgrade_result *result)
{
    return result->version;
}

void etcd_downgrade_result_free(etcd_downgrade_result *result)
{
    if (result != NULL)
        release_downgrade(result);
}

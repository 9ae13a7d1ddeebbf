/* SPDX-License-Identifier: Apache-2.0 */
/* Roles and their permissions. */
#include "client/admin.h"
#include "client/client.h"
#include "client/requests.h"
#include "client/results.h"
#include "etcdc/auth.h"
#include "wire/codec.h"
#include "wire/convert.h"

struct etcd_roles_result {
    struct etcd__names names;
};

struct etcd_role_result {
    struct etcd__arena arena;
    etcd_header header;
    etcd_permission *permissions;
    size_t count;
};

/* ---- answers -------------------------------------------------------------------------------------- */

static etcd_status decode_list(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__AuthRoleListResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__auth_role_list_response__descriptor, &arena, data, len, &st);
    if (answer != NULL)
        return etcd__names_make(&arena, answer->header, answer->roles, answer->n_roles, ret_result, reterr);
    etcd__arena_deinit(&arena);
    return etcd__fail_decode(reterr, st);
}

static etcd_permission permission_of(const Etcd__Pb__Permission *from)
{
    return (etcd_permission){
        .type = (etcd_permission_type)from->type,
        .key = etcd__wire_bytes(from->key),
        .range_end = etcd__wire_bytes(from->range_end),
    };
}

static etcd_status make_role(struct etcd__arena *arena, const Etcd__Pb__AuthRoleGetResponse *answer,
                             void **ret_result)
{
    struct etcd_role_result *result = etcd__arena_calloc(arena, 1, sizeof(*result));

    if (result == NULL)
        return ETCD_E_NO_MEMORY;
    result->permissions = etcd__arena_calloc(arena, answer->n_perm, sizeof(*result->permissions));
    if (result->permissions == NULL)
        return ETCD_E_NO_MEMORY;
    for (size_t i = 0; i < answer->n_perm; i++)
        result->permissions[i] = permission_of(answer->perm[i]);
    result->count = answer->n_perm;
    result->header = etcd__wire_header(answer->header);
    result->arena = *arena;
    *ret_result = result;
    return ETCD_OK;
}

static etcd_status decode_get(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__AuthRoleGetResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__auth_role_get_response__descriptor, &arena, data, len, &st);
    if (answer != NULL)
        st = make_role(&arena, answer, ret_result);
    if (st == ETCD_OK)
        return ETCD_OK;
    etcd__arena_deinit(&arena);
    return etcd__fail_decode(reterr, st);
}

static void release_role(void *result)
{
    struct etcd__arena arena = ((struct etcd_role_result *)result)->arena; /* the result itself lies in it */

    etcd__arena_deinit(&arena);
}

/* ---- kinds ---------------------------------------------------------------------------------------- */

static const struct etcd__rpc_kind add_kind = {
    .method = {"/etcdserverpb.Auth/RoleAdd", "role add", false},
    .writes = true,
    .decode = etcd__done_decode,
};

static const struct etcd__rpc_kind delete_kind = {
    .method = {"/etcdserverpb.Auth/RoleDelete", "role delete", false},
    .writes = true,
    .decode = etcd__done_decode,
};

static const struct etcd__rpc_kind get_kind = {
    .method = {"/etcdserverpb.Auth/RoleGet", "role get", false},
    .repeatable = true,
    .decode = decode_get,
    .free_result = release_role,
};

static const struct etcd__rpc_kind list_kind = {
    .method = {"/etcdserverpb.Auth/RoleList", "role list", false},
    .repeatable = true,
    .decode = decode_list,
    .free_result = etcd__names_release,
};

static const struct etcd__rpc_kind grant_kind = {
    .method = {"/etcdserverpb.Auth/RoleGrantPermission", "role grant permission", false},
    .writes = true,
    .decode = etcd__done_decode,
};

static const struct etcd__rpc_kind revoke_kind = {
    .method = {"/etcdserverpb.Auth/RoleRevokePermission", "role revoke permission", false},
    .writes = true,
    .decode = etcd__done_decode,
};

/* ---- add and delete ------------------------------------------------------------------------------- */

static etcd_status start_add(etcd_client *client, const char *role, const etcd_admin_opts *opts,
                             struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AuthRoleAddRequest request = ETCD__PB__AUTH_ROLE_ADD_REQUEST__INIT;
    etcd_status st = etcd__admin_import("role add", opts, &how, reterr);

    if (st == ETCD_OK)
        st = etcd__admin_check_name("role add", "role", role, reterr);
    if (st != ETCD_OK)
        return st;
    request.name = etcd__wire_text(role);
    return etcd__rpc_start(client, &add_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_role_add(etcd_client *client, const char *role, const etcd_admin_opts *opts,
                          etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_add(client, role, opts, etcd__rpc_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_role_add_async(etcd_client *client, const char *role, const etcd_admin_opts *opts,
                                etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_add(client, role, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

static etcd_status start_delete(etcd_client *client, const char *role, const etcd_admin_opts *opts,
                                struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AuthRoleDeleteRequest request = ETCD__PB__AUTH_ROLE_DELETE_REQUEST__INIT;
    etcd_status st = etcd__admin_import("role delete", opts, &how, reterr);

    if (st == ETCD_OK)
        st = etcd__admin_check_name("role delete", "role", role, reterr);
    if (st != ETCD_OK)
        return st;
    request.role = etcd__wire_text(role);
    return etcd__rpc_start(client, &delete_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_role_delete(etcd_client *client, const char *role, const etcd_admin_opts *opts,
                             etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_delete(client, role, opts, etcd__rpc_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_role_delete_async(etcd_client *client, const char *role, const etcd_admin_opts *opts,
                                   etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_delete(client, role, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

/* ---- list ----------------------------------------------------------------------------------------- */

static etcd_status start_list(etcd_client *client, const etcd_admin_opts *opts, struct etcd__rpc_options how,
                              etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AuthRoleListRequest request = ETCD__PB__AUTH_ROLE_LIST_REQUEST__INIT;
    etcd_status st = etcd__admin_import("role list", opts, &how, reterr);

    return st != ETCD_OK ? st : etcd__rpc_start(client, &list_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_role_list(etcd_client *client, const etcd_admin_opts *opts, etcd_roles_result **ret_result,
                           etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_list(client, opts, etcd__rpc_blocking(), &op, reterr);

    st = etcd__rpc_finish(st, op, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_role_list_async(etcd_client *client, const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                 void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_list(client, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_role_list_take(etcd_op *op, etcd_roles_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &list_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

const etcd_header *etcd_roles_result_header(const etcd_roles_result *result)
{
    return &result->names.header;
}

size_t etcd_roles_result_count(const etcd_roles_result *result)
{
    return result->names.count;
}

const char *etcd_roles_result_name(const etcd_roles_result *result, size_t index)
{
    return etcd__names_at(&result->names, index);
}

void etcd_roles_result_free(etcd_roles_result *result)
{
    if (result != NULL)
        etcd__names_release(&result->names);
}

/* ---- get ------------------------------------------------------------------------------------------ */

static etcd_status start_get(etcd_client *client, const char *role, const etcd_admin_opts *opts,
                             struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AuthRoleGetRequest request = ETCD__PB__AUTH_ROLE_GET_REQUEST__INIT;
    etcd_status st = etcd__admin_import("role get", opts, &how, reterr);

    if (st == ETCD_OK)
        st = etcd__admin_check_name("role get", "role", role, reterr);
    if (st != ETCD_OK)
        return st;
    request.role = etcd__wire_text(role);
    return etcd__rpc_start(client, &get_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_role_get(etcd_client *client, const char *role, const etcd_admin_opts *opts,
                          etcd_role_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_get(client, role, opts, etcd__rpc_blocking(), &op, reterr);

    st = etcd__rpc_finish(st, op, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_role_get_async(etcd_client *client, const char *role, const etcd_admin_opts *opts,
                                etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_get(client, role, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_role_get_take(etcd_op *op, etcd_role_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &get_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

const etcd_header *etcd_role_result_header(const etcd_role_result *result)
{
    return &result->header;
}

size_t etcd_role_result_permission_count(const etcd_role_result *result)
{
    return result->count;
}

const etcd_permission *etcd_role_result_permission(const etcd_role_result *result, size_t index)
{
    return index < result->count ? &result->permissions[index] : NULL;
}

void etcd_role_result_free(etcd_role_result *result)
{
    if (result != NULL)
        release_role(result);
}

/* ---- permissions ---------------------------------------------------------------------------------- */

/* What granting and revoking have in common; the range is to be given back. */
static etcd_status import_permission(const char *what, const char *role, etcd_bytes key,
                                     const etcd_permission_opts *opts, struct etcd__rpc_options *how,
                                     struct etcd__range *ret_range, etcd_error *reterr)
{
    etcd_permission_opts own = ETCD_PERMISSION_OPTS_INIT;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, what, reterr);

    how->timeout_ms = own.timeout_ms;
    how->fail_fast = own.fail_fast;
    if (st == ETCD_OK)
        st = etcd__admin_check_name(what, "role", role, reterr);
    if (st == ETCD_OK)
        st = etcd__range_make(what, key, own.range_end, own.prefix, own.from_key, ret_range, reterr);
    return st;
}

static etcd_status start_grant(etcd_client *client, const char *role, etcd_permission_type type,
                               etcd_bytes key, const etcd_permission_opts *opts, struct etcd__rpc_options how,
                               etcd_op **ret_op, etcd_error *reterr)
{
    static const char what[] = "role grant permission";
    Etcd__Pb__AuthRoleGrantPermissionRequest request = ETCD__PB__AUTH_ROLE_GRANT_PERMISSION_REQUEST__INIT;
    Etcd__Pb__Permission permission = ETCD__PB__PERMISSION__INIT;
    struct etcd__range range = {.own = NULL};
    etcd_status st;

    if ((unsigned)type > ETCD_PERMISSION_READWRITE)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: type is %d", what, (int)type);
    st = import_permission(what, role, key, opts, &how, &range, reterr);
    if (st != ETCD_OK)
        return st;
    permission.type = (Etcd__Pb__Permission__Type)type;
    permission.key = etcd__wire_data(range.key);
    permission.range_end = etcd__wire_data(range.end);
    request.name = etcd__wire_text(role);
    request.perm = &permission;
    st = etcd__rpc_start(client, &grant_kind, &request.base, &how, ret_op, reterr);
    etcd__range_deinit(&range);
    return st;
}

etcd_status etcd_role_grant_permission(etcd_client *client, const char *role, etcd_permission_type type,
                                       etcd_bytes key, const etcd_permission_opts *opts, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_grant(client, role, type, key, opts, etcd__rpc_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_role_grant_permission_async(etcd_client *client, const char *role, etcd_permission_type type,
                                             etcd_bytes key, const etcd_permission_opts *opts,
                                             etcd_op_fn *on_done, void *user_data, etcd_op **ret_op,
                                             etcd_error *reterr)
{
    return start_grant(client, role, type, key, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

static etcd_status start_revoke(etcd_client *client, const char *role, etcd_bytes key,
                                const etcd_permission_opts *opts, struct etcd__rpc_options how,
                                etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AuthRoleRevokePermissionRequest request = ETCD__PB__AUTH_ROLE_REVOKE_PERMISSION_REQUEST__INIT;
    struct etcd__range range = {.own = NULL};
    etcd_status st = import_permission("role revoke permission", role, key, opts, &how, &range, reterr);

    if (st != ETCD_OK)
        return st;
    request.role = etcd__wire_text(role);
    request.key = etcd__wire_data(range.key);
    request.range_end = etcd__wire_data(range.end);
    st = etcd__rpc_start(client, &revoke_kind, &request.base, &how, ret_op, reterr);
    etcd__range_deinit(&range);
    return st;
}

etcd_status etcd_role_revoke_permission(etcd_client *client, const char *role, etcd_bytes key,
                                        const etcd_permission_opts *opts, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_revoke(client, role, key, opts, etcd__rpc_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_role_revoke_permission_async(etcd_client *client, const char *role, etcd_bytes key,
                                              const etcd_permission_opts *opts, etcd_op_fn *on_done,
                                              void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_revoke(client, role, key, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

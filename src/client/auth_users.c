/* SPDX-License-Identifier: Apache-2.0 */
/* Users. A password is in three places while its call runs: where it came from, the request, and a copy here.
 */
#include "client/admin.h"
#include "client/client.h"
#include "client/results.h"
#include "client/secret_source.h"
#include "etcdc/auth.h"
#include "wire/codec.h"
#include "wire/convert.h"

struct etcd_user_result {
    struct etcd__names names; /* of its roles */
};

struct etcd_users_result {
    struct etcd__names names;
};

static etcd_status decode_get(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__AuthUserGetResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__auth_user_get_response__descriptor, &arena, data, len, &st);
    if (answer != NULL)
        return etcd__names_make(&arena, answer->header, answer->roles, answer->n_roles, ret_result, reterr);
    etcd__arena_deinit(&arena);
    return etcd__fail_decode(reterr, st);
}

static etcd_status decode_list(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__AuthUserListResponse *answer;
    etcd_status st;

    answer = etcd__wire_unpack(&etcd__pb__auth_user_list_response__descriptor, &arena, data, len, &st);
    if (answer != NULL)
        return etcd__names_make(&arena, answer->header, answer->users, answer->n_users, ret_result, reterr);
    etcd__arena_deinit(&arena);
    return etcd__fail_decode(reterr, st);
}

static const struct etcd__rpc_kind add_kind = {
    .method = {"/etcdserverpb.Auth/UserAdd", "user add", false},
    .writes = true,
    .secret = true,
    .decode = etcd__done_decode,
};

static const struct etcd__rpc_kind delete_kind = {
    .method = {"/etcdserverpb.Auth/UserDelete", "user delete", false},
    .writes = true,
    .decode = etcd__done_decode,
};

static const struct etcd__rpc_kind change_password_kind = {
    .method = {"/etcdserverpb.Auth/UserChangePassword", "user change password", false},
    .writes = true,
    .secret = true,
    .decode = etcd__done_decode,
};

static const struct etcd__rpc_kind grant_role_kind = {
    .method = {"/etcdserverpb.Auth/UserGrantRole", "user grant role", false},
    .writes = true,
    .decode = etcd__done_decode,
};

static const struct etcd__rpc_kind revoke_role_kind = {
    .method = {"/etcdserverpb.Auth/UserRevokeRole", "user revoke role", false},
    .writes = true,
    .decode = etcd__done_decode,
};

static const struct etcd__rpc_kind get_kind = {
    .method = {"/etcdserverpb.Auth/UserGet", "user get", false},
    .repeatable = true,
    .decode = decode_get,
    .free_result = etcd__names_release,
};

static const struct etcd__rpc_kind list_kind = {
    .method = {"/etcdserverpb.Auth/UserList", "user list", false},
    .repeatable = true,
    .decode = decode_list,
    .free_result = etcd__names_release,
};

/* ---- add ------------------------------------------------------------------------------------------ */

/* Reads the password; the error begins with the operation. */
static etcd_status load_password(const char *what, etcd_secret source, struct etcd__secret *ret_password,
                                 etcd_error *reterr)
{
    etcd_status st = etcd__secret_load("password", source, ret_password, reterr);

    if (st != ETCD_OK && st != ETCD_E_NO_MEMORY)
        etcd__error_prefix(reterr, "%s", what);
    return st;
}

static etcd_status load_new_password(etcd_secret source, bool no_password, struct etcd__secret *ret_password,
                                     etcd_error *reterr)
{
    if (!no_password)
        return load_password("user add", source, ret_password, reterr);
    if (source.kind != ETCD_SECRET_KIND_NONE)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT,
                          "user add: no_password is set and there is a password");
    return ETCD_OK;
}

static etcd_status start_add(etcd_client *client, const char *name, etcd_secret password,
                             const etcd_user_add_opts *opts, struct etcd__rpc_options how, etcd_op **ret_op,
                             etcd_error *reterr)
{
    Etcd__Pb__AuthUserAddRequest request = ETCD__PB__AUTH_USER_ADD_REQUEST__INIT;
    Etcd__Pb__UserAddOptions options = ETCD__PB__USER_ADD_OPTIONS__INIT;
    etcd_user_add_opts own = ETCD_USER_ADD_OPTS_INIT;
    struct etcd__secret text = {0};
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, "user add", reterr);

    how.timeout_ms = own.timeout_ms;
    how.fail_fast = own.fail_fast;
    if (st == ETCD_OK)
        st = etcd__admin_check_name("user add", "name", name, reterr);
    if (st == ETCD_OK)
        st = load_new_password(password, own.no_password, &text, reterr);
    if (st != ETCD_OK)
        return st;
    request.name = etcd__wire_text(name);
    if (own.no_password)
        request.options = &options;
    else
        request.password = text.data;
    options.no_password = own.no_password;
    st = etcd__rpc_start(client, &add_kind, &request.base, &how, ret_op, reterr);
    etcd__secret_clear(&text);
    return st;
}

etcd_status etcd_user_add(etcd_client *client, const char *name, etcd_secret password,
                          const etcd_user_add_opts *opts, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_add(client, name, password, opts, etcd__rpc_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_user_add_async(etcd_client *client, const char *name, etcd_secret password,
                                const etcd_user_add_opts *opts, etcd_op_fn *on_done, void *user_data,
                                etcd_op **ret_op, etcd_error *reterr)
{
    return start_add(client, name, password, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

/* ---- delete --------------------------------------------------------------------------------------- */

static etcd_status start_delete(etcd_client *client, const char *name, const etcd_admin_opts *opts,
                                struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AuthUserDeleteRequest request = ETCD__PB__AUTH_USER_DELETE_REQUEST__INIT;
    etcd_status st = etcd__admin_import("user delete", opts, &how, reterr);

    if (st == ETCD_OK)
        st = etcd__admin_check_name("user delete", "name", name, reterr);
    if (st != ETCD_OK)
        return st;
    request.name = etcd__wire_text(name);
    return etcd__rpc_start(client, &delete_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_user_delete(etcd_client *client, const char *name, const etcd_admin_opts *opts,
                             etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_delete(client, name, opts, etcd__rpc_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_user_delete_async(etcd_client *client, const char *name, const etcd_admin_opts *opts,
                                   etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_delete(client, name, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

/* ---- change password ------------------------------------------------------------------------------ */

static etcd_status start_change_password(etcd_client *client, const char *name, etcd_secret password,
                                         const etcd_admin_opts *opts, struct etcd__rpc_options how,
                                         etcd_op **ret_op, etcd_error *reterr)
{
    static const char what[] = "user change password";
    Etcd__Pb__AuthUserChangePasswordRequest request = ETCD__PB__AUTH_USER_CHANGE_PASSWORD_REQUEST__INIT;
    struct etcd__secret text = {0};
    etcd_status st = etcd__admin_import(what, opts, &how, reterr);

    if (st == ETCD_OK)
        st = etcd__admin_check_name(what, "name", name, reterr);
    if (st == ETCD_OK)
        st = load_password(what, password, &text, reterr);
    if (st != ETCD_OK)
        return st;
    request.name = etcd__wire_text(name);
    request.password = text.data;
    st = etcd__rpc_start(client, &change_password_kind, &request.base, &how, ret_op, reterr);
    etcd__secret_clear(&text);
    return st;
}

etcd_status etcd_user_change_password(etcd_client *client, const char *name, etcd_secret password,
                                      const etcd_admin_opts *opts, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_change_password(client, name, password, opts, etcd__rpc_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_user_change_password_async(etcd_client *client, const char *name, etcd_secret password,
                                            const etcd_admin_opts *opts, etcd_op_fn *on_done, void *user_data,
                                            etcd_op **ret_op, etcd_error *reterr)
{
    return start_change_password(client, name, password, opts, etcd__rpc_async(on_done, user_data), ret_op,
                                 reterr);
}

/* ---- grant and revoke a role ---------------------------------------------------------------------- */

static etcd_status start_grant_role(etcd_client *client, const char *name, const char *role,
                                    const etcd_admin_opts *opts, struct etcd__rpc_options how,
                                    etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AuthUserGrantRoleRequest request = ETCD__PB__AUTH_USER_GRANT_ROLE_REQUEST__INIT;
    etcd_status st = etcd__admin_import("user grant role", opts, &how, reterr);

    if (st == ETCD_OK)
        st = etcd__admin_check_name("user grant role", "name", name, reterr);
    if (st == ETCD_OK)
        st = etcd__admin_check_name("user grant role", "role", role, reterr);
    if (st != ETCD_OK)
        return st;
    request.user = etcd__wire_text(name);
    request.role = etcd__wire_text(role);
    return etcd__rpc_start(client, &grant_role_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_user_grant_role(etcd_client *client, const char *name, const char *role,
                                 const etcd_admin_opts *opts, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_grant_role(client, name, role, opts, etcd__rpc_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_user_grant_role_async(etcd_client *client, const char *name, const char *role,
                                       const etcd_admin_opts *opts, etcd_op_fn *on_done, void *user_data,
                                       etcd_op **ret_op, etcd_error *reterr)
{
    return start_grant_role(client, name, role, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

static etcd_status start_revoke_role(etcd_client *client, const char *name, const char *role,
                                     const etcd_admin_opts *opts, struct etcd__rpc_options how,
                                     etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AuthUserRevokeRoleRequest request = ETCD__PB__AUTH_USER_REVOKE_ROLE_REQUEST__INIT;
    etcd_status st = etcd__admin_import("user revoke role", opts, &how, reterr);

    if (st == ETCD_OK)
        st = etcd__admin_check_name("user revoke role", "name", name, reterr);
    if (st == ETCD_OK)
        st = etcd__admin_check_name("user revoke role", "role", role, reterr);
    if (st != ETCD_OK)
        return st;
    request.name = etcd__wire_text(name);
    request.role = etcd__wire_text(role);
    return etcd__rpc_start(client, &revoke_role_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_user_revoke_role(etcd_client *client, const char *name, const char *role,
                                  const etcd_admin_opts *opts, etcd_error *reterr)
{
    etcd_op *op = NULL;
    etcd_status st = start_revoke_role(client, name, role, opts, etcd__rpc_blocking(), &op, reterr);

    return etcd__rpc_finish(st, op, NULL, reterr);
}

etcd_status etcd_user_revoke_role_async(etcd_client *client, const char *name, const char *role,
                                        const etcd_admin_opts *opts, etcd_op_fn *on_done, void *user_data,
                                        etcd_op **ret_op, etcd_error *reterr)
{
    return start_revoke_role(client, name, role, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

/* ---- get ------------------------------------------------------------------------------------------ */

static etcd_status start_get(etcd_client *client, const char *name, const etcd_admin_opts *opts,
                             struct etcd__rpc_options how, etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AuthUserGetRequest request = ETCD__PB__AUTH_USER_GET_REQUEST__INIT;
    etcd_status st = etcd__admin_import("user get", opts, &how, reterr);

    if (st == ETCD_OK)
        st = etcd__admin_check_name("user get", "name", name, reterr);
    if (st != ETCD_OK)
        return st;
    request.name = etcd__wire_text(name);
    return etcd__rpc_start(client, &get_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_user_get(etcd_client *client, const char *name, const etcd_admin_opts *opts,
                          etcd_user_result **ret_result, etcd_error *reterr)
{
    etcd_op *op = NULL;
    void *result = NULL;
    etcd_status st = start_get(client, name, opts, etcd__rpc_blocking(), &op, reterr);

    st = etcd__rpc_finish(st, op, ret_result == NULL ? NULL : &result, reterr);
    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

etcd_status etcd_user_get_async(etcd_client *client, const char *name, const etcd_admin_opts *opts,
                                etcd_op_fn *on_done, void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_get(client, name, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_user_get_take(etcd_op *op, etcd_user_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &get_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

const etcd_header *etcd_user_result_header(const etcd_user_result *result)
{
    return &result->names.header;
}

size_t etcd_user_result_role_count(const etcd_user_result *result)
{
    return result->names.count;
}

const char *etcd_user_result_role(const etcd_user_result *result, size_t index)
{
    return etcd__names_at(&result->names, index);
}

void etcd_user_result_free(etcd_user_result *result)
{
    if (result != NULL)
        etcd__names_release(&result->names);
}

/* ---- list ----------------------------------------------------------------------------------------- */

static etcd_status start_list(etcd_client *client, const etcd_admin_opts *opts, struct etcd__rpc_options how,
                              etcd_op **ret_op, etcd_error *reterr)
{
    Etcd__Pb__AuthUserListRequest request = ETCD__PB__AUTH_USER_LIST_REQUEST__INIT;
    etcd_status st = etcd__admin_import("user list", opts, &how, reterr);

    return st != ETCD_OK ? st : etcd__rpc_start(client, &list_kind, &request.base, &how, ret_op, reterr);
}

etcd_status etcd_user_list(etcd_client *client, const etcd_admin_opts *opts, etcd_users_result **ret_result,
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

etcd_status etcd_user_list_async(etcd_client *client, const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                 void *user_data, etcd_op **ret_op, etcd_error *reterr)
{
    return start_list(client, opts, etcd__rpc_async(on_done, user_data), ret_op, reterr);
}

etcd_status etcd_user_list_take(etcd_op *op, etcd_users_result **ret_result, etcd_error *reterr)
{
    void *result = NULL;
    etcd_status st = etcd__op_take(op, &list_kind, ret_result == NULL ? NULL : &result, reterr);

    if (st == ETCD_OK && ret_result != NULL)
        *ret_result = result;
    return st;
}

const etcd_header *etcd_users_result_header(const etcd_users_result *result)
{
    return &result->names.header;
}

size_t etcd_users_result_count(const etcd_users_result *result)
{
    return result->names.count;
}

const char *etcd_users_result_name(const etcd_users_result *result, size_t index)
{
    return etcd__names_at(&result->names, index);
}

void etcd_users_result_free(etcd_users_result *result)
{
    if (result != NULL)
        etcd__names_release(&result->names);
}

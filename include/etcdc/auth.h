/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file auth.h
 * Users, roles and what they may do.
 *
 * A role has permissions for ranges of keys; a user has roles, and may do what any of them permits. The role
 * `root` permits everything. Servers ask for credentials once etcd_auth_enable() has succeeded; until then
 * everybody may do everything, these calls included. From then on they are for users with the role root
 * (ETCD_E_DENIED for others), but that users may look at themselves and at their own roles. Clients log in
 * with etcd_client_opts.username and .password.
 *
 * "Common" statuses are listed at the head of kv.h. Calls that only look are repeated like reads. The others
 * are never repeated once a server may have seen them: where they may have been carried out, the error has
 * ETCD_ERROR_MAYBE_APPLIED. Names are UTF-8, one byte or more, and borrowed until the call returns.
 */
#ifndef ETCDC_AUTH_H
#define ETCDC_AUTH_H

#include <etcdc/admin.h>

ETCD_BEGIN_DECLS

/* ---- on and off --------------------------------------------------------------------------------------- */

/**
 * Turns authentication on, for the whole cluster.
 *
 * @param client       Borrowed.
 * @param opts         NULL for the defaults. Borrowed.
 * @param[out] reterr  Set on failure. NULL if not wanted.
 * @retval ETCD_OK              It is on, now or before.
 * @retval ETCD_E_NOT_FOUND     There is no user root.
 * @retval ETCD_E_PRECONDITION  The user root does not have the role root.
 * @retval common               See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_auth_enable(etcd_client *client, const etcd_admin_opts *opts,
                                                     etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_auth_enable_async(etcd_client *client, const etcd_admin_opts *opts,
                                                           etcd_op_fn *on_done, void *user_data,
                                                           etcd_op **ret_op, etcd_error *reterr);

/**
 * Turns authentication off. Users and roles stay as they are.
 *
 * @param client, opts, reterr  As for etcd_auth_enable().
 * @retval ETCD_OK  It is off, now or before.
 * @retval common   See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_auth_disable(etcd_client *client, const etcd_admin_opts *opts,
                                                      etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_auth_disable_async(etcd_client *client, const etcd_admin_opts *opts,
                                                            etcd_op_fn *on_done, void *user_data,
                                                            etcd_op **ret_op, etcd_error *reterr);

/** Whether authentication is on. Owned by whoever took it. */
typedef struct etcd_auth_status_result etcd_auth_status_result;

/**
 * Asks whether authentication is on. Servers since 3.5 know this call; while it is on, those before 3.7
 * answer root alone.
 *
 * @param client, opts, reterr  As for etcd_auth_enable().
 * @param[out] ret_result  Set on success; etcd_auth_status_result_free(). NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_UNSUPPORTED  A server before 3.5.
 * @retval common              See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_auth_status(etcd_client *client, const etcd_admin_opts *opts,
                                                     etcd_auth_status_result **ret_result,
                                                     etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_auth_status_async(etcd_client *client, const etcd_admin_opts *opts,
                                                           etcd_op_fn *on_done, void *user_data,
                                                           etcd_op **ret_op, etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_auth_status_take(etcd_op *op, etcd_auth_status_result **ret_result,
                                           etcd_error *reterr);
/** Head of the answer. @since 0.1 */
ETCD_API const etcd_header *etcd_auth_status_result_header(const etcd_auth_status_result *result);
/** Authentication is on. @since 0.1 */
ETCD_API bool etcd_auth_status_result_enabled(const etcd_auth_status_result *result);
/** Grows with every change of users, roles and permissions. @since 0.1 */
ETCD_API uint64_t etcd_auth_status_result_revision(const etcd_auth_status_result *result);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_auth_status_result_free(etcd_auth_status_result *result);

/* ---- users -------------------------------------------------------------------------------------------- */

/** Options of etcd_user_add(). Zero means default. */
typedef struct etcd_user_add_opts {
    size_t size;        /**< sizeof this struct; set by ETCD_USER_ADD_OPTS. */
    int64_t timeout_ms; /**< 0: the client's default; ETCD_TIMEOUT_NONE: no limit. */
    bool no_password;   /**< A user that can only log in by a certificate; no password then. */
    bool fail_fast;     /**< Do not wait for a connection. */
    uint8_t pad_[6];    /**< Zero. */
} etcd_user_add_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_USER_ADD_OPTS_INIT {sizeof(etcd_user_add_opts), 0, false, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_USER_ADD_OPTS(.no_password = true)`. */
#define ETCD_USER_ADD_OPTS(...) (&(const etcd_user_add_opts){.size = sizeof(etcd_user_add_opts), __VA_ARGS__})
#endif

/**
 * Adds a user, without any role.
 *
 * @param client    Borrowed.
 * @param name      Its name.
 * @param password  Read from its source now, wiped when it was sent; never empty. ETCD_SECRET_NONE with
 *                  no_password. It travels as it is: use TLS.
 * @param opts      NULL for the defaults. Borrowed.
 * @param[out] reterr  Set on failure. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_EXISTS            There is a user of this name.
 * @retval ETCD_E_INVALID_ARGUMENT  Also: the password's source is missing or empty; the message names it.
 * @retval ETCD_E_IO                The password's file cannot be read; nothing was sent.
 * @retval common                   See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_add(etcd_client *client, const char *name, etcd_secret password,
                                                  const etcd_user_add_opts *opts, etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_add_async(etcd_client *client, const char *name,
                                                        etcd_secret password, const etcd_user_add_opts *opts,
                                                        etcd_op_fn *on_done, void *user_data,
                                                        etcd_op **ret_op, etcd_error *reterr);

/**
 * Deletes a user; whoever is logged in as it is logged out.
 *
 * @param client, name, opts, reterr  As for etcd_user_add().
 * @retval ETCD_OK
 * @retval ETCD_E_NOT_FOUND         There is no such user.
 * @retval ETCD_E_INVALID_ARGUMENT  Also: the user root, while authentication is on.
 * @retval common                   See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_delete(etcd_client *client, const char *name,
                                                     const etcd_admin_opts *opts, etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_delete_async(etcd_client *client, const char *name,
                                                           const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                                           void *user_data, etcd_op **ret_op,
                                                           etcd_error *reterr);

/**
 * Gives a user another password; whoever is logged in as it is logged out. Clients that read their password
 * from a variable or a file pick the new one up at their next login.
 *
 * @param client, name, opts, reterr  As for etcd_user_add().
 * @param password  As for etcd_user_add(); never none.
 * @retval ETCD_OK
 * @retval ETCD_E_NOT_FOUND         There is no such user.
 * @retval ETCD_E_INVALID_ARGUMENT  Also: the password's source is missing or empty; the message names it.
 * @retval ETCD_E_IO                The password's file cannot be read; nothing was sent.
 * @retval common                   See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_change_password(etcd_client *client, const char *name,
                                                              etcd_secret password,
                                                              const etcd_admin_opts *opts,
                                                              etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_change_password_async(etcd_client *client, const char *name,
                                                                    etcd_secret password,
                                                                    const etcd_admin_opts *opts,
                                                                    etcd_op_fn *on_done, void *user_data,
                                                                    etcd_op **ret_op, etcd_error *reterr);

/**
 * Gives a user a role. One that it has already is no error.
 *
 * @param name  The user's.
 * @param role  The role's name.
 * @param client, opts, reterr  As for etcd_user_add().
 * @retval ETCD_OK
 * @retval ETCD_E_NOT_FOUND  There is no such user, or no such role.
 * @retval common            See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_grant_role(etcd_client *client, const char *name,
                                                         const char *role, const etcd_admin_opts *opts,
                                                         etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_grant_role_async(etcd_client *client, const char *name,
                                                               const char *role, const etcd_admin_opts *opts,
                                                               etcd_op_fn *on_done, void *user_data,
                                                               etcd_op **ret_op, etcd_error *reterr);

/**
 * Takes a role from a user.
 *
 * @param client, name, role, opts, reterr  As for etcd_user_grant_role().
 * @retval ETCD_OK
 * @retval ETCD_E_NOT_FOUND         There is no such user, or it does not have this role.
 * @retval ETCD_E_INVALID_ARGUMENT  Also: the role root of the user root, while authentication is on.
 * @retval common                   See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_revoke_role(etcd_client *client, const char *name,
                                                          const char *role, const etcd_admin_opts *opts,
                                                          etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_revoke_role_async(etcd_client *client, const char *name,
                                                                const char *role, const etcd_admin_opts *opts,
                                                                etcd_op_fn *on_done, void *user_data,
                                                                etcd_op **ret_op, etcd_error *reterr);

/** The roles of one user. Owned by whoever took it. */
typedef struct etcd_user_result etcd_user_result;

/**
 * Asks for the roles of a user.
 *
 * @param client, name, opts, reterr  As for etcd_user_add().
 * @param[out] ret_result  Set on success; etcd_user_result_free(). NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_NOT_FOUND  There is no such user.
 * @retval common            See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_get(etcd_client *client, const char *name,
                                                  const etcd_admin_opts *opts, etcd_user_result **ret_result,
                                                  etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_get_async(etcd_client *client, const char *name,
                                                        const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                                        void *user_data, etcd_op **ret_op,
                                                        etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_user_get_take(etcd_op *op, etcd_user_result **ret_result, etcd_error *reterr);
/** Head of the answer. @since 0.1 */
ETCD_API const etcd_header *etcd_user_result_header(const etcd_user_result *result);
/** Roles in the result. @since 0.1 */
ETCD_API size_t etcd_user_result_role_count(const etcd_user_result *result);
/** Name of role `index`, from 0; NULL beyond the end. @since 0.1 */
ETCD_API const char *etcd_user_result_role(const etcd_user_result *result, size_t index);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_user_result_free(etcd_user_result *result);

/** The names of all users. Owned by whoever took it. */
typedef struct etcd_users_result etcd_users_result;

/**
 * Lists the users.
 *
 * @param client, opts, reterr  As for etcd_auth_enable().
 * @param[out] ret_result  Set on success; etcd_users_result_free(). NULL if not wanted.
 * @retval ETCD_OK
 * @retval common  See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_list(etcd_client *client, const etcd_admin_opts *opts,
                                                   etcd_users_result **ret_result, etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_user_list_async(etcd_client *client, const etcd_admin_opts *opts,
                                                         etcd_op_fn *on_done, void *user_data,
                                                         etcd_op **ret_op, etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_user_list_take(etcd_op *op, etcd_users_result **ret_result, etcd_error *reterr);
/** Head of the answer. @since 0.1 */
ETCD_API const etcd_header *etcd_users_result_header(const etcd_users_result *result);
/** Users in the result. @since 0.1 */
ETCD_API size_t etcd_users_result_count(const etcd_users_result *result);
/** Name of user `index`, from 0; NULL beyond the end. @since 0.1 */
ETCD_API const char *etcd_users_result_name(const etcd_users_result *result, size_t index);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_users_result_free(etcd_users_result *result);

/* ---- roles -------------------------------------------------------------------------------------------- */

/**
 * Adds a role, without any permission.
 *
 * @param client, opts, reterr  As for etcd_auth_enable().
 * @param role  Its name.
 * @retval ETCD_OK
 * @retval ETCD_E_EXISTS  There is a role of this name.
 * @retval common         See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_role_add(etcd_client *client, const char *role,
                                                  const etcd_admin_opts *opts, etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_role_add_async(etcd_client *client, const char *role,
                                                        const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                                        void *user_data, etcd_op **ret_op,
                                                        etcd_error *reterr);

/**
 * Deletes a role, and takes it from all users.
 *
 * @param client, role, opts, reterr  As for etcd_role_add().
 * @retval ETCD_OK
 * @retval ETCD_E_NOT_FOUND         There is no such role.
 * @retval ETCD_E_INVALID_ARGUMENT  Also: the role root, while authentication is on.
 * @retval common                   See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_role_delete(etcd_client *client, const char *role,
                                                     const etcd_admin_opts *opts, etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_role_delete_async(etcd_client *client, const char *role,
                                                           const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                                           void *user_data, etcd_op **ret_op,
                                                           etcd_error *reterr);

/** The names of all roles. Owned by whoever took it. */
typedef struct etcd_roles_result etcd_roles_result;

/**
 * Lists the roles. The role root is in the list once it was added, or authentication was turned on.
 *
 * @param client, opts, reterr  As for etcd_auth_enable().
 * @param[out] ret_result  Set on success; etcd_roles_result_free(). NULL if not wanted.
 * @retval ETCD_OK
 * @retval common  See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_role_list(etcd_client *client, const etcd_admin_opts *opts,
                                                   etcd_roles_result **ret_result, etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_role_list_async(etcd_client *client, const etcd_admin_opts *opts,
                                                         etcd_op_fn *on_done, void *user_data,
                                                         etcd_op **ret_op, etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_role_list_take(etcd_op *op, etcd_roles_result **ret_result, etcd_error *reterr);
/** Head of the answer. @since 0.1 */
ETCD_API const etcd_header *etcd_roles_result_header(const etcd_roles_result *result);
/** Roles in the result. @since 0.1 */
ETCD_API size_t etcd_roles_result_count(const etcd_roles_result *result);
/** Name of role `index`, from 0; NULL beyond the end. @since 0.1 */
ETCD_API const char *etcd_roles_result_name(const etcd_roles_result *result, size_t index);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_roles_result_free(etcd_roles_result *result);

/* ---- permissions -------------------------------------------------------------------------------------- */

/** What a permission is for. */
typedef enum etcd_permission_type {
    ETCD_PERMISSION_READ = 0,
    ETCD_PERMISSION_WRITE = 1,
    ETCD_PERMISSION_READWRITE = 2,
    ETCD_PERMISSION_TYPE_FORCE_INT32 = 0x7fffffff
} etcd_permission_type;

/** A permission of a role. Lives as long as the result that contains it. Frozen: no field will be added. */
typedef struct etcd_permission {
    etcd_permission_type type;
    int32_t reserved;     /**< Zero. */
    etcd_bytes key;       /**< Followed by a NUL that `len` does not count; as is range_end. */
    etcd_bytes range_end; /**< Empty: the key alone; "\0": all keys from `key` on; else [key, range_end). */
} etcd_permission;

/** Options of the calls about one permission. Zero means default. At most one of the first three. */
typedef struct etcd_permission_opts {
    size_t size;          /**< sizeof this struct; set by ETCD_PERMISSION_OPTS. */
    int64_t timeout_ms;   /**< 0: the client's default; ETCD_TIMEOUT_NONE: no limit. */
    etcd_bytes range_end; /**< All keys in [key, range_end). */
    bool prefix;          /**< All keys that begin with `key`; an empty key means all keys. */
    bool from_key;        /**< All keys from `key` on; an empty key means all keys. */
    bool fail_fast;       /**< Do not wait for a connection. */
    uint8_t pad_[5];      /**< Zero. */
} etcd_permission_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_PERMISSION_OPTS_INIT {sizeof(etcd_permission_opts), 0, {NULL, 0}, false, false, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_PERMISSION_OPTS(.prefix = true)`. */
#define ETCD_PERMISSION_OPTS(...) \
    (&(const etcd_permission_opts){.size = sizeof(etcd_permission_opts), __VA_ARGS__})
#endif

/**
 * Permits a role to read or write a key, or a range of keys. Replaces what the role was permitted for exactly
 * this range.
 *
 * @param client  Borrowed.
 * @param role    The role's name.
 * @param type    What for.
 * @param key     As for etcd_get(), with the options. Borrowed until the call returns.
 * @param opts    NULL: that key alone. Borrowed.
 * @param[out] reterr  Set on failure. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_NOT_FOUND         There is no such role.
 * @retval ETCD_E_INVALID_ARGUMENT  Also: range_end is not behind key (servers since 3.5 say so).
 * @retval common                   See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_role_grant_permission(etcd_client *client, const char *role,
                                                               etcd_permission_type type, etcd_bytes key,
                                                               const etcd_permission_opts *opts,
                                                               etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_role_grant_permission_async(etcd_client *client, const char *role,
                                                                     etcd_permission_type type,
                                                                     etcd_bytes key,
                                                                     const etcd_permission_opts *opts,
                                                                     etcd_op_fn *on_done, void *user_data,
                                                                     etcd_op **ret_op, etcd_error *reterr);

/**
 * Takes a permission from a role: one that was granted with exactly this range.
 *
 * @param client, role, key, opts, reterr  As for etcd_role_grant_permission().
 * @retval ETCD_OK
 * @retval ETCD_E_NOT_FOUND  There is no such role, or it has no permission with this range.
 * @retval common            See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_role_revoke_permission(etcd_client *client, const char *role,
                                                                etcd_bytes key,
                                                                const etcd_permission_opts *opts,
                                                                etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_role_revoke_permission_async(etcd_client *client, const char *role,
                                                                      etcd_bytes key,
                                                                      const etcd_permission_opts *opts,
                                                                      etcd_op_fn *on_done, void *user_data,
                                                                      etcd_op **ret_op, etcd_error *reterr);

/** The permissions of one role. Owned by whoever took it. */
typedef struct etcd_role_result etcd_role_result;

/**
 * Asks for the permissions of a role. The role root has none to show and may do everything all the same.
 *
 * @param client, role, opts, reterr  As for etcd_role_add().
 * @param[out] ret_result  Set on success; etcd_role_result_free(). NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_NOT_FOUND  There is no such role.
 * @retval common            See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_role_get(etcd_client *client, const char *role,
                                                  const etcd_admin_opts *opts, etcd_role_result **ret_result,
                                                  etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_role_get_async(etcd_client *client, const char *role,
                                                        const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                                        void *user_data, etcd_op **ret_op,
                                                        etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_role_get_take(etcd_op *op, etcd_role_result **ret_result, etcd_error *reterr);
/** Head of the answer. @since 0.1 */
ETCD_API const etcd_header *etcd_role_result_header(const etcd_role_result *result);
/** Permissions in the result. @since 0.1 */
ETCD_API size_t etcd_role_result_permission_count(const etcd_role_result *result);
/** Permission `index`, from 0; NULL beyond the end. @since 0.1 */
ETCD_API const etcd_permission *etcd_role_result_permission(const etcd_role_result *result, size_t index);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_role_result_free(etcd_role_result *result);

ETCD_END_DECLS

#endif

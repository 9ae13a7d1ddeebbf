/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cluster.h
 * The members of the cluster: list, add, remove, update, promote.
 *
 * "Common" statuses are listed at the head of kv.h. Where the server has authentication on, all but the list
 * are for users with the role root (ETCD_E_DENIED for others), and the list is for users; older servers show
 * it to everybody.
 */
#ifndef ETCDC_CLUSTER_H
#define ETCDC_CLUSTER_H

#include <etcdc/admin.h>

ETCD_BEGIN_DECLS

/** One member. Lives as long as the result that contains it. Frozen: no field will be added. */
typedef struct etcd_member {
    uint64_t id;
    const char *name;               /**< "" while it has not started. */
    const char *const *peer_urls;   /**< Where members find it; ends with NULL. */
    const char *const *client_urls; /**< Where clients find it; ends with NULL; empty as the name is. */
    bool is_learner;                /**< Follows without a vote; see etcd_member_promote(). */
    uint8_t pad_[7];                /**< Zero. */
} etcd_member;

/** The members, as each of these calls answers. Owned by whoever took it. */
typedef struct etcd_members_result etcd_members_result;

/** Head of the answer. Servers leave its revision 0. @since 0.1 */
ETCD_API const etcd_header *etcd_members_result_header(const etcd_members_result *result);
/** Members in the result. @since 0.1 */
ETCD_API size_t etcd_members_result_count(const etcd_members_result *result);
/** Member `index`, from 0; NULL beyond the end. @since 0.1 */
ETCD_API const etcd_member *etcd_members_result_member(const etcd_members_result *result, size_t index);
/** What etcd_member_add() added; NULL for the other calls. @since 0.1 */
ETCD_API const etcd_member *etcd_members_result_added(const etcd_members_result *result);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_members_result_free(etcd_members_result *result);

/* ---- list --------------------------------------------------------------------------------------------- */

/** Options of etcd_member_list(). Zero means default. */
typedef struct etcd_member_list_opts {
    size_t size;        /**< sizeof this struct; set by ETCD_MEMBER_LIST_OPTS. */
    int64_t timeout_ms; /**< 0: the client's default; ETCD_TIMEOUT_NONE: no limit. */
    /** What the member that answers knows, which may be old; works without a quorum. As always before 3.5. */
    bool serializable;
    bool fail_fast;  /**< Do not wait for a connection. */
    uint8_t pad_[6]; /**< Zero. */
} etcd_member_list_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_MEMBER_LIST_OPTS_INIT {sizeof(etcd_member_list_opts), 0, false, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_MEMBER_LIST_OPTS(.serializable = true)`. */
#define ETCD_MEMBER_LIST_OPTS(...) \
    (&(const etcd_member_list_opts){.size = sizeof(etcd_member_list_opts), __VA_ARGS__})
#endif

/**
 * Lists the members. Linearizable unless told otherwise: needs a quorum. Repeated on other endpoints inside
 * the time limit.
 *
 * @param client          Borrowed.
 * @param opts            NULL for the defaults. Borrowed.
 * @param[out] ret_result Set on success; etcd_members_result_free(). NULL if not wanted.
 * @param[out] reterr     Set on failure. NULL if not wanted.
 * @retval ETCD_OK
 * @retval common  See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_member_list(etcd_client *client, const etcd_member_list_opts *opts,
                                                     etcd_members_result **ret_result, etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_member_list_async(etcd_client *client,
                                                           const etcd_member_list_opts *opts,
                                                           etcd_op_fn *on_done, void *user_data,
                                                           etcd_op **ret_op, etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_member_list_take(etcd_op *op, etcd_members_result **ret_result, etcd_error *reterr);

/* ---- add ---------------------------------------------------------------------------------------------- */

/** Options of etcd_member_add(). Zero means default. */
typedef struct etcd_member_add_opts {
    size_t size;        /**< sizeof this struct; set by ETCD_MEMBER_ADD_OPTS. */
    int64_t timeout_ms; /**< 0: the client's default; ETCD_TIMEOUT_NONE: no limit. */
    bool learner;       /**< Without a vote at first. */
    bool fail_fast;     /**< Do not wait for a connection. */
    uint8_t pad_[6];    /**< Zero. */
} etcd_member_add_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_MEMBER_ADD_OPTS_INIT {sizeof(etcd_member_add_opts), 0, false, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_MEMBER_ADD_OPTS(.learner = true)`. */
#define ETCD_MEMBER_ADD_OPTS(...) \
    (&(const etcd_member_add_opts){.size = sizeof(etcd_member_add_opts), __VA_ARGS__})
#endif

/**
 * Tells the cluster of a new member, which is to be started afterwards. Never repeated once a server may
 * have seen it.
 *
 * @param peer_urls  Where it will be found by the others: at least one, ends with NULL. `http://host:port`,
 *                   `https://host:port`, `unix:path` or `unixs:path`; checked before anything is sent, errors
 *                   name index and value. Borrowed.
 * @param client, opts, ret_result, reterr  As for etcd_member_list(); see etcd_members_result_added().
 * @retval ETCD_OK
 * @retval ETCD_E_EXISTS        A member has one of these addresses.
 * @retval ETCD_E_PRECONDITION  Too few members have started, or there are too many learners.
 * @retval ETCD_E_UNAVAILABLE   Also: a member is not connected to the others ("unhealthy cluster").
 * @retval common               See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_member_add(etcd_client *client, const char *const *peer_urls,
                                                    const etcd_member_add_opts *opts,
                                                    etcd_members_result **ret_result, etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_member_add_async(etcd_client *client, const char *const *peer_urls,
                                                          const etcd_member_add_opts *opts,
                                                          etcd_op_fn *on_done, void *user_data,
                                                          etcd_op **ret_op, etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_member_add_take(etcd_op *op, etcd_members_result **ret_result, etcd_error *reterr);

/* ---- remove, update, promote -------------------------------------------------------------------------- */

/**
 * Removes a member; its process ends itself. Never repeated once a server may have seen it.
 *
 * @param member_id  Not 0.
 * @param client, opts, ret_result, reterr  As for etcd_member_list().
 * @retval ETCD_OK              The members that are left are in the result.
 * @retval ETCD_E_NOT_FOUND     There is no such member, or it was removed before.
 * @retval ETCD_E_PRECONDITION  Too few started members would be left.
 * @retval ETCD_E_UNAVAILABLE   Also: a member is not connected to the others ("unhealthy cluster").
 * @retval common               See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_member_remove(etcd_client *client, uint64_t member_id,
                                                       const etcd_admin_opts *opts,
                                                       etcd_members_result **ret_result, etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_member_remove_async(etcd_client *client, uint64_t member_id,
                                                             const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                                             void *user_data, etcd_op **ret_op,
                                                             etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_member_remove_take(etcd_op *op, etcd_members_result **ret_result,
                                             etcd_error *reterr);

/**
 * Tells the cluster of a member's new addresses. Never repeated once a server may have seen it. Servers up to
 * 3.5 then take a learner for a voting member.
 *
 * @param member_id  Not 0.
 * @param peer_urls  As for etcd_member_add(); they replace those that it had.
 * @param client, opts, ret_result, reterr  As for etcd_member_list().
 * @retval ETCD_OK
 * @retval ETCD_E_NOT_FOUND  There is no such member.
 * @retval ETCD_E_EXISTS     Another member has one of these addresses.
 * @retval common            See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_member_update(etcd_client *client, uint64_t member_id,
                                                       const char *const *peer_urls,
                                                       const etcd_admin_opts *opts,
                                                       etcd_members_result **ret_result, etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_member_update_async(etcd_client *client, uint64_t member_id,
                                                             const char *const *peer_urls,
                                                             const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                                             void *user_data, etcd_op **ret_op,
                                                             etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_member_update_take(etcd_op *op, etcd_members_result **ret_result,
                                             etcd_error *reterr);

/**
 * Gives a learner its vote. Never repeated once a server may have seen it.
 *
 * @param member_id  Not 0.
 * @param client, opts, ret_result, reterr  As for etcd_member_list().
 * @retval ETCD_OK
 * @retval ETCD_E_NOT_FOUND     There is no such member.
 * @retval ETCD_E_PRECONDITION  It is no learner; or, with ETCD_ERROR_RETRYABLE, it has not caught up with the
 *                              leader yet.
 * @retval common               See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_member_promote(etcd_client *client, uint64_t member_id,
                                                        const etcd_admin_opts *opts,
                                                        etcd_members_result **ret_result, etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_member_promote_async(etcd_client *client, uint64_t member_id,
                                                              const etcd_admin_opts *opts,
                                                              etcd_op_fn *on_done, void *user_data,
                                                              etcd_op **ret_op, etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_member_promote_take(etcd_op *op, etcd_members_result **ret_result,
                                              etcd_error *reterr);

ETCD_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file maintenance.h
 * Looking after members: status, alarms, defragmentation, hashes, leadership, downgrade, backups.
 *
 * These calls are about one member. `endpoint` names it, written as in the client's options; it need not be
 * among the client's endpoints: a connection is then made for the call and closed after it, with the TLS, the
 * credentials and the limits of the client. Such a call is never made anywhere else. NULL leaves the choice
 * to the client, as for other calls.
 *
 * With authentication on, members want the root user for it; older ones (before 3.5.30) leave status,
 * leadership and downgrade to everybody.
 *
 * "Common" statuses are listed at the head of kv.h.
 */
#ifndef ETCDC_MAINTENANCE_H
#define ETCDC_MAINTENANCE_H

#include <etcdc/admin.h>

ETCD_BEGIN_DECLS

/* ---- status ------------------------------------------------------------------------------------------- */

/**
 * What a member says of itself. Owned by whoever took it; all it points to lives as long. Only the library
 * makes one: later versions may add fields at its end.
 */
typedef struct etcd_member_status_result {
    etcd_header header;
    const char *version;                  /**< Of the member's etcd: "3.5.30". */
    int64_t db_size;                      /**< Bytes that its database takes on the disk. */
    uint64_t leader_id;                   /**< The member that it takes for the leader; 0: none. */
    uint64_t raft_index;                  /**< Committed. */
    uint64_t raft_term;                   /**< In raft; the header's is of the answer. */
    uint64_t raft_applied_index;          /**< Applied. */
    const char *const *errors;            /**< What is wrong with it, alarms among it. */
    size_t error_count;                   /**< Texts in `errors`. */
    int64_t db_size_in_use;               /**< Bytes of the database that hold data. */
    bool is_learner;                      /**< It has no vote yet. */
    bool downgrade_enabled;               /**< A downgrade is under way; from 3.6 on. */
    uint8_t reserved[6];                  /**< Zero. */
    const char *storage_version;          /**< Of the database's form, "3.6.0"; "" before 3.6. */
    int64_t db_size_quota;                /**< Bytes that the database may take; 0 before 3.6. */
    const char *downgrade_target_version; /**< "" while no downgrade is under way. */
} etcd_member_status_result;

/**
 * Asks a member how it is. Answered by the member alone, also without a leader.
 *
 * @param client          Borrowed.
 * @param endpoint        See the head of this file.
 * @param opts            NULL for the defaults. Borrowed.
 * @param[out] ret_result Set on success; etcd_member_status_result_free(). NULL if not wanted.
 * @param[out] reterr     Set on failure. NULL if not wanted.
 * @retval ETCD_OK
 * @retval common  See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_member_status(etcd_client *client, const char *endpoint,
                                                       const etcd_admin_opts *opts,
                                                       etcd_member_status_result **ret_result,
                                                       etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_member_status_async(etcd_client *client, const char *endpoint,
                                                             const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                                             void *user_data, etcd_op **ret_op,
                                                             etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_member_status_take(etcd_op *op, etcd_member_status_result **ret_result,
                                             etcd_error *reterr);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_member_status_result_free(etcd_member_status_result *result);

/* ---- alarms ------------------------------------------------------------------------------------------- */

/** What a cluster raises an alarm for. Later servers may send others. */
typedef enum etcd_alarm_type {
    ETCD_ALARM_NONE = 0,
    ETCD_ALARM_NO_SPACE = 1, /**< The quota is used up: nothing can be written. */
    ETCD_ALARM_CORRUPT = 2,  /**< A member's data differs from the others': nothing can be read or written. */
    ETCD_ALARM_TYPE_FORCE_INT32 = 0x7fffffff
} etcd_alarm_type;

/** One alarm. Frozen. */
typedef struct etcd_alarm {
    uint64_t member_id;   /**< The member that raised it. */
    etcd_alarm_type type; /**< What for. */
    int32_t reserved;     /**< Zero. */
} etcd_alarm;

/** A list of alarms. Owned by whoever took it. */
typedef struct etcd_alarm_result etcd_alarm_result;

/**
 * Lists the alarms of the cluster.
 *
 * @param client, endpoint, opts, ret_result, reterr  As for etcd_member_status(); etcd_alarm_result_free().
 * @retval ETCD_OK
 * @retval common  See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_alarm_list(etcd_client *client, const char *endpoint,
                                                    const etcd_admin_opts *opts,
                                                    etcd_alarm_result **ret_result, etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome: etcd_alarm_take(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_alarm_list_async(etcd_client *client, const char *endpoint,
                                                          const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                                          void *user_data, etcd_op **ret_op,
                                                          etcd_error *reterr);

/**
 * Withdraws alarms: one, or with member 0 and ETCD_ALARM_NONE all of them, one after another.
 *
 * An alarm that is withdrawn while its cause is still there comes back. Once space was made (compaction, then
 * etcd_defragment() of each member), withdrawing ETCD_ALARM_NO_SPACE makes the cluster writable again.
 *
 * @param member_id       Of the alarm; 0 only together with ETCD_ALARM_NONE.
 * @param type            Of the alarm.
 * @param client, endpoint, opts, reterr  As for etcd_member_status(). The time limit is one for all of it.
 * @param[out] ret_result What was withdrawn: nothing where there was no such alarm. NULL if not wanted.
 * @retval ETCD_OK
 * @retval common  See the head of kv.h. Where all were to be withdrawn, some of them may have been.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_alarm_disarm(etcd_client *client, const char *endpoint,
                                                      uint64_t member_id, etcd_alarm_type type,
                                                      const etcd_admin_opts *opts,
                                                      etcd_alarm_result **ret_result, etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome: etcd_alarm_take(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_alarm_disarm_async(etcd_client *client, const char *endpoint,
                                                            uint64_t member_id, etcd_alarm_type type,
                                                            const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                                            void *user_data, etcd_op **ret_op,
                                                            etcd_error *reterr);
/** The outcome of a list or a withdrawal; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_alarm_take(etcd_op *op, etcd_alarm_result **ret_result, etcd_error *reterr);

/** Head of the newest answer. @since 0.1 */
ETCD_API const etcd_header *etcd_alarm_result_header(const etcd_alarm_result *result);
/** Alarms in the result. @since 0.1 */
ETCD_API size_t etcd_alarm_result_count(const etcd_alarm_result *result);
/** Alarm `index`, from 0; NULL beyond the end. @since 0.1 */
ETCD_API const etcd_alarm *etcd_alarm_result_at(const etcd_alarm_result *result, size_t index);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_alarm_result_free(etcd_alarm_result *result);

/* ---- defragmentation ---------------------------------------------------------------------------------- */

/**
 * Gives the free space of a member's database back to its file system.
 *
 * The member answers nothing else meanwhile, and it can take long - about a second for 100 MB, more on slow
 * disks - so the client's default time limit is rarely enough: set `timeout_ms`, to minutes rather than
 * seconds. A member goes on with it after the time is over. One member after the other, never all at once.
 * Without an endpoint some member is chosen, which is of use in clusters of one.
 *
 * @param client, endpoint, opts, reterr  As for etcd_member_status().
 * @retval ETCD_OK
 * @retval common  See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_defragment(etcd_client *client, const char *endpoint,
                                                    const etcd_admin_opts *opts, etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_defragment_async(etcd_client *client, const char *endpoint,
                                                          const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                                          void *user_data, etcd_op **ret_op,
                                                          etcd_error *reterr);

/* ---- hashes ------------------------------------------------------------------------------------------- */

/** A hash of a member's data. A plain value; nothing to free. Frozen. */
typedef struct etcd_hash_result {
    etcd_header header;
    int64_t compact_revision; /**< etcd_hash_kv(): what was compacted when it was made; 0: nothing. */
    int64_t hash_revision;    /**< etcd_hash_kv(): what it was made up to; 0 before 3.5.9. */
    uint32_t hash;
    uint32_t reserved; /**< Zero. */
} etcd_hash_result;

/**
 * Hashes the whole database of a member. Members differ in it as a matter of course: for comparing them take
 * etcd_hash_kv().
 *
 * @param[out] ret_result  Set on success. NULL if not wanted.
 * @param client, endpoint, opts, reterr  As for etcd_member_status().
 * @retval ETCD_OK
 * @retval common  See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_hash(etcd_client *client, const char *endpoint,
                                              const etcd_admin_opts *opts, etcd_hash_result *ret_result,
                                              etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome: etcd_hash_take(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_hash_async(etcd_client *client, const char *endpoint,
                                                    const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                                    void *user_data, etcd_op **ret_op, etcd_error *reterr);
/**
 * Hashes the keys of a member up to a revision. Members agree on it wherever they have the same
 * compact_revision.
 *
 * @param revision  0: the member's newest.
 * @param client, endpoint, opts, ret_result, reterr  As for etcd_hash().
 * @retval ETCD_OK
 * @retval ETCD_E_COMPACTED        `revision` is compacted away.
 * @retval ETCD_E_FUTURE_REVISION  `revision` does not exist yet, or not yet on this member.
 * @retval common                  See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_hash_kv(etcd_client *client, const char *endpoint, int64_t revision,
                                                 const etcd_admin_opts *opts, etcd_hash_result *ret_result,
                                                 etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome: etcd_hash_take(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_hash_kv_async(etcd_client *client, const char *endpoint,
                                                       int64_t revision, const etcd_admin_opts *opts,
                                                       etcd_op_fn *on_done, void *user_data, etcd_op **ret_op,
                                                       etcd_error *reterr);
/** The outcome of either; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_hash_take(etcd_op *op, etcd_hash_result *ret_result, etcd_error *reterr);

/* ---- leadership --------------------------------------------------------------------------------------- */

/**
 * Hands the leadership over to another member. Only the leader can: name its endpoint.
 *
 * @param target_id  The member that is to lead.
 * @param client, endpoint, opts, reterr  As for etcd_member_status().
 * @retval ETCD_OK              It leads.
 * @retval ETCD_E_PRECONDITION  The member that was asked does not lead.
 * @retval ETCD_E_INVALID_ARGUMENT  Also: there is no such member, or it has no vote.
 * @retval common               See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_move_leader(etcd_client *client, const char *endpoint,
                                                     uint64_t target_id, const etcd_admin_opts *opts,
                                                     etcd_error *reterr);
/** Starts it; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_move_leader_async(etcd_client *client, const char *endpoint,
                                                           uint64_t target_id, const etcd_admin_opts *opts,
                                                           etcd_op_fn *on_done, void *user_data,
                                                           etcd_op **ret_op, etcd_error *reterr);

/* ---- downgrade ---------------------------------------------------------------------------------------- */

/** What to do about a downgrade. */
typedef enum etcd_downgrade_action {
    ETCD_DOWNGRADE_VALIDATE = 0, /**< Only look whether it could be done. */
    ETCD_DOWNGRADE_ENABLE = 1,   /**< Prepare the cluster for the older version. */
    ETCD_DOWNGRADE_CANCEL = 2,   /**< Leave it. */
    ETCD_DOWNGRADE_ACTION_FORCE_INT32 = 0x7fffffff
} etcd_downgrade_action;

/** The answer to a downgrade. Owned by whoever took it. */
typedef struct etcd_downgrade_result etcd_downgrade_result;

/**
 * Validates, enables or cancels the cluster's downgrade by one minor version. From 3.5 on.
 *
 * @param action   What to do.
 * @param version  The version to go down to, "3.5.0"; NULL for ETCD_DOWNGRADE_CANCEL.
 * @param client, endpoint, opts, ret_result, reterr  As for etcd_member_status();
 *     etcd_downgrade_result_free().
 * @retval ETCD_OK
 * @retval ETCD_E_INVALID_ARGUMENT  Also: the version makes no sense to the server.
 * @retval ETCD_E_EXISTS            One is under way.
 * @retval ETCD_E_NOT_FOUND         There is none to cancel.
 * @retval ETCD_E_UNSUPPORTED       The server is too old.
 * @retval common                   See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_downgrade(etcd_client *client, const char *endpoint,
                                                   etcd_downgrade_action action, const char *version,
                                                   const etcd_admin_opts *opts,
                                                   etcd_downgrade_result **ret_result, etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_downgrade_async(etcd_client *client, const char *endpoint,
                                                         etcd_downgrade_action action, const char *version,
                                                         const etcd_admin_opts *opts, etcd_op_fn *on_done,
                                                         void *user_data, etcd_op **ret_op,
                                                         etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_downgrade_take(etcd_op *op, etcd_downgrade_result **ret_result, etcd_error *reterr);
/** Head of the answer. @since 0.1 */
ETCD_API const etcd_header *etcd_downgrade_result_header(const etcd_downgrade_result *result);
/** The version of the cluster. Lives as long as the result. @since 0.1 */
ETCD_API const char *etcd_downgrade_result_version(const etcd_downgrade_result *result);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_downgrade_result_free(etcd_downgrade_result *result);

ETCD_END_DECLS

#endif

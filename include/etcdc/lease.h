/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file lease.h
 * Leases: grant, revoke, look at, keep alive.
 *
 * "Common" statuses are listed at the head of kv.h.
 */
#ifndef ETCDC_LEASE_H
#define ETCDC_LEASE_H

#include <etcdc/client.h>

ETCD_BEGIN_DECLS

/** A lease as the server granted it. A plain value; nothing to free. Frozen. */
typedef struct etcd_lease {
    int64_t id;
    int64_t ttl_s; /**< Seconds; the server may have chosen more than was asked for. */
} etcd_lease;

/** The largest TTL that a server accepts, in seconds. */
#define ETCD_LEASE_TTL_MAX INT64_C(9000000000)

/** Options of the calls about one lease. Zero means default. */
typedef struct etcd_lease_opts {
    size_t size;        /**< sizeof this struct; set by ETCD_LEASE_OPTS. */
    int64_t timeout_ms; /**< 0: the client's default; ETCD_TIMEOUT_NONE: no limit. */
    /**
     * etcd_lease_grant(): the id to use; 0: one that nobody else has, chosen here, so that a grant can be
     * repeated safely.
     */
    int64_t id;
    bool keys;       /**< etcd_lease_time_to_live(): list the attached keys too. */
    bool fail_fast;  /**< Do not wait for a connection. */
    bool in_wait;    /**< Part of a wait: etcd_client_cancel_waits() ends the call too. */
    uint8_t pad_[5]; /**< Zero. */
} etcd_lease_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_LEASE_OPTS_INIT {sizeof(etcd_lease_opts), 0, 0, false, false, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_LEASE_OPTS(.timeout_ms = 2000)`. */
#define ETCD_LEASE_OPTS(...) (&(const etcd_lease_opts){.size = sizeof(etcd_lease_opts), __VA_ARGS__})
#endif

/**
 * Creates a lease. Nothing keeps it alive but etcd_keepalive_start() and
 * etcd_lease_keepalive_once().
 *
 * @param client  Borrowed.
 * @param ttl_s           1 .. ETCD_LEASE_TTL_MAX seconds. The server may choose more: see ret_lease->ttl_s.
 * @param opts  NULL for the defaults.
 * @param[out] ret_lease  Set on success. NULL if not wanted.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_EXISTS  opts->id is in use.
 * @retval common         See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_lease_grant(etcd_client *client, int64_t ttl_s,
                                                     const etcd_lease_opts *opts, etcd_lease *ret_lease,
                                                     etcd_error *reterr);
/** Starts a grant; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_lease_grant_async(etcd_client *client, int64_t ttl_s,
                                                           const etcd_lease_opts *opts, etcd_op_fn *on_done,
                                                           void *user_data, etcd_op **ret_op,
                                                           etcd_error *reterr);
/** The outcome of a grant; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_lease_grant_take(etcd_op *op, etcd_lease *ret_lease, etcd_error *reterr);

/**
 * Ends a lease and deletes the keys that are attached to it.
 *
 * @retval ETCD_OK
 * @retval ETCD_E_LEASE_NOT_FOUND  There is none (any more).
 * @retval common                  See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_lease_revoke(etcd_client *client, int64_t lease_id,
                                                      const etcd_lease_opts *opts, etcd_error *reterr);
/** Starts a revocation; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_lease_revoke_async(etcd_client *client, int64_t lease_id,
                                                            const etcd_lease_opts *opts, etcd_op_fn *on_done,
                                                            void *user_data, etcd_op **ret_op,
                                                            etcd_error *reterr);

/**
 * Renews a lease once: its time starts anew. For programs that renew by themselves; etcd_keepalive_start()
 * does it for as long as it is wanted.
 *
 * @param client  Borrowed.
 * @param lease_id  Of a lease that lives.
 * @param opts  NULL for the defaults.
 * @param[out] ret_lease  Id and TTL after the renewal. NULL if not wanted.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_LEASE_NOT_FOUND  There is none (any more).
 * @retval common                  See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_lease_keepalive_once(etcd_client *client, int64_t lease_id,
                                                              const etcd_lease_opts *opts,
                                                              etcd_lease *ret_lease, etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_lease_keepalive_once_async(etcd_client *client, int64_t lease_id,
                                                                    const etcd_lease_opts *opts,
                                                                    etcd_op_fn *on_done, void *user_data,
                                                                    etcd_op **ret_op, etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_lease_keepalive_once_take(etcd_op *op, etcd_lease *ret_lease, etcd_error *reterr);

/** What is left of a lease. Owned by whoever took it. */
typedef struct etcd_ttl_result etcd_ttl_result;

/**
 * Looks at a lease.
 *
 * @retval ETCD_OK
 * @retval ETCD_E_LEASE_NOT_FOUND  There is none (any more).
 * @retval common                  See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_lease_time_to_live(etcd_client *client, int64_t lease_id,
                                                            const etcd_lease_opts *opts,
                                                            etcd_ttl_result **ret_result, etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_lease_time_to_live_async(etcd_client *client, int64_t lease_id,
                                                                  const etcd_lease_opts *opts,
                                                                  etcd_op_fn *on_done, void *user_data,
                                                                  etcd_op **ret_op, etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_lease_time_to_live_take(etcd_op *op, etcd_ttl_result **ret_result,
                                                  etcd_error *reterr);
/** Seconds that are left. @since 0.1 */
ETCD_API int64_t etcd_ttl_result_ttl_s(const etcd_ttl_result *result);
/** Seconds that were granted. @since 0.1 */
ETCD_API int64_t etcd_ttl_result_granted_ttl_s(const etcd_ttl_result *result);
/** Attached keys in the result; 0 unless asked for. @since 0.1 */
ETCD_API size_t etcd_ttl_result_key_count(const etcd_ttl_result *result);
/** Attached key `index`, from 0; empty beyond the end. @since 0.1 */
ETCD_API etcd_bytes etcd_ttl_result_key(const etcd_ttl_result *result, size_t index);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_ttl_result_free(etcd_ttl_result *result);

/** All leases of the cluster. Owned by whoever took it. */
typedef struct etcd_leases_result etcd_leases_result;

/**
 * Lists the ids of all leases.
 *
 * @retval ETCD_OK
 * @retval common  See the head of kv.h.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_lease_list(etcd_client *client, const etcd_lease_opts *opts,
                                                    etcd_leases_result **ret_result, etcd_error *reterr);
/** Starts it; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_lease_list_async(etcd_client *client, const etcd_lease_opts *opts,
                                                          etcd_op_fn *on_done, void *user_data,
                                                          etcd_op **ret_op, etcd_error *reterr);
/** Its outcome; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_lease_list_take(etcd_op *op, etcd_leases_result **ret_result, etcd_error *reterr);
/** Leases in the result. @since 0.1 */
ETCD_API size_t etcd_leases_result_count(const etcd_leases_result *result);
/** Lease id `index`, from 0; 0 beyond the end. @since 0.1 */
ETCD_API int64_t etcd_leases_result_id(const etcd_leases_result *result, size_t index);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_leases_result_free(etcd_leases_result *result);

/* ---- keep-alive --------------------------------------------------------------------------------------- */

/** Keeps one lease alive. Shares streams with all others of its client. */
typedef struct etcd_keepalive etcd_keepalive;

/**
 * Runs once, when the lease is lost or the keep-alive ends otherwise, except by etcd_keepalive_close():
 * never after that returned. `status` is ETCD_E_LEASE_LOST (expired, revoked or unknown to the server),
 * ETCD_E_CLOSED (client closed), ETCD_E_DENIED, ETCD_E_AUTH or ETCD_E_NO_MEMORY; `err` is borrowed. Runs on
 * the loop's thread, or inside etcd_loop_process(). May call etcd_keepalive_close().
 */
typedef void etcd_keepalive_fn(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err,
                               void *user_data);

/** Options of etcd_keepalive_start(). Zero means default. */
typedef struct etcd_keepalive_opts {
    size_t size;               /**< sizeof this struct; set by ETCD_KEEPALIVE_OPTS. */
    etcd_keepalive_fn *on_end; /**< NULL: ask etcd_keepalive_remaining_ms(). */
    void *user_data;
    /**
     * How long ago the grant was asked for: so much of `lease.ttl_s` may be over already. The first renewal
     * comes a third of the TTL after that. Milliseconds; 0: not known; counted from now, and renewed at once.
     */
    int64_t elapsed_ms;
} etcd_keepalive_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_KEEPALIVE_OPTS_INIT {sizeof(etcd_keepalive_opts), NULL, NULL, 0}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_KEEPALIVE_OPTS(.on_end = lost)`. */
#define ETCD_KEEPALIVE_OPTS(...) \
    (&(const etcd_keepalive_opts){.size = sizeof(etcd_keepalive_opts), __VA_ARGS__})
#endif

/**
 * Keeps a lease alive until it is closed or lost: renewed every third of its TTL. Its expiry is counted
 * from the moment a renewal was sent, on a clock that goes on during suspend, so the lease is never
 * believed longer than the server holds it.
 *
 * Under caller drive a lease that is not pumped expires.
 *
 * @param client  Borrowed.
 * @param lease  As granted. `ttl_s` less opts->elapsed_ms is taken as what is left from now on.
 * @param opts  NULL for the defaults.
 * @param[out] ret_keepalive  etcd_keepalive_close().
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK, ETCD_E_INVALID_ARGUMENT, ETCD_E_CLOSED, ETCD_E_NO_MEMORY
 * @par Threads Any, also from callbacks.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_keepalive_start(etcd_client *client, etcd_lease lease,
                                                         const etcd_keepalive_opts *opts,
                                                         etcd_keepalive **ret_keepalive, etcd_error *reterr);

/** Milliseconds that the lease certainly still has; 0 when it is lost, or may be. Any thread. @since 0.1 */
ETCD_API int64_t etcd_keepalive_remaining_ms(const etcd_keepalive *keepalive);
/** The lease's id. Any thread. @since 0.1 */
ETCD_API int64_t etcd_keepalive_lease_id(const etcd_keepalive *keepalive);

/**
 * Stops renewing and frees the handle; the lease itself is left to expire (see etcd_lease_revoke()). Waits
 * for a running `on_end`, unless called from inside it; afterwards it never runs. NULL is fine. Any thread.
 * @since 0.1
 */
ETCD_API void etcd_keepalive_close(etcd_keepalive *keepalive);

ETCD_END_DECLS

#endif

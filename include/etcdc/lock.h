/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file lock.h
 * A distributed lock, compatible with etcdctl lock and Go's concurrency package.
 *
 * The lock is a key `<name>/<lease id in hex>`; whoever created the oldest key below the name owns it. A
 * lock can be lost while it is held: when its lease ends because no server could be reached, or somebody
 * revokes it. Ask etcd_lock_held() before each step, and guard writes with the fencing number.
 */
#ifndef ETCDC_LOCK_H
#define ETCDC_LOCK_H

#include <etcdc/client.h>

ETCD_BEGIN_DECLS

/** A lock that was acquired. */
typedef struct etcd_lock etcd_lock;

/**
 * Runs once if the lock is lost while it is held (not after etcd_lock_release() was called). `status` is
 * ETCD_E_LEASE_LOST or ETCD_E_CLOSED. Runs on the loop's thread, or inside etcd_loop_process(), perhaps
 * before etcd_lock_acquire() has returned. Must not release the lock. `err` is borrowed.
 */
typedef void etcd_lock_lost_fn(etcd_lock *lock, etcd_status status, const etcd_error *err, void *user_data);

/** Options of etcd_lock_acquire(). Zero means default. */
typedef struct etcd_lock_opts {
    size_t size;        /**< sizeof this struct; set by ETCD_LOCK_OPTS. */
    int64_t ttl_s;      /**< How long the lock outlives a dead holder. Seconds; 0: 60. */
    int64_t timeout_ms; /**< Of the whole acquisition: session, queue and wait. 0: the client's default. */
    etcd_lock_lost_fn *on_lost; /**< NULL: ask etcd_lock_held(). */
    void *user_data;
    bool try_lock; /**< Do not wait: ETCD_E_BUSY when somebody holds it. */
    /**
     * Under caller drive the lock is lost unless the loop is pumped at least every TTL/3; say that you do.
     */
    bool allow_caller_drive;
    uint8_t pad_[6]; /**< Zero. */
} etcd_lock_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_LOCK_OPTS_INIT {sizeof(etcd_lock_opts), 0, 0, NULL, NULL, false, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_LOCK_OPTS(.ttl_s = 10, .timeout_ms = 10000)`. */
#define ETCD_LOCK_OPTS(...) (&(const etcd_lock_opts){.size = sizeof(etcd_lock_opts), __VA_ARGS__})
#endif

/**
 * Acquires the lock, waiting in line for it.
 *
 * Whatever goes wrong, the place in the line is given up: at once when the server can be reached, at the
 * latest after the TTL. For that a failed call may take up to a quarter of a second longer than its time
 * limit. The client must not be freed before the lock; closing it is fine.
 *
 * @param client  Borrowed.
 * @param name           1 byte or more. Borrowed.
 * @param opts  NULL for the defaults.
 * @param[out] ret_lock  etcd_lock_release().
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_INVALID_ARGUMENT  No name; ttl_s is negative or above ETCD_LEASE_TTL_MAX; timeout_ms is
 *     negative.
 * @retval ETCD_E_BUSY       try_lock, and somebody holds it.
 * @retval ETCD_E_DEADLINE   Not got in time; ETCD_E_UNAVAILABLE: no server was reached.
 * @retval ETCD_E_CANCELLED  By etcd_client_cancel_waits().
 * @retval ETCD_E_LEASE_LOST The session ended while waiting.
 * @retval ETCD_E_PRECONDITION  Caller drive, and allow_caller_drive is not set.
 * @retval common            See the head of kv.h.
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_lock_acquire(etcd_client *client, etcd_bytes name,
                                                      const etcd_lock_opts *opts, etcd_lock **ret_lock,
                                                      etcd_error *reterr);

/**
 * Whether the lock is certainly still held: its lease has time left and nothing was heard of its loss. Any
 * thread. @since 0.1
 */
ETCD_API bool etcd_lock_held(const etcd_lock *lock);
/**
 * The fencing number: the revision at which this holder queued up. It grows from owner to owner; a store
 * that refuses writes with a smaller number than it has seen is safe from a holder that lost the lock
 * unawares. Any thread. @since 0.1
 */
ETCD_API int64_t etcd_lock_fence(const etcd_lock *lock);
/**
 * The key whose existence is the lock; compare its create revision with the fencing number in transactions.
 * Lives as long as
 * the lock. @since 0.1 */
ETCD_API etcd_bytes etcd_lock_key(const etcd_lock *lock);
/** The lease behind it. @since 0.1 */
ETCD_API int64_t etcd_lock_lease_id(const etcd_lock *lock);

/**
 * Releases the lock: its key, its lease, its renewal and the handle, which is freed whatever is returned.
 * NULL is fine: ETCD_OK.
 *
 * @param lock  Consumed.
 * @param timeout_ms  0: the client's default.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK            The lock was held until now and is free.
 * @retval ETCD_E_LEASE_LOST  It was lost before; nothing is left of it at the server.
 * @retval ETCD_E_DEADLINE, ETCD_E_UNAVAILABLE, ETCD_E_CLOSED, ...  The server could not be told; it forgets
 *     the lock after the TTL.
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API etcd_status etcd_lock_release(etcd_lock *lock, int64_t timeout_ms, etcd_error *reterr);

ETCD_END_DECLS

#endif

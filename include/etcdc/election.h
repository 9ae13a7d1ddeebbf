/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file election.h
 * Leader election: candidates queue up, the first leads, the others wait for their turn.
 *
 * Keys are those of Go's `concurrency` package, so programs on Go's client and `etcdctl elect` contend with
 * this one. "Common" statuses are listed at the head of kv.h.
 */
#ifndef ETCDC_ELECTION_H
#define ETCDC_ELECTION_H

#include <etcdc/client.h>
#include <etcdc/kv.h>

ETCD_BEGIN_DECLS

/** The lead, from etcd_election_campaign() to etcd_election_resign(). */
typedef struct etcd_election etcd_election;
/** Follows who leads. */
typedef struct etcd_observer etcd_observer;

/**
 * Runs once when the lead is lost before it was resigned: the lease ended (ETCD_E_LEASE_LOST) or the client
 * was closed (ETCD_E_CLOSED). On the loop's thread, or inside etcd_loop_process(). Must not resign. `err` is
 * borrowed.
 */
typedef void etcd_election_lost_fn(etcd_election *election, etcd_status status, const etcd_error *err,
                                   void *user_data);

/** Options of etcd_election_campaign(). Zero means default. */
typedef struct etcd_election_opts {
    size_t size;        /**< sizeof this struct; set by ETCD_ELECTION_OPTS. */
    int64_t ttl_s;      /**< How long the lead outlives a dead leader. Seconds; 0: 60. */
    int64_t timeout_ms; /**< Of the whole campaign: session, queue and wait. 0: the client's default. */
    etcd_election_lost_fn *on_lost; /**< NULL: ask etcd_election_leads(). */
    void *user_data;
    bool try_campaign; /**< Do not wait: ETCD_E_BUSY when somebody leads. */
    /**
     * Under caller drive the lead is lost unless the loop is pumped at least every TTL/3; say that you do.
     */
    bool allow_caller_drive;
    uint8_t pad_[6]; /**< Zero. */
} etcd_election_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_ELECTION_OPTS_INIT {sizeof(etcd_election_opts), 0, 0, NULL, NULL, false, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_ELECTION_OPTS(.ttl_s = 10, .timeout_ms = ETCD_TIMEOUT_NONE)`. */
#define ETCD_ELECTION_OPTS(...) (&(const etcd_election_opts){.size = sizeof(etcd_election_opts), __VA_ARGS__})
#endif

/**
 * Queues up as a candidate and waits until it leads.
 *
 * Whatever goes wrong, the candidacy is given up: at once when the server can be reached, at the latest
 * after the TTL. For that a failed call may take up to a quarter of a second longer than its time limit.
 * The client must not be freed before the election; closing it is fine.
 *
 * @param client  Borrowed.
 * @param name   1 byte or more. Borrowed.
 * @param value  What the others see of the leader: its address, say. May be empty. Borrowed.
 * @param opts  NULL for the defaults.
 * @param[out] ret_election  etcd_election_resign().
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK           We lead.
 * @retval ETCD_E_INVALID_ARGUMENT  No name; ttl_s is negative or above ETCD_LEASE_TTL_MAX; timeout_ms is
 *     negative.
 * @retval ETCD_E_BUSY       try_campaign, and somebody leads.
 * @retval ETCD_E_DEADLINE   Not in time; ETCD_E_UNAVAILABLE: no server was reached.
 * @retval ETCD_E_CANCELLED  By etcd_client_cancel_waits().
 * @retval ETCD_E_LEASE_LOST The candidacy ended while waiting.
 * @retval ETCD_E_PRECONDITION  Caller drive, and allow_caller_drive is not set.
 * @retval common            See the head of kv.h.
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_election_campaign(etcd_client *client, etcd_bytes name,
                                                           etcd_bytes value, const etcd_election_opts *opts,
                                                           etcd_election **ret_election, etcd_error *reterr);

/** Whether we certainly lead: the lease has time left and nothing was heard of its loss. Any thread.
 * @since 0.1 */
ETCD_API bool etcd_election_leads(const etcd_election *election);
/**
 * The fencing number: the revision at which this candidate queued up. It grows from leader to leader; see
 * etcd_lock_fence(). Any thread. @since 0.1
 */
ETCD_API int64_t etcd_election_fence(const etcd_election *election);
/** The key whose existence is the lead. Lives as long as the election. @since 0.1 */
ETCD_API etcd_bytes etcd_election_key(const etcd_election *election);
/** The lease behind it. @since 0.1 */
ETCD_API int64_t etcd_election_lease_id(const etcd_election *election);

/**
 * Changes what the others see of us, without giving up the lead.
 *
 * @param election  Borrowed.
 * @param value       Borrowed.
 * @param timeout_ms  0: the client's default.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_LEASE_LOST  We do not lead any more; nothing was written.
 * @retval common             See the head of kv.h.
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_election_proclaim(etcd_election *election, etcd_bytes value,
                                                           int64_t timeout_ms, etcd_error *reterr);

/**
 * Gives up the lead: its key, its lease, its renewal and the handle, which is freed whatever is returned.
 * Only what is ours is deleted. NULL is fine: ETCD_OK.
 *
 * @param election  Borrowed.
 * @param timeout_ms  0: the client's default.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK            We led until now.
 * @retval ETCD_E_LEASE_LOST  The lead was lost before; nothing is left of it at the server.
 * @retval ETCD_E_DEADLINE, ETCD_E_UNAVAILABLE, ETCD_E_CLOSED, ...  The server could not be told; the lead
 *     ends after the TTL.
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API etcd_status etcd_election_resign(etcd_election *election, int64_t timeout_ms, etcd_error *reterr);

/**
 * Reads who leads.
 *
 * @param client  Borrowed.
 * @param name  As for etcd_election_campaign().
 * @param timeout_ms       0: the client's default.
 * @param[out] ret_leader  One pair: the leader's key, value, lease and, as its create revision, fencing
 *     number. etcd_get_result_free().
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_NOT_FOUND  Nobody leads.
 * @retval common            See the head of kv.h.
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_election_leader(etcd_client *client, etcd_bytes name,
                                                         int64_t timeout_ms, etcd_get_result **ret_leader,
                                                         etcd_error *reterr);

/**
 * Tells who leads now: at first, and whenever the leader or its value has changed; `leader` is NULL while
 * nobody leads. Changes that come quickly after each other may be told as one. The last call, which comes
 * exactly once, has `err` set: the observer follows no longer (closed, client closed, waits cancelled,
 * access denied). Both are borrowed until it returns. May close the observer; then the running call is the
 * last, whatever it is. On the loop's thread, or inside etcd_loop_process(); the last call also inside
 * etcd_observer_close(), and must not close the observer again there.
 */
typedef void etcd_observer_fn(etcd_observer *observer, const etcd_kv *leader, const etcd_error *err,
                              void *user_data);

/** Options of etcd_election_observe(). Zero means default. */
typedef struct etcd_observe_opts {
    size_t size;        /**< sizeof this struct; set by ETCD_OBSERVE_OPTS. */
    int64_t timeout_ms; /**< Of the first look. 0: the client's default. */
    etcd_observer_fn *on_leader;
    void *user_data;
} etcd_observe_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_OBSERVE_OPTS_INIT {sizeof(etcd_observe_opts), 0, NULL, NULL}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_OBSERVE_OPTS(.on_leader = changed)`. */
#define ETCD_OBSERVE_OPTS(...) (&(const etcd_observe_opts){.size = sizeof(etcd_observe_opts), __VA_ARGS__})
#endif

/**
 * Follows an election, also over compactions and restarts. The client must not be freed before the observer;
 * closing it is fine.
 *
 * @param client  Borrowed.
 * @param name  1 byte or more. Copied.
 * @param opts  With on_leader.
 * @param[out] ret_observer  etcd_observer_close().
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK
 * @retval common  See the head of kv.h.
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_election_observe(etcd_client *client, etcd_bytes name,
                                                          const etcd_observe_opts *opts,
                                                          etcd_observer **ret_observer, etcd_error *reterr);
/**
 * Stops following and frees the observer. Waits for a running callback, unless called from inside it, and
 * makes the last call (ETCD_E_CANCELLED) if none was made yet; afterwards none runs. NULL is fine. Any
 * thread.
 * @since 0.1
 */
ETCD_API void etcd_observer_close(etcd_observer *observer);

ETCD_END_DECLS

#endif

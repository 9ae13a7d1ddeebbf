/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file txn.h
 * Transactions: compare, then do one or the other, all at one revision.
 *
 * A transaction is built first and committed once or several times. Building never fails loudly: the first
 * mistake (a bad option, no memory) is remembered and comes out of etcd_txn_commit(), which sends nothing
 * then.
 * The server allows 128 operations by default, and one write per key.
 */
#ifndef ETCDC_TXN_H
#define ETCDC_TXN_H

#include <etcdc/kv.h>

ETCD_BEGIN_DECLS

/** A transaction under construction. One thread at a time. */
typedef struct etcd_txn etcd_txn;
/** The answer to a transaction. Owned by whoever took it; everything in it lives as long. */
typedef struct etcd_txn_result etcd_txn_result;

/** How a comparison compares. */
typedef enum etcd_cmp {
    ETCD_CMP_EQUAL = 0,
    ETCD_CMP_GREATER = 1,
    ETCD_CMP_LESS = 2,
    ETCD_CMP_NOT_EQUAL = 3,
    ETCD_CMP_FORCE_INT32 = 0x7fffffff
} etcd_cmp;

/** What of a key a number is compared with. */
typedef enum etcd_cmp_target {
    ETCD_CMP_VERSION = 0,         /**< 0: the key does not exist. */
    ETCD_CMP_CREATE_REVISION = 1, /**< 0: the key does not exist. */
    ETCD_CMP_MOD_REVISION = 2,    /**< 0: the key does not exist. */
    ETCD_CMP_LEASE = 4,           /**< 0: no lease. */
    ETCD_CMP_TARGET_FORCE_INT32 = 0x7fffffff
} etcd_cmp_target;

/** Which list an operation goes to. */
typedef enum etcd_txn_branch {
    ETCD_TXN_THEN = 0, /**< Done when all comparisons hold; also when there are none. */
    ETCD_TXN_ELSE = 1, /**< Done otherwise. */
    ETCD_TXN_BRANCH_FORCE_INT32 = 0x7fffffff
} etcd_txn_branch;

/** What an entry of a result is. */
typedef enum etcd_txn_kind {
    ETCD_TXN_KIND_NONE = 0, /**< Beyond the end. */
    ETCD_TXN_KIND_PUT = 1,
    ETCD_TXN_KIND_GET = 2,
    ETCD_TXN_KIND_DELETE = 3,
    ETCD_TXN_KIND_TXN = 4,
    ETCD_TXN_KIND_FORCE_INT32 = 0x7fffffff
} etcd_txn_kind;

/** Options of etcd_txn_commit(). Zero means default. */
typedef struct etcd_txn_opts {
    size_t size;        /**< sizeof this struct; set by ETCD_TXN_OPTS. */
    int64_t timeout_ms; /**< 0: the client's default; ETCD_TIMEOUT_NONE: no limit. */
    bool fail_fast;     /**< Do not wait for a connection. */
    bool in_wait;       /**< Part of a wait: etcd_client_cancel_waits() ends the call too. */
    /**
     * As in etcd_put_opts: repeat it where it may have been applied already. With conditions a repetition may
     * be refused because the first attempt was applied: let the ELSE branch read what tells.
     */
    bool idempotent;
    uint8_t pad_[5]; /**< Zero. */
} etcd_txn_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_TXN_OPTS_INIT {sizeof(etcd_txn_opts), 0, false, false, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_TXN_OPTS(.timeout_ms = 2000)`. */
#define ETCD_TXN_OPTS(...) (&(const etcd_txn_opts){.size = sizeof(etcd_txn_opts), __VA_ARGS__})
#endif

/**
 * An empty transaction; NULL when out of memory, which all functions here accept and etcd_txn_commit()
 * reports. @since 0.1
 */
ETCD_API etcd_txn *etcd_txn_new(void);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_txn_free(etcd_txn *txn);

/** Adds a comparison of a number of `key` with `number`. Bytes are copied. @since 0.1 */
ETCD_API void etcd_txn_if(etcd_txn *txn, etcd_bytes key, etcd_cmp_target target, etcd_cmp cmp,
                          int64_t number);
/**
 * Adds a comparison of the value of `key` with `value`. A key that does not exist never compares true.
 * @since 0.1
 */
ETCD_API void etcd_txn_if_value(etcd_txn *txn, etcd_bytes key, etcd_cmp cmp, etcd_bytes value);
/** Adds "the key exists". @since 0.1 */
ETCD_API void etcd_txn_if_exists(etcd_txn *txn, etcd_bytes key);
/** Adds "the key does not exist". @since 0.1 */
ETCD_API void etcd_txn_if_missing(etcd_txn *txn, etcd_bytes key);
/** Makes the newest comparison one of all keys in [key, range_end); it must hold for each. @since 0.1 */
ETCD_API void etcd_txn_if_range(etcd_txn *txn, etcd_bytes range_end);

/**
 * Adds a put. Of its options, those that say how a call is made - timeout_ms, fail_fast, idempotent - are not
 * looked at: they are etcd_txn_commit()'s to have. Bytes are copied.
 * @since 0.1
 */
ETCD_API void etcd_txn_put(etcd_txn *txn, etcd_txn_branch branch, etcd_bytes key, etcd_bytes value,
                           const etcd_put_opts *opts);
/** Adds a get; see etcd_txn_put() about its options. @since 0.1 */
ETCD_API void etcd_txn_get(etcd_txn *txn, etcd_txn_branch branch, etcd_bytes key, const etcd_get_opts *opts);
/** Adds a delete; see etcd_txn_put() about its options. @since 0.1 */
ETCD_API void etcd_txn_delete(etcd_txn *txn, etcd_txn_branch branch, etcd_bytes key,
                              const etcd_delete_opts *opts);
/** Adds a copy of another transaction as it stands, its remembered mistake included. @since 0.1 */
ETCD_API void etcd_txn_nest(etcd_txn *txn, etcd_txn_branch branch, const etcd_txn *nested);

/**
 * Sends the transaction and waits for the answer. A comparison that does not hold is no error:
 * etcd_txn_result_succeeded().
 *
 * @param client  Borrowed.
 * @param txn  Borrowed; may be committed again.
 * @param opts  NULL for the defaults.
 * @param ret_result  etcd_txn_result_free(). NULL if not wanted.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK  One of the two branches was carried out, whole.
 * @retval ETCD_E_INVALID_ARGUMENT  A mistake while building, too many operations, or one key written twice.
 * @retval ETCD_E_COMPACTED, ETCD_E_FUTURE_REVISION, ETCD_E_LEASE_NOT_FOUND, ETCD_E_NOT_FOUND,
 *     ETCD_E_NO_SPACE  As for the single calls.
 * @retval common  See the head of kv.h.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_txn_commit(etcd_client *client, const etcd_txn *txn,
                                                    const etcd_txn_opts *opts, etcd_txn_result **ret_result,
                                                    etcd_error *reterr);
/** Starts a transaction; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_txn_commit_async(etcd_client *client, const etcd_txn *txn,
                                                          const etcd_txn_opts *opts, etcd_op_fn *on_done,
                                                          void *user_data, etcd_op **ret_op,
                                                          etcd_error *reterr);
/** The outcome of a transaction; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_txn_take(etcd_op *op, etcd_txn_result **ret_result, etcd_error *reterr);

/** Head of the answer. Entries of a transaction have a head with only the revision set. @since 0.1 */
ETCD_API const etcd_header *etcd_txn_result_header(const etcd_txn_result *result);
/** Which branch ran: true for THEN. @since 0.1 */
ETCD_API bool etcd_txn_result_succeeded(const etcd_txn_result *result);
/** Entries, one for each operation of the branch that ran, in order. @since 0.1 */
ETCD_API size_t etcd_txn_result_count(const etcd_txn_result *result);
/** What entry `index` is. @since 0.1 */
ETCD_API etcd_txn_kind etcd_txn_result_kind(const etcd_txn_result *result, size_t index);
/** Entry `index` as a put; NULL when it is none. Part of the result: do not free. @since 0.1 */
ETCD_API const etcd_put_result *etcd_txn_result_put(const etcd_txn_result *result, size_t index);
/** Entry `index` as a get; NULL when it is none. Part of the result: do not free. @since 0.1 */
ETCD_API const etcd_get_result *etcd_txn_result_get(const etcd_txn_result *result, size_t index);
/** Entry `index` as a delete; NULL when it is none. Part of the result: do not free. @since 0.1 */
ETCD_API const etcd_delete_result *etcd_txn_result_delete(const etcd_txn_result *result, size_t index);
/** Entry `index` as a transaction; NULL when it is none. Part of the result: do not free. @since 0.1 */
ETCD_API const etcd_txn_result *etcd_txn_result_nested(const etcd_txn_result *result, size_t index);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_txn_result_free(etcd_txn_result *result);

ETCD_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file kv.h
 * Put, get, delete, compact.
 *
 * Each call has a blocking form and an `_async` form with a `_take` function. In the lists of statuses
 * below, "common" means:
 *
 * - ETCD_E_INVALID_ARGUMENT: an argument is wrong; nothing was sent
 * - ETCD_E_DEADLINE: sent, no answer in time; ETCD_E_UNAVAILABLE: never reached a server, or it could not
 *   serve
 * - ETCD_E_AUTH, ETCD_E_DENIED, ETCD_E_NO_LEADER, ETCD_E_TOO_LARGE, ETCD_E_PRECONDITION, ETCD_E_UNSUPPORTED,
 *   ETCD_E_CORRUPT, ETCD_E_PROTOCOL: as their names say
 * - ETCD_E_IO: the loop cannot wait for events, its descriptor was closed by the program say
 * - ETCD_E_BUSY: too many calls under way; nothing was sent
 * - ETCD_E_CANCELLED, ETCD_E_CLOSED, ETCD_E_NO_MEMORY
 * - ETCD_E_WOULD_DEADLOCK: a blocking form inside a callback
 *
 * Reads are repeated on other endpoints inside the time limit. Writes are repeated only when they provably
 * were not processed; where they may have been, the error has ETCD_ERROR_MAYBE_APPLIED.
 */
#ifndef ETCDC_KV_H
#define ETCDC_KV_H

#include <etcdc/client.h>

ETCD_BEGIN_DECLS

/* ---- put ---------------------------------------------------------------------------------------------- */

/** Options of etcd_put(). Zero means default. */
typedef struct etcd_put_opts {
    size_t size;        /**< sizeof this struct; set by ETCD_PUT_OPTS. */
    int64_t timeout_ms; /**< 0: the client's default; ETCD_TIMEOUT_NONE: no limit. */
    int64_t lease_id;   /**< The key goes when this lease ends; 0: none. */
    bool prev_kv;       /**< Return the pair that this write replaced. */
    /** Keep the stored value, change only the lease; `value` must be empty. The key must exist. */
    bool ignore_value;
    bool ignore_lease; /**< Keep the stored lease, change only the value; no lease_id. The key must exist. */
    bool fail_fast;    /**< Do not wait for a connection. */
    /**
     * Doing it twice is as good as doing it once: repeat it, like a read, where it may have been applied
     * already. Only for a key that nobody else writes, and that this program does not write again at once: a
     * repetition, or an attempt that was given up and arrives late, may undo a later write.
     */
    bool idempotent;
    uint8_t pad_[3]; /**< Zero. */
} etcd_put_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_PUT_OPTS_INIT {sizeof(etcd_put_opts), 0, 0, false, false, false, false, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_PUT_OPTS(.lease_id = id)`. */
#define ETCD_PUT_OPTS(...) (&(const etcd_put_opts){.size = sizeof(etcd_put_opts), __VA_ARGS__})
#endif

/** The answer to a put. Owned by whoever took it. */
typedef struct etcd_put_result etcd_put_result;

/**
 * Stores `value` under `key` and waits until the cluster has confirmed it.
 *
 * @param client          Borrowed.
 * @param key             1 byte or more. Borrowed until the call returns.
 * @param value           May be empty. Borrowed until the call returns.
 * @param opts            NULL for the defaults. Borrowed.
 * @param[out] ret_result Set on success; etcd_put_result_free(). NULL if not wanted.
 * @param[out] reterr     Set on failure. NULL if not wanted.
 * @retval ETCD_OK                 Committed by a quorum.
 * @retval ETCD_E_LEASE_NOT_FOUND  `lease_id` does not exist.
 * @retval ETCD_E_NOT_FOUND        ignore_value or ignore_lease, and there is no such key.
 * @retval ETCD_E_NO_SPACE         The server's quota is used up.
 * @retval common                  See the head of this file.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_put(etcd_client *client, etcd_bytes key, etcd_bytes value,
                                             const etcd_put_opts *opts, etcd_put_result **ret_result,
                                             etcd_error *reterr);

/**
 * Starts a put. Arguments are copied before it returns.
 *
 * @param client  Borrowed.
 * @param key  Copied.
 * @param value  Copied.
 * @param opts  NULL for the defaults.
 * @param on_done         NULL if not wanted.
 * @param user_data  Passed to @p on_done.
 * @param[out] ret_op     NULL if not wanted (then the operation frees itself); else etcd_op_free().
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK  Under way: everything else is told by the operation.
 * @retval ETCD_E_INVALID_ARGUMENT, ETCD_E_BUSY, ETCD_E_CLOSED, ETCD_E_NO_MEMORY, ETCD_E_TOO_LARGE  Not
 *     started; `on_done` will not run.
 * @par Threads Any, also from callbacks.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_put_async(etcd_client *client, etcd_bytes key, etcd_bytes value,
                                                   const etcd_put_opts *opts, etcd_op_fn *on_done,
                                                   void *user_data, etcd_op **ret_op, etcd_error *reterr);

/**
 * The outcome of a put: its status, and on success its result, which may be taken once. ETCD_E_BUSY while
 * it is under way;
 * ETCD_E_INVALID_ARGUMENT when `op` is not a put, or was taken. @since 0.1 */
ETCD_API etcd_status etcd_put_take(etcd_op *op, etcd_put_result **ret_result, etcd_error *reterr);

/** Head of the answer; its revision is that of the write. Lives as long as the result. @since 0.1 */
ETCD_API const etcd_header *etcd_put_result_header(const etcd_put_result *result);
/** What the write replaced; NULL when not asked for or when there was nothing. @since 0.1 */
ETCD_API const etcd_kv *etcd_put_result_prev_kv(const etcd_put_result *result);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_put_result_free(etcd_put_result *result);

/* ---- get ---------------------------------------------------------------------------------------------- */

/** What a range is sorted by. */
typedef enum etcd_sort_target {
    ETCD_SORT_BY_KEY = 0,
    ETCD_SORT_BY_VERSION = 1,
    ETCD_SORT_BY_CREATE_REVISION = 2,
    ETCD_SORT_BY_MOD_REVISION = 3,
    ETCD_SORT_BY_VALUE = 4,
    ETCD_SORT_TARGET_FORCE_INT32 = 0x7fffffff
} etcd_sort_target;

/** In which order. */
typedef enum etcd_sort_order {
    ETCD_SORT_NONE = 0, /**< As stored: by key, ascending. */
    ETCD_SORT_ASCEND = 1,
    ETCD_SORT_DESCEND = 2,
    ETCD_SORT_ORDER_FORCE_INT32 = 0x7fffffff
} etcd_sort_order;

/** Options of etcd_get(). Zero means default. At most one of prefix, from_key and range_end. */
typedef struct etcd_get_opts {
    size_t size;              /**< sizeof this struct; set by ETCD_GET_OPTS. */
    int64_t timeout_ms;       /**< 0: the client's default; ETCD_TIMEOUT_NONE: no limit. */
    etcd_bytes range_end;     /**< All keys in [key, range_end). */
    int64_t limit;            /**< At most so many pairs; 0: all. */
    int64_t revision;         /**< As of this revision; 0: now. */
    int64_t min_mod_revision; /**< These four filter the pairs; they do not change the count. 0: no filter. */
    int64_t max_mod_revision;
    int64_t min_create_revision;
    int64_t max_create_revision;
    etcd_sort_target sort_target;
    etcd_sort_order sort_order;
    bool prefix;       /**< All keys that begin with `key`; an empty key means all keys. */
    bool from_key;     /**< All keys from `key` on; an empty key means all keys. */
    bool serializable; /**< Answered by the member alone: faster, perhaps stale, works without a quorum. */
    bool keys_only;    /**< No values. */
    bool count_only;   /**< No pairs, only their number. */
    bool fail_fast;    /**< Do not wait for a connection. */
    bool in_wait;      /**< Part of a wait: etcd_client_cancel_waits() ends the call too. */
    uint8_t pad_[1];   /**< Zero. */
} etcd_get_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_GET_OPTS_INIT                                                                              \
    {                                                                                                   \
        sizeof(etcd_get_opts), 0, {NULL, 0}, 0, 0, 0, 0, 0, 0, ETCD_SORT_BY_KEY, ETCD_SORT_NONE, false, \
            false, false, false, false, false, false, {0}                                               \
    }
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_GET_OPTS(.prefix = true)`. */
#define ETCD_GET_OPTS(...) (&(const etcd_get_opts){.size = sizeof(etcd_get_opts), __VA_ARGS__})
#endif

/** The answer to a get. Owned by whoever took it; everything in it lives as long. */
typedef struct etcd_get_result etcd_get_result;

/**
 * Reads one key or a range. A key that is not there is no error: the count is 0.
 *
 * @param client, key, opts, ret_result, reterr  As for etcd_put().
 * @retval ETCD_OK
 * @retval ETCD_E_COMPACTED        opts->revision is compacted away; reterr->revision says from where on
 *     there is data, if known.
 * @retval ETCD_E_FUTURE_REVISION  opts->revision does not exist yet.
 * @retval ETCD_E_TOO_LARGE        The answer is above max_recv_bytes; use `limit` to read in pages.
 * @retval common                  See the head of this file.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_get(etcd_client *client, etcd_bytes key, const etcd_get_opts *opts,
                                             etcd_get_result **ret_result, etcd_error *reterr);
/** Starts a get; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_get_async(etcd_client *client, etcd_bytes key,
                                                   const etcd_get_opts *opts, etcd_op_fn *on_done,
                                                   void *user_data, etcd_op **ret_op, etcd_error *reterr);
/** The outcome of a get; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_get_take(etcd_op *op, etcd_get_result **ret_result, etcd_error *reterr);

/** Head of the answer. @since 0.1 */
ETCD_API const etcd_header *etcd_get_result_header(const etcd_get_result *result);
/** Pairs in the result. @since 0.1 */
ETCD_API size_t etcd_get_result_count(const etcd_get_result *result);
/** Pair `index`, from 0; NULL beyond the end. @since 0.1 */
ETCD_API const etcd_kv *etcd_get_result_kv(const etcd_get_result *result, size_t index);
/** Pairs in the range, whatever the limit. @since 0.1 */
ETCD_API int64_t etcd_get_result_total(const etcd_get_result *result);
/** The limit cut the range short. @since 0.1 */
ETCD_API bool etcd_get_result_more(const etcd_get_result *result);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_get_result_free(etcd_get_result *result);

/* ---- delete ------------------------------------------------------------------------------------------- */

/** Options of etcd_delete(). Zero means default. At most one of prefix, from_key and range_end. */
typedef struct etcd_delete_opts {
    size_t size;          /**< sizeof this struct; set by ETCD_DELETE_OPTS. */
    int64_t timeout_ms;   /**< 0: the client's default; ETCD_TIMEOUT_NONE: no limit. */
    etcd_bytes range_end; /**< All keys in [key, range_end). */
    bool prefix;          /**< All keys that begin with `key`; an empty key means all keys. */
    bool from_key;        /**< All keys from `key` on; an empty key means all keys. */
    bool prev_kv;         /**< Return the deleted pairs. */
    bool fail_fast;       /**< Do not wait for a connection. */
    bool idempotent;      /**< As in etcd_put_opts; the count is then that of the last attempt. */
    uint8_t pad_[3];      /**< Zero. */
} etcd_delete_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_DELETE_OPTS_INIT {sizeof(etcd_delete_opts), 0, {NULL, 0}, false, false, false, false, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_DELETE_OPTS(.prefix = true)`. */
#define ETCD_DELETE_OPTS(...) (&(const etcd_delete_opts){.size = sizeof(etcd_delete_opts), __VA_ARGS__})
#endif

/** The answer to a delete. Owned by whoever took it. */
typedef struct etcd_delete_result etcd_delete_result;

/**
 * Deletes one key or a range. Deleting what is not there is no error: the count is 0.
 *
 * @param client, key, opts, ret_result, reterr  As for etcd_put().
 * @retval ETCD_OK
 * @retval common  See the head of this file.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_delete(etcd_client *client, etcd_bytes key,
                                                const etcd_delete_opts *opts, etcd_delete_result **ret_result,
                                                etcd_error *reterr);
/** Starts a delete; see etcd_put_async(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_delete_async(etcd_client *client, etcd_bytes key,
                                                      const etcd_delete_opts *opts, etcd_op_fn *on_done,
                                                      void *user_data, etcd_op **ret_op, etcd_error *reterr);
/** The outcome of a delete; see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_delete_take(etcd_op *op, etcd_delete_result **ret_result, etcd_error *reterr);

/** Head of the answer. @since 0.1 */
ETCD_API const etcd_header *etcd_delete_result_header(const etcd_delete_result *result);
/** Keys that were deleted. @since 0.1 */
ETCD_API int64_t etcd_delete_result_deleted(const etcd_delete_result *result);
/** Previous pairs in the result; 0 unless asked for. @since 0.1 */
ETCD_API size_t etcd_delete_result_prev_count(const etcd_delete_result *result);
/** Previous pair `index`, from 0; NULL beyond the end. @since 0.1 */
ETCD_API const etcd_kv *etcd_delete_result_prev_kv(const etcd_delete_result *result, size_t index);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_delete_result_free(etcd_delete_result *result);

/* ---- compact ------------------------------------------------------------------------------------------ */

/** Options of etcd_compact(). Zero means default. */
typedef struct etcd_compact_opts {
    size_t size;        /**< sizeof this struct; set by ETCD_COMPACT_OPTS. */
    int64_t timeout_ms; /**< 0: the client's default; ETCD_TIMEOUT_NONE: no limit. */
    bool physical;      /**< Wait until the space is really free. */
    bool fail_fast;     /**< Do not wait for a connection. */
    uint8_t pad_[6];    /**< Zero. */
} etcd_compact_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_COMPACT_OPTS_INIT {sizeof(etcd_compact_opts), 0, false, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_COMPACT_OPTS(.physical = true)`. */
#define ETCD_COMPACT_OPTS(...) (&(const etcd_compact_opts){.size = sizeof(etcd_compact_opts), __VA_ARGS__})
#endif

/**
 * Drops all that was overwritten or deleted before `revision`. Reads and watches of older revisions fail
 * from then on.
 *
 * @param client  Borrowed.
 * @param revision  > 0.
 * @param opts  NULL for the defaults.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_COMPACTED        Done before.
 * @retval ETCD_E_FUTURE_REVISION  `revision` does not exist yet.
 * @retval common                  See the head of this file.
 * @par Threads Any; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_compact(etcd_client *client, int64_t revision,
                                                 const etcd_compact_opts *opts, etcd_error *reterr);
/** Starts a compaction; see etcd_put_async(). Its outcome is etcd_op_status(). @since 0.1 */
ETCD_API ETCD_NODISCARD etcd_status etcd_compact_async(etcd_client *client, int64_t revision,
                                                       const etcd_compact_opts *opts, etcd_op_fn *on_done,
                                                       void *user_data, etcd_op **ret_op, etcd_error *reterr);

/* ---- ranges ------------------------------------------------------------------------------------------- */

/**
 * Computes the end of the range of all keys that begin with `prefix`: the last byte below 0xff is raised by
 * one and the rest is cut; a prefix of 0xff bytes only, or an empty one, has the end "\0" ("to the last
 * key").
 *
 * @param prefix  Borrowed.
 * @param[out] dst  At least `prefix.len` bytes, and at least 1.
 * @return The range end, a view of dst.
 * @par Threads Any.
 * @since 0.1
 */
ETCD_API etcd_bytes etcd_prefix_end(etcd_bytes prefix, void *dst);

ETCD_END_DECLS

#endif

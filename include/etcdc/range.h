/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file range.h
 * Reading a range of any size, page by page, as it was at one moment.
 *
 *   etcd_range *range;
 *   st = etcd_range_open(client, etcd_cstr("/jobs/"), ETCD_RANGE_OPTS(.prefix = true), &range, &err);
 *   while (st == ETCD_OK && (st = etcd_range_next(range, &page, &err)) == ETCD_OK && page != NULL) {
 *       ...
 *       etcd_get_result_free(page);
 *   }
 *   etcd_range_close(range);
 *
 * The first page fixes the revision; all others are of the same one, whatever is written meanwhile, and come
 * in the order of their keys. Neither the client nor a server ever holds more than a page or two. From etcd
 * 3.7 on what follows the first page comes as a stream, which flow control holds back between two calls;
 * where that does not exist or breaks, pages are asked for one by one. The program sees no difference.
 *
 * "Common" statuses are listed at the head of kv.h.
 */
#ifndef ETCDC_RANGE_H
#define ETCDC_RANGE_H

#include <etcdc/kv.h>

ETCD_BEGIN_DECLS

/**
 * Options of etcd_range_open(). Zero means default. At most one of prefix, from_key and range_end. There are
 * no others than those of pages in the order of keys: sorted and filtered reads are etcd_get()'s.
 */
typedef struct etcd_range_opts {
    size_t size;              /**< sizeof this struct; set by ETCD_RANGE_OPTS. */
    int64_t timeout_ms;       /**< Of each page; 0: the client's default; ETCD_TIMEOUT_NONE: no limit. */
    int64_t total_timeout_ms; /**< Of all pages together, from the opening on; 0: no limit. */
    etcd_bytes range_end;     /**< All keys in [key, range_end). */
    int64_t limit;            /**< At most so many pairs in all; 0: all. */
    int64_t page_size;        /**< At most so many pairs in a page; 0: as many as seem right. */
    int64_t revision;         /**< As of this revision; 0: that of the first page. */
    bool prefix;              /**< All keys that begin with `key`; an empty key means all keys. */
    bool from_key;            /**< All keys from `key` on; an empty key means all keys. */
    /**
     * Answered by members alone: faster, perhaps stale, works without a quorum. A member that is behind the
     * first page's answers with ETCD_E_FUTURE_REVISION.
     */
    bool serializable;
    bool keys_only;  /**< No values. */
    bool fail_fast;  /**< Do not wait for a connection. */
    uint8_t pad_[3]; /**< Zero. */
} etcd_range_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_RANGE_OPTS_INIT \
    {sizeof(etcd_range_opts), 0, 0, {NULL, 0}, 0, 0, 0, false, false, false, false, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_RANGE_OPTS(.prefix = true)`. */
#define ETCD_RANGE_OPTS(...) (&(const etcd_range_opts){.size = sizeof(etcd_range_opts), __VA_ARGS__})
#endif

/** A range that is being read. Belongs to whoever opened it: etcd_range_close(). */
typedef struct etcd_range etcd_range;

/**
 * Makes ready to read a range. Sends nothing yet.
 *
 * @param client         Borrowed.
 * @param key            See the options. Copied.
 * @param opts           NULL for the defaults. Copied.
 * @param[out] ret_range Set on success.
 * @param[out] reterr    Set on failure. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_INVALID_ARGUMENT, ETCD_E_CLOSED, ETCD_E_NO_MEMORY
 * @par Threads Any.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_range_open(etcd_client *client, etcd_bytes key,
                                                    const etcd_range_opts *opts, etcd_range **ret_range,
                                                    etcd_error *reterr);

/**
 * Brings the next page.
 *
 * After a failure the range stands where it stood: the next call asks for the same page again. Nothing is
 * left out and nothing comes twice.
 *
 * @param range  Borrowed.
 * @param[out] ret_page  Set on success: a page with at least one pair, etcd_get_result_free(); NULL at the
 *     end of the range. Of a page, etcd_get_result_total() is that of the whole range, and
 *     etcd_get_result_more() only says that the range may go on behind it.
 * @param[out] reterr    Set on failure. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_COMPACTED        The range's revision is compacted away: what was read is whole as far as it
 *     goes, the rest of it is gone.
 * @retval ETCD_E_FUTURE_REVISION  opts->revision does not exist yet.
 * @retval ETCD_E_TOO_LARGE        A single pair is above max_recv_bytes.
 * @retval ETCD_E_BUSY             Another thread waits for a page of this range.
 * @retval common                  See the head of kv.h.
 * @par Threads Any, one at a time; caller drive: the loop's thread.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_range_next(etcd_range *range, etcd_get_result **ret_page,
                                                    etcd_error *reterr);
/**
 * Starts it; see etcd_put_async(). A page that nobody has taken when the operation is freed comes again with
 * the next call. @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_range_next_async(etcd_range *range, etcd_op_fn *on_done,
                                                          void *user_data, etcd_op **ret_op,
                                                          etcd_error *reterr);
/** Its outcome, as of etcd_range_next(); see etcd_put_take(). @since 0.1 */
ETCD_API etcd_status etcd_range_take(etcd_op *op, etcd_get_result **ret_page, etcd_error *reterr);

/** The revision of all pages; 0 before the first one, unless the options name it. Any thread. @since 0.1 */
ETCD_API int64_t etcd_range_revision(const etcd_range *range);

/**
 * Ends the reading; a call that waits for a page ends with ETCD_E_CANCELLED. Pages live on. NULL is fine. Any
 * thread, also from callbacks (caller drive: the loop's).
 * @since 0.1
 */
ETCD_API void etcd_range_close(etcd_range *range);

ETCD_END_DECLS

#endif

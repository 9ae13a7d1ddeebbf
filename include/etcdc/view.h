/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file view.h
 * A prefix held in memory and followed: the configuration centre.
 *
 * A view loads all pairs below a prefix at one revision and follows them from the next, so nothing is
 * missed in between. Readers get snapshots: immutable, consistent, free of locks once taken. When the
 * history that it needs was compacted while no server could be reached, the view loads the prefix again and
 * goes on.
 */
#ifndef ETCDC_VIEW_H
#define ETCDC_VIEW_H

#include <etcdc/client.h>
#include <etcdc/watch.h>

ETCD_BEGIN_DECLS

/** A prefix that is being followed. */
typedef struct etcd_view etcd_view;
/** The pairs of a view at one revision. Immutable; any thread. */
typedef struct etcd_snapshot etcd_snapshot;

/**
 * Runs after the view changed: `snapshot` is the new state, `events` what led to it (NULL after the prefix
 * was loaded again). Both are borrowed until it returns. The last call, which comes exactly once, has
 * snapshot NULL and `err` set: the view follows no longer (closed, client closed, waits cancelled, access
 * denied). May close the view; then the running call is the last, whatever it is. On the loop's thread, or
 * inside etcd_loop_process(); the last call also inside etcd_view_close(), and must not close the view again
 * there.
 */
typedef void etcd_view_fn(etcd_view *view, const etcd_snapshot *snapshot, const etcd_events *events,
                          const etcd_error *err, void *user_data);

/** Options of etcd_view_open(). Zero means default. */
typedef struct etcd_view_opts {
    size_t size;             /**< sizeof this struct; set by ETCD_VIEW_OPTS. */
    int64_t timeout_ms;      /**< Of the first load. 0: the client's default. */
    etcd_view_fn *on_change; /**< NULL: look with etcd_view_snapshot(). */
    void *user_data;
} etcd_view_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_VIEW_OPTS_INIT {sizeof(etcd_view_opts), 0, NULL, NULL}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_VIEW_OPTS(.on_change = changed)`. */
#define ETCD_VIEW_OPTS(...) (&(const etcd_view_opts){.size = sizeof(etcd_view_opts), __VA_ARGS__})
#endif

/**
 * Loads a prefix, in pages of one revision, and starts to follow it. The client must not be freed before
 * the view; closing it is fine.
 *
 * @param client  Borrowed.
 * @param prefix         Empty: all keys. Copied.
 * @param opts  NULL for the defaults.
 * @param[out] ret_view  etcd_view_close().
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK  Loaded.
 * @retval common   See the head of kv.h.
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_view_open(etcd_client *client, etcd_bytes prefix,
                                                   const etcd_view_opts *opts, etcd_view **ret_view,
                                                   etcd_error *reterr);
/**
 * The newest state; give it back with etcd_snapshot_free(). Never NULL for an open view. Any thread. @since
 * 0.1
 */
ETCD_API etcd_snapshot *etcd_view_snapshot(etcd_view *view);
/**
 * Stops following and frees the view; snapshots stay valid. Waits for a running callback, unless called
 * from inside it, and makes the last call (ETCD_E_CANCELLED) if none was made yet; afterwards none runs.
 * NULL is fine. Any thread.
 * @since 0.1
 */
ETCD_API void etcd_view_close(etcd_view *view);

/** The revision that the snapshot shows. @since 0.1 */
ETCD_API int64_t etcd_snapshot_revision(const etcd_snapshot *snapshot);
/** Pairs in it. @since 0.1 */
ETCD_API size_t etcd_snapshot_count(const etcd_snapshot *snapshot);
/** Pair `index`, from 0, sorted by key; NULL beyond the end. Lives as long as the snapshot. @since 0.1 */
ETCD_API const etcd_kv *etcd_snapshot_at(const etcd_snapshot *snapshot, size_t index);
/** The pair with this whole key; NULL when there is none. @since 0.1 */
ETCD_API const etcd_kv *etcd_snapshot_find(const etcd_snapshot *snapshot, etcd_bytes key);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_snapshot_free(etcd_snapshot *snapshot);

ETCD_END_DECLS

#endif

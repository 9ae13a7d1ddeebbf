/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file watch.h
 * Watches: every change of a key or range, once, in order.
 *
 * A watch is a durable object. It survives lost connections, restarted servers and expired tokens, and
 * resumes after the last event it delivered. It ends exactly once, with a reason; buffered events come
 * before. Many watches share one stream. Pull events with etcd_watch_next(), or have them pushed to a
 * callback.
 */
#ifndef ETCDC_WATCH_H
#define ETCDC_WATCH_H

#include <etcdc/client.h>

ETCD_BEGIN_DECLS

/** A running, or ended, watch. */
typedef struct etcd_watch etcd_watch;
/** Some events, whole revisions, in order. Owned by whoever pulled them; everything in it lives as long. */
typedef struct etcd_events etcd_events;

/** What happened to a key. */
typedef enum etcd_event_type {
    ETCD_EVENT_PUT = 0,
    ETCD_EVENT_DELETE = 1, /**< By a delete, or because its lease ended. */
    ETCD_EVENT_TYPE_FORCE_INT32 = 0x7fffffff
} etcd_event_type;

/** One event. Frozen: no field will be added. */
typedef struct etcd_event {
    etcd_kv kv;             /**< After the event. A deletion has the key and mod_revision only. */
    const etcd_kv *prev_kv; /**< Before it; NULL unless asked for and there was one. */
    etcd_event_type type;
    int32_t reserved;
} etcd_event;

/** Whether the event created its key. @since 0.1 */
static inline bool etcd_event_is_create(const etcd_event *event)
{
    return event->type == ETCD_EVENT_PUT && event->kv.create_revision == event->kv.mod_revision;
}

/**
 * Receives pushed events, and at last, once, the end: then `events` is NULL, `status` is what
 * etcd_watch_next() would return and `err` is set. All arguments are borrowed until it returns. Runs on the
 * loop's thread, or inside etcd_loop_process(), never inside etcd_watch_open(). May call
 * etcd_watch_cancel() and etcd_watch_close().
 */
typedef void etcd_watch_fn(etcd_watch *watch, const etcd_events *events, etcd_status status,
                           const etcd_error *err, void *user_data);

/** Options of etcd_watch_open(). Zero means default. At most one of prefix, from_key and range_end. */
typedef struct etcd_watch_opts {
    size_t size;              /**< sizeof this struct; set by ETCD_WATCH_OPTS. */
    etcd_bytes range_end;     /**< All keys in [key, range_end). */
    int64_t start_revision;   /**< Events from this revision on; 0: those after now. */
    etcd_watch_fn *on_events; /**< NULL: pull with etcd_watch_next(). */
    void *user_data;
    /** Events that may wait to be pulled; beyond, the watch pauses and later catches up. 0: 10,000. */
    size_t max_events;
    size_t max_bytes; /**< The same in bytes of memory, about 1 KB for a small batch. 0: 64 MiB. */
    bool prefix;      /**< All keys that begin with `key`; an empty key means all keys. */
    bool from_key;    /**< All keys from `key` on; an empty key means all keys. */
    bool prev_kv;     /**< With each event, the pair before it. */
    bool no_put;      /**< No PUT events. */
    bool no_delete;   /**< No DELETE events. */
    /** Deliver empty batches now and then (the server's interval: 10 min) that say how far the watch is. */
    bool progress;
    bool no_fragment; /**< Do not let the server split large answers. */
    /**
     * Deliver an empty batch, first and once, when a server has the watch: nothing that happens from then
     * on is waited for in vain. Its revision is the one before the first that can follow.
     */
    bool created;
    /**
     * So long the server is not asked: a watch that is closed before that costs nothing. Wants a
     * start_revision, from which nothing is missed. Milliseconds; 0: it is asked at once.
     */
    int64_t delay_ms;
    /** etcd_watch_close() does without the final call of on_events, and need not wait for the loop's thread.
     */
    bool quiet_close;
    uint8_t pad_[7]; /**< Zero. */
} etcd_watch_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_WATCH_OPTS_INIT \
    {sizeof(etcd_watch_opts), {NULL, 0}, 0, NULL, NULL, 0, 0, false, false, false, false, false, false, false, false, 0, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_WATCH_OPTS(.prefix = true)`. */
#define ETCD_WATCH_OPTS(...) (&(const etcd_watch_opts){.size = sizeof(etcd_watch_opts), __VA_ARGS__})
#endif

/**
 * Starts a watch. Does not wait for a server: what goes wrong later is the end of the watch.
 *
 * Without a start revision the watch begins at the revision that a server has after this call; to load a
 * range and follow it without a gap, read it first and start at the result's revision + 1.
 *
 * @param client  Borrowed.
 * @param key               1 byte or more, or empty with prefix or from_key. Copied.
 * @param opts  NULL for the defaults.
 * @param[out] ret_watch    etcd_watch_close().
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK, ETCD_E_INVALID_ARGUMENT, ETCD_E_CLOSED, ETCD_E_NO_MEMORY
 * @par Threads Any, also from callbacks.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_watch_open(etcd_client *client, etcd_bytes key,
                                                    const etcd_watch_opts *opts, etcd_watch **ret_watch,
                                                    etcd_error *reterr);

/**
 * Waits for the next events.
 *
 * @param watch  Borrowed.
 * @param timeout_ms       0: look, do not wait; ETCD_TIMEOUT_NONE: no limit.
 * @param[out] ret_events  Set on success; etcd_events_free().
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK
 * @retval ETCD_E_DEADLINE          Nothing in time. The watch goes on. (The only status that is not its end.)
 * @retval ETCD_E_CANCELLED         Ended by etcd_watch_cancel() or etcd_client_cancel_waits().
 * @retval ETCD_E_CLOSED            The client was closed.
 * @retval ETCD_E_COMPACTED         The next revision is compacted away: events may be missing.
 *     reterr->revision is the oldest that is left.
 * @retval ETCD_E_DENIED, ETCD_E_AUTH  Not allowed; not logged in.
 * @retval ETCD_E_INVALID_ARGUMENT  This watch pushes; a negative time; or the server refused the range.
 * @retval ETCD_E_TOO_LARGE         One revision is above max_recv_bytes.
 * @retval ETCD_E_PROTOCOL, ETCD_E_NO_MEMORY, ETCD_E_UNSUPPORTED, ETCD_E_PRECONDITION
 * @retval ETCD_E_WOULD_DEADLOCK    In a callback, with a time to wait. The watch goes on.
 * @par Threads Any, one at a time for one watch.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_watch_next(etcd_watch *watch, int64_t timeout_ms,
                                                    etcd_events **ret_events, etcd_error *reterr);

/**
 * Asks how far the watch is: an empty batch comes, whose revision says so - everything up to it has been
 * delivered before. Returns at once. It is asked for again until it comes, also on the next stream; what is
 * asked for meanwhile comes with it. Servers before 3.4.25 and 3.5.8, and grpc-proxies, cannot be asked: from
 * them it comes with their periodic notice (10 min).
 *
 * @retval ETCD_OK
 * @retval ETCD_E_INVALID_ARGUMENT  watch is NULL.
 * @retval any                      The watch has ended: with this.
 * @par Threads Any, also from callbacks.
 * @since 0.1
 */
ETCD_API etcd_status etcd_watch_request_progress(etcd_watch *watch, etcd_error *reterr);

/**
 * Ends the watch with ETCD_E_CANCELLED; a blocked etcd_watch_next() returns at once. Idempotent, any
 * thread. @since 0.1
 */
ETCD_API void etcd_watch_cancel(etcd_watch *watch);

/**
 * Ends the watch if it runs and frees it. Waits for a running callback, unless called from inside it; the
 * final call of the callback is delivered before it returns (inside: the running call was the last;
 * quiet_close: there is none). No other thread may be in etcd_watch_next(). NULL is fine.
 * @since 0.1
 */
ETCD_API void etcd_watch_close(etcd_watch *watch);

/** Head of the answer that brought the events; its revision is how far the watch is. @since 0.1 */
ETCD_API const etcd_header *etcd_events_header(const etcd_events *events);
/** Number of events; 0 for a batch that only says how far the watch is. @since 0.1 */
ETCD_API size_t etcd_events_count(const etcd_events *events);
/** Event `index`, from 0; NULL beyond the end. @since 0.1 */
ETCD_API const etcd_event *etcd_events_at(const etcd_events *events, size_t index);
/** NULL is fine. @since 0.1 */
ETCD_API void etcd_events_free(etcd_events *events);

ETCD_END_DECLS

#endif

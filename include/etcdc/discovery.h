/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file discovery.h
 * A service that is followed: who joins, changes and leaves. See registry.h for the keys.
 */
#ifndef ETCDC_DISCOVERY_H
#define ETCDC_DISCOVERY_H

#include <etcdc/registry.h>

ETCD_BEGIN_DECLS

/** A service that is being followed. */
typedef struct etcd_discovery etcd_discovery;

/** What happened to an instance. */
typedef enum etcd_service_event {
    ETCD_SERVICE_JOINED = 1,
    ETCD_SERVICE_CHANGED = 2, /**< It was put again: another address, perhaps, or another lease. */
    ETCD_SERVICE_LEFT = 3,    /**< Deleted, or its lease ended. */
    ETCD_SERVICE_EVENT_FORCE_INT32 = 0x7fffffff
} etcd_service_event;

/** One change. Frozen. */
typedef struct etcd_service_change {
    etcd_service service; /**< As it is now; LEFT: as it was. */
    etcd_service_event event;
    int32_t reserved;
} etcd_service_change;

/**
 * Tells of changes, in order for each instance: `services` is who is there after them. What was there when
 * the discovery was opened is not told. After a time without the server, and without the history of it, the
 * changes are what is different from before. The last call, which comes exactly once, has `services` NULL and
 * `err` set: the discovery follows no longer (closed, client closed, waits cancelled, access denied).
 * Everything is borrowed until it returns. May close the discovery; then the running call is the last,
 * whatever it is. On the loop's thread, or inside etcd_loop_process(); the last call also inside
 * etcd_discovery_close(), and must not close the discovery again there.
 */
typedef void etcd_discovery_fn(etcd_discovery *discovery, const etcd_services *services,
                               const etcd_service_change *changes, size_t count, const etcd_error *err,
                               void *user_data);

/** Options of etcd_discovery_open(). Zero means default. */
typedef struct etcd_discovery_opts {
    size_t size;                  /**< sizeof this struct; set by ETCD_DISCOVERY_OPTS. */
    int64_t timeout_ms;           /**< Of the first look. 0: the client's default. */
    const char *prefix;           /**< NULL: "/services/". Must end in '/'. */
    etcd_discovery_fn *on_change; /**< NULL: look with etcd_discovery_services(). */
    void *user_data;
} etcd_discovery_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define ETCD_DISCOVERY_OPTS_INIT {sizeof(etcd_discovery_opts), 0, NULL, NULL, NULL}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `ETCD_DISCOVERY_OPTS(.on_change = changed)`. */
#define ETCD_DISCOVERY_OPTS(...) \
    (&(const etcd_discovery_opts){.size = sizeof(etcd_discovery_opts), __VA_ARGS__})
#endif

/**
 * Finds the instances of a service and follows them, without a gap in between. Only the key of the service
 * and the keys below it are read and watched: `web` never finds `web2`. The client must not be freed before
 * the discovery; closing it is fine.
 *
 * @param client  Borrowed.
 * @param service            Not empty, no '/'. Copied.
 * @param opts  NULL for the defaults.
 * @param[out] ret_discovery etcd_discovery_close().
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @retval ETCD_OK  Also when there is no instance.
 * @retval common   See the head of kv.h.
 * @par Threads Any, not from a callback.
 * @since 0.1
 */
ETCD_API ETCD_NODISCARD etcd_status etcd_discovery_open(etcd_client *client, const char *service,
                                                        const etcd_discovery_opts *opts,
                                                        etcd_discovery **ret_discovery, etcd_error *reterr);
/**
 * Who is there now, sorted by instance; give it back with etcd_services_free(). Never NULL for an open
 * discovery, and without waiting. Any thread. @since 0.1
 */
ETCD_API etcd_services *etcd_discovery_services(etcd_discovery *discovery);
/**
 * Stops following and frees the discovery; lists that were taken stay valid. Waits for a running callback,
 * unless called from inside it, and makes the last call (ETCD_E_CANCELLED) if none was made yet; afterwards
 * none runs. NULL is fine. Any thread.
 * @since 0.1
 */
ETCD_API void etcd_discovery_close(etcd_discovery *discovery);

ETCD_END_DECLS

#endif

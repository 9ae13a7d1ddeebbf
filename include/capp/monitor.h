/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file monitor.h
 * Options as they are now, and a call when they change.
 *
 * A struct of options that is injected with CAPP_INJECT is read once. Who wants to follow changes injects a
 * monitor instead, or asks the application for one:
 *
 *     typedef struct worker_pool { const capp_monitor *limits; } worker_pool;
 *     static const capp_inject pool_rows[] = {CAPP_INJECT_MONITOR(worker_pool, limits, pool_options)};
 *
 *     const pool_options *now = capp_current(pool->limits, pool_options);
 *     resize(pool, now->threads, now->queue);             // both of one configuration
 *     capp_monitor_release(pool->limits, now);
 *
 * The configuration is replaced as a whole: what one hold gives is of one reload, and never changes. A hold
 * waits for no reload.
 */
#ifndef CAPP_MONITOR_H
#define CAPP_MONITOR_H

#include <capp/error.h>
#include <capp/export.h>
#include <capp/options.h>
#include <capp/service.h>
#include <capp/type.h>

CAPP_BEGIN_DECLS

/** The current value of one struct of options. Lives as long as the application. */
typedef struct capp_monitor capp_monitor;

/** A function registered with capp_monitor_add(). */
typedef struct capp_monitor_entry capp_monitor_entry;

/**
 * Runs after the values of a struct have changed. Several changes that come close together may be one call;
 * the last value is never missed. A reload that changes other structs only calls nothing.
 *
 * On a thread of the host, one change function at a time, under no lock. It may take its time, but others
 * wait for it, and so does the end of the application. It may add and remove change functions, hold other
 * monitors, and ask for a reload.
 *
 * @param before     What the function was called with last, or what was current when it was added.
 * @param now        The new values. Both are valid until it returns.
 * @param user_data  What it was registered with.
 */
typedef void capp_change_fn(const void *before, const void *now, void *user_data);

/**
 * The monitor of a struct that was added with capp_add_options() or capp_setup_add_options().
 *
 * @param app  Borrowed.
 * @param options      The type of the struct.
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 * @return NULL on failure: CAPP_E_NOT_FOUND, there is no such struct; CAPP_E_INVALID_ARGUMENT, an argument is
 *         NULL.
 *
 * @par Threads
 * Any.
 * @since 0.1
 */
CAPP_API capp_monitor *capp_app_monitor(capp_app *app, const capp_type *options, capp_error *reterr);

/**
 * The struct as it is now. It stays as it is, with all that it points to, until it is given back; hold it
 * for one piece of work, not for ever: it keeps its whole configuration in memory.
 *
 * @return Never NULL, unless @p monitor is.
 *
 * @par Threads
 * Any, many at a time; waits for no reload.
 * @since 0.1
 */
CAPP_API const void *capp_monitor_hold(const capp_monitor *monitor);

/** Gives back what capp_monitor_hold() gave. NULL is fine. Any thread. @since 0.1 */
CAPP_API void capp_monitor_release(const capp_monitor *monitor, const void *options);

#ifndef __cplusplus
/* The offset of a field, if it is a pointer to a monitor; else no program. */
#define CAPP_MONITOR_FIELD_(S, field) \
    _Generic(((S *)0)->field, capp_monitor * : offsetof(S, field), const capp_monitor * : offsetof(S, field))
/** A row that fills `S.field`, a `const capp_monitor *`, with the monitor of the options T. */
#define CAPP_INJECT_MONITOR(S, field, T)                                               \
    {                                                                                  \
#field, &T##_type, NULL, CAPP_MONITOR_FIELD_(S, field), CAPP_INJECT_CURRENT, 0 \
    }
/** capp_monitor_hold() of a monitor of T, as a `const T *`. */
#define capp_current(monitor, T) ((const T *)capp_monitor_hold(monitor))
#endif

/**
 * Registers a function to be called when the values have changed.
 *
 * @param monitor         Borrowed.
 * @param fn              See capp_change_fn.
 * @param user_data       Passed to @p fn.
 * @param[out] ret_entry  Set on success only; give it to capp_monitor_remove().
 * @param[out] reterr     Set on failure only. NULL if not wanted.
 *
 * @retval CAPP_OK                  What has become current since is reported.
 * @retval CAPP_E_INVALID_ARGUMENT  @p monitor, @p fn or @p ret_entry is NULL.
 * @retval CAPP_E_NO_MEMORY
 *
 * @par Threads
 * Any.
 * @since 0.1
 */
CAPP_API CAPP_NODISCARD capp_status capp_monitor_add(capp_monitor *monitor, capp_change_fn *fn,
                                                     void *user_data, capp_monitor_entry **ret_entry,
                                                     capp_error *reterr);

/**
 * Takes a registration back and frees it. When this returns, the function is not running and will not be
 * called any more; if it is running on another thread, this waits for it. From inside the function itself it
 * returns at once.
 *
 * @param entry  Consumed; NULL is accepted.
 *
 * @par Threads
 * Any. Must come before capp_free().
 * @since 0.1
 */
CAPP_API void capp_monitor_remove(capp_monitor_entry *entry);

CAPP_END_DECLS

#endif

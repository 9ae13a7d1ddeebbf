/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cancel.h
 * The stop signal of an application, for everything that waits.
 *
 * An application has one capp_cancel (capp_app_cancel()). It is requested
 * as the first act of every stop, before anything is torn down: who waits for a
 * lock, a watch or an answer ends the wait then, while ordinary calls still work. A
 * wait that can look at it uses capp_cancel_wait(); one that blocks elsewhere registers a
 * function that ends it.
 */
#ifndef CAPP_CANCEL_H
#define CAPP_CANCEL_H

#include <capp/error.h>
#include <capp/export.h>

#include <stdbool.h>
#include <stdint.h>

CAPP_BEGIN_DECLS

/** A request to end all waiting. Made once, never withdrawn. */
typedef struct capp_cancel capp_cancel;

/** A function registered with a capp_cancel. */
typedef struct capp_cancel_entry capp_cancel_entry;

/**
 * Ends a wait. Called at most once, on a thread of the host, one function after
 * the other in the order of registration, under no lock. Should not block: the
 * time counts towards the shutdown limit.
 */
typedef void capp_cancel_fn(void *user_data);

/** Whether the cancel has been requested. Any thread. @since 0.1 */
CAPP_API bool capp_cancel_requested(const capp_cancel *cancel);

/**
 * Sleeps until the cancel is requested, at most @p timeout_ms milliseconds.
 *
 * @param cancel      Borrowed.
 * @param timeout_ms  0 or less only looks; INT64_MAX waits without limit.
 * @return True when the cancel has been requested, false when the time is over.
 *
 * @par Threads
 * Any thread, many at a time.
 * @since 0.1
 */
CAPP_API bool capp_cancel_wait(capp_cancel *cancel, int64_t timeout_ms);

/**
 * Registers a function to be called when the cancel is requested.
 *
 * @param cancel          Borrowed; must outlive the entry.
 * @param fn              Called at most once.
 * @param user_data       Passed to @p fn.
 * @param[out] ret_entry  Set on success only; give it to capp_cancel_remove(), also
 *                        after the function was called.
 * @param[out] reterr     Set on failure only. NULL if not wanted.
 *
 * @retval CAPP_OK
 * @retval CAPP_E_INVALID_ARGUMENT  @p cancel, @p fn or @p ret_entry is NULL.
 * @retval CAPP_E_CANCELLED         The cancel has been requested already: do not begin to wait.
 * @retval CAPP_E_NO_MEMORY
 *
 * @par Threads
 * Any thread.
 * @since 0.1
 */
CAPP_API CAPP_NODISCARD capp_status capp_cancel_add(capp_cancel *cancel, capp_cancel_fn *fn, void *user_data,
                                                    capp_cancel_entry **ret_entry, capp_error *reterr);

/**
 * Takes a registration back and frees it. When this returns, the function is not
 * running and will not be called any more; if it is running on another thread,
 * this waits for it. From inside the function itself it returns at once.
 *
 * @param entry  Consumed; NULL is accepted.
 *
 * @par Threads
 * Any thread. Must come before capp_free().
 * @since 0.1
 */
CAPP_API void capp_cancel_remove(capp_cancel_entry *entry);

CAPP_END_DECLS

#endif

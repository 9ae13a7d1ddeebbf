/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file worker.h
 * Workers: functions that run on a thread of their own while the application runs.
 *
 *     static capp_status sweep(capp_worker *worker, void *user_data, capp_error *reterr)
 *     {
 *         do {
 *             capp_status status = sweep_once(user_data, reterr);
 *             if (status != CAPP_OK)
 *                 return status;                      // stops the application
 *         } while (capp_worker_wait(worker, 60000));  // false once it stops
 *         return CAPP_OK;
 *     }
 *
 * Workers start after all modules and services and are joined before any of them stops. A
 * worker that returns CAPP_OK has merely ended. One that fails stops the
 * application, and its error is what capp_run() returns; CAPP_E_CANCELLED
 * while the application stops is not a failure.
 *
 * A worker's thread has the signal mask that capp_run()'s caller had, so that programs
 * it starts are not born with SIGTERM blocked.
 */
#ifndef CAPP_WORKER_H
#define CAPP_WORKER_H

#include <capp/cancel.h>
#include <capp/error.h>
#include <capp/export.h>

#include <stdbool.h>
#include <stdint.h>

CAPP_BEGIN_DECLS

/** A built application; see app.h. */
typedef struct capp_app capp_app;

/** A running worker, as its own function sees it. Lives as long as the application. */
typedef struct capp_worker capp_worker;

/** The function of a worker; see the top of this file. */
typedef capp_status capp_worker_fn(capp_worker *worker, void *user_data, capp_error *reterr);

/**
 * Sleeps until the application stops, at most @p timeout_ms milliseconds.
 *
 * @param worker      Borrowed.
 * @param timeout_ms  0 or less only looks; INT64_MAX sleeps until the stop.
 * @return True when the time is over and the worker goes on, false once the application stops.
 *
 * @par Threads
 * Any thread.
 * @since 0.1
 */
CAPP_API bool capp_worker_wait(capp_worker *worker, int64_t timeout_ms);

/** Whether the application stops, so that the worker should return soon. Any thread. @since 0.1 */
CAPP_API bool capp_worker_stopping(const capp_worker *worker);

/** The name that it was added under. Any thread. @since 0.1 */
CAPP_API const char *capp_worker_name(const capp_worker *worker);

/** The application it runs in, for capp_get() and capp_stop(). Borrowed. Any thread. @since 0.1 */
CAPP_API capp_app *capp_worker_app(const capp_worker *worker);

CAPP_END_DECLS

#endif

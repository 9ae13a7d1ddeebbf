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
 * Workers start after all modules and services, in the order of registration, and are joined before any of
 * them stops. A worker that returns CAPP_OK has merely ended. One that fails stops the
 * application, and its error is what capp_run() returns, unless its options say that it is started
 * again; CAPP_E_CANCELLED while the application stops is not a failure.
 *
 * A service with a `run` function (service.h) is hosted: that function is a worker in all that is said here.
 * Hosted services start before workers, in the order of the services' start.
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
#include <stddef.h>
#include <stdint.h>

CAPP_BEGIN_DECLS

/** A built application; see app.h. */
typedef struct capp_app capp_app;

/** A running worker, as its own function sees it. Lives as long as the application. */
typedef struct capp_worker capp_worker;

/** The function of a worker; see the top of this file. */
typedef capp_status capp_worker_fn(capp_worker *worker, void *user_data, capp_error *reterr);

/** What becomes of a worker that fails. */
typedef enum capp_worker_policy {
    CAPP_WORKER_FAIL = 0,    /**< Its failure stops the application. */
    CAPP_WORKER_RESTART = 1, /**< It is started again after a back-off; the failure is logged as a WARN. */
    CAPP_WORKER_POLICY_FORCE_INT32 = 0x7fffffff
} capp_worker_policy;

/**
 * How a worker is treated. Grows at its end; zero means default. What cannot have an effect is refused: a
 * back-off without CAPP_WORKER_RESTART, a `ready_timeout_ms` without `wait_ready`.
 *
 * The wait before a restart is `backoff_min_ms` after the first failure and doubles with each further one
 * up to `backoff_max_ms`, a fifth more or less by chance. After a run that lasted longer than
 * `backoff_max_ms` it begins at `backoff_min_ms` again.
 */
typedef struct capp_worker_opts {
    size_t size;               /**< sizeof(capp_worker_opts). */
    capp_worker_policy policy; /**< Default CAPP_WORKER_FAIL. */
    /** So many restarts within `restart_window_ms`; the failure after them stops the application. 0: no
     * limit. */
    uint32_t max_restarts;
    int64_t restart_window_ms; /**< Milliseconds from the first of those restarts on; 0: 60,000. */
    int64_t backoff_min_ms;    /**< Milliseconds; 0: 100, or `backoff_max_ms` if that is less. */
    int64_t backoff_max_ms;    /**< Milliseconds; 0: 30,000, or `backoff_min_ms` if that is more. */
    /**
     * Milliseconds that it may take to end, from the beginning of the stop. After that it is given up with
     * its thread, and the stop goes on without it. 0: what is left of the shutdown limit.
     */
    int64_t stop_timeout_ms;
    int64_t ready_timeout_ms; /**< Milliseconds until it must be ready, or the start fails. 0: no limit. */
    bool wait_ready;          /**< The start waits for capp_worker_ready(), or until the worker has ended. */
    uint8_t reserved[7];      /**< Zero. */
} capp_worker_opts;

/* clang-format off */
/** Initialises the struct with its defaults, in C and C++. */
#define CAPP_WORKER_OPTS_INIT {sizeof(capp_worker_opts), CAPP_WORKER_FAIL, 0, 0, 0, 0, 0, 0, false, {0}}
/* clang-format on */
#ifndef __cplusplus
/** Options in place: `CAPP_WORKER_OPTS(.policy = CAPP_WORKER_RESTART)`. */
#define CAPP_WORKER_OPTS(...) (&(const capp_worker_opts){.size = sizeof(capp_worker_opts), __VA_ARGS__})
#endif

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

/**
 * Says that the worker does now what it is there for: "listening", "caught up". A start that waits for it
 * (capp_worker_opts.wait_ready) goes on. Once is enough; later calls, also of a worker that was started
 * again, change nothing.
 *
 * @param worker  Borrowed.
 *
 * @par Threads
 * Any thread.
 * @since 0.1
 */
CAPP_API void capp_worker_ready(capp_worker *worker);

/** The name that it was added under; of a hosted service, that of its type. Any thread. @since 0.1 */
CAPP_API const char *capp_worker_name(const capp_worker *worker);

/** The application it runs in, for capp_get() and capp_stop(). Borrowed. Any thread. @since 0.1 */
CAPP_API capp_app *capp_worker_app(const capp_worker *worker);

CAPP_END_DECLS

#endif

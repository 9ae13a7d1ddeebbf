/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file builder.h
 * The builder: what an application is made of.
 *
 *     int main(void)
 *     {
 *         capp_builder *app = capp_builder_new();
 *         capp_configure(app, capp_etcd(clients, NULL));
 *         capp_add_service(app, &config_service_def);
 *         return capp_main(app);
 *     }
 *
 * None of these functions returns an error. A mistake is remembered, and capp_build()
 * (or capp_main()) reports all of them together, before anything has been created,
 * connected or started. A NULL builder, which only lack of memory makes, is
 * accepted everywhere and reported the same way.
 *
 * What is passed in is copied, but for what says that it must live as long as the
 * application. A builder is used by one thread at a time.
 */
#ifndef CAPP_BUILDER_H
#define CAPP_BUILDER_H

#include <capp/export.h>
#include <capp/log.h>
#include <capp/module.h>
#include <capp/service.h>
#include <capp/worker.h>

#include <stdint.h>

CAPP_BEGIN_DECLS

/** An application that is being put together. */
typedef struct capp_builder capp_builder;

/**
 * What SIGINT, SIGTERM and SIGHUP do while capp_run() runs, under capp_main() from the build on. Where the
 * host has the signals, SIGHUP calls for capp_reload(); if the program had a terminal and that is gone, it is
 * a stop.
 */
typedef enum capp_signals {
    /** Under capp_main() as CAPP_SIGNALS_STOP_OR_EXIT, otherwise as CAPP_SIGNALS_NONE. */
    CAPP_SIGNALS_AUTO = 0,
    CAPP_SIGNALS_NONE = 1, /**< The host leaves signals alone. */
    CAPP_SIGNALS_STOP = 2, /**< SIGINT and SIGTERM stop the application; more of them change nothing. */
    /** The first of them stops the application; the second ends the process at once, with status 128 +
       signal. */
    CAPP_SIGNALS_STOP_OR_EXIT = 3,
    CAPP_SIGNALS_FORCE_INT32 = 0x7fffffff
} capp_signals;

/** Whether the service manager is told how the application is; see capp_use_notify(). */
typedef enum capp_notify {
    CAPP_NOTIFY_AUTO = 0,  /**< Under capp_main() as CAPP_NOTIFY_ALWAYS, otherwise as CAPP_NOTIFY_NEVER. */
    CAPP_NOTIFY_NEVER = 1, /**< Nobody is told. */
    CAPP_NOTIFY_ALWAYS =
        2, /**< Whoever listens on NOTIFY_SOCKET is told; nothing happens where that is not set. */
    CAPP_NOTIFY_FORCE_INT32 = 0x7fffffff
} capp_notify;

/** No time limit, where a limit in milliseconds is asked for. Must be asked for: 0 means the default. */
#define CAPP_TIMEOUT_NONE INT64_MAX

/**
 * Makes an empty builder: environment "development", log to standard error at
 * INFO, shutdown limit 30 s.
 *
 * @return The builder, which capp_build() or capp_main() consumes; NULL when out of memory.
 * @since 0.1
 */
CAPP_API capp_builder *capp_builder_new(void);

/** Frees a builder that was given to neither capp_build() nor capp_main(). NULL is accepted. @since 0.1 */
CAPP_API void capp_builder_free(capp_builder *builder);

/**
 * Names the application, for messages. Default "app".
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param name  1–63 characters of `A-Z a-z 0-9 _ -`. Copied.
 * @since 0.1
 */
CAPP_API void capp_use_name(capp_builder *builder, const char *name);

/**
 * Names the environment the application runs in, by custom "development", "staging" or
 * "production". A non-empty variable CAPP_ENV, read by capp_build(), wins over it.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param environment  1–63 characters of `A-Z a-z 0-9 _ -`. Copied.
 * @since 0.1
 */
CAPP_API void capp_use_environment(capp_builder *builder, const char *environment);

/**
 * Limits the whole of a stop: cancelling waits, joining workers, stopping services and modules.
 *
 * When it passes, capp_run() returns CAPP_E_TIMEOUT and names who was late, although a
 * thread of the application still runs.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param timeout_ms  Milliseconds; 0 for the default of 30,000, CAPP_TIMEOUT_NONE for no limit.
 * @since 0.1
 */
CAPP_API void capp_use_shutdown_timeout(capp_builder *builder, int64_t timeout_ms);

/**
 * Says what SIGINT, SIGTERM and SIGHUP do. The dispositions are restored exactly when capp_run() or
 * capp_main() returns. Of several applications in a process one at a time can have the signals; another one
 * runs without and logs a warning.
 * @since 0.1
 */
CAPP_API void capp_use_signals(capp_builder *builder, capp_signals signals);

/**
 * Says whether the application speaks sd_notify(3), the protocol of systemd, while it runs: READY=1 when all
 * has started and is ready, RELOADING=1 and READY=1 around a reload, STOPPING=1, STATUS= (capp_set_status()),
 * and WATCHDOG=1 at half of WATCHDOG_USEC as long as the application is alive. The environment is only read.
 * @since 0.1
 */
CAPP_API void capp_use_notify(capp_builder *builder, capp_notify notify);

/**
 * Sends the log to a function instead of standard error.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param fn         See capp_log_fn for its threads; NULL for standard error.
 * @param user_data  Passed to @p fn; must stay valid until capp_free() returns.
 * @since 0.1
 */
CAPP_API void capp_use_log(capp_builder *builder, capp_log_fn *fn, void *user_data);

/**
 * Sends the log to a file. Of this call, capp_use_log() and capp_use_log_syslog() the last one counts;
 * the options `app.log.output` and `app.log.file` win over it.
 *
 * The file is opened by capp_build(), for appending, and made (mode 0640) when there is none; one that cannot
 * be opened is a mistake of the build. It is opened again at each reload (SIGHUP), so that it can be rotated;
 * when that fails the old one stays open. A full disk neither blocks nor ends the application: records are
 * lost, counted (capp_metrics_text()), and their number is logged once when writing works again. Of a file
 * that is a FIFO this also holds while nobody reads.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param path  Copied. A relative one is looked up by capp_build() and at each reload.
 * @since 0.1
 */
CAPP_API void capp_use_log_file(capp_builder *builder, const char *path);

/**
 * Sends the log to the system's log: datagrams in the form of RFC 3164 to `/dev/log`, without openlog(), so
 * that the process's own use of syslog() is not touched. Never blocks; records that the system does not take
 * are lost as those of a full disk. A system without a log is a mistake of the build.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param facility  CAPP_LOG_FACILITY_DEFAULT for that of daemons.
 * @since 0.1
 */
CAPP_API void capp_use_log_syslog(capp_builder *builder, capp_log_facility facility);

/** Chooses how records are written, wherever they go to but to a function. Default text. @since 0.1 */
CAPP_API void capp_use_log_format(capp_builder *builder, capp_log_format format);

/** Sets the threshold of the log. Default CAPP_LOG_INFO; CAPP_LOG_OFF silences it. @since 0.1 */
CAPP_API void capp_use_log_level(capp_builder *builder, capp_log_level level);

/**
 * Sets the threshold of one category, above or below that of the log.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param category  1–63 characters of `A-Z a-z 0-9 _ - .`; 32 different ones at most. Copied.
 * @param level  What is shown of it from now on.
 * @since 0.1
 */
CAPP_API void capp_use_log_category_level(capp_builder *builder, const char *category, capp_log_level level);

/**
 * Adds a module. Modules are configured by capp_build(), in the order of these
 * calls; the same kind of module may be added several times.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param module  What a module's function returned, such as capp_etcd(). Its
 *                `data` is transferred, also when the builder is NULL.
 * @since 0.1
 */
CAPP_API void capp_configure(capp_builder *builder, capp_module module);

/**
 * Adds a service.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param service  Copied; its `inject` table and what that refers to must live
 *                 as long as the application (constant tables do).
 * @since 0.1
 */
CAPP_API void capp_add_service(capp_builder *builder, const capp_service *service);

/**
 * Adds a worker: a function on a thread of its own.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param name       1–63 characters of `A-Z a-z 0-9 _ -`, unique. Copied.
 * @param fn         See worker.h.
 * @param user_data  Passed to @p fn; must stay valid until capp_free() returns.
 * @since 0.1
 */
CAPP_API void capp_add_worker(capp_builder *builder, const char *name, capp_worker_fn *fn, void *user_data);

/**
 * As capp_add_worker(), with options: restarts, limits, readiness.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param name  As for capp_add_worker().
 * @param fn  As for capp_add_worker().
 * @param user_data  As for capp_add_worker().
 * @param opts  Copied; NULL for the defaults. See worker.h.
 * @since 0.1
 */
CAPP_API void capp_add_worker_with(capp_builder *builder, const char *name, capp_worker_fn *fn,
                                   void *user_data, const capp_worker_opts *opts);

/**
 * Says where in the program the next thing is registered, for the messages of capp_build() and for
 * capp_describe(). The functions that register something are macros as well, which call this with the place
 * where they stand; a binding for another language calls it with a place of that language. A program that
 * defines CAPP_NO_PLACES before it includes a header does without.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param file  A path, of which the last part is kept. Copied.
 * @param line  From 1 on.
 * @return @p builder, which may be NULL.
 * @since 0.1
 */
CAPP_API capp_builder *capp_builder_at(capp_builder *builder, const char *file, int line);

#ifndef CAPP_NO_PLACES
/* clang-format off */
/** The function of the same name, told its place; see capp_builder_at(). */
#define capp_configure(builder, ...) \
    capp_configure(capp_builder_at((builder), __FILE__, __LINE__), __VA_ARGS__)
#define capp_add_service(builder, ...) \
    capp_add_service(capp_builder_at((builder), __FILE__, __LINE__), __VA_ARGS__)
#define capp_add_worker(builder, ...) \
    capp_add_worker(capp_builder_at((builder), __FILE__, __LINE__), __VA_ARGS__)
#define capp_add_worker_with(builder, ...) \
    capp_add_worker_with(capp_builder_at((builder), __FILE__, __LINE__), __VA_ARGS__)
#define capp_add_options(builder, ...) \
    capp_add_options(capp_builder_at((builder), __FILE__, __LINE__), __VA_ARGS__)
/* clang-format on */
#endif

CAPP_END_DECLS

#endif

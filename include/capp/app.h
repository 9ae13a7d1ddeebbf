/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file app.h
 * A built application: run it, stop it, ask it for objects.
 *
 * Most programs call capp_main() and nothing else of this file. capp_build(), capp_run() and
 * capp_free() are the same in steps, for programs that have a main loop of their own,
 * for tests, and for several applications in one process.
 */
#ifndef CAPP_APP_H
#define CAPP_APP_H

#include <capp/builder.h>
#include <capp/cancel.h>
#include <capp/error.h>
#include <capp/export.h>
#include <capp/log.h>
#include <capp/type.h>

#include <stdbool.h>
#include <stddef.h>

CAPP_BEGIN_DECLS

/** A built application. */
typedef struct capp_app capp_app;

/** capp_app can be injected; the host registers it. */
CAPP_API CAPP_TYPE_DECLARE(capp_app);

/**
 * Builds the application: configures the modules, checks the whole graph of services, and
 * then makes the objects. Nothing is started or connected.
 *
 * If there are mistakes, all of them are reported: the message lists as many as fit, and
 * each is logged as an ERROR of category "build". No object has been made then.
 *
 * @param builder      Consumed, whatever the result.
 * @param[out] ret_app Set on success only; end it with capp_free().
 * @param[out] reterr  Set on failure only. NULL if not wanted.
 *
 * @retval CAPP_OK
 * @retval CAPP_E_INVALID_ARGUMENT  Bad input, named in the message; or @p ret_app is NULL.
 * @retval CAPP_E_DUPLICATE         Something is registered twice.
 * @retval CAPP_E_NOT_FOUND         A service or a module needs what is not there.
 * @retval CAPP_E_CYCLE             Services or aliases go in a circle.
 * @retval CAPP_E_NO_MEMORY         Also when @p builder is NULL.
 * @retval CAPP_E_IO                The pipe of capp_stop() could not be made.
 * @retval other                    What a module, a provider or an `init` returned.
 * With several mistakes the status is that of the first.
 *
 * @par Threads
 * One at a time per builder. `init` functions run on the calling thread.
 * @since 0.1
 */
CAPP_API CAPP_NODISCARD capp_status capp_build(capp_builder *builder, capp_app **ret_app, capp_error *reterr);

/**
 * Starts the application, waits until it is to stop, and stops it.
 *
 * It stops because of capp_stop(), a signal (capp_use_signals()), a start that fails or a
 * worker that fails. The order, and what happens at the shutdown limit, is in docs/host.md.
 * If capp_stop() came first, nothing is started.
 *
 * @param app         Borrowed. Runs once in its life.
 * @param[out] reterr Set on failure only. NULL if not wanted.
 *
 * @retval CAPP_OK        Stopped on request, everything in time.
 * @retval CAPP_E_TIMEOUT A component, a worker or a cancel function passed its limit; the message names it.
 *                        Its thread still runs: end the process soon. capp_free() then leaves alone what
 *                        that thread may use.
 * @retval CAPP_E_STATE   It runs or has run already.
 * @retval CAPP_E_IO      A thread could not be made.
 * @retval other          The first failure of a start, a worker or a stop, with the name
 *                        of who failed in front; the others are logged.
 *
 * @par Threads
 * Any thread, one call per application. Start and stop functions run on a thread of the host.
 * @since 0.1
 */
CAPP_API CAPP_NODISCARD capp_status capp_run(capp_app *app, capp_error *reterr);

/**
 * Asks the application to stop. Returns at once; capp_run() returns when it has stopped.
 * Idempotent; valid before capp_run(), while it runs and after it.
 *
 * @param app  NULL is accepted.
 *
 * @par Threads
 * Any thread, also from a signal handler, until capp_free().
 * @since 0.1
 */
CAPP_API void capp_stop(capp_app *app);

/**
 * Asks the running application to read its configuration again, and then to tell the hooks and services that
 * have a `reload` function, in order of start. Returns at once. Requests that come before all has started
 * wait for that, those that come while one is carried out become one more, and those that come in a stop are
 * dropped.
 *
 * A failure is logged and counted and never stops the application: a configuration with a mistake changes
 * nothing and nobody is told; a `reload` that fails does not keep the others from being called.
 *
 * @param app  NULL is accepted.
 *
 * @par Threads
 * Any thread, also from a signal handler, until capp_free().
 * @since 0.1
 */
CAPP_API void capp_reload(capp_app *app);

/**
 * Says in a few words what the application is doing, for the service manager (STATUS= of sd_notify(3),
 * shown by `systemctl status`). The last one counts; without a service manager nothing happens.
 *
 * @param app     NULL is accepted.
 * @param format  printf format; cut to 255 bytes. Control characters are escaped. Never pass a secret.
 *
 * @par Threads
 * Any thread, until capp_free(). Not from a signal handler.
 * @since 0.1
 */
CAPP_API void capp_set_status(capp_app *app, const char *format, ...) CAPP_PRINTF(2, 3);

/**
 * Ends the application: `fini` of all services in reverse order of their making, then the
 * hooks of the modules in reverse order. Also without a run.
 *
 * If a thread was left behind (CAPP_E_TIMEOUT of capp_run()), or the application still runs,
 * everything that thread may use is left alone on purpose, which is a leak.
 *
 * @param app  Consumed; NULL is accepted.
 *
 * @par Threads
 * Any thread; nobody else uses the application any more.
 * @since 0.1
 */
CAPP_API void capp_free(capp_app *app);

/**
 * The whole life of an application: build, run, free. The only function of the host that
 * touches the process: SIGINT and SIGTERM stop the application, from the beginning of the build on, a
 * second one ends the process at once with status 128 + signal, and SIGHUP reloads; a failure prints one line
 * to standard error. When a thread was left behind, the process is ended here, without running exit handlers
 * beside that thread.
 *
 * @param builder  Consumed.
 * @return 0 when the application stopped on request, 1 after any failure: the exit status for main().
 *
 * @par Threads
 * By custom the main thread.
 * @since 0.1
 */
CAPP_API int capp_main(capp_builder *builder);

/** The T that is registered without a name: `T *`, NULL on failure; see capp_resolve(). */
#define capp_get(app, T, reterr) ((T *)capp_resolve((app), &T##_type, NULL, (reterr)))

/** The T that is registered under `name`: `T *`, NULL on failure; see capp_resolve(). */
#define capp_get_named(app, T, name, reterr) ((T *)capp_resolve((app), &T##_type, (name), (reterr)))

/**
 * Looks an object up; capp_get() is the typed form.
 *
 * @param app  Borrowed.
 * @param type  What is wanted.
 * @param name        NULL for the unnamed one.
 * @param[out] reterr Set on failure only. NULL if not wanted. CAPP_E_NOT_FOUND: the message lists the
 *                    names that exist; CAPP_E_STATE: inside an `init`, before the object is
 *                    made, or the service is scoped or transient: open a scope (scope.h);
 *                    CAPP_E_INVALID_ARGUMENT: @p app or @p type is NULL.
 * @return The object, borrowed until capp_free(); NULL on failure.
 *
 * @par Threads
 * Any thread, without locks.
 * @since 0.1
 */
CAPP_API void *capp_resolve(const capp_app *app, const capp_type *type, const char *name, capp_error *reterr);

/**
 * All objects of a type that exist once per application, whatever their names, in the order of
 * registration; each object once, also behind aliases. The same as CAPP_INJECT_LIST injects.
 *
 * @param app  Borrowed.
 * @param type  What is wanted.
 * @param[out] objects  Filled with at most `capacity` of them, borrowed until capp_free().
 * @param capacity  How many @p objects has room for.
 * @return How many there are, which may be more than @p capacity; 0 when @p app or @p type is NULL.
 *
 * @par Threads
 * Any thread, without locks.
 * @since 0.1
 */
CAPP_API size_t capp_resolve_all(const capp_app *app, const capp_type *type, void **objects, size_t capacity);

/** The name of the application. Borrowed until capp_free(). Any thread. @since 0.1 */
CAPP_API const char *capp_app_name(const capp_app *app);

/** The environment ("development", "production", …). Borrowed until capp_free(). Any thread. @since 0.1 */
CAPP_API const char *capp_app_environment(const capp_app *app);

/** Whether this is the environment, whatever the case of its letters. Any thread. @since 0.1 */
CAPP_API bool capp_app_is_environment(const capp_app *app, const char *environment);

/** The log. Borrowed until capp_free(). Any thread. @since 0.1 */
CAPP_API const capp_logger *capp_app_logger(const capp_app *app);

/** What is requested as the first act of a stop. Borrowed until capp_free(). Any thread. @since 0.1 */
CAPP_API capp_cancel *capp_app_cancel(capp_app *app);

CAPP_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file scope.h
 * Scopes: what belongs to one request, one job, one message.
 *
 *     capp_scope *scope = NULL;
 *     capp_status status = capp_scope_new(app, &scope, reterr);
 *     if (status != CAPP_OK)
 *         return status;
 *     order_session *session = capp_scope_get(scope, order_session, reterr);
 *     if (session == NULL)
 *         status = reterr->status;
 *     else
 *         status = order_session_handle(session, request, reterr);
 *     capp_scope_free(scope);
 *
 * A scoped service exists once in a scope and is made when something needs it first. A transient one is made
 * for each field that injects it and for each call of capp_scope_resolve(). All of them end with the scope,
 * in the reverse order of their making. Singletons are those of the application.
 *
 * That a service cannot outlive what it injects is checked by capp_build(), not here.
 *
 * The scope itself can be injected into scoped and transient services, as a capp_scope.
 */
#ifndef CAPP_SCOPE_H
#define CAPP_SCOPE_H

#include <capp/error.h>
#include <capp/export.h>
#include <capp/type.h>

CAPP_BEGIN_DECLS

/** A built application; see app.h. */
typedef struct capp_app capp_app;

/** A scope. Used by one thread at a time; any number of scopes can be open at a time. */
typedef struct capp_scope capp_scope;

/** capp_scope can be injected into scoped and transient services; the host registers it. */
CAPP_API CAPP_TYPE_DECLARE(capp_scope);

/**
 * Opens a scope. Makes nothing yet, and is cheap: one allocation.
 *
 * @param app            Borrowed; must outlive the scope.
 * @param[out] ret_scope Set on success only; end it with capp_scope_free().
 * @param[out] reterr    Set on failure only. NULL if not wanted.
 *
 * @retval CAPP_OK
 * @retval CAPP_E_INVALID_ARGUMENT  @p app or @p ret_scope is NULL.
 * @retval CAPP_E_STATE             Inside an `init` of a singleton: the application is not built yet; or
 * inside capp_free().
 * @retval CAPP_E_NO_MEMORY
 *
 * @par Threads
 * Any thread.
 * @since 0.1
 */
CAPP_API CAPP_NODISCARD capp_status capp_scope_new(capp_app *app, capp_scope **ret_scope, capp_error *reterr);

/**
 * Ends a scope and all that was made in it, in the reverse order of making.
 *
 * capp_free() while a scope is open logs an error and frees nothing.
 *
 * @param scope  Consumed; NULL is accepted.
 *
 * @par Threads
 * Any thread; nobody else uses the scope any more. `fini` functions run on this one.
 * @since 0.1
 */
CAPP_API void capp_scope_free(capp_scope *scope);

/** The T that is registered without a name, in this scope: `T *`, NULL on failure; see capp_scope_resolve().
 */
#define capp_scope_get(scope, T, reterr) ((T *)capp_scope_resolve((scope), &T##_type, NULL, (reterr)))

/** The T that is registered under `name`, in this scope: `T *`, NULL on failure; see capp_scope_resolve(). */
#define capp_scope_get_named(scope, T, name, reterr) \
    ((T *)capp_scope_resolve((scope), &T##_type, (name), (reterr)))

/**
 * Gives an object: a singleton, the one of this scope, or, when the service is transient, a new one. Makes
 * what is not there yet. When that fails, all that was made by this call is ended again, and the scope is as
 * it was.
 *
 * @param scope  Borrowed.
 * @param type  What is wanted.
 * @param name        NULL for the unnamed one.
 * @param[out] reterr Set on failure only. NULL if not wanted. CAPP_E_NOT_FOUND: the message lists the names
 * that exist; CAPP_E_CYCLE: an `init` asks for what is being made; CAPP_E_STATE: the scope is ending;
 * CAPP_E_NO_MEMORY; CAPP_E_INVALID_ARGUMENT: @p scope or @p type is NULL; otherwise what an `init` or a
 * factory function returned.
 * @return The object, borrowed until capp_scope_free(), a singleton until capp_free(); NULL on failure.
 *
 * @par Threads
 * One at a time per scope. Takes no lock. `init` functions run on this thread.
 * @since 0.1
 */
CAPP_API void *capp_scope_resolve(capp_scope *scope, const capp_type *type, const char *name,
                                  capp_error *reterr);

/** The application of the scope. Borrowed. Any thread. @since 0.1 */
CAPP_API capp_app *capp_scope_app(const capp_scope *scope);

CAPP_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "scope.h"

#include "fail.h"
#include "host.h"

CAPP_TYPE_DEFINE(capp_scope);

capp_status capp_scope_new(capp_app *app, capp_scope **ret_scope, capp_error *reterr)
{
    capp_scope *scope;

    if (app == NULL || ret_scope == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_scope_new: %s is NULL",
                         app == NULL ? "app" : "ret_scope");
    if (!atomic_load(&app->has_scopes))
        return capp_fail(reterr, CAPP_E_STATE, "capp_scope_new: the application is %s",
                         app->keeper.ending ? "being freed" : "not built yet");
    scope = etcd__calloc(1, sizeof(*scope) + app->container.scoped_count * sizeof(*scope->scoped));
    if (scope == NULL)
        return capp__fail_memory(reterr);
    scope->app = app;
    scope->snapshot = capp__snapshot_current(&app->config);
    scope->keeper =
        (struct capp__keeper){.container = &app->container, .scope = scope, .slots = scope->scoped};
    atomic_fetch_add(&app->open_scopes, 1);
    *ret_scope = scope;
    return CAPP_OK;
}

void capp_scope_free(capp_scope *scope)
{
    if (scope == NULL)
        return;
    capp__keeper_end(&scope->keeper);
    capp__snapshot_unref(scope->snapshot);
    atomic_fetch_sub(&scope->app->open_scopes, 1);
    etcd__free(scope);
}

void *capp__scope_options(const struct capp_scope *scope, struct capp__binding *binding)
{
    atomic_store(&binding->live, true);
    return capp__snapshot_at(scope->snapshot, binding->index)->object->bytes;
}

void *capp_scope_resolve(capp_scope *scope, const capp_type *type, const char *name, capp_error *reterr)
{
    char what[256];
    void *object = NULL;

    if (scope == NULL || type == NULL) {
        capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_scope_resolve: %s is NULL",
                  scope == NULL ? "scope" : "type");
        return NULL;
    }
    struct capp__entry *entry = capp__container_find(&scope->app->container, type, name);
    if (entry == NULL) {
        capp__fail_not_found(&scope->app->container, type, name, reterr);
        return NULL;
    }
    if (scope->keeper.ending) {
        capp_fail(reterr, CAPP_E_STATE, "%s: the scope is ending",
                  capp__describe(what, sizeof(what), type, name));
        return NULL;
    }
    object = capp__keeper_find(&scope->keeper, entry);
    if (object == NULL &&
        capp__keeper_make(&scope->keeper, capp__entry_service(entry), &object, reterr) == CAPP_OK)
        object = capp__entry_part(entry, object);
    return object;
}

capp_app *capp_scope_app(const capp_scope *scope)
{
    return scope->app;
}

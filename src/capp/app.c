/* SPDX-License-Identifier: Apache-2.0 */
#include "capp/app.h"

#include "base/str.h"
#include "capp/scope.h"
#include "fail.h"
#include "host.h"

#include <string.h>

CAPP_TYPE_DEFINE(capp_app);

static bool publish_own(capp_app *app, enum capp__entry_kind kind, const capp_type *type, void *object)
{
    struct capp__entry *entry = ETCD__NEW(struct capp__entry);

    if (entry == NULL)
        return false;
    entry->type = type;
    entry->kind = kind;
    entry->object = object;
    etcd__format(entry->origin, sizeof(entry->origin), "the host");
    return capp__container_add(&app->container, entry, NULL) == CAPP_OK;
}

capp_app *capp__app_new(void)
{
    capp_app *app = ETCD__NEW(capp_app);

    if (app == NULL)
        return NULL;
    if (pthread_mutex_init(&app->shared.mutex, NULL) != 0) {
        etcd__free(app);
        return NULL;
    }
    if (capp__cancel_init(&app->cancel) != 0) {
        pthread_mutex_destroy(&app->shared.mutex);
        etcd__free(app);
        return NULL;
    }
    etcd__list_init(&app->shared.ended);
    if (!capp__config_init(&app->config)) {
        capp__cancel_deinit(&app->cancel);
        pthread_mutex_destroy(&app->shared.mutex);
        etcd__free(app);
        return NULL;
    }
    atomic_init(&app->phase, CAPP__BUILT);
    atomic_init(&app->stop_requested, false);
    app->wake = (struct capp__wake){-1, -1};
    capp__logger_init(&app->logger);
    app->shutdown_timeout_ms = CAPP__SHUTDOWN_TIMEOUT_MS;
    etcd__format(app->name, sizeof(app->name), "app");
    etcd__format(app->environment, sizeof(app->environment), "development");
    app->keeper.container = &app->container;
    if (!publish_own(app, CAPP__OBJECT, &capp_app_type, app) ||
        !publish_own(app, CAPP__OBJECT, &capp_logger_type, &app->logger) ||
        !publish_own(app, CAPP__SCOPE, &capp_scope_type, NULL)) {
        capp__app_destroy(app);
        return NULL;
    }
    return app;
}

static void end_components(capp_app *app)
{
    while (app->components.count > 0) {
        struct capp__component *component = capp__component_at(app, --app->components.count);

        if (component->destroy != NULL)
            component->destroy(component->self);
        etcd__free(component);
    }
    capp__ptrs_deinit(&app->components);
}

static void free_all(struct capp__ptrs *ptrs)
{
    for (size_t i = 0; i < ptrs->count; i++)
        etcd__free(ptrs->items[i]);
    capp__ptrs_deinit(ptrs);
}

void capp__app_destroy(capp_app *app)
{
    if (app == NULL)
        return;
    atomic_store(&app->has_scopes, false);
    capp__keeper_end(&app->keeper);
    end_components(app);
    for (size_t i = 0; i < app->on_stopping.count; i++)
        capp_cancel_remove(app->on_stopping.items[i]);
    capp__ptrs_deinit(&app->on_stopping);
    free_all(&app->workers);
    free_all(&app->checks);
    free_all(&app->metrics);
    free_all(&app->requirements);
    free_all(&app->setups);
    capp__ptrs_deinit(&app->order);
    capp__container_deinit(&app->container);
    capp__config_deinit(&app->config);
    if (app->taken != NULL)
        capp__signals_mute(app->taken);
    capp__wake_close(&app->wake);
    capp__cancel_deinit(&app->cancel);
    pthread_mutex_destroy(&app->shared.mutex);
    capp__logger_deinit(&app->logger);
    etcd__free(app);
}

void capp_free(capp_app *app)
{
    size_t open_scopes;

    if (app == NULL)
        return;
    if (capp__phase_is_alive(atomic_load(&app->phase))) {
        capp_log(&app->logger, CAPP_LOG_ERROR, "app", "capp_free: it still runs; nothing is freed");
        return;
    }
    open_scopes = atomic_load(&app->open_scopes);
    if (open_scopes > 0) {
        capp_log(&app->logger, CAPP_LOG_ERROR, "app", "capp_free: %zu scope%s still open; nothing is freed",
                 open_scopes, open_scopes == 1 ? " is" : "s are");
        return;
    }
    if (app->left_behind)
        return; /* the thread may use any of it, for as long as the process lives */
    capp__app_destroy(app);
}

void *capp_resolve(const capp_app *app, const capp_type *type, const char *name, capp_error *reterr)
{
    char what[256];

    if (app == NULL || type == NULL) {
        capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_resolve: %s is NULL", app == NULL ? "app" : "type");
        return NULL;
    }
    struct capp__entry *entry = capp__container_find(&app->container, type, name);
    if (entry == NULL) {
        capp__fail_not_found(&app->container, type, name, reterr);
        return NULL;
    }
    void *object = capp__keeper_find(&app->keeper, entry);
    capp_lifetime lifetime = capp__entry_lifetime(entry);
    if (lifetime != CAPP_SINGLETON)
        capp_fail(reterr, CAPP_E_STATE, "%s is %s: open a scope and ask that",
                  capp__describe(what, sizeof(what), type, name), capp__lifetime_name(lifetime));
    else if (object == NULL)
        capp_fail(reterr, CAPP_E_STATE, "%s is not made yet: inject it instead",
                  capp__describe(what, sizeof(what), type, name));
    return object;
}

size_t capp_resolve_all(const capp_app *app, const capp_type *type, void **objects, size_t capacity)
{
    return app == NULL || type == NULL ? 0
                                       : capp__container_objects(&app->container, type, objects, capacity);
}

const char *capp_app_name(const capp_app *app)
{
    return app->name;
}

const char *capp_app_environment(const capp_app *app)
{
    return app->environment;
}

bool capp_app_is_environment(const capp_app *app, const char *environment)
{
    return environment != NULL && etcd__equal_nocase(app->environment, strlen(app->environment), environment);
}

const capp_logger *capp_app_logger(const capp_app *app)
{
    return &app->logger;
}

capp_cancel *capp_app_cancel(capp_app *app)
{
    return &app->cancel;
}

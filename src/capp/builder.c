/* SPDX-License-Identifier: Apache-2.0 */
#include "capp/builder.h"

#include "fail.h"
#include "host.h"
#include "setup.h"

#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(void *) != 8 || sizeof(capp_module) == 96, "capp_module is passed by value: frozen");

capp_builder *capp_builder_new(void)
{
    capp_builder *builder = ETCD__NEW(capp_builder);

    if (builder == NULL)
        return NULL;
    builder->app = capp__app_new();
    if (builder->app != NULL)
        builder->program = capp__setup_new(builder);
    if (builder->program == NULL) {
        capp_builder_free(builder);
        return NULL;
    }
    return builder;
}

static void free_added(struct capp__ptrs *list)
{
    for (size_t i = list->count; i-- > 0;) {
        struct capp__added *added = list->items[i];

        if (added->module.destroy != NULL)
            added->module.destroy(added->module.data);
        etcd__free(added);
    }
    capp__ptrs_deinit(list);
}

void capp_builder_free(capp_builder *builder)
{
    if (builder == NULL)
        return;
    free_added(&builder->modules);
    free_added(&builder->options);
    capp__mistakes_deinit(&builder->mistakes);
    capp__app_destroy(builder->app);
    etcd__free(builder);
}

bool capp__builder_is_open(capp_builder *builder, const char *function)
{
    if (builder == NULL)
        return false;
    if (builder->sealed)
        capp_log(&builder->app->logger, CAPP_LOG_ERROR, "build", "%s: registration is over", function);
    return !builder->sealed;
}

static void note(capp_builder *builder, const capp_error *error)
{
    capp__setup_mistake(builder->program, error->status, error->message);
}

static void use_name(capp_builder *builder, char dst[CAPP__NAME_SIZE], const char *value,
                     const char *function)
{
    capp_error error;

    if (capp__builder_is_open(builder, function) && capp__name_set(dst, value, function, &error) != CAPP_OK)
        note(builder, &error);
}

void capp_use_name(capp_builder *builder, const char *name)
{
    if (builder != NULL)
        use_name(builder, builder->app->name, name, "capp_use_name: name");
}

void capp_use_environment(capp_builder *builder, const char *environment)
{
    if (builder != NULL)
        use_name(builder, builder->app->environment, environment, "capp_use_environment: environment");
}

void capp_use_shutdown_timeout(capp_builder *builder, int64_t timeout_ms)
{
    if (!capp__builder_is_open(builder, "capp_use_shutdown_timeout"))
        return;
    if (timeout_ms < 0)
        capp__mistakes_add(&builder->mistakes, "", CAPP_E_INVALID_ARGUMENT,
                           "capp_use_shutdown_timeout: timeout_ms is %lld", (long long)timeout_ms);
    else
        builder->app->shutdown_timeout_ms = timeout_ms == 0 ? CAPP__SHUTDOWN_TIMEOUT_MS : timeout_ms;
}

void capp_use_signals(capp_builder *builder, capp_signals signals)
{
    if (!capp__builder_is_open(builder, "capp_use_signals"))
        return;
    if ((int)signals < CAPP_SIGNALS_AUTO || signals > CAPP_SIGNALS_STOP_OR_EXIT)
        capp__mistakes_add(&builder->mistakes, "", CAPP_E_INVALID_ARGUMENT, "capp_use_signals: signals is %d",
                           (int)signals);
    else
        builder->app->signals = signals;
}

void capp_use_notify(capp_builder *builder, capp_notify notify)
{
    if (!capp__builder_is_open(builder, "capp_use_notify"))
        return;
    if ((int)notify < CAPP_NOTIFY_AUTO || notify > CAPP_NOTIFY_ALWAYS)
        capp__mistakes_add(&builder->mistakes, "", CAPP_E_INVALID_ARGUMENT, "capp_use_notify: notify is %d",
                           (int)notify);
    else
        builder->app->notify = notify;
}

capp_builder *capp_builder_at(capp_builder *builder, const char *file, int line)
{
    if (builder != NULL)
        capp_setup_at(builder->program, file, line);
    return builder;
}

bool capp__builder_keep(capp_builder *builder, struct capp__ptrs *list, const struct capp__added *added)
{
    struct capp__added *copy = etcd__memdup(added, sizeof(*added));

    if (copy == NULL || !capp__ptrs_push(list, copy)) {
        etcd__free(copy);
        builder->mistakes.no_memory = true;
        return false;
    }
    capp__setup_take_place(builder->program, copy->place);
    return true;
}

void capp_configure(capp_builder *builder, capp_module module)
{
    if (capp__builder_is_open(builder, "capp_configure") &&
        capp__builder_keep(builder, &builder->modules, &(const struct capp__added){.module = module}))
        return;
    if (module.destroy != NULL)
        module.destroy(module.data);
}

void capp_add_service(capp_builder *builder, const capp_service *service)
{
    if (capp__builder_is_open(builder, "capp_add_service"))
        capp_setup_add_service(builder->program, service);
}

void capp_add_worker(capp_builder *builder, const char *name, capp_worker_fn *fn, void *user_data)
{
    if (capp__builder_is_open(builder, "capp_add_worker"))
        capp_setup_add_worker(builder->program, name, fn, user_data);
}

void capp_add_worker_with(capp_builder *builder, const char *name, capp_worker_fn *fn, void *user_data,
                          const capp_worker_opts *opts)
{
    if (capp__builder_is_open(builder, "capp_add_worker_with"))
        capp_setup_add_worker_with(builder->program, name, fn, user_data, opts);
}

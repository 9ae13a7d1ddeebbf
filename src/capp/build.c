/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From builder to application: configure the modules, check everything, and only
 * then make anything.
 */
#include "base/str.h"
#include "fail.h"
#include "graph.h"
#include "health.h"
#include "host.h"
#include "setup.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_environment(capp_builder *builder)
{
    const char *value = getenv("CAPP_ENV");
    capp_error error;

    if (value == NULL || value[0] == '\0')
        return;
    if (capp__name_set(builder->app->environment, value, "CAPP_ENV", &error) != CAPP_OK)
        capp__setup_mistake(builder->program, error.status, error.message);
}

static void refuse_module(capp_builder *builder, const struct capp__added *added, capp_status status,
                          const char *text)
{
    memcpy(builder->program->place, added->place, sizeof(added->place));
    capp__setup_refuse(builder->program, status, text);
}

static bool module_is_sound(capp_builder *builder, const struct capp__added *added, struct capp_setup *setup)
{
    const capp_module *module = &added->module;
    capp_error error;

    if (module->size != sizeof(*module) || module->configure == NULL) {
        refuse_module(builder, added, CAPP_E_INVALID_ARGUMENT,
                      "capp_configure: the module was not initialised");
        return false;
    }
    if (capp__name_set(setup->module, module->name, "capp_configure: module.name", &error) != CAPP_OK) {
        refuse_module(builder, added, error.status, error.message);
        return false;
    }
    etcd__format(setup->origin, sizeof(setup->origin), "module %s", setup->module);
    return true;
}

static void configure_module(capp_builder *builder, const struct capp__added *added)
{
    const capp_module *module = &added->module;
    struct capp_setup *setup = capp__setup_new(builder);
    capp_error error = {0};

    if (setup == NULL) {
        builder->mistakes.no_memory = true;
        return;
    }
    memcpy(setup->added_at, added->place, sizeof(setup->added_at));
    if (!module_is_sound(builder, added, setup))
        return;
    capp_status status = module->configure(setup, module, &error);
    if (status == CAPP_OK)
        return;
    capp__error_settle(&error, status);
    capp__setup_mistake(setup, status, error.message);
}

/* Ends registration: from here on every setup refuses. */
static void seal(capp_builder *builder)
{
    capp_app *app = builder->app;

    builder->sealed = true;
    for (size_t i = 0; i < app->setups.count; i++)
        ((struct capp_setup *)app->setups.items[i])->builder = NULL;
    if (!capp__container_seal(&app->container))
        builder->mistakes.no_memory = true;
}

static capp_status provide(struct capp__entry *entry, capp_error *reterr)
{
    char what[256];
    capp_error error = {0};
    capp_status status = entry->provide(entry->user_data, &entry->object, &error);

    if (status == CAPP_OK && entry->object != NULL)
        return CAPP_OK;
    if (status == CAPP_OK)
        status = capp_fail(&error, CAPP_E_INTERNAL, "its provider made nothing");
    capp__error_settle(&error, status);
    capp_error_prefix(&error, "%s", capp__describe(what, sizeof(what), entry->type, entry->name));
    capp__error_copy(reterr, &error);
    return status;
}

/* Registers the service for start and stop, once its object exists. */
static capp_status add_component(capp_app *app, const struct capp__entry *entry, capp_error *reterr)
{
    struct capp__component *component = ETCD__NEW(struct capp__component);

    if (component == NULL || !capp__ptrs_push(&app->components, component)) {
        etcd__free(component);
        return capp__fail_memory(reterr);
    }
    capp__describe(component->label, sizeof(component->label), entry->type, entry->name);
    memcpy(component->place, entry->place, sizeof(component->place));
    component->is_service = true;
    component->self = entry->object;
    component->start = entry->service.start;
    component->stop = entry->service.stop;
    component->reload = entry->service.reload;
    component->run = entry->service.run;
    component->run_opts = entry->service.run_opts;
    component->health = entry->service.health;
    component->start_timeout_ms = entry->service.start_timeout_ms;
    component->stop_timeout_ms = entry->service.stop_timeout_ms;
    return CAPP_OK;
}

static capp_status make_service(capp_app *app, struct capp__entry *entry, capp_error *reterr)
{
    void *object;
    capp_status status;

    if (entry->service.lifetime != CAPP_SINGLETON)
        return CAPP_OK;
    status = capp__keeper_make(&app->keeper, entry, &object, reterr);
    return status == CAPP_OK ? add_component(app, entry, reterr) : status;
}

static void fill_lists(const capp_app *app)
{
    for (size_t i = 0; i < app->container.lists.count; i++)
        capp__container_list(&app->container,
                             ((const struct capp__all *)app->container.lists.items[i])->type);
}

static void fill_requirements(const capp_app *app)
{
    for (size_t i = 0; i < app->requirements.count; i++) {
        const struct capp__requirement *need = app->requirements.items[i];

        if (need->slot != NULL)
            *need->slot = capp__entry_object(capp__container_find(&app->container, need->type, need->name));
    }
}

capp_status capp__make(capp_app *app, capp_error *reterr)
{
    for (size_t i = 0; i < app->container.entries.count; i++) {
        struct capp__entry *entry = app->container.entries.items[i];
        if (capp__build_interrupted(app, reterr))
            return CAPP_E_CANCELLED;
        capp_status status = entry->kind == CAPP__PROVIDER ? provide(entry, reterr) : CAPP_OK;

        if (status != CAPP_OK)
            return status;
    }
    for (size_t i = 0; i < app->order.count; i++) {
        if (capp__build_interrupted(app, reterr))
            return CAPP_E_CANCELLED;
        capp_status status = make_service(app, app->order.items[i], reterr);

        if (status != CAPP_OK)
            return status;
    }
    fill_requirements(app);
    fill_lists(app);
    atomic_store(&app->has_scopes, true);
    return capp__host_services(app, reterr);
}

void capp__configure_all(capp_builder *builder)
{
    read_environment(builder);
    capp__config_load(&builder->app->config, &builder->mistakes);
    capp__config_host(builder);
    capp__log_host(builder);
    for (size_t i = 0; i < builder->options.count; i++) {
        const struct capp__added *added = builder->options.items[i];

        memcpy(builder->program->place, added->place, sizeof(added->place));
        capp_setup_add_options(builder->program, added->options);
        builder->program->place[0] = '\0';
    }
    for (size_t i = 0; i < builder->modules.count; i++)
        configure_module(builder, builder->modules.items[i]);
    capp__config_check_unknown(&builder->app->config, builder->app->config.built, false,
                               &builder->app->logger, &builder->mistakes);
    if (!capp__config_add_component(builder->app))
        builder->mistakes.no_memory = true;
    seal(builder);
}

void capp__check_graph(capp_builder *builder)
{
    capp_app *app = builder->app;

    if (!builder->mistakes.no_memory)
        capp__graph_check(&app->container, &app->requirements, &app->order, &builder->mistakes);
}

static capp_status build(capp_builder *builder, capp_error *reterr)
{
    capp_app *app = builder->app;

    capp__configure_all(builder);
    capp__check_graph(builder);
    if (capp__mistakes_any(&builder->mistakes))
        return capp__mistakes_report(&builder->mistakes, &app->logger, CAPP_LOG_ERROR, "build", reterr);
    capp_status status = app->wake.write_fd >= 0 ? CAPP_OK : capp__wake_open(&app->wake, reterr);
    if (status == CAPP_OK)
        status = capp__make(app, reterr);
    return status == CAPP_OK ? capp__health_collect(app, reterr) : status;
}

capp_status capp_build(capp_builder *builder, capp_app **ret_app, capp_error *reterr)
{
    capp_status status;

    if (builder == NULL)
        return capp__fail_memory(reterr);
    if (ret_app == NULL)
        status = capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_build: ret_app is NULL");
    else
        status = build(builder, reterr);
    if (status == CAPP_OK) {
        *ret_app = builder->app;
        builder->app = NULL;
    }
    capp_builder_free(builder);
    return status;
}

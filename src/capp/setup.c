/* SPDX-License-Identifier: Apache-2.0 */
/* What a module, and through the builder the program, registers. */
#include "capp/module.h"

#include "base/str.h"
#include "fail.h"
#include "graph.h"
#include "host.h"

#include <stdalign.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 1024 };

struct capp_setup *capp__setup_new(capp_builder *builder)
{
    struct capp_setup *setup = ETCD__NEW(struct capp_setup);

    if (setup == NULL || !capp__ptrs_push(&builder->app->setups, setup)) {
        etcd__free(setup);
        return NULL;
    }
    setup->app = builder->app;
    setup->builder = builder;
    return setup;
}

capp_status capp__setup_mistake(struct capp_setup *setup, capp_status status, const char *text)
{
    if (setup->builder != NULL)
        return capp__mistakes_add(&setup->builder->mistakes, setup->origin, status, "%s", text);
    capp_log(&setup->app->logger, CAPP_LOG_ERROR, "build", "%s%s%s", setup->origin,
             setup->origin[0] == '\0' ? "" : ": ", text);
    return status;
}

static capp_status refuse(struct capp_setup *setup, const capp_error *error)
{
    return capp__setup_mistake(setup, error->status, error->message);
}

static capp_status no_memory(struct capp_setup *setup)
{
    return capp__setup_mistake(setup, CAPP_E_NO_MEMORY, "out of memory");
}

/* Ends a registration that comes too late. */
static capp_status check_open(struct capp_setup *setup, const char *function)
{
    char text[128];

    if (setup->builder != NULL)
        return CAPP_OK;
    etcd__format(text, sizeof(text), "%s: the application is built already", function);
    return capp__setup_mistake(setup, CAPP_E_STATE, text);
}

const char *capp_setup_name(const capp_setup *setup)
{
    return setup->app->name;
}

const char *capp_setup_environment(const capp_setup *setup)
{
    return setup->app->environment;
}

bool capp_setup_is_environment(const capp_setup *setup, const char *environment)
{
    return capp_app_is_environment(setup->app, environment);
}

const capp_logger *capp_setup_logger(const capp_setup *setup)
{
    return &setup->app->logger;
}

capp_cancel *capp_setup_cancel(capp_setup *setup)
{
    return &setup->app->cancel;
}

void *capp_setup_find(const capp_setup *setup, const capp_type *type, const char *name)
{
    const struct capp__entry *entry = capp__container_find(&setup->app->container, type, name);

    return entry != NULL && entry->kind == CAPP__OBJECT ? entry->object : NULL;
}

static capp_status check_type(const capp_type *type, const char *function, capp_error *reterr)
{
    if (type == NULL || type->name == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%s: type is NULL or has no name", function);
    return CAPP_OK;
}

/* A checked entry that is not registered yet; NULL when the call failed, *ret_status says how. */
static struct capp__entry *new_entry(struct capp_setup *setup, const char *function, const capp_type *type,
                                     const char *name, capp_status *ret_status)
{
    struct capp__entry head = {.type = type};
    char what[96];
    capp_error error;

    *ret_status = check_open(setup, function);
    if (*ret_status != CAPP_OK)
        return NULL;
    etcd__format(what, sizeof(what), "%s: name", function);
    *ret_status = check_type(type, function, &error);
    if (*ret_status == CAPP_OK)
        *ret_status = capp__name_set_opt(head.name, name, what, &error);
    if (*ret_status != CAPP_OK) {
        refuse(setup, &error);
        return NULL;
    }
    memcpy(head.origin, setup->origin, sizeof(head.origin));
    struct capp__entry *entry = etcd__memdup(&head, sizeof(head));
    if (entry == NULL)
        *ret_status = no_memory(setup);
    return entry;
}

static capp_status register_entry(struct capp_setup *setup, struct capp__entry *entry)
{
    capp_error error;

    if (capp__container_add(&setup->app->container, entry, &error) != CAPP_OK)
        return refuse(setup, &error);
    return CAPP_OK;
}

static capp_status missing_argument(struct capp_setup *setup, const char *text)
{
    return capp__setup_mistake(setup, CAPP_E_INVALID_ARGUMENT, text);
}

capp_status capp_publish(capp_setup *setup, const capp_type *type, const char *name, void *object)
{
    capp_status status;
    struct capp__entry *entry = new_entry(setup, "capp_publish", type, name, &status);

    if (entry == NULL)
        return status;
    if (object == NULL) {
        etcd__free(entry);
        return missing_argument(setup, "capp_publish: object is NULL");
    }
    entry->kind = CAPP__OBJECT;
    entry->object = object;
    return register_entry(setup, entry);
}

capp_status capp_provide(capp_setup *setup, const capp_type *type, const char *name, capp_provide_fn *fn,
                         void *user_data)
{
    capp_status status;
    struct capp__entry *entry = new_entry(setup, "capp_provide", type, name, &status);

    if (entry == NULL)
        return status;
    if (fn == NULL) {
        etcd__free(entry);
        return missing_argument(setup, "capp_provide: fn is NULL");
    }
    entry->kind = CAPP__PROVIDER;
    entry->provide = fn;
    entry->user_data = user_data;
    return register_entry(setup, entry);
}

capp_status capp_alias(capp_setup *setup, const capp_type *type, const char *name,
                       const capp_type *target_type, const char *target_name)
{
    capp_error error;
    capp_status status;
    struct capp__entry *entry = new_entry(setup, "capp_alias", type, name, &status);

    if (entry == NULL)
        return status;
    entry->kind = CAPP__ALIAS;
    entry->target_type = target_type;
    status = check_type(target_type, "capp_alias: target", &error);
    if (status == CAPP_OK)
        status = capp__name_set_opt(entry->target_name, target_name, "capp_alias: target_name", &error);
    if (status != CAPP_OK) {
        etcd__free(entry);
        return refuse(setup, &error);
    }
    return register_entry(setup, entry);
}

capp_status capp_require(capp_setup *setup, const capp_type *type, const char *name, void **slot)
{
    struct capp__requirement need = {.type = type, .slot = slot};
    capp_error error;
    capp_status status = check_open(setup, "capp_require");

    if (status != CAPP_OK)
        return status;
    status = check_type(type, "capp_require", &error);
    if (status == CAPP_OK)
        status = capp__name_set_opt(need.name, name, "capp_require: name", &error);
    if (status != CAPP_OK)
        return refuse(setup, &error);
    memcpy(need.origin, setup->origin, sizeof(need.origin));
    void *copy = etcd__memdup(&need, sizeof(need));
    if (copy == NULL || !capp__ptrs_push(&setup->app->requirements, copy)) {
        etcd__free(copy);
        return no_memory(setup);
    }
    return CAPP_OK;
}

static capp_status check_limits(int64_t start_ms, int64_t stop_ms, const char *what, capp_error *reterr)
{
    if (start_ms < 0 || stop_ms < 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%s: %s is negative", what,
                         start_ms < 0 ? "start_timeout_ms" : "stop_timeout_ms");
    return CAPP_OK;
}

static capp_status add_hook(struct capp_setup *setup, const capp_hook *hook)
{
    char name[CAPP__NAME_SIZE];
    capp_error error;

    const char *given = hook->name == NULL ? setup->module : hook->name;

    if (capp__name_set(name, given, "capp_add_hook: name", &error) != CAPP_OK)
        return refuse(setup, &error);
    if (check_limits(hook->start_timeout_ms, hook->stop_timeout_ms, "capp_add_hook", &error) != CAPP_OK)
        return refuse(setup, &error);
    struct capp__component *component = ETCD__NEW(struct capp__component);
    if (component == NULL || !capp__ptrs_push(&setup->app->components, component)) {
        etcd__free(component);
        return no_memory(setup);
    }
    memcpy(component->label, name, sizeof(name));
    component->self = hook->self;
    component->start = hook->start;
    component->stop = hook->stop;
    component->destroy = hook->destroy;
    component->reload = hook->reload;
    component->start_timeout_ms = hook->start_timeout_ms;
    component->stop_timeout_ms = hook->stop_timeout_ms;
    return CAPP_OK;
}

capp_status capp_add_hook(capp_setup *setup, const capp_hook *hook)
{
    capp_hook ours = {0};
    capp_error error;
    capp_status status = capp__import(&ours, sizeof(ours), hook, "capp_hook", &error);

    if (status != CAPP_OK)
        refuse(setup, &error);
    if (status == CAPP_OK)
        status = check_open(setup, "capp_add_hook");
    if (status == CAPP_OK)
        status = add_hook(setup, &ours);
    if (status != CAPP_OK && ours.destroy != NULL)
        ours.destroy(ours.self);
    return status;
}

capp_status capp_on_stopping(capp_setup *setup, capp_cancel_fn *fn, void *user_data)
{
    capp_cancel_entry *entry = NULL;
    capp_error error;
    capp_status status = check_open(setup, "capp_on_stopping");

    if (status != CAPP_OK)
        return status;
    if (fn == NULL)
        return missing_argument(setup, "capp_on_stopping: fn is NULL");
    if (capp_cancel_add(&setup->app->cancel, fn, user_data, &entry, &error) != CAPP_OK)
        return refuse(setup, &error);
    if (!capp__ptrs_push(&setup->app->on_stopping, entry)) {
        capp_cancel_remove(entry);
        return no_memory(setup);
    }
    memcpy(entry->label, setup->module, sizeof(entry->label));
    return CAPP_OK;
}

static capp_status check_row(const capp_service *service, size_t i, capp_error *reterr)
{
    const capp_inject *row = &service->inject[i];
    char name[CAPP__NAME_SIZE];

    if (row->type == NULL || row->type->name == NULL || row->field == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "service %s: inject[%zu] has no field or no type",
                         service->type->name, i);
    if (row->offset % alignof(void *) != 0 || service->object_size < sizeof(void *) ||
        row->offset > service->object_size - sizeof(void *))
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "service %s: field %s at byte %zu is no pointer inside the object of %zu bytes",
                         service->type->name, row->field, row->offset, service->object_size);
    if ((row->flags & ~CAPP_INJECT_OPTIONAL) != 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "service %s: field %s has unknown flags",
                         service->type->name, row->field);
    capp_status status = capp__name_set_opt(name, row->name, "name", reterr);
    if (status != CAPP_OK)
        capp_error_prefix(reterr, "service %s: field %s", service->type->name, row->field);
    return status;
}

static capp_status check_run(const capp_service *service, capp_error *reterr)
{
    capp_worker_opts opts;

    if (service->run == NULL && service->run_opts != NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "run_opts without run");
    return capp__worker_import(&opts, service->run_opts, "run_opts", reterr);
}

static capp_status check_service(const capp_service *service, capp_error *reterr)
{
    capp_status status = check_type(service->type, "capp_add_service", reterr);

    if (status != CAPP_OK)
        return status;
    const char *type = service->type->name;
    if (service->object_size == 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "service %s: object_size is 0", type);
    if (service->lifetime != CAPP_SINGLETON)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "service %s: lifetime must be CAPP_SINGLETON, it is %d", type,
                         (int)service->lifetime);
    if (service->make != NULL || service->unmake != NULL || service->provide_count > 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "service %s: make, unmake and provides must be zero", type);
    if (service->inject == NULL && service->inject_count > 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "service %s: inject is NULL but inject_count is %zu", type, service->inject_count);
    for (size_t i = 0; i < service->inject_count; i++) {
        status = check_row(service, i, reterr);
        if (status != CAPP_OK)
            return status;
    }
    status = check_limits(service->start_timeout_ms, service->stop_timeout_ms, "limits", reterr);
    if (status == CAPP_OK)
        status = check_run(service, reterr);
    if (status != CAPP_OK)
        capp_error_prefix(reterr, "service %s", type);
    return status;
}

capp_status capp_setup_add_service(capp_setup *setup, const capp_service *service)
{
    capp_service ours = {0};
    capp_error error;
    capp_status status = capp__import(&ours, sizeof(ours), service, "capp_service", &error);

    if (status == CAPP_OK)
        status = check_service(&ours, &error);
    if (status != CAPP_OK)
        return refuse(setup, &error);
    struct capp__entry *entry = new_entry(setup, "capp_add_service", ours.type, ours.name, &status);
    if (entry == NULL)
        return status;
    entry->kind = CAPP__SERVICE;
    entry->service = ours;
    entry->service.name = entry->name;
    return register_entry(setup, entry);
}

capp_status capp_setup_fail(capp_setup *setup, capp_status status, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list args;

    va_start(args, format);
    etcd__vformat(text, sizeof(text), format, args);
    va_end(args);
    return capp__setup_mistake(setup, status == CAPP_OK ? CAPP_E_INTERNAL : status, text);
}

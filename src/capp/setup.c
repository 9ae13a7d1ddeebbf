/* SPDX-License-Identifier: Apache-2.0 */
/* What a module, and through the builder the program, registers. */
#include "capp/module.h"

#include "base/str.h"
#include "fail.h"
#include "graph.h"
#include "host.h"
#include "setup.h"

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

/* ---- places ---------------------------------------------------------------------------------------- */

capp_setup *capp_setup_at(capp_setup *setup, const char *file, int line)
{
    const char *slash = file == NULL ? NULL : strrchr(file, '/');

    if (file != NULL)
        etcd__format(setup->place, sizeof(setup->place), "%s:%d", slash == NULL ? file : slash + 1, line);
    return setup;
}

void capp__setup_take_place(struct capp_setup *setup, char dst[CAPP__PLACE_SIZE])
{
    memcpy(dst, setup->place[0] == '\0' ? setup->added_at : setup->place, CAPP__PLACE_SIZE);
    setup->place[0] = '\0';
}

capp_status capp__setup_refuse(struct capp_setup *setup, capp_status status, const char *text)
{
    char placed[TEXT_SIZE];

    if (setup->place[0] == '\0')
        return capp__setup_mistake(setup, status, text);
    etcd__format(placed, sizeof(placed), "%s (%s)", text, setup->place);
    setup->place[0] = '\0';
    return capp__setup_mistake(setup, status, placed);
}

static capp_status refuse(struct capp_setup *setup, const capp_error *error)
{
    return capp__setup_refuse(setup, error->status, error->message);
}

capp_status capp__setup_no_memory(struct capp_setup *setup)
{
    return capp__setup_refuse(setup, CAPP_E_NO_MEMORY, "out of memory");
}

capp_status capp__setup_check_open(struct capp_setup *setup, const char *function)
{
    char text[128];

    if (setup->builder != NULL)
        return CAPP_OK;
    etcd__format(text, sizeof(text), "%s: the application is built already", function);
    return capp__setup_refuse(setup, CAPP_E_STATE, text);
}

/* ---- asking ---------------------------------------------------------------------------------------- */

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

/* ---- objects and aliases --------------------------------------------------------------------------- */

capp_status capp__type_check(const capp_type *type, const char *what, capp_error *reterr)
{
    if (type == NULL || type->name == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%s: type is NULL or has no name", what);
    return CAPP_OK;
}

struct capp__entry *capp__setup_entry(struct capp_setup *setup, const char *function, const capp_type *type,
                                      const char *name, capp_status *ret_status)
{
    struct capp__entry head = {.type = type};
    char what[96];
    capp_error error;

    *ret_status = capp__setup_check_open(setup, function);
    if (*ret_status != CAPP_OK)
        return NULL;
    etcd__format(what, sizeof(what), "%s: name", function);
    *ret_status = capp__type_check(type, function, &error);
    if (*ret_status == CAPP_OK)
        *ret_status = capp__name_set_opt(head.name, name, what, &error);
    if (*ret_status != CAPP_OK) {
        refuse(setup, &error);
        return NULL;
    }
    memcpy(head.origin, setup->origin, sizeof(head.origin));
    struct capp__entry *entry = etcd__memdup(&head, sizeof(head));
    if (entry == NULL)
        *ret_status = capp__setup_no_memory(setup);
    return entry;
}

capp_status capp__setup_register(struct capp_setup *setup, struct capp__entry *entry)
{
    capp_error error;

    if (entry->place[0] == '\0')
        capp__setup_take_place(setup, entry->place);
    if (capp__container_add(&setup->app->container, entry, &error) != CAPP_OK)
        return refuse(setup, &error);
    return CAPP_OK;
}

static capp_status missing_argument(struct capp_setup *setup, const char *text)
{
    return capp__setup_refuse(setup, CAPP_E_INVALID_ARGUMENT, text);
}

capp_status capp_publish(capp_setup *setup, const capp_type *type, const char *name, void *object)
{
    capp_status status;
    struct capp__entry *entry = capp__setup_entry(setup, "capp_publish", type, name, &status);

    if (entry == NULL)
        return status;
    if (object == NULL) {
        etcd__free(entry);
        return missing_argument(setup, "capp_publish: object is NULL");
    }
    entry->kind = CAPP__OBJECT;
    entry->object = object;
    return capp__setup_register(setup, entry);
}

capp_status capp_provide(capp_setup *setup, const capp_type *type, const char *name, capp_provide_fn *fn,
                         void *user_data)
{
    capp_status status;
    struct capp__entry *entry = capp__setup_entry(setup, "capp_provide", type, name, &status);

    if (entry == NULL)
        return status;
    if (fn == NULL) {
        etcd__free(entry);
        return missing_argument(setup, "capp_provide: fn is NULL");
    }
    entry->kind = CAPP__PROVIDER;
    entry->provide = fn;
    entry->user_data = user_data;
    return capp__setup_register(setup, entry);
}

capp_status capp_alias(capp_setup *setup, const capp_type *type, const char *name,
                       const capp_type *target_type, const char *target_name)
{
    capp_error error;
    capp_status status;
    struct capp__entry *entry = capp__setup_entry(setup, "capp_alias", type, name, &status);

    if (entry == NULL)
        return status;
    entry->kind = CAPP__ALIAS;
    entry->target_type = target_type;
    status = capp__type_check(target_type, "capp_alias: target", &error);
    if (status == CAPP_OK)
        status = capp__name_set_opt(entry->target_name, target_name, "capp_alias: target_name", &error);
    if (status != CAPP_OK) {
        etcd__free(entry);
        return refuse(setup, &error);
    }
    return capp__setup_register(setup, entry);
}

capp_status capp_require(capp_setup *setup, const capp_type *type, const char *name, void **slot)
{
    struct capp__requirement need = {.type = type, .slot = slot};
    capp_error error;
    capp_status status = capp__setup_check_open(setup, "capp_require");

    if (status != CAPP_OK)
        return status;
    status = capp__type_check(type, "capp_require", &error);
    if (status == CAPP_OK)
        status = capp__name_set_opt(need.name, name, "capp_require: name", &error);
    if (status != CAPP_OK)
        return refuse(setup, &error);
    memcpy(need.origin, setup->origin, sizeof(need.origin));
    capp__setup_take_place(setup, need.place);
    void *copy = etcd__memdup(&need, sizeof(need));
    if (copy == NULL || !capp__ptrs_push(&setup->app->requirements, copy)) {
        etcd__free(copy);
        return capp__setup_no_memory(setup);
    }
    return CAPP_OK;
}

capp_status capp__limits_check(int64_t start_ms, int64_t stop_ms, const char *what, capp_error *reterr)
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
    if (capp__limits_check(hook->start_timeout_ms, hook->stop_timeout_ms, "capp_add_hook", &error) != CAPP_OK)
        return refuse(setup, &error);
    struct capp__component *component = ETCD__NEW(struct capp__component);
    if (component == NULL || !capp__ptrs_push(&setup->app->components, component)) {
        etcd__free(component);
        return capp__setup_no_memory(setup);
    }
    memcpy(component->label, name, sizeof(name));
    capp__setup_take_place(setup, component->place);
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
        status = capp__setup_check_open(setup, "capp_add_hook");
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
    capp_status status = capp__setup_check_open(setup, "capp_on_stopping");

    if (status != CAPP_OK)
        return status;
    if (fn == NULL)
        return missing_argument(setup, "capp_on_stopping: fn is NULL");
    if (capp_cancel_add(&setup->app->cancel, fn, user_data, &entry, &error) != CAPP_OK)
        return refuse(setup, &error);
    if (!capp__ptrs_push(&setup->app->on_stopping, entry)) {
        capp_cancel_remove(entry);
        return capp__setup_no_memory(setup);
    }
    memcpy(entry->label, setup->module, sizeof(entry->label));
    setup->place[0] = '\0';
    return CAPP_OK;
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

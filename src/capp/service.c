/* SPDX-License-Identifier: Apache-2.0 */
/* The description of a service: whether it is sound, and how it gets into the container. */
#include "capp/service.h"

#include "base/str.h"
#include "fail.h"
#include "setup.h"

#include <stdalign.h>
#include <string.h>

/* ---- checks ---------------------------------------------------------------------------------------- */

static capp_status bad(const capp_service *service, capp_error *reterr, const char *text)
{
    return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "service %s: %s", service->type->name, text);
}

static capp_status check_name(const capp_service *service, const char *what, const char *which,
                              const char *given, capp_error *reterr)
{
    char name[CAPP__NAME_SIZE];
    capp_status status = capp__name_set_opt(name, given, "name", reterr);

    if (status != CAPP_OK)
        capp_error_prefix(reterr, "service %s: %s %s", service->type->name, what, which);
    return status;
}

static capp_status check_flags(const capp_service *service, const capp_inject *row, capp_error *reterr)
{
    const uint32_t known = CAPP_INJECT_OPTIONAL | CAPP_INJECT_ALL | CAPP_INJECT_CURRENT;

    if ((row->flags & ~known) != 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "service %s: field %s has unknown flags",
                         service->type->name, row->field);
    if ((row->flags & CAPP_INJECT_ALL) != 0 && (row->flags != CAPP_INJECT_ALL || row->name != NULL))
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "service %s: field %s is a list of all: it has no name and is never missing",
                         service->type->name, row->field);
    if ((row->flags & CAPP_INJECT_CURRENT) != 0 && row->name != NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "service %s: field %s is a monitor: options have no name", service->type->name,
                         row->field);
    return CAPP_OK;
}

static capp_status check_row(const capp_service *service, size_t i, capp_error *reterr)
{
    const capp_inject *row = &service->inject[i];

    if (row->type == NULL || row->type->name == NULL || row->field == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "service %s: inject[%zu] has no field or no type",
                         service->type->name, i);
    if (row->offset % alignof(void *) != 0 || service->object_size < sizeof(void *) ||
        row->offset > service->object_size - sizeof(void *))
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "service %s: field %s at byte %zu is no pointer inside the object of %zu bytes",
                         service->type->name, row->field, row->offset, service->object_size);
    capp_status status = check_flags(service, row, reterr);
    return status == CAPP_OK ? check_name(service, "field", row->field, row->name, reterr) : status;
}

static capp_status check_provided(const capp_service *service, size_t i, capp_error *reterr)
{
    const capp_provided *row = &service->provides[i];

    if (row->type == NULL || row->type->name == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "service %s: provides[%zu] has no type",
                         service->type->name, i);
    if (row->flags != 0 || row->reserved != 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "service %s: interface %s has unknown flags",
                         service->type->name, row->type->name);
    /* What a factory function makes, the host does not know the size of. */
    if (service->make == NULL && row->offset >= service->object_size)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "service %s: interface %s at byte %zu is outside of the object of %zu bytes",
                         service->type->name, row->type->name, row->offset, service->object_size);
    return check_name(service, "interface", row->type->name, row->name, reterr);
}

static capp_status check_tables(const capp_service *service, capp_error *reterr)
{
    const char *type = service->type->name;
    capp_status status = CAPP_OK;

    if (service->inject == NULL && service->inject_count > 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "service %s: inject is NULL but inject_count is %zu", type, service->inject_count);
    if (service->provides == NULL && service->provide_count > 0)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                         "service %s: provides is NULL but provide_count is %zu", type,
                         service->provide_count);
    for (size_t i = 0; i < service->inject_count && status == CAPP_OK; i++)
        status = check_row(service, i, reterr);
    for (size_t i = 0; i < service->provide_count && status == CAPP_OK; i++)
        status = check_provided(service, i, reterr);
    return status;
}

static capp_status check_run(const capp_service *service, capp_error *reterr)
{
    capp_worker_opts opts;

    if (service->run == NULL && service->run_opts != NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "run_opts without run");
    return capp__worker_import(&opts, service->run_opts, "run_opts", reterr);
}

static capp_status check_functions(const capp_service *service, capp_error *reterr)
{
    if (service->make != NULL && (service->init != NULL || service->fini != NULL))
        return bad(service, reterr,
                   "init and fini go with an object of the host's, make and unmake stand for them");
    if (service->make == NULL && service->unmake != NULL)
        return bad(service, reterr, "unmake needs make");
    if (service->lifetime == CAPP_SINGLETON)
        return CAPP_OK;
    if (service->start != NULL || service->stop != NULL || service->run != NULL)
        return bad(service, reterr, "only a singleton can have start, stop or run");
    if (service->reload != NULL || service->health != NULL)
        return bad(service, reterr, "only a singleton can have reload or health");
    return CAPP_OK;
}

static capp_status check_service(const capp_service *service, capp_error *reterr)
{
    capp_status status = capp__type_check(service->type, "capp_add_service", reterr);

    if (status != CAPP_OK)
        return status;
    if (service->object_size == 0 && service->make == NULL)
        return bad(service, reterr, "object_size is 0");
    if ((int)service->lifetime < CAPP_SINGLETON || service->lifetime > CAPP_TRANSIENT)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "service %s: lifetime is %d", service->type->name,
                         (int)service->lifetime);
    status = check_functions(service, reterr);
    if (status == CAPP_OK)
        status = check_tables(service, reterr);
    if (status != CAPP_OK)
        return status;
    status = capp__limits_check(service->start_timeout_ms, service->stop_timeout_ms, "limits", reterr);
    if (status == CAPP_OK)
        status = check_run(service, reterr);
    if (status != CAPP_OK)
        capp_error_prefix(reterr, "service %s", service->type->name);
    return status;
}

/* ---- registration ---------------------------------------------------------------------------------- */

static capp_status add_interface(struct capp_setup *setup, struct capp__entry *service,
                                 const capp_provided *row)
{
    capp_status status;
    struct capp__entry *entry = capp__setup_entry(
        setup, "capp_add_service", row->type, row->name == NULL ? service->service.name : row->name, &status);

    if (entry == NULL)
        return status;
    entry->kind = CAPP__INTERFACE;
    entry->target = service;
    entry->offset = row->offset;
    memcpy(entry->place, service->place, sizeof(entry->place));
    return capp__setup_register(setup, entry);
}

capp_status capp_setup_add_service(capp_setup *setup, const capp_service *service)
{
    capp_service ours = {0};
    capp_error error;
    capp_status status = capp__import(&ours, sizeof(ours), service, "capp_service", &error);

    if (status == CAPP_OK)
        status = check_service(&ours, &error);
    if (status != CAPP_OK)
        return capp__setup_refuse(setup, status, error.message);
    struct capp__entry *entry = capp__setup_entry(setup, "capp_add_service", ours.type, ours.name, &status);
    if (entry == NULL)
        return status;
    entry->kind = CAPP__SERVICE;
    entry->service = ours;
    entry->service.name = entry->name[0] == '\0' ? NULL : entry->name;
    status = capp__setup_register(setup, entry);
    for (size_t i = 0; i < ours.provide_count && status == CAPP_OK; i++)
        status = add_interface(setup, entry, &ours.provides[i]);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object is made by filling its fields row by row. Where a row asks for something that has to be made
 * first, that one is put on top of those that are being made and the row is taken again
 * when it is there: the depth of a graph costs no stack.
 *
 * An `init` may ask its scope for more, which comes back here. Only that way can a service come up that is
 * being made already: the graph itself has no circle.
 */
#include "make.h"

#include "base/str.h"
#include "config.h"
#include "fail.h"
#include "graph.h"
#include "scope.h"

#include <assert.h>
#include <string.h>

void *capp__keeper_find(const struct capp__keeper *keeper, struct capp__entry *entry)
{
    struct capp__entry *behind = capp__entry_behind(entry), *service = capp__entry_service(entry);

    if (behind == NULL)
        return NULL;
    if (behind->kind == CAPP__SCOPE)
        return keeper->scope;
    if (behind->options != NULL && keeper->scope != NULL)
        return capp__scope_options(keeper->scope, behind->options);
    if (service == NULL || service->service.lifetime == CAPP_SINGLETON)
        return capp__entry_object(behind);
    if (service->service.lifetime == CAPP_TRANSIENT || keeper->slots == NULL ||
        keeper->slots[service->slot] == NULL)
        return NULL;
    return capp__entry_part(behind, keeper->slots[service->slot]->object);
}

/* ---- ending ---------------------------------------------------------------------------------------- */

/* Nobody finds the object any more. */
static void forget(struct capp__keeper *keeper, const struct capp__instance *instance)
{
    if (instance->entry->service.lifetime == CAPP_SINGLETON)
        instance->entry->object = NULL;
    else if (instance->entry->service.lifetime == CAPP_SCOPED)
        keeper->slots[instance->entry->slot] = NULL;
}

static void end(struct capp__instance *instance)
{
    const capp_service *service = &instance->entry->service;

    if (service->unmake != NULL)
        service->unmake(service->object_size == 0 ? NULL : instance->memory, instance->object);
    else if (service->fini != NULL)
        service->fini(instance->object);
    etcd__free(instance);
}

static void end_until(struct capp__keeper *keeper, const struct capp__instance *last)
{
    const bool ending = keeper->ending;

    keeper->ending = true;
    while (keeper->made != last) {
        struct capp__instance *instance = keeper->made;

        keeper->made = instance->below;
        forget(keeper, instance);
        end(instance);
    }
    keeper->ending = ending;
}

void capp__keeper_end(struct capp__keeper *keeper)
{
    end_until(keeper, NULL);
}

/* ---- making ---------------------------------------------------------------------------------------- */

/* An `init` that asks for what is being made would never see an end of it. */
static capp_status check_not_in_making(const struct capp__keeper *keeper, const struct capp__entry *service,
                                       capp_error *reterr)
{
    char what[256];

    for (const struct capp__instance *each = keeper->making; keeper->depth > 1 && each != NULL;
         each = each->below) {
        if (each->entry == service)
            return capp_fail(reterr, CAPP_E_CYCLE, "%s is being made, and asks for itself",
                             capp__describe_entry(what, sizeof(what), service));
    }
    return CAPP_OK;
}

static capp_status begin(struct capp__keeper *keeper, struct capp__entry *service, capp_error *reterr)
{
    struct capp__instance *instance;
    capp_status status = check_not_in_making(keeper, service, reterr);

    if (status != CAPP_OK)
        return status;
    instance = etcd__calloc(1, sizeof(*instance) + service->service.object_size);
    if (instance == NULL)
        return capp__fail_memory(reterr);
    instance->entry = service;
    instance->below = keeper->making;
    keeper->making = instance;
    return CAPP_OK;
}

static void fill(struct capp__instance *instance, const capp_inject *row, void *value)
{
    memcpy(instance->memory + row->offset, &value, sizeof(value));
    instance->next_row++;
}

/* Fills the next field of the innermost one, or begins with what it needs for that. */
static capp_status take_row(struct capp__keeper *keeper, struct capp__instance *instance, capp_error *reterr)
{
    const capp_inject *row = &instance->entry->service.inject[instance->next_row];
    struct capp__entry *target;
    void *object;

    if ((row->flags & CAPP_INJECT_ALL) != 0) {
        fill(instance, row, capp__container_list(keeper->container, row->type));
        return CAPP_OK;
    }
    target = capp__graph_follow(keeper->container, row);
    if ((row->flags & CAPP_INJECT_CURRENT) != 0) {
        fill(instance, row, target == NULL ? NULL : capp__binding_monitor(target->options));
        return CAPP_OK;
    }
    object = target == NULL ? NULL : capp__keeper_find(keeper, target);
    if (keeper->fresh != NULL)
        object = capp__entry_part(target, keeper->fresh->object);
    keeper->fresh = NULL;
    if (object == NULL && target != NULL)
        return begin(keeper, capp__entry_service(target), reterr);
    assert(object != NULL || (row->flags & CAPP_INJECT_OPTIONAL) != 0);
    fill(instance, row, object);
    return CAPP_OK;
}

/* All fields are filled: the service's own part. */
static capp_status call(struct capp__instance *instance, capp_error *reterr)
{
    const capp_service *service = &instance->entry->service;
    void *memory = service->object_size == 0 ? NULL : instance->memory;
    capp_status status = CAPP_OK;
    capp_error error = {0};
    char what[256];

    if (service->make == NULL) {
        instance->object = memory;
        status = service->init == NULL ? CAPP_OK : service->init(memory, &error);
    } else {
        status = service->make(memory, &instance->object, &error);
        if (status == CAPP_OK && instance->object == NULL)
            status = capp_fail(&error, CAPP_E_INTERNAL, "it made nothing");
    }
    if (status == CAPP_OK)
        return CAPP_OK;
    capp__error_settle(&error, status);
    capp_error_prefix(&error, "%s of %s", service->make == NULL ? "init" : "make",
                      capp__describe(what, sizeof(what), instance->entry->type, instance->entry->name));
    capp__error_copy(reterr, &error);
    return status;
}

static capp_status finish(struct capp__keeper *keeper, struct capp__instance *instance, capp_error *reterr)
{
    capp_status status = call(instance, reterr);

    if (status != CAPP_OK)
        return status;
    keeper->making = instance->below;
    instance->below = keeper->made;
    keeper->made = instance;
    keeper->fresh = instance;
    if (instance->entry->service.lifetime == CAPP_SINGLETON)
        instance->entry->object = instance->object;
    else if (instance->entry->service.lifetime == CAPP_SCOPED)
        keeper->slots[instance->entry->slot] = instance;
    return CAPP_OK;
}

capp_status capp__keeper_make(struct capp__keeper *keeper, struct capp__entry *service, void **ret_object,
                              capp_error *reterr)
{
    struct capp__instance *const outer = keeper->making, *const before = keeper->made;
    capp_status status;

    keeper->depth++;
    status = begin(keeper, service, reterr);
    while (status == CAPP_OK && keeper->making != outer) {
        struct capp__instance *instance = keeper->making;

        if (instance->next_row < instance->entry->service.inject_count)
            status = take_row(keeper, instance, reterr);
        else
            status = finish(keeper, instance, reterr);
    }
    if (status == CAPP_OK)
        *ret_object = keeper->fresh->object;
    keeper->fresh = NULL;
    while (keeper->making != outer) {
        struct capp__instance *instance = keeper->making;

        keeper->making = instance->below;
        etcd__free(instance);
    }
    if (status != CAPP_OK)
        end_until(keeper, before);
    keeper->depth--;
    return status;
}

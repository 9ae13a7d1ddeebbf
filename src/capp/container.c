/* SPDX-License-Identifier: Apache-2.0 */
#include "container.h"

#include "base/str.h"
#include "fail.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WHO_SIZE = CAPP__ORIGIN_SIZE + CAPP__PLACE_SIZE + 4 };

static struct capp__entry *entry_at(const struct capp__container *container, size_t i)
{
    return container->entries.items[i];
}

void capp__container_deinit(struct capp__container *container)
{
    for (size_t i = 0; i < container->entries.count; i++)
        etcd__free(container->entries.items[i]);
    capp__ptrs_deinit(&container->entries);
    for (size_t i = 0; i < container->lists.count; i++) {
        struct capp__all *list = container->lists.items[i];

        etcd__free(list->objects);
        etcd__free(list);
    }
    capp__ptrs_deinit(&container->lists);
    etcd__free(container->index);
    container->index = NULL;
}

/* An order of (type, name) that is only good for finding; addresses of types mean nothing else. */
static int compare_key(const struct capp__entry *entry, const capp_type *type, const char *name)
{
    uintptr_t a = (uintptr_t)entry->type, b = (uintptr_t)type;

    if (a != b)
        return a < b ? -1 : 1;
    return strcmp(entry->name, name);
}

static int compare_entries(const void *a, const void *b)
{
    const struct capp__entry *const *left = a, *const *right = b;

    return compare_key(*left, (*right)->type, (*right)->name);
}

static struct capp__entry *find_slow(const struct capp__container *container, const capp_type *type,
                                     const char *name)
{
    for (size_t i = 0; i < container->entries.count; i++) {
        if (compare_key(entry_at(container, i), type, name) == 0)
            return entry_at(container, i);
    }
    return NULL;
}

struct capp__entry *capp__container_find(const struct capp__container *container, const capp_type *type,
                                         const char *name)
{
    size_t low = 0, high = container->entries.count;

    if (name == NULL)
        name = "";
    if (container->index == NULL)
        return find_slow(container, type, name);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_key(container->index[middle], type, name);

        if (order == 0)
            return container->index[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* "by the program (main.c:31)". */
static char *who_registered(char *dst, size_t size, const struct capp__entry *entry)
{
    size_t len = etcd__format(dst, size, "%s", entry->origin[0] == '\0' ? "the program" : entry->origin);

    if (entry->place[0] != '\0')
        etcd__format(dst + len, size - len, " (%s)", entry->place);
    return dst;
}

capp_status capp__container_add(struct capp__container *container, struct capp__entry *entry,
                                capp_error *reterr)
{
    char what[256], first[WHO_SIZE], second[WHO_SIZE];
    capp_status status = CAPP_OK;
    const struct capp__entry *other = capp__container_find(container, entry->type, entry->name);

    assert(container->index == NULL);
    if (other != NULL)
        status = capp_fail(reterr, CAPP_E_DUPLICATE, "%s is registered twice, by %s and by %s",
                           capp__describe(what, sizeof(what), entry->type, entry->name),
                           who_registered(first, sizeof(first), other),
                           who_registered(second, sizeof(second), entry));
    else if (!capp__ptrs_push(&container->entries, entry))
        status = capp__fail_memory(reterr);
    if (status != CAPP_OK)
        etcd__free(entry);
    return status;
}

/* Room for all objects of a type, if no other row has asked for it. */
static bool prepare_list(struct capp__container *container, const capp_type *type)
{
    struct capp__all *list;

    for (size_t i = 0; i < container->lists.count; i++) {
        if (((const struct capp__all *)container->lists.items[i])->type == type)
            return true;
    }
    list = ETCD__NEW(struct capp__all);
    if (list == NULL || !capp__ptrs_push(&container->lists, list)) {
        etcd__free(list);
        return false;
    }
    list->type = type;
    for (size_t i = 0; i < container->entries.count; i++)
        list->room += entry_at(container, i)->type == type;
    list->objects = etcd__calloc(list->room + 1, sizeof(*list->objects));
    return list->objects != NULL;
}

static bool prepare_lists(struct capp__container *container, const capp_service *service)
{
    for (size_t i = 0; i < service->inject_count; i++) {
        if ((service->inject[i].flags & CAPP_INJECT_ALL) != 0 &&
            !prepare_list(container, service->inject[i].type))
            return false;
    }
    return true;
}

bool capp__container_seal(struct capp__container *container)
{
    const size_t count = container->entries.count;

    container->index = etcd__calloc(count + 1, sizeof(*container->index));
    if (container->index == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct capp__entry *entry = entry_at(container, i);

        container->index[i] = entry;
        if (entry->kind != CAPP__SERVICE)
            continue;
        if (entry->service.lifetime == CAPP_SCOPED)
            entry->slot = container->scoped_count++;
        if (!prepare_lists(container, &entry->service))
            return false;
    }
    qsort(container->index, count, sizeof(*container->index), compare_entries);
    return true;
}

struct capp__entry *capp__entry_behind(struct capp__entry *entry)
{
    return entry->kind == CAPP__ALIAS ? entry->target : entry;
}

struct capp__entry *capp__entry_service(struct capp__entry *entry)
{
    struct capp__entry *behind = capp__entry_behind(entry);

    if (behind != NULL && behind->kind == CAPP__INTERFACE)
        behind = behind->target;
    return behind != NULL && behind->kind == CAPP__SERVICE ? behind : NULL;
}

capp_lifetime capp__entry_lifetime(struct capp__entry *entry)
{
    const struct capp__entry *behind = capp__entry_behind(entry), *service = capp__entry_service(entry);

    if (behind != NULL && behind->kind == CAPP__SCOPE)
        return CAPP_SCOPED;
    return service == NULL ? CAPP_SINGLETON : service->service.lifetime;
}

const char *capp__lifetime_name(capp_lifetime lifetime)
{
    return lifetime == CAPP_SCOPED ? "scoped" : lifetime == CAPP_TRANSIENT ? "transient" : "singleton";
}

void *capp__entry_part(struct capp__entry *entry, void *object)
{
    const struct capp__entry *behind = capp__entry_behind(entry);

    return behind->kind == CAPP__INTERFACE ? (char *)object + behind->offset : object;
}

void *capp__entry_object(struct capp__entry *entry)
{
    const struct capp__entry *behind = capp__entry_behind(entry), *service = capp__entry_service(entry);

    if (behind == NULL)
        return NULL;
    if (service == NULL)
        return behind->object;
    return service->object == NULL ? NULL : capp__entry_part(entry, service->object);
}

struct capp__entry *capp__container_next(const struct capp__container *container, const capp_type *type,
                                         size_t *next)
{
    while (*next < container->entries.count) {
        struct capp__entry *entry = entry_at(container, (*next)++);

        if (entry->type == type && capp__entry_behind(entry) != NULL &&
            capp__entry_lifetime(entry) == CAPP_SINGLETON)
            return entry;
    }
    return NULL;
}

/* Whether one of the first `end` entries has this object too. */
static bool came_before(const struct capp__container *container, const capp_type *type, size_t end,
                        const void *object)
{
    struct capp__entry *entry;

    for (size_t next = 0; (entry = capp__container_next(container, type, &next)) != NULL && next <= end;) {
        if (capp__entry_object(entry) == object)
            return true;
    }
    return false;
}

size_t capp__container_objects(const struct capp__container *container, const capp_type *type, void **objects,
                               size_t room)
{
    struct capp__entry *entry;
    size_t count = 0;

    for (size_t next = 0; (entry = capp__container_next(container, type, &next)) != NULL;) {
        void *object = capp__entry_object(entry);

        if (object == NULL || came_before(container, type, next - 1, object))
            continue;
        if (count < room)
            objects[count] = object;
        count++;
    }
    return count;
}

void **capp__container_list(const struct capp__container *container, const capp_type *type)
{
    for (size_t i = 0; i < container->lists.count; i++) {
        const struct capp__all *list = container->lists.items[i];

        if (list->type != type)
            continue;
        /* Once an element exists, all do: they were made before the first who asks. */
        if (list->objects[0] == NULL)
            capp__container_objects(container, type, list->objects, list->room);
        return list->objects;
    }
    return NULL;
}

char *capp__describe(char *dst, size_t size, const capp_type *type, const char *name)
{
    if (name == NULL || name[0] == '\0')
        etcd__format(dst, size, "%s", type->name);
    else
        etcd__format(dst, size, "%s '%s'", type->name, name);
    return dst;
}

char *capp__describe_entry(char *dst, size_t size, const struct capp__entry *entry)
{
    capp__describe(dst, size, entry->type, entry->name);
    if (entry->place[0] != '\0') {
        size_t len = strlen(dst);

        etcd__format(dst + len, size - len, " (%s)", entry->place);
    }
    return dst;
}

char *capp__container_alternatives(const struct capp__container *container, char *dst, size_t size,
                                   const capp_type *type, const char *name)
{
    const char *separator = "registered: ";
    size_t len = 0;

    for (size_t i = 0; i < container->entries.count; i++) {
        const struct capp__entry *entry = entry_at(container, i);

        if (entry->type != type)
            continue;
        if (entry->name[0] == '\0')
            len += etcd__format(dst + len, size - len, "%sthe unnamed one", separator);
        else
            len += etcd__format(dst + len, size - len, "%s'%s'", separator, entry->name);
        separator = ", ";
    }
    if (len == 0)
        etcd__format(dst, size, "none is registered");
    else if (name == NULL || name[0] == '\0')
        etcd__format(dst + len, size - len, "; ask for one of them by name");
    return dst;
}

capp_status capp__fail_not_found(const struct capp__container *container, const capp_type *type,
                                 const char *name, capp_error *reterr)
{
    char what[256], others[256];

    return capp_fail(reterr, CAPP_E_NOT_FOUND, "there is no %s%s; %s", name == NULL ? "unnamed " : "",
                     capp__describe(what, sizeof(what), type, name),
                     capp__container_alternatives(container, others, sizeof(others), type, name));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "container.h"

#include "base/str.h"
#include "fail.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct capp__entry *entry_at(const struct capp__container *container, size_t i)
{
    return container->entries.items[i];
}

void capp__container_deinit(struct capp__container *container)
{
    for (size_t i = 0; i < container->entries.count; i++)
        etcd__free(container->entries.items[i]);
    capp__ptrs_deinit(&container->entries);
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

static const char *origin_of(const struct capp__entry *entry)
{
    return entry->origin[0] == '\0' ? "the program" : entry->origin;
}

capp_status capp__container_add(struct capp__container *container, struct capp__entry *entry,
                                capp_error *reterr)
{
    char what[256];
    capp_status status = CAPP_OK;
    const struct capp__entry *other = capp__container_find(container, entry->type, entry->name);

    assert(container->index == NULL);
    if (other != NULL)
        status = capp_fail(reterr, CAPP_E_DUPLICATE, "%s is registered twice, by %s and by %s",
                           capp__describe(what, sizeof(what), entry->type, entry->name), origin_of(other),
                           origin_of(entry));
    else if (!capp__ptrs_push(&container->entries, entry))
        status = capp__fail_memory(reterr);
    if (status != CAPP_OK)
        etcd__free(entry);
    return status;
}

bool capp__container_seal(struct capp__container *container)
{
    const size_t count = container->entries.count;

    container->index = etcd__calloc(count + 1, sizeof(*container->index));
    if (container->index == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        container->index[i] = entry_at(container, i);
    qsort(container->index, count, sizeof(*container->index), compare_entries);
    return true;
}

struct capp__entry *capp__entry_behind(struct capp__entry *entry)
{
    return entry->kind == CAPP__ALIAS ? entry->target : entry;
}

char *capp__describe(char *dst, size_t size, const capp_type *type, const char *name)
{
    if (name == NULL || name[0] == '\0')
        etcd__format(dst, size, "%s", type->name);
    else
        etcd__format(dst, size, "%s '%s'", type->name, name);
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

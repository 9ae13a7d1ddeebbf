/* SPDX-License-Identifier: Apache-2.0 */
#include "ptrs.h"

#include "base/mem.h"

bool capp__ptrs_push(struct capp__ptrs *ptrs, void *item)
{
    if (ptrs->count == ptrs->capacity) {
        size_t capacity = ptrs->capacity == 0 ? 8 : ptrs->capacity * 2;
        void **items = etcd__realloc(ptrs->items, capacity * sizeof(*items));

        if (items == NULL)
            return false;
        ptrs->items = items;
        ptrs->capacity = capacity;
    }
    ptrs->items[ptrs->count++] = item;
    return true;
}

void capp__ptrs_deinit(struct capp__ptrs *ptrs)
{
    etcd__free(ptrs->items);
    ptrs->items = NULL;
    ptrs->count = ptrs->capacity = 0;
}

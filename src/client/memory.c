/* SPDX-License-Identifier: Apache-2.0 */
#include "etcdc/memory.h"

#include "base/error.h"
#include "base/mem.h"

static const char *missing(const etcd_allocator *allocator)
{
    if (allocator->malloc_fn == NULL)
        return "malloc_fn";
    if (allocator->realloc_fn == NULL)
        return "realloc_fn";
    return allocator->free_fn == NULL ? "free_fn" : NULL;
}

etcd_status etcd_set_allocator(const etcd_allocator *allocator, etcd_error *reterr)
{
    etcd_allocator own = ETCD_ALLOCATOR_INIT;
    etcd_status st;

    if (allocator == NULL) {
        etcd__mem_use(NULL);
        return ETCD_OK;
    }
    st = etcd__opts_import(&own, sizeof(own), allocator, "allocator", reterr);
    if (st != ETCD_OK)
        return st;
    if (missing(&own) != NULL)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "allocator: %s is NULL", missing(&own));
    etcd__mem_use(&(const struct etcd__mem_source){
        .malloc_fn = own.malloc_fn,
        .realloc_fn = own.realloc_fn,
        .free_fn = own.free_fn,
        .user_data = own.user_data,
    });
    return ETCD_OK;
}

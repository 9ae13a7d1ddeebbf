/* SPDX-License-Identifier: Apache-2.0 */
/* A growing array of pointers, which it does not own. Zeroed memory is an empty one. */
#ifndef CAPP__PTRS_H
#define CAPP__PTRS_H

#include <stdbool.h>
#include <stddef.h>

struct capp__ptrs {
    void **items;
    size_t count, capacity;
};

/* False when out of memory; the array is unchanged then. */
bool capp__ptrs_push(struct capp__ptrs *ptrs, void *item);
void capp__ptrs_deinit(struct capp__ptrs *ptrs);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bump allocator: many small allocations, one free. One arena holds one
 * result of a call, so a range of 10,000 keys costs a handful of mallocs.
 */
#ifndef ETCD__BASE_ARENA_H
#define ETCD__BASE_ARENA_H

#include "base/mem.h"

struct etcd__arena_block;

/* Zeroed memory is an empty arena. */
struct etcd__arena {
    struct etcd__arena_block *blocks; /* the newest first */
    size_t next_size;                 /* of the next block; doubles up to a limit */
};

/* Chooses the size of the first block, when the caller knows about how much is to come. */
void etcd__arena_init(struct etcd__arena *arena, size_t first_block);
void etcd__arena_deinit(struct etcd__arena *arena);
/* Aligned for any type; NULL when out of memory. Zero bytes give a valid pointer. Not zeroed. */
void *etcd__arena_alloc(struct etcd__arena *arena, size_t size);
/* Zeroed; NULL when out of memory or when count * size overflows. */
void *etcd__arena_calloc(struct etcd__arena *arena, size_t count, size_t size);
/* Copies `len` bytes and adds a NUL after them. */
void *etcd__arena_memdup(struct etcd__arena *arena, const void *data, size_t len);

#endif

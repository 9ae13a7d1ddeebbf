/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bump allocator: many small allocations, one free. One arena holds one
 * result of a call, so a range of 10,000 keys costs a handful of mallocs.
 */
#ifndef ETCD__BASE_ARENA_H
#define ETCD__BASE_ARENA_H

#include "base/mem.h"

#include <stdint.h>

enum {
    ETCD__ARENA_ALIGN = 8,          /* enough for every type that the library uses */
    ETCD__ARENA_BLOCK_MAX = 262144, /* where blocks stop doubling */
};

struct etcd__arena_block;

/* Zeroed memory is an empty arena. */
struct etcd__arena {
    char *pos, *end;                  /* what is left of the newest shared block */
    struct etcd__arena_block *blocks; /* the newest first */
    size_t next_size;                 /* of the next block; doubles up to a limit */
    size_t size;                      /* of all blocks together */
    void *adopted;                    /* memory of somebody else's making that goes with it */
};

/* Chooses the size of the first block, when the caller knows about how much is to come. */
void etcd__arena_init(struct etcd__arena *arena, size_t first_block);
void etcd__arena_deinit(struct etcd__arena *arena);
/* Aligned to ETCD__ARENA_ALIGN; NULL when out of memory. Zero bytes give a valid pointer. Not zeroed. */
static inline void *etcd__arena_alloc(struct etcd__arena *arena, size_t size);
/* Zeroed; NULL when out of memory or when count * size overflows. */
void *etcd__arena_calloc(struct etcd__arena *arena, size_t count, size_t size);
/* Copies `len` bytes and adds a NUL after them. */
void *etcd__arena_memdup(struct etcd__arena *arena, const void *data, size_t len);
/* Takes over memory from etcd__malloc(), one piece at most, and frees it with the rest. */
void etcd__arena_adopt(struct etcd__arena *arena, void *memory);
/*
 * Gives one allocation back early, if it was so large that it got a block of its
 * own; does nothing otherwise. For large scratch memory; never necessary.
 */
void etcd__arena_release(struct etcd__arena *arena, void *ptr);

/* The way out of the inline one when the current block has no room. */
void *etcd__arena_alloc_slow(struct etcd__arena *arena, size_t size);

static inline void *etcd__arena_alloc(struct etcd__arena *arena, size_t size)
{
    size_t left = (size_t)(arena->end - arena->pos); /* a multiple of the alignment */
    char *at = arena->pos;

    if (size > left || at == NULL)
        return etcd__arena_alloc_slow(arena, size);
    arena->pos += (size + ETCD__ARENA_ALIGN - 1) & ~(size_t)(ETCD__ARENA_ALIGN - 1);
    return at;
}

#endif

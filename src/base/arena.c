/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <assert.h>
#include <string.h>

enum { BLOCK_MIN = 1024 };

struct etcd__arena_block {
    struct etcd__arena_block *next;
    bool shared; /* false: holds a single large allocation */
    _Alignas(ETCD__ARENA_ALIGN) char data[];
};

static size_t round_up(size_t size)
{
    return (size + ETCD__ARENA_ALIGN - 1) & ~(size_t)(ETCD__ARENA_ALIGN - 1);
}

void etcd__arena_init(struct etcd__arena *arena, size_t first_block)
{
    if (first_block > ETCD__ARENA_BLOCK_MAX)
        first_block = ETCD__ARENA_BLOCK_MAX;
    *arena = (struct etcd__arena){.next_size = first_block};
}

void etcd__arena_deinit(struct etcd__arena *arena)
{
    struct etcd__arena_block *block = arena->blocks;

    while (block != NULL) {
        struct etcd__arena_block *next = block->next;

        etcd__free(block);
        block = next;
    }
    etcd__free(arena->adopted);
    *arena = (struct etcd__arena){0};
}

static struct etcd__arena_block *add_block(struct etcd__arena *arena, size_t size, bool shared)
{
    struct etcd__arena_block *block = etcd__malloc(sizeof(*block) + size);

    if (block == NULL)
        return NULL;
    arena->size += sizeof(*block) + size;
    block->next = arena->blocks;
    block->shared = shared;
    arena->blocks = block;
    return block;
}

/*
 * Large ones get a block of their own, and the current block stays in use.
 * Everything else starts the next block, which is at least four times the size
 * asked for, so that at most a quarter is lost when a block is left behind.
 */
void *etcd__arena_alloc_slow(struct etcd__arena *arena, size_t size)
{
    size_t block_size = arena->next_size < BLOCK_MIN ? BLOCK_MIN : round_up(arena->next_size);
    struct etcd__arena_block *block;

    if (size > SIZE_MAX - sizeof(*block) - ETCD__ARENA_ALIGN)
        return NULL;
    size = round_up(size);
    if (size > ETCD__ARENA_BLOCK_MAX / 4) {
        block = add_block(arena, size, false);
        return block == NULL ? NULL : block->data;
    }
    if (block_size < size * 4)
        block_size = size * 4;
    block = add_block(arena, block_size, true);
    if (block == NULL)
        return NULL;
    arena->pos = block->data + size;
    arena->end = block->data + block_size;
    arena->next_size = block_size >= ETCD__ARENA_BLOCK_MAX / 2 ? ETCD__ARENA_BLOCK_MAX : block_size * 2;
    return block->data;
}

void *etcd__arena_calloc(struct etcd__arena *arena, size_t count, size_t size)
{
    void *ptr;

    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    ptr = etcd__arena_alloc(arena, count * size);
    if (ptr != NULL)
        memset(ptr, 0, count * size);
    return ptr;
}

void *etcd__arena_memdup(struct etcd__arena *arena, const void *data, size_t len)
{
    char *copy = len == SIZE_MAX ? NULL : etcd__arena_alloc(arena, len + 1);

    if (copy == NULL)
        return NULL;
    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

void etcd__arena_adopt(struct etcd__arena *arena, void *memory)
{
    assert(arena->adopted == NULL);
    arena->adopted = memory;
}

void etcd__arena_release(struct etcd__arena *arena, void *ptr)
{
    for (struct etcd__arena_block **at = &arena->blocks; *at != NULL; at = &(*at)->next) {
        struct etcd__arena_block *block = *at;

        if (block->data == (char *)ptr && !block->shared) {
            *at = block->next;
            etcd__free(block);
            return;
        }
    }
}

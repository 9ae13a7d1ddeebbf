/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear probing. Removal moves the following entries of a run back instead of
 * leaving tombstones, so a map that lives long with much traffic stays fast.
 */
#include "base/map.h"

#include <assert.h>

enum { MIN_CAPACITY = 16 };

/* Spreads keys that count up, or that differ in their high bits only, over the table. */
static uint64_t mix(uint64_t key)
{
    key ^= key >> 32;
    key *= UINT64_C(0xd6e8feb86659fd93);
    key ^= key >> 32;
    key *= UINT64_C(0xd6e8feb86659fd93);
    key ^= key >> 32;
    return key;
}

static size_t home_of(const struct etcd__map *map, uint64_t key)
{
    return (size_t)mix(key) & (map->capacity - 1);
}

/* The slot that holds the key, or the free one where it belongs. The map has a free slot. */
static struct etcd__map_slot *find(const struct etcd__map *map, uint64_t key)
{
    size_t i = home_of(map, key);

    while (map->slots[i].value != NULL && map->slots[i].key != key)
        i = (i + 1) & (map->capacity - 1);
    return &map->slots[i];
}

static bool grow(struct etcd__map *map)
{
    struct etcd__map bigger = {.capacity = map->capacity == 0 ? MIN_CAPACITY : map->capacity * 2};

    if (bigger.capacity < map->capacity)
        return false;
    bigger.slots = etcd__calloc(bigger.capacity, sizeof(*bigger.slots));
    if (bigger.slots == NULL)
        return false;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].value != NULL)
            *find(&bigger, map->slots[i].key) = map->slots[i];
    }
    etcd__free(map->slots);
    map->slots = bigger.slots;
    map->capacity = bigger.capacity;
    return true;
}

void etcd__map_deinit(struct etcd__map *map)
{
    etcd__free(map->slots);
    *map = (struct etcd__map){0};
}

bool etcd__map_put(struct etcd__map *map, uint64_t key, void *value)
{
    struct etcd__map_slot *slot = map->capacity == 0 ? NULL : find(map, key);

    assert(value != NULL);
    if (slot != NULL && slot->value != NULL) {
        slot->value = value;
        return true;
    }
    /* At most three quarters full: runs stay short, and find() always ends. */
    if (slot == NULL || map->count >= map->capacity / 4 * 3) {
        if (!grow(map))
            return false;
        slot = find(map, key);
    }
    slot->key = key;
    slot->value = value;
    map->count++;
    return true;
}

void *etcd__map_get(const struct etcd__map *map, uint64_t key)
{
    return map->count == 0 ? NULL : find(map, key)->value;
}

void *etcd__map_remove(struct etcd__map *map, uint64_t key)
{
    struct etcd__map_slot *hole = map->count == 0 ? NULL : find(map, key);
    size_t mask = map->capacity - 1;
    void *removed;

    if (hole == NULL || hole->value == NULL)
        return NULL;
    removed = hole->value;
    for (size_t at = (size_t)(hole - map->slots), i = (at + 1) & mask; map->slots[i].value != NULL;
         i = (i + 1) & mask) {
        /* An entry may move to the hole unless its home lies after the hole. */
        if (((i - home_of(map, map->slots[i].key)) & mask) >= ((i - at) & mask)) {
            *hole = map->slots[i];
            hole = &map->slots[i];
            at = i;
        }
    }
    hole->value = NULL;
    map->count--;
    return removed;
}

void *etcd__map_next(const struct etcd__map *map, size_t *pos)
{
    while (*pos < map->capacity) {
        void *value = map->slots[(*pos)++].value;

        if (value != NULL)
            return value;
    }
    return NULL;
}

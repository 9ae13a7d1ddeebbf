/* SPDX-License-Identifier: Apache-2.0 */
/* A hash map from 64-bit integers to pointers (open addressing). Values are not owned and not NULL. */
#ifndef ETCD__BASE_MAP_H
#define ETCD__BASE_MAP_H

#include "base/mem.h"

#include <stdint.h>

struct etcd__map_slot {
    uint64_t key;
    void *value;
};

/* Zeroed memory is an empty map. */
struct etcd__map {
    struct etcd__map_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

void etcd__map_deinit(struct etcd__map *map);
/* Inserts or replaces. False when out of memory; the map is unchanged then. */
bool etcd__map_put(struct etcd__map *map, uint64_t key, void *value);
void *etcd__map_get(const struct etcd__map *map, uint64_t key);
/* Returns the value that was removed, or NULL. Never allocates. */
void *etcd__map_remove(struct etcd__map *map, uint64_t key);
/* Walks in no particular order: start with *pos = 0; NULL at the end. Do not change the map meanwhile. */
void *etcd__map_next(const struct etcd__map *map, size_t *pos);

#endif

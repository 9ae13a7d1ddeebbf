/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An intrusive pairing heap ordered by a 64-bit key, smallest first. Nothing is allocated, so arming a
 * timer cannot fail. Equal keys come out in any order.
 */
#ifndef ETCD__BASE_HEAP_H
#define ETCD__BASE_HEAP_H

#include "base/mem.h"

#include <stdint.h>

struct etcd__heap_node {
    int64_t key;
    struct etcd__heap_node *child, *next, *prev; /* prev: the left sibling, or the parent */
    bool linked;
};

struct etcd__heap {
    struct etcd__heap_node *root;
};

void etcd__heap_insert(struct etcd__heap *heap, struct etcd__heap_node *node, int64_t key);
/* Does nothing when the node is in no heap. */
void etcd__heap_remove(struct etcd__heap *heap, struct etcd__heap_node *node);
/* The node with the smallest key, or NULL; it stays in the heap. */
struct etcd__heap_node *etcd__heap_min(const struct etcd__heap *heap);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pairing heap: each node holds the first of its children, siblings are
 * doubly linked, and the first child's `prev` is the parent. Insert and look-up
 * are O(1), removal is O(log n) amortised. Timers are mostly disarmed before
 * they fire, which is cheap here: a leaf is simply unlinked.
 */
#include "base/heap.h"

#include <assert.h>

/* Joins two roots; either may be NULL. */
static struct etcd__heap_node *meld(struct etcd__heap_node *a, struct etcd__heap_node *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (b->key < a->key) {
        struct etcd__heap_node *swap = a;

        a = b;
        b = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* Makes one tree of a chain of siblings: pairs from the left, then the pairs from the right. */
static struct etcd__heap_node *meld_siblings(struct etcd__heap_node *first)
{
    struct etcd__heap_node *pairs = NULL; /* the newest first, linked by `next` */
    struct etcd__heap_node *root = NULL;

    while (first != NULL) {
        struct etcd__heap_node *a = first;
        struct etcd__heap_node *b = a->next;

        first = b == NULL ? NULL : b->next;
        a->prev = a->next = NULL;
        if (b != NULL)
            b->prev = b->next = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct etcd__heap_node *next = pairs->next;

        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

/* Takes a node that is not the root, with its children, out of its parent. */
static void cut(struct etcd__heap_node *node)
{
    if (node->prev->child == node)
        node->prev->child = node->next;
    else
        node->prev->next = node->next;
    if (node->next != NULL)
        node->next->prev = node->prev;
}

void etcd__heap_insert(struct etcd__heap *heap, struct etcd__heap_node *node, int64_t key)
{
    assert(!node->linked);
    node->key = key;
    node->child = node->next = node->prev = NULL;
    node->linked = true;
    heap->root = meld(heap->root, node);
}

void etcd__heap_remove(struct etcd__heap *heap, struct etcd__heap_node *node)
{
    struct etcd__heap_node *orphans;

    if (!node->linked)
        return;
    orphans = meld_siblings(node->child);
    if (heap->root == node) {
        heap->root = orphans;
    } else {
        cut(node);
        heap->root = meld(heap->root, orphans);
    }
    node->child = node->next = node->prev = NULL;
    node->linked = false;
}

struct etcd__heap_node *etcd__heap_min(const struct etcd__heap *heap)
{
    return heap->root;
}

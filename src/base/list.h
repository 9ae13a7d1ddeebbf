/* SPDX-License-Identifier: Apache-2.0 */
/* An intrusive, circular, doubly linked list. A node is in one list at most. */
#ifndef ETCD__BASE_LIST_H
#define ETCD__BASE_LIST_H

#include "base/mem.h"

struct etcd__node {
    struct etcd__node *prev, *next;
};

struct etcd__list {
    struct etcd__node head;
};

static inline void etcd__list_init(struct etcd__list *list)
{
    list->head.prev = list->head.next = &list->head;
}

static inline bool etcd__list_empty(const struct etcd__list *list)
{
    return list->head.next == &list->head;
}

/* A node that is in no list has NULL links (zeroed memory is such a node). */
static inline bool etcd__node_linked(const struct etcd__node *node)
{
    return node->next != NULL;
}

static inline void etcd__list_insert_before(struct etcd__node *place, struct etcd__node *node)
{
    node->prev = place->prev;
    node->next = place;
    place->prev->next = node;
    place->prev = node;
}

static inline void etcd__list_push(struct etcd__list *list, struct etcd__node *node)
{
    etcd__list_insert_before(&list->head, node);
}

static inline void etcd__list_push_front(struct etcd__list *list, struct etcd__node *node)
{
    etcd__list_insert_before(list->head.next, node);
}

static inline void etcd__node_unlink(struct etcd__node *node)
{
    if (node->next == NULL)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = node->next = NULL;
}

/* The first node, or NULL. */
static inline struct etcd__node *etcd__list_first(const struct etcd__list *list)
{
    return etcd__list_empty(list) ? NULL : list->head.next;
}

/* Unlinks and returns the first node, or NULL. */
static inline struct etcd__node *etcd__list_pop(struct etcd__list *list)
{
    struct etcd__node *node = etcd__list_first(list);

    if (node != NULL)
        etcd__node_unlink(node);
    return node;
}

/* Moves all nodes of `from` to the end of `to`; `from` is empty afterwards. */
static inline void etcd__list_splice(struct etcd__list *to, struct etcd__list *from)
{
    if (etcd__list_empty(from))
        return;
    from->head.next->prev = to->head.prev;
    to->head.prev->next = from->head.next;
    from->head.prev->next = &to->head;
    to->head.prev = from->head.prev;
    etcd__list_init(from);
}

/* The loop body must not unlink any node but the current one (use the _SAFE form even for that). */
#define ETCD__LIST_FOREACH(node, list) \
    for (struct etcd__node *node = (list)->head.next; node != &(list)->head; node = node->next)

#define ETCD__LIST_FOREACH_SAFE(node, list)                                                             \
    for (struct etcd__node *node = (list)->head.next, *node##_next = node->next; node != &(list)->head; \
         node = node##_next, node##_next = node->next)

#endif

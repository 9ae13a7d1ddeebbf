/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of a view, and how one is made from the one before.
 *
 * A snapshot is an array of pointers to pairs, sorted by key. Pairs are counted
 * and shared: the next snapshot points to the same ones but for what changed. Counting
 * costs a write to each pair, so it is done only when somebody still holds the snapshot before: otherwise the
 * new one inherits its counts. That makes the usual step a few copies of pointer ranges.
 */
#ifndef ETCD__RECIPES_SNAPSHOT_H
#define ETCD__RECIPES_SNAPSHOT_H

#include "etcdc/view.h"

#include <stdatomic.h>

/* One key with its value, in one piece of memory. */
struct etcd__pair {
    atomic_size_t refs;
    etcd_kv kv;
    char bytes[];
};

struct etcd_snapshot {
    atomic_size_t refs;
    int64_t revision;
    size_t count;
    struct etcd__pair *pairs[];
};

/* A copy, with one reference; NULL when out of memory. */
struct etcd__pair *etcd__pair_new(const etcd_kv *kv);
void etcd__pair_unref(struct etcd__pair *pair);

/*
 * A growing list of pairs, in the order of their keys: what is being loaded. Zeroed memory is an empty one.
 */
struct etcd__pairs {
    struct etcd__pair **list;
    size_t count, capacity;
};

/* Appends a copy; false when out of memory. */
bool etcd__pairs_add(struct etcd__pairs *pairs, const etcd_kv *kv);
void etcd__pairs_deinit(struct etcd__pairs *pairs);

/* Takes the pairs over, also when it fails (NULL: out of memory). One reference. */
struct etcd_snapshot *etcd__snapshot_new(struct etcd__pairs *pairs, int64_t revision);
struct etcd_snapshot *etcd__snapshot_ref(struct etcd_snapshot *snapshot);

/* The last state of one key in a batch of events. */
struct etcd__change {
    const etcd_event *event;
    size_t order;            /* of the event in the batch */
    struct etcd__pair *pair; /* NULL: deleted */
    size_t at;               /* where the snapshot before has the key, or would have it */
    bool replaces;           /* it has it */
};

/* Zeroed memory is empty. */
struct etcd__changes {
    struct etcd__change *list;
    size_t count, capacity;
    int64_t revision; /* of the newest event */
};

/* Notes an event, which must stay where it is until the changes are sealed. False when out of memory. */
bool etcd__changes_add(struct etcd__changes *changes, const etcd_event *event);
/* Reduces the events to the last of each key, sorted, with a pair for each. False when out of memory. */
bool etcd__changes_seal(struct etcd__changes *changes);
/* For changes that no snapshot was made of. */
void etcd__changes_deinit(struct etcd__changes *changes);

/*
 * The next snapshot; NULL when out of memory. It uses the pairs of `before` without having counted them
 * yet: follow with etcd__snapshot_inherit() before the caller's reference to `before` is given back. Both
 * may be read meanwhile.
 */
struct etcd_snapshot *etcd__snapshot_next(const struct etcd_snapshot *before, struct etcd__changes *changes);
/*
 * Settles whose the shared pairs are, and gives the caller's reference to `before` back: nobody can get a
 * new one any more. Empties the changes.
 */
void etcd__snapshot_inherit(struct etcd_snapshot *before, struct etcd__changes *changes);

#endif

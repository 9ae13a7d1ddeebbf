/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may be inside an object: one callback, or the function that opens it, at a
 * time, and nobody once it is shut. Whoever is inside has the object to itself, the user's
 * code may be called from there, and who closes the object waits until the
 * inside is empty - unless it is called from there. Afterwards the object is the closer's.
 *
 * The gate also counts who still points at the object: its user, and each
 * operation whose callback is to come.
 */
#ifndef ETCD__RECIPES_GATE_H
#define ETCD__RECIPES_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct etcd__gate {
    pthread_mutex_t mutex;
    pthread_cond_t left;
    pthread_t owner; /* while occupied */
    bool occupied;
    bool shut;
    atomic_uint refs;
};

/* One reference, open. False: the system has no mutex to spare. */
bool etcd__gate_init(struct etcd__gate *gate);
void etcd__gate_deinit(struct etcd__gate *gate);

void etcd__gate_ref(struct etcd__gate *gate);
/* True when this was the last reference: free the object. */
bool etcd__gate_unref(struct etcd__gate *gate);

/* Waits until nobody is inside. False when the gate is shut. */
bool etcd__gate_enter(struct etcd__gate *gate);
void etcd__gate_leave(struct etcd__gate *gate);
/* For who is inside and has called the user: whether the object was closed meanwhile. */
bool etcd__gate_is_shut(struct etcd__gate *gate);
/* Nobody enters any more; waits for who is inside, unless that is the caller: then true. */
bool etcd__gate_shut(struct etcd__gate *gate);

#endif

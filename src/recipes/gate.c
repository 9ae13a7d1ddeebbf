/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/gate.h"

#include <assert.h>

bool etcd__gate_init(struct etcd__gate *gate)
{
    if (pthread_mutex_init(&gate->mutex, NULL) != 0)
        return false;
    if (pthread_cond_init(&gate->left, NULL) != 0) {
        pthread_mutex_destroy(&gate->mutex);
        return false;
    }
    gate->occupied = false;
    gate->shut = false;
    atomic_init(&gate->refs, 1);
    return true;
}

void etcd__gate_deinit(struct etcd__gate *gate)
{
    assert(!gate->occupied);
    pthread_cond_destroy(&gate->left);
    pthread_mutex_destroy(&gate->mutex);
}

void etcd__gate_ref(struct etcd__gate *gate)
{
    atomic_fetch_add_explicit(&gate->refs, 1, memory_order_relaxed);
}

bool etcd__gate_unref(struct etcd__gate *gate)
{
    return atomic_fetch_sub_explicit(&gate->refs, 1, memory_order_acq_rel) == 1;
}

bool etcd__gate_enter(struct etcd__gate *gate)
{
    bool entered;

    pthread_mutex_lock(&gate->mutex);
    while (gate->occupied && !gate->shut)
        pthread_cond_wait(&gate->left, &gate->mutex);
    entered = !gate->shut;
    if (entered) {
        gate->occupied = true;
        gate->owner = pthread_self();
    }
    pthread_mutex_unlock(&gate->mutex);
    return entered;
}

void etcd__gate_leave(struct etcd__gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    assert(gate->occupied);
    gate->occupied = false;
    pthread_cond_broadcast(&gate->left);
    pthread_mutex_unlock(&gate->mutex);
}

bool etcd__gate_is_shut(struct etcd__gate *gate)
{
    bool shut;

    pthread_mutex_lock(&gate->mutex);
    shut = gate->shut;
    pthread_mutex_unlock(&gate->mutex);
    return shut;
}

bool etcd__gate_shut(struct etcd__gate *gate)
{
    bool from_inside;

    pthread_mutex_lock(&gate->mutex);
    gate->shut = true;
    pthread_cond_broadcast(&gate->left);
    from_inside = gate->occupied && pthread_equal(gate->owner, pthread_self());
    while (gate->occupied && !from_inside)
        pthread_cond_wait(&gate->left, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
    return from_inside;
}

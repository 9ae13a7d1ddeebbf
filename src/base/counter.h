/* SPDX-License-Identifier: Apache-2.0 */
/* A number that one thread at a time changes, the engine's, and any thread may read. */
#ifndef ETCD__BASE_COUNTER_H
#define ETCD__BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t etcd__counter;

/* Not a read-modify-write: with one writer a plain load and store do, and cost as little. */
static inline void etcd__count(etcd__counter *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static inline void etcd__count_down(etcd__counter *counter)
{
    etcd__count(counter, UINT64_MAX); /* modulo 2^64: less one */
}

static inline uint64_t etcd__counted(const etcd__counter *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readiness of descriptors, a deadline and a wake-up from another thread, behind one small table: epoll (one
 * descriptor stands for everything) and poll(2). Functions as in base/env.h; results are 0 or a negative
 * errno.
 */
#ifndef ETCD__RUNTIME_POLLER_H
#define ETCD__RUNTIME_POLLER_H

#include "base/env.h"

struct etcd__poller;

struct etcd__poller_ops {
    void (*free)(struct etcd__poller *poller);
    int (*set)(struct etcd__poller *poller, int fd, unsigned old_events, unsigned events, void *tag);
    /* timeout_ms: -1 waits without a limit. */
    int (*wait)(struct etcd__poller *poller, struct etcd__poll_event *events, int capacity, int timeout_ms);
    void (*wake)(struct etcd__poller *poller); /* any thread */
    /* Whether a wait without a limit ends at this time too. */
    bool (*deadline)(struct etcd__poller *poller, int64_t at_ms);
    int (*fd)(struct etcd__poller *poller);
    /* In a forked child: gives the descriptors back without a change to what the parent shares. Only `free`
     * follows, and `set`, which fails. */
    void (*leave)(struct etcd__poller *poller);
};

/* The first member of a back end. */
struct etcd__poller {
    const struct etcd__poller_ops *ops;
};

int etcd__poller_epoll_new(struct etcd__poller **ret_poller); /* -ENOSYS where there is none */
int etcd__poller_poll_new(struct etcd__poller **ret_poller);

#endif

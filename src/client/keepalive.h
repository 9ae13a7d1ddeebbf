/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All leases that a client keeps alive, and the streams that renew them. Engine only, but for the functions
 * of etcdc/lease.h.
 *
 * Several keep-alives of one lease share one entry. An entry is renewed every third of its TTL and ends
 * when the server does not know the lease, or when the time that the newest answered renewal bought is
 * over: whichever is noticed first.
 */
#ifndef ETCD__CLIENT_KEEPALIVE_H
#define ETCD__CLIENT_KEEPALIVE_H

#include "base/list.h"
#include "base/map.h"
#include "base/reactor.h"
#include "etcdc/error.h"

struct etcd_client;

struct etcd__lessor {
    struct etcd_client *client;
    struct etcd__map leases;   /* by lease id: struct etcd__lease */
    struct etcd__heap due;     /* by the time of what is next: renewal, answer overdue, expiry */
    struct etcd__list streams; /* of struct etcd__lease_stream */
    struct etcd__timer timer;  /* for the first of `due` */
    struct etcd__task rearm;   /* sets it, once a turn */
    uint64_t raft_term;        /* the newest that an answer to a renewal had, and when it came */
    int64_t raft_term_ms;
    bool closed;
};

void etcd__lessor_init(struct etcd__lessor *lessor, struct etcd_client *client);
/*
 * Ends every keep-alive with ETCD_E_CLOSED; the leases are left to expire. To be called while the channel
 * is still there; again is fine.
 */
void etcd__lessor_close(struct etcd__lessor *lessor);

#endif

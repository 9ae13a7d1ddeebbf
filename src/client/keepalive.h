/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All leases that a client keeps alive and the streams that renew them. Engine only, but for the functions of etcdc/lease.h.
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
    struct etcd__map leases;   /* by lease id: struct etcd_keepalive */
    struct etcd__heap due;     /* by the time of what is next: renewal, answer overdue, expiry */
    struct etcd__list streams;
    struct etcd__timer timer;
};

void etcd__lessor_init(struct etcd__lessor *lessor, struct etcd_client *client);
/* Ends every keep-alive with ETCD_E_CLOSED. The leases are left to expire. */
void etcd__lessor_close(struct etcd__lessor *lessor);

#endif

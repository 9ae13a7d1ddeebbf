/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All watches of a client and the streams that they share. Engine only, but for the functions of etcdc/watch.h.
 */
#ifndef ETCD__CLIENT_WATCH_H
#define ETCD__CLIENT_WATCH_H

#include "base/list.h"
#include "etcdc/error.h"

struct etcd_client;

struct etcd__watch_hub {
    struct etcd_client *client;
    struct etcd__list watches; /* every watch that has not ended */
    struct etcd__list streams;
};

void etcd__watch_hub_init(struct etcd__watch_hub *hub, struct etcd_client *client);
/* Ends every watch with this status (ETCD_E_CLOSED, or ETCD_E_CANCELLED for cancelled waits); buffered events stay. */
void etcd__watch_hub_end_all(struct etcd__watch_hub *hub, etcd_status status);

#endif

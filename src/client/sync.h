/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping the list of endpoints in step with the cluster's member list: every interval, or on request.
 * Learners and members without a name (not started) are left out; an empty or failed answer keeps the list.
 * One warning for each outage. Engine only.
 */
#ifndef ETCD__CLIENT_SYNC_H
#define ETCD__CLIENT_SYNC_H

#include "base/reactor.h"

struct etcd_client;
struct etcd__rpc;

struct etcd__sync {
    struct etcd_client *client;
    int64_t interval_ms; /* 0: off */
    struct etcd__timer timer;
    struct etcd__rpc *rpc; /* under way, or NULL */
    bool warned;
};

void etcd__sync_start(struct etcd__sync *sync, struct etcd_client *client, int64_t interval_ms);
void etcd__sync_stop(struct etcd__sync *sync);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a client counts. The names are those of etcd_metrics, which says what they mean. */
#ifndef ETCD__CLIENT_METRICS_H
#define ETCD__CLIENT_METRICS_H

#include "base/counter.h"

struct etcd__metrics {
    etcd__counter calls, failures, retries, hedges, logins;
    etcd__counter connects, losses, bytes_sent, bytes_received;
    etcd__counter watch_events, watch_resumes;
    etcd__counter lease_renewals, lease_losses;
    etcd__counter watches, leases; /* go down too */
};

#endif

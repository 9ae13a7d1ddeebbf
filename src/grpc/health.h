/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides when a connection is pinged and when it counts as stalled or dead. It does nothing, and arms no
 * timer, while no call is open.
 *
 * - Keepalive: a ping after `interval` without a byte while a call is open; dead when it is not answered in
 *   time.
 * - Stall: a ping after 1 s without a byte while a unary call is outstanding; stalled when it is not
 *   answered within 1 s, until bytes arrive. A slow answer of a healthy server looks the same at first, and
 *   servers count pings (etcd: closer than 5 s apart, three times), so pings keep a distance that doubles
 *   with `patience`.
 */
#ifndef ETCD__GRPC_HEALTH_H
#define ETCD__GRPC_HEALTH_H

#include "base/reactor.h"

enum {
    ETCD__KEEPALIVE_FLOOR_MS = 10000,
    ETCD__STALL_MS = 1000, /* silence before a probe, and the time it has */
    ETCD__PING_DISTANCE_MS = 6000,
    ETCD__MAX_PATIENCE = 6, /* doublings */
};

struct etcd__health_ops {
    void (*ping)(void *user);
    /* No answer to a keepalive ping; may deinit the health. */
    void (*dead)(void *user);
};

struct etcd__health {
    const struct etcd__health_ops *ops;
    void *user;
    struct etcd__reactor *reactor;
    struct etcd__timer timer;
    int64_t interval_ms; /* 0: no keepalive */
    int64_t timeout_ms;
    int64_t distance_ms;
    int64_t received_ms;    /* when bytes last came */
    int64_t calls_since_ms; /* since when there has been a call */
    int64_t unary_since_ms; /* since when there has been a unary one */
    int64_t ping_ms;        /* when the last ping was sent */
    bool pinged;            /* a ping is unanswered */
    bool stalled;
    size_t calls, unary;
};

/* `patience`: how often the peer complained about pings, 0..ETCD__MAX_PATIENCE. */
void etcd__health_init(struct etcd__health *health, struct etcd__reactor *reactor, int64_t keepalive_time_ms,
                       int64_t keepalive_timeout_ms, unsigned patience, const struct etcd__health_ops *ops,
                       void *user);
void etcd__health_deinit(struct etcd__health *health);
void etcd__health_call_started(struct etcd__health *health, bool unary);
void etcd__health_call_ended(struct etcd__health *health, bool unary);
void etcd__health_answered(struct etcd__health *health);
/* Bytes came: any are as good as the answer to a ping. */
static inline void etcd__health_received(struct etcd__health *health)
{
    health->received_ms = health->reactor->now_ms;
    if (health->pinged)
        etcd__health_answered(health);
}

#endif

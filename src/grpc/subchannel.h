/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One endpoint of a channel: connects, reconnects with back-off, knows whether calls should go there. It
 * owns the endpoint's connections: the one it connects or uses, and older ones that finish their calls.
 */
#ifndef ETCD__GRPC_SUBCHANNEL_H
#define ETCD__GRPC_SUBCHANNEL_H

#include "grpc/channel.h"
#include "grpc/transport.h"

enum etcd__subchannel_state {
    ETCD__SUBCHANNEL_IDLE,       /* not used yet, or retired */
    ETCD__SUBCHANNEL_CONNECTING, /* an attempt is under way, or starts in this turn */
    ETCD__SUBCHANNEL_READY,
    ETCD__SUBCHANNEL_BACKOFF,
};

enum {
    /* How old a measured answer time may get before one call goes there to renew it. */
    ETCD__MEASURE_EVERY_MS = 10000,
};

struct etcd__subchannel_events {
    void (*on_ready)(struct etcd__channel *channel, struct etcd__subchannel *subchannel);
    /* An attempt failed or the connection was lost. `err` is borrowed. */
    void (*on_failed)(struct etcd__channel *channel, struct etcd__subchannel *subchannel,
                      const etcd_error *err);
    /* Its connection takes no new calls any more, though it has not failed. */
    void (*on_draining)(struct etcd__channel *channel, struct etcd__subchannel *subchannel,
                        const etcd_error *err);
    /* Retired, and the last connection is closed: may be freed from a task. */
    void (*on_unused)(struct etcd__channel *channel, struct etcd__subchannel *subchannel);
    /* Whether calls wait for a connection. */
    bool (*calls_wait)(struct etcd__channel *channel);
};

struct etcd__subchannel {
    struct etcd__channel *channel;
    const struct etcd__channel_config *config;
    const struct etcd__subchannel_events *events;
    struct etcd__node node; /* the channel's list of retired ones */
    struct etcd__endpoint endpoint;
    struct etcd__tls *tls; /* NULL: in clear; the channel holds the reference */
    enum etcd__subchannel_state state;
    struct etcd__transport *transport; /* connecting or ready; NULL otherwise */
    struct etcd__list transports;      /* all that are not freed */
    struct etcd__timer timer;          /* connecting: the dial timeout; back-off: its end */
    struct etcd__task dial;
    unsigned failures;         /* in a row */
    unsigned patience;         /* see health.h */
    struct etcd__list waiting; /* calls that are bound to it, without a connection */
    etcd_error error;          /* of the last failure; status ETCD_OK: connected, or not tried */
    unsigned bound_calls;      /* where `own`: those alive */
    int64_t aside_until_ms;
    int64_t aside_ms;    /* for how long it was set aside last */
    bool known;          /* it was connected at least once */
    bool was_ready;      /* what failed last was a connection in use */
    int64_t received_ms; /* when bytes last came */
    int64_t took;        /* smoothed answer time, in 1/8 ms; -1: not known */
    int64_t took_ms;     /* when it was measured last */
    int64_t asked_ms;    /* when a call went there to measure it, or it was measured */
    bool failed;         /* since some endpoint was last ready; the channel resets it */
    bool own;            /* made for bound calls, not in the channel's list */
    bool retired;
};

/* Copies the endpoint. NULL when out of memory. */
struct etcd__subchannel *etcd__subchannel_new(struct etcd__channel *channel,
                                              const struct etcd__channel_config *config,
                                              const struct etcd__endpoint *endpoint, struct etcd__tls *tls,
                                              const struct etcd__subchannel_events *events);
/* Ends the calls with CANCELLED. From top-level events only. */
void etcd__subchannel_free(struct etcd__subchannel *subchannel);
/* Starts to connect when idle. */
void etcd__subchannel_connect(struct etcd__subchannel *subchannel);
/* Calls wait: shortens a long back-off. */
void etcd__subchannel_hasten(struct etcd__subchannel *subchannel);
/* The endpoint left the list: no new calls, unary calls finish, streaming calls end from a task. */
void etcd__subchannel_retire(struct etcd__subchannel *subchannel);
/* The owner saw it fail: aside for so long, longer when that was so a short while ago. */
void etcd__subchannel_set_aside(struct etcd__subchannel *subchannel, int64_t for_ms);
/* An answer took so long. */
void etcd__subchannel_took(struct etcd__subchannel *subchannel, int64_t ms);
/* Does not answer, or the owner wants no calls there for now. */
bool etcd__subchannel_aside(const struct etcd__subchannel *subchannel);
/* Nothing at all comes from there. */
bool etcd__subchannel_stalled(const struct etcd__subchannel *subchannel);
/* Ready and not set aside. */
static inline bool etcd__subchannel_usable(const struct etcd__subchannel *subchannel)
{
    return etcd__subchannel_ready(subchannel) && !etcd__subchannel_aside(subchannel);
}

#endif

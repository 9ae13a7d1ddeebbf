/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to channel*.c: calls and life (channel.c), the list of endpoints, calls that are bound to one. */
#ifndef ETCD__GRPC_CHANNEL_CORE_H
#define ETCD__GRPC_CHANNEL_CORE_H

#include "grpc/channel.h"
#include "grpc/subchannel.h"

struct etcd__channel {
    struct etcd__channel_config config;
    struct etcd__subchannel **subchannels;
    size_t count;
    size_t next; /* where the round robin goes on */
    struct etcd__subchannel *leader;
    enum etcd__channel_state state;
    struct etcd__list own;         /* subchannels that were made for bound calls */
    struct etcd__list retired;     /* subchannels of either kind that are left and still have connections */
    struct etcd__list waiting;     /* calls without a connection, the oldest first */
    struct etcd__list ending;      /* calls whose end comes from a task */
    struct etcd__task reap;        /* retires and frees what nobody uses */
    struct etcd__tls *default_tls; /* for https endpoints when the client has no TLS options */
    char *token;
    etcd_error last_error;
    bool connecting; /* it was used: endpoints are connected */
    bool seeking;    /* the owner looks for endpoints */
    bool closing;
};

static inline struct etcd__call *etcd__channel_waiting_call(struct etcd__node *node)
{
    return ETCD__CONTAINER(node, struct etcd__call, waiting);
}

/* ---- channel.c ------------------------------------------------------------------------------------- */

/* A subchannel of this channel, not connected yet and in no list, with the TLS that the endpoint wants. */
etcd_status etcd__channel_new_subchannel(struct etcd__channel *channel, const struct etcd__endpoint *endpoint,
                                         struct etcd__subchannel **ret_subchannel, etcd_error *reterr);
/* Some endpoint is connected now, or the last one no longer: `err` says why. */
void etcd__channel_update_state(struct etcd__channel *channel, const etcd_error *err);
/* Calls that should fail fast do, if there is nothing to wait for. */
void etcd__channel_fail_hopeless(struct etcd__channel *channel);
/* It takes no new calls, and is freed with its last connection. */
void etcd__channel_retire(struct etcd__channel *channel, struct etcd__subchannel *subchannel);
/* A retired subchannel has no connections left, or one for bound calls no calls. */
void etcd__channel_reap(struct etcd__channel *channel);

/* ---- channel_endpoints.c --------------------------------------------------------------------------- */

/* In the list; NULL: it is not. */
struct etcd__subchannel *etcd__channel_find(const struct etcd__channel *channel,
                                            const struct etcd__endpoint *endpoint);

/* ---- channel_bound.c ------------------------------------------------------------------------------- */

/* Finds or makes the call's endpoint and connects it. False: the call is ending. */
bool etcd__channel_bind(struct etcd__channel *channel, struct etcd__call *call);

#endif

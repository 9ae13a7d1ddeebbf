/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are bound to one endpoint, which need not be in the list. */
#include "grpc/channel_core.h"

/* --- Calls that are bound to one endpoint --- */

static struct etcd__subchannel *find_own(const struct etcd__channel *channel,
                                         const struct etcd__endpoint *endpoint)
{
    ETCD__LIST_FOREACH(node, &channel->own)
    {
        struct etcd__subchannel *subchannel = ETCD__CONTAINER(node, struct etcd__subchannel, node);

        if (etcd__endpoint_equal(&subchannel->endpoint, endpoint))
            return subchannel;
    }
    return NULL;
}

static etcd_status make_own(struct etcd__channel *channel, const struct etcd__endpoint *endpoint,
                            struct etcd__subchannel **ret_subchannel, etcd_error *reterr)
{
    struct etcd__subchannel *subchannel = NULL;
    etcd_status status = etcd__channel_new_subchannel(channel, endpoint, &subchannel, reterr);

    if (status != ETCD_OK)
        return status;
    subchannel->own = true;
    etcd__list_push(&channel->own, &subchannel->node);
    *ret_subchannel = subchannel;
    return ETCD_OK;
}

bool etcd__channel_bind(struct etcd__channel *channel, struct etcd__call *call)
{
    struct etcd__subchannel *target = etcd__channel_find(channel, call->config.only);
    etcd_status status = ETCD_OK;

    if (target == NULL)
        target = find_own(channel, call->config.only);
    if (target == NULL)
        status = make_own(channel, call->config.only, &target, &channel->last_error);
    if (status == ETCD_E_NO_MEMORY)
        etcd__call_end_later_no_memory(call);
    else if (status != ETCD_OK)
        etcd__call_end_later(call, ETCD__GRPC_UNAVAILABLE, channel->last_error.message);
    if (status != ETCD_OK)
        return false;
    call->target = target;
    target->bound_calls++;
    etcd__subchannel_connect(target);
    return true;
}

void etcd__channel_unbind(struct etcd__call *call)
{
    struct etcd__subchannel *target = call->target;

    call->target = NULL;
    if (target == NULL)
        return;
    target->bound_calls--;
    if (target->own && target->bound_calls == 0)
        etcd__channel_reap(target->channel);
}

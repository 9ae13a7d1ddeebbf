/* SPDX-License-Identifier: Apache-2.0 */
/* The list of endpoints: how it is replaced, and what the owner asks of it. */
#include "grpc/channel_core.h"

/* --- The list of endpoints --- */

static struct etcd__subchannel *find(struct etcd__subchannel *const *list, size_t count,
                                     const struct etcd__endpoint *endpoint)
{
    for (size_t i = 0; i < count; i++) {
        if (etcd__endpoint_equal(&list[i]->endpoint, endpoint))
            return list[i];
    }
    return NULL;
}

struct etcd__subchannel *etcd__channel_find(const struct etcd__channel *channel,
                                            const struct etcd__endpoint *endpoint)
{
    return find(channel->subchannels, channel->count, endpoint);
}

static bool contains(struct etcd__subchannel *const *list, size_t count,
                     const struct etcd__subchannel *subchannel)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == subchannel)
            return true;
    }
    return false;
}

/* Fills `list` with the subchannels of the new endpoints, those that exist and new ones; duplicates once. */
static etcd_status make_list(struct etcd__channel *channel, const struct etcd__endpoint *endpoints,
                             size_t count, struct etcd__subchannel **list, size_t *ret_count,
                             etcd_error *reterr)
{
    *ret_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct etcd__subchannel *subchannel = NULL;
        etcd_status status = ETCD_OK;

        if (find(list, *ret_count, &endpoints[i]) != NULL)
            continue;
        subchannel = etcd__channel_find(channel, &endpoints[i]);
        if (subchannel == NULL)
            status = etcd__channel_new_subchannel(channel, &endpoints[i], &subchannel, reterr);
        if (status != ETCD_OK)
            return status;
        list[(*ret_count)++] = subchannel;
    }
    return ETCD_OK;
}

static void drop_new(struct etcd__channel *channel, struct etcd__subchannel **list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!contains(channel->subchannels, channel->count, list[i]))
            etcd__subchannel_free(list[i]);
    }
    etcd__free(list);
}

static bool same_list(const struct etcd__channel *channel, struct etcd__subchannel *const *list, size_t count)
{
    if (count != channel->count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (list[i] != channel->subchannels[i])
            return false;
    }
    return true;
}

/* Tried again, they get a connection that is made for them. */
static void end_bound_waiting(struct etcd__subchannel *subchannel)
{
    ETCD__LIST_FOREACH_SAFE(node, &subchannel->waiting)
    {
        etcd__call_end_later(etcd__channel_waiting_call(node), ETCD__GRPC_UNAVAILABLE,
                             "the endpoint was removed from the list");
    }
}

/* Takes the new list over and retires what is not in it. */
static void swap_list(struct etcd__channel *channel, struct etcd__subchannel **list, size_t count)
{
    struct etcd__subchannel **old = channel->subchannels;
    size_t old_count = channel->count;

    channel->subchannels = list;
    channel->count = count;
    channel->next = count > 0 ? (size_t)etcd__reactor_random(channel->config.reactor, count) : 0;
    for (size_t i = 0; i < old_count; i++) {
        if (contains(list, count, old[i]))
            continue;
        if (channel->leader == old[i])
            channel->leader = NULL;
        end_bound_waiting(old[i]);
        etcd__channel_retire(channel, old[i]);
    }
    etcd__free(old);
}

etcd_status etcd__channel_set_endpoints(struct etcd__channel *channel, const struct etcd__endpoint *endpoints,
                                        size_t count, etcd_error *reterr)
{
    struct etcd__subchannel **list = etcd__calloc(count + 1, sizeof *list);
    size_t new_count = 0;
    etcd_error removed;

    if (list == NULL)
        return etcd__fail_memory(reterr);

    etcd_status status = make_list(channel, endpoints, count, list, &new_count, reterr);

    if (status != ETCD_OK || same_list(channel, list, new_count)) {
        drop_new(channel, list, new_count);
        return status;
    }
    swap_list(channel, list, new_count);
    (void)etcd__fail(&removed, ETCD_E_UNAVAILABLE,
                     "the endpoints that were connected are not in the new list");
    etcd__channel_update_state(channel, &removed);
    if (channel->connecting)
        for (size_t i = 0; i < channel->count; i++)
            etcd__subchannel_connect(channel->subchannels[i]);
    etcd__channel_fail_hopeless(channel);
    return ETCD_OK;
}

/* --- What the owner sees and asks --- */

void etcd__channel_took(struct etcd__channel *channel, struct etcd__subchannel *subchannel, int64_t ms)
{
    /* The caller may have kept the pointer of an endpoint that is gone since. */
    if (contains(channel->subchannels, channel->count, subchannel))
        etcd__subchannel_took(subchannel, ms);
}

bool etcd__channel_has_leader(const struct etcd__channel *channel)
{
    return channel->leader != NULL;
}

void etcd__channel_each_ready(struct etcd__channel *channel,
                              void (*fn)(void *user, const struct etcd__endpoint *endpoint), void *user)
{
    for (size_t i = 0; i < channel->count; i++) {
        if (etcd__subchannel_ready(channel->subchannels[i]))
            fn(user, &channel->subchannels[i]->endpoint);
    }
}

void etcd__channel_each(struct etcd__channel *channel,
                        void (*fn)(void *user, const struct etcd__endpoint *endpoint), void *user)
{
    for (size_t i = 0; i < channel->count; i++)
        fn(user, &channel->subchannels[i]->endpoint);
}

size_t etcd__channel_count(const struct etcd__channel *channel)
{
    return channel->count;
}

size_t etcd__channel_ready(const struct etcd__channel *channel)
{
    size_t ready = 0;

    for (size_t i = 0; i < channel->count; i++)
        ready += etcd__subchannel_usable(channel->subchannels[i]) ? 1 : 0;
    return ready;
}

bool etcd__channel_connected(const struct etcd__channel *channel)
{
    for (size_t i = 0; i < channel->count; i++) {
        if (etcd__subchannel_ready(channel->subchannels[i]))
            return true;
    }
    return false;
}

bool etcd__channel_has_other(const struct etcd__channel *channel, const struct etcd__subchannel *subchannel)
{
    for (size_t i = 0; i < channel->count; i++) {
        if (channel->subchannels[i] != subchannel && etcd__subchannel_usable(channel->subchannels[i]))
            return true;
    }
    return false;
}

bool etcd__channel_has_second(const struct etcd__channel *channel, const struct etcd__subchannel *subchannel)
{
    for (size_t i = 0; i < channel->count; i++) {
        const struct etcd__subchannel *other = channel->subchannels[i];

        if (other != subchannel && etcd__subchannel_ready(other) && !etcd__subchannel_stalled(other))
            return true;
    }
    return false;
}

bool etcd__channel_has_hope(const struct etcd__channel *channel, const struct etcd__subchannel *subchannel)
{
    for (size_t i = 0; i < channel->count; i++) {
        const struct etcd__subchannel *other = channel->subchannels[i];

        if (other != subchannel && other->state == ETCD__SUBCHANNEL_CONNECTING && !other->failed)
            return true;
    }
    return channel->seeking;
}

const etcd_error *etcd__channel_last_error(const struct etcd__channel *channel)
{
    return &channel->last_error;
}

void etcd__channel_set_aside(struct etcd__channel *channel, struct etcd__subchannel *subchannel,
                             int64_t for_ms)
{
    /* The caller may have kept the pointer of an endpoint that is gone since. */
    if (contains(channel->subchannels, channel->count, subchannel))
        etcd__subchannel_set_aside(subchannel, for_ms);
}

bool etcd__channel_all_failed(const struct etcd__channel *channel)
{
    for (size_t i = 0; i < channel->count; i++) {
        if (!channel->subchannels[i]->failed)
            return false;
    }
    return channel->count > 0;
}

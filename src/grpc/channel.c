/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/channel_core.h"
#include "grpc/pick.h"

#include <assert.h>
#include <string.h>

/* --- Starting calls --- */

static struct etcd__subchannel *choose(struct etcd__channel *channel, const struct etcd__call_config *config)
{
    const struct etcd__choice choice = {
        .list = channel->subchannels,
        .count = channel->count,
        .next = &channel->next,
        .leader = channel->leader,
        .now_ms = channel->config.reactor->now_ms,
    };

    return etcd__pick(&choice, config);
}

static struct etcd__subchannel *pick_for(struct etcd__channel *channel, const struct etcd__call *call)
{
    if (call->target == NULL)
        return choose(channel, &call->config);
    return etcd__subchannel_ready(call->target) ? call->target : NULL;
}

/* Whether the call found a connection; it may also be ending then. */
static bool open_call(struct etcd__channel *channel, struct etcd__call *call)
{
    struct etcd__subchannel *subchannel = pick_for(channel, call);
    const char *token = channel->token != NULL ? channel->token : "";

    if (subchannel == NULL)
        return false;
    switch (etcd__transport_open(subchannel->transport, call, token, NULL)) {
    case ETCD_OK:
        break;
    case ETCD_E_NO_MEMORY:
        etcd__call_end_later_no_memory(call);
        break;
    case ETCD_E_TOO_LARGE:
        etcd__call_end_later(call, ETCD__GRPC_RESOURCE_EXHAUSTED, "the token does not fit into the headers");
        break;
    case ETCD_E_UNAVAILABLE:
        etcd__call_end_later(call, ETCD__GRPC_UNAVAILABLE, "the connection takes no new calls");
        break;
    default:
        etcd__call_end_later(call, ETCD__GRPC_INTERNAL, "HTTP/2 refused to open a stream");
        break;
    }
    return true;
}

static void fail_fast(struct etcd__channel *channel, struct etcd__call *call)
{
    const char *message = channel->last_error.message;

    if (call->target != NULL)
        message = call->target->error.message;
    else if (channel->last_error.status == ETCD_OK)
        message = "the client has no endpoints";
    etcd__call_end_later(call, ETCD__GRPC_UNAVAILABLE, message);
}

static bool hopeless(const struct etcd__channel *channel)
{
    return channel->count == 0 ? !channel->seeking : etcd__channel_all_failed(channel);
}

static bool hopeless_for(const struct etcd__channel *channel, const struct etcd__call *call)
{
    return call->target == NULL ? hopeless(channel) : call->target->error.status != ETCD_OK;
}

static void wait_for_connection(struct etcd__channel *channel, struct etcd__call *call)
{
    bool first = etcd__list_empty(&channel->waiting);

    call->state = ETCD__CALL_WAITING;
    if (call->target != NULL) {
        etcd__list_push(&call->target->waiting, &call->waiting);
        etcd__subchannel_hasten(call->target);
        return;
    }
    etcd__list_push(&channel->waiting, &call->waiting);
    for (size_t i = 0; first && i < channel->count; i++)
        etcd__subchannel_hasten(channel->subchannels[i]);
}

void etcd__channel_start_call(struct etcd__channel *channel, struct etcd__call *call)
{
    assert(!channel->closing);
    if (call->config.only == NULL)
        etcd__channel_connect(channel);
    else if (!etcd__channel_bind(channel, call))
        return;
    if (open_call(channel, call))
        return;
    if (call->config.fail_fast && hopeless_for(channel, call))
        fail_fast(channel, call);
    else
        wait_for_connection(channel, call);
}

void etcd__channel_post_end(struct etcd__channel *channel, struct etcd__call *call)
{
    etcd__list_push(&channel->ending, &call->waiting);
    etcd__task_post(channel->config.reactor, &call->failed);
}

/* Nothing here calls an owner: failures come from tasks. So the queue changes by our hand only. */
static void open_waiting(struct etcd__channel *channel, struct etcd__list *waiting)
{
    struct etcd__node *node;

    while ((node = etcd__list_pop(waiting)) != NULL) {
        struct etcd__call *call = etcd__channel_waiting_call(node);

        call->state = ETCD__CALL_IDLE;
        if (!open_call(channel, call)) {
            call->state = ETCD__CALL_WAITING;
            etcd__list_push_front(waiting, node);
            return;
        }
    }
}

static void fail_waiting(struct etcd__channel *channel, struct etcd__list *waiting)
{
    ETCD__LIST_FOREACH_SAFE(node, waiting)
    {
        struct etcd__call *call = etcd__channel_waiting_call(node);

        if (call->config.fail_fast)
            fail_fast(channel, call);
    }
}

void etcd__channel_fail_hopeless(struct etcd__channel *channel)
{
    if (hopeless(channel))
        fail_waiting(channel, &channel->waiting);
}

/* --- Events of the subchannels --- */

void etcd__channel_update_state(struct etcd__channel *channel, const etcd_error *err)
{
    enum etcd__channel_state old = channel->state, now = ETCD__CHANNEL_IDLE;

    if (channel->connecting)
        now = etcd__channel_connected(channel) ? ETCD__CHANNEL_READY : ETCD__CHANNEL_CONNECTING;
    channel->state = now;
    if (now != old && channel->config.on_state != NULL)
        channel->config.on_state(channel->config.user, now, old == ETCD__CHANNEL_READY ? err : NULL);
}

static void on_ready(struct etcd__channel *channel, struct etcd__subchannel *subchannel)
{
    subchannel->error.status = ETCD_OK;
    open_waiting(channel, &subchannel->waiting);
    if (subchannel->own)
        return;
    for (size_t i = 0; i < channel->count; i++)
        channel->subchannels[i]->failed = false;
    open_waiting(channel, &channel->waiting);
    etcd__channel_update_state(channel, NULL);
    if (channel->config.on_endpoint != NULL)
        channel->config.on_endpoint(channel->config.user, &subchannel->endpoint,
                                    subchannel->known ? ETCD__ENDPOINT_RECONNECTED : ETCD__ENDPOINT_CONNECTED,
                                    NULL);
    subchannel->known = true;
}

static void lose_connection(struct etcd__channel *channel, const struct etcd__subchannel *subchannel,
                            const etcd_error *err)
{
    if (channel->leader == subchannel)
        channel->leader = NULL;
    etcd__channel_update_state(channel, err);
}

static void on_failed(struct etcd__channel *channel, struct etcd__subchannel *subchannel,
                      const etcd_error *err)
{
    subchannel->error = *err;
    fail_waiting(channel, &subchannel->waiting);
    if (subchannel->own)
        return;
    channel->last_error = *err;
    subchannel->failed = true;
    lose_connection(channel, subchannel, err);
    if (etcd__channel_all_failed(channel))
        fail_waiting(channel, &channel->waiting);
    if (channel->config.on_endpoint != NULL)
        channel->config.on_endpoint(channel->config.user, &subchannel->endpoint,
                                    subchannel->was_ready ? ETCD__ENDPOINT_LOST : ETCD__ENDPOINT_UNREACHABLE,
                                    err);
}

static void on_draining(struct etcd__channel *channel, struct etcd__subchannel *subchannel,
                        const etcd_error *err)
{
    if (!subchannel->own)
        lose_connection(channel, subchannel, err);
}

void etcd__channel_reap(struct etcd__channel *channel)
{
    /* To the end of the queue: calls that are ending by a task still name their endpoint. */
    etcd__task_cancel(&channel->reap);
    etcd__task_post(channel->config.reactor, &channel->reap);
}

static void on_unused(struct etcd__channel *channel, struct etcd__subchannel *subchannel)
{
    (void)subchannel;
    etcd__channel_reap(channel);
}

static bool calls_wait(struct etcd__channel *channel)
{
    return !etcd__list_empty(&channel->waiting);
}

static const struct etcd__subchannel_events subchannel_events = {
    .on_ready = on_ready,
    .on_failed = on_failed,
    .on_draining = on_draining,
    .on_unused = on_unused,
    .calls_wait = calls_wait,
};

/* The TLS configuration for an endpoint. */
static etcd_status choose_tls(struct etcd__channel *channel, const struct etcd__endpoint *endpoint,
                              struct etcd__tls **ret_tls, etcd_error *reterr)
{
    static const struct etcd__tls_options defaults = {0};

    *ret_tls = NULL;
    if (endpoint->tls == ETCD__TLS_NEVER)
        return ETCD_OK;
    *ret_tls = channel->config.tls;
    if (*ret_tls != NULL || endpoint->tls == ETCD__TLS_IF_CONFIGURED)
        return ETCD_OK;
    if (channel->default_tls == NULL) {
        etcd_status status = etcd__tls_new(&defaults, &channel->default_tls, reterr);

        if (status != ETCD_OK)
            return status;
    }
    *ret_tls = channel->default_tls;
    return ETCD_OK;
}

etcd_status etcd__channel_new_subchannel(struct etcd__channel *channel, const struct etcd__endpoint *endpoint,
                                         struct etcd__subchannel **ret_subchannel, etcd_error *reterr)
{
    struct etcd__tls *tls = NULL;
    etcd_status status = choose_tls(channel, endpoint, &tls, reterr);

    if (status != ETCD_OK)
        return status;
    *ret_subchannel = etcd__subchannel_new(channel, &channel->config, endpoint, tls, &subchannel_events);
    return *ret_subchannel == NULL ? etcd__fail_memory(reterr) : ETCD_OK;
}

void etcd__channel_retire(struct etcd__channel *channel, struct etcd__subchannel *subchannel)
{
    etcd__node_unlink(&subchannel->node);
    etcd__list_push(&channel->retired, &subchannel->node);
    etcd__subchannel_retire(subchannel);
}

static void run_reap(struct etcd__task *task)
{
    struct etcd__channel *channel = ETCD__CONTAINER(task, struct etcd__channel, reap);

    ETCD__LIST_FOREACH_SAFE(node, &channel->retired)
    {
        struct etcd__subchannel *subchannel = ETCD__CONTAINER(node, struct etcd__subchannel, node);

        if (etcd__list_empty(&subchannel->transports))
            etcd__subchannel_free(subchannel);
    }
    ETCD__LIST_FOREACH_SAFE(own, &channel->own)
    {
        struct etcd__subchannel *subchannel = ETCD__CONTAINER(own, struct etcd__subchannel, node);

        if (subchannel->bound_calls == 0)
            etcd__channel_retire(channel, subchannel);
    }
}

/* --- Life --- */

etcd_status etcd__channel_new(const struct etcd__channel_config *config, struct etcd__channel **ret_channel,
                              etcd_error *reterr)
{
    struct etcd__channel *channel = ETCD__NEW(struct etcd__channel);

    if (channel == NULL)
        return etcd__fail_memory(reterr);
    channel->config = *config;
    channel->reap.run = run_reap;
    etcd__list_init(&channel->own);
    etcd__list_init(&channel->retired);
    etcd__list_init(&channel->waiting);
    etcd__list_init(&channel->ending);
    *ret_channel = channel;
    return ETCD_OK;
}

static void end_all(struct etcd__list *calls)
{
    struct etcd__node *node;

    while ((node = etcd__list_first(calls)) != NULL)
        etcd__call_end_now(etcd__channel_waiting_call(node), ETCD__GRPC_CANCELLED, "the client was closed");
}

static void free_subchannel(struct etcd__subchannel *subchannel)
{
    end_all(&subchannel->waiting);
    etcd__subchannel_free(subchannel);
}

static void wipe_token(struct etcd__channel *channel)
{
    if (channel->token != NULL)
        etcd__wipe(channel->token, strlen(channel->token));
    etcd__free(channel->token);
    channel->token = NULL;
}

void etcd__channel_free(struct etcd__channel *channel)
{
    struct etcd__node *node;

    if (channel == NULL)
        return;
    assert(!channel->closing);
    channel->closing = true;
    end_all(&channel->waiting);
    end_all(&channel->ending);
    for (size_t i = 0; i < channel->count; i++)
        free_subchannel(channel->subchannels[i]);
    while ((node = etcd__list_first(&channel->own)) != NULL)
        free_subchannel(ETCD__CONTAINER(node, struct etcd__subchannel, node));
    while ((node = etcd__list_first(&channel->retired)) != NULL)
        free_subchannel(ETCD__CONTAINER(node, struct etcd__subchannel, node));
    assert(etcd__list_empty(&channel->waiting) && etcd__list_empty(&channel->ending));
    etcd__task_cancel(&channel->reap);
    etcd__tls_unref(channel->default_tls);
    wipe_token(channel);
    etcd__free(channel->subchannels);
    etcd__free(channel);
}

bool etcd__channel_set_token(struct etcd__channel *channel, const char *token)
{
    char *copy = etcd__strdup(token);

    if (copy == NULL)
        return false;
    wipe_token(channel);
    channel->token = copy;
    return true;
}

void etcd__channel_connect(struct etcd__channel *channel)
{
    if (channel->connecting)
        return;
    channel->connecting = true;
    etcd__channel_update_state(channel, NULL);
    for (size_t i = 0; i < channel->count; i++)
        etcd__subchannel_connect(channel->subchannels[i]);
}

void etcd__channel_seek(struct etcd__channel *channel, bool on, const etcd_error *err)
{
    channel->seeking = on;
    if (err != NULL)
        channel->last_error = *err;
    etcd__channel_fail_hopeless(channel);
}

void etcd__channel_set_leader(struct etcd__channel *channel, struct etcd__subchannel *subchannel)
{
    channel->leader = subchannel;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/subchannel.h"

#include <assert.h>

enum {
    FIRST_BACKOFF_MS = 50,
    MAX_BACKOFF_MS = 5000,
    MAX_BACKOFF_WAITED_MS = 1000,
    /* A connection that held this long, or answered a call, was a good one: what follows is a new story. */
    GOOD_AFTER_MS = 1000,
    MAX_ASIDE_MS = 16000,
};

static struct etcd__reactor *reactor_of(const struct etcd__subchannel *subchannel)
{
    return subchannel->config->reactor;
}

/*
 * 50 ms x 1.6^n +- 20 %. The limit holds for the result: cutting that instead would bring clients into
 * step.
 */
static int64_t backoff_ms(const struct etcd__subchannel *subchannel)
{
    bool waited = !etcd__list_empty(&subchannel->waiting) ||
                  subchannel->events->calls_wait(subchannel->channel);
    int64_t max = waited ? MAX_BACKOFF_WAITED_MS : MAX_BACKOFF_MS;
    int64_t delay = FIRST_BACKOFF_MS;

    for (unsigned i = 1; i < subchannel->failures && delay < max; i++)
        delay = delay * 8 / 5;
    if (delay > max * 5 / 6)
        delay = max * 5 / 6;
    return delay * (int64_t)(800 + etcd__reactor_random(reactor_of(subchannel), 401)) / 1000;
}

/* Connects in this turn, from a task: what fails at once is then not reported inside a call of the owner. */
static void dial_soon(struct etcd__subchannel *subchannel)
{
    subchannel->state = ETCD__SUBCHANNEL_CONNECTING;
    etcd__timer_disarm(reactor_of(subchannel), &subchannel->timer);
    etcd__task_post(reactor_of(subchannel), &subchannel->dial);
}

static void back_off(struct etcd__subchannel *subchannel)
{
    struct etcd__reactor *reactor = reactor_of(subchannel);

    subchannel->state = ETCD__SUBCHANNEL_BACKOFF;
    subchannel->failures++;
    etcd__timer_arm(reactor, &subchannel->timer, reactor->now_ms + backoff_ms(subchannel));
}

/* After a connection that was usable: at once when it was a good one. */
static void reconnect(struct etcd__subchannel *subchannel, const struct etcd__transport *old)
{
    subchannel->transport = NULL;
    if (old->answered || reactor_of(subchannel)->now_ms - old->ready_ms >= GOOD_AFTER_MS) {
        subchannel->failures = 0;
        dial_soon(subchannel);
    } else {
        back_off(subchannel);
    }
}

/* --- Events of the connections --- */

static void on_ready(struct etcd__subchannel *subchannel, struct etcd__transport *transport)
{
    if (transport != subchannel->transport)
        return; /* the endpoint was removed meanwhile */
    subchannel->state = ETCD__SUBCHANNEL_READY;
    subchannel->aside_until_ms = subchannel->aside_ms = 0;
    subchannel->took = -1;
    subchannel->asked_ms = 0;
    etcd__timer_disarm(reactor_of(subchannel), &subchannel->timer);
    etcd__log_endpoint(&subchannel->config->log, ETCD_LOG_DEBUG, "connect", subchannel->endpoint.text,
                       "%s: connected", subchannel->endpoint.text);
    subchannel->events->on_ready(subchannel->channel, subchannel);
}

static void on_bytes(struct etcd__subchannel *subchannel)
{
    subchannel->received_ms = reactor_of(subchannel)->now_ms;
}

static void on_draining(struct etcd__subchannel *subchannel, struct etcd__transport *transport,
                        bool too_many_pings)
{
    etcd_error err;

    if (too_many_pings && subchannel->patience < ETCD__MAX_PATIENCE)
        subchannel->patience++;
    if (transport != subchannel->transport)
        return;
    if (transport->ready) {
        reconnect(subchannel, transport);
    } else {
        subchannel->transport = NULL;
        back_off(subchannel);
    }
    (void)etcd__fail(&err, ETCD_E_UNAVAILABLE, "%s: the server takes no new calls on the connection",
                     subchannel->endpoint.text);
    subchannel->events->on_draining(subchannel->channel, subchannel, &err);
}

static void on_lost(struct etcd__subchannel *subchannel, struct etcd__transport *transport,
                    const etcd_error *err)
{
    if (transport != subchannel->transport)
        return; /* a draining one: its calls have the error */
    etcd__log_endpoint(&subchannel->config->log, ETCD_LOG_DEBUG, "connect", subchannel->endpoint.text, "%s",
                       err->message);
    subchannel->was_ready = transport->ready;
    if (transport->ready) {
        reconnect(subchannel, transport);
    } else {
        subchannel->transport = NULL;
        back_off(subchannel);
    }
    subchannel->events->on_failed(subchannel->channel, subchannel, err);
}

static void on_gone(struct etcd__subchannel *subchannel, struct etcd__transport *transport)
{
    etcd__node_unlink(&transport->node);
    if (subchannel->transport == transport)
        subchannel->transport = NULL;
    if (subchannel->retired && etcd__list_empty(&subchannel->transports))
        subchannel->events->on_unused(subchannel->channel, subchannel);
}

static const struct etcd__transport_events transport_events = {
    .on_ready = on_ready,
    .on_bytes = on_bytes,
    .on_draining = on_draining,
    .on_lost = on_lost,
    .on_gone = on_gone,
};

/* --- Connecting --- */

static void run_dial(struct etcd__task *task)
{
    struct etcd__subchannel *subchannel = ETCD__CONTAINER(task, struct etcd__subchannel, dial);
    struct etcd__reactor *reactor = reactor_of(subchannel);
    const struct etcd__transport_config config = {
        .channel = subchannel->config,
        .subchannel = subchannel,
        .endpoint = &subchannel->endpoint,
        .tls = subchannel->tls,
        .patience = subchannel->patience,
        .events = &transport_events,
    };
    etcd_error err;

    assert(subchannel->state == ETCD__SUBCHANNEL_CONNECTING && subchannel->transport == NULL);
    if (etcd__transport_new(&config, &subchannel->transport, &err) != ETCD_OK) {
        etcd__error_prefix(&err, "%s", subchannel->endpoint.text);
        subchannel->was_ready = false;
        back_off(subchannel);
        subchannel->events->on_failed(subchannel->channel, subchannel, &err);
        return;
    }
    etcd__list_push(&subchannel->transports, &subchannel->transport->node);
    etcd__timer_arm(reactor, &subchannel->timer, reactor->now_ms + subchannel->config->dial_timeout_ms);
}

static void dial_timed_out(struct etcd__subchannel *subchannel)
{
    struct etcd__transport *transport = subchannel->transport;
    etcd_error err;

    etcd__fail(&err, ETCD_E_UNAVAILABLE, "no connection within %lld ms: %s",
               (long long)subchannel->config->dial_timeout_ms, etcd__transport_phase(transport));
    etcd__transport_fail(transport, &err);
}

static void expire(struct etcd__timer *timer)
{
    struct etcd__subchannel *subchannel = ETCD__CONTAINER(timer, struct etcd__subchannel, timer);

    if (subchannel->state == ETCD__SUBCHANNEL_CONNECTING)
        dial_timed_out(subchannel);
    else if (subchannel->state == ETCD__SUBCHANNEL_BACKOFF)
        dial_soon(subchannel);
}

/* --- For the channel --- */

struct etcd__subchannel *etcd__subchannel_new(struct etcd__channel *channel,
                                              const struct etcd__channel_config *config,
                                              const struct etcd__endpoint *endpoint, struct etcd__tls *tls,
                                              const struct etcd__subchannel_events *events)
{
    struct etcd__subchannel *subchannel = ETCD__NEW(struct etcd__subchannel);

    if (subchannel == NULL)
        return NULL;
    if (etcd__endpoint_copy(endpoint, &subchannel->endpoint, NULL) != ETCD_OK) {
        etcd__free(subchannel);
        return NULL;
    }
    subchannel->channel = channel;
    subchannel->config = config;
    subchannel->events = events;
    subchannel->tls = tls;
    subchannel->timer.on_expire = expire;
    subchannel->dial.run = run_dial;
    subchannel->received_ms = config->reactor->now_ms;
    etcd__list_init(&subchannel->waiting);
    subchannel->took = -1;
    etcd__list_init(&subchannel->transports);
    return subchannel;
}

static void close_transports(struct etcd__subchannel *subchannel)
{
    while (!etcd__list_empty(&subchannel->transports)) {
        struct etcd__node *node = etcd__list_first(&subchannel->transports);

        etcd__transport_close(ETCD__CONTAINER(node, struct etcd__transport, node), ETCD__GRPC_CANCELLED,
                              "the client was closed");
    }
}

void etcd__subchannel_free(struct etcd__subchannel *subchannel)
{
    subchannel->retired = false; /* it is freed here, and need not be reported as unused */
    close_transports(subchannel);
    etcd__node_unlink(&subchannel->node);
    etcd__timer_disarm(reactor_of(subchannel), &subchannel->timer);
    etcd__task_cancel(&subchannel->dial);
    etcd__endpoint_deinit(&subchannel->endpoint);
    etcd__free(subchannel);
}

void etcd__subchannel_connect(struct etcd__subchannel *subchannel)
{
    if (subchannel->state == ETCD__SUBCHANNEL_IDLE && !subchannel->retired)
        dial_soon(subchannel);
}

void etcd__subchannel_hasten(struct etcd__subchannel *subchannel)
{
    struct etcd__reactor *reactor = reactor_of(subchannel);
    int64_t latest = reactor->now_ms + MAX_BACKOFF_WAITED_MS;

    if (subchannel->state == ETCD__SUBCHANNEL_BACKOFF && subchannel->timer.heap.key > latest)
        etcd__timer_arm(reactor, &subchannel->timer, latest);
}

void etcd__subchannel_retire(struct etcd__subchannel *subchannel)
{
    subchannel->retired = true;
    subchannel->state = ETCD__SUBCHANNEL_IDLE;
    subchannel->transport = NULL;
    etcd__timer_disarm(reactor_of(subchannel), &subchannel->timer);
    etcd__task_cancel(&subchannel->dial);
    ETCD__LIST_FOREACH_SAFE(node, &subchannel->transports)
    etcd__transport_retire(ETCD__CONTAINER(node, struct etcd__transport, node),
                           "the endpoint was removed from the list");
    if (etcd__list_empty(&subchannel->transports))
        subchannel->events->on_unused(subchannel->channel, subchannel);
}

bool etcd__subchannel_ready(const struct etcd__subchannel *subchannel)
{
    return subchannel->state == ETCD__SUBCHANNEL_READY;
}

void etcd__subchannel_set_aside(struct etcd__subchannel *subchannel, int64_t for_ms)
{
    int64_t now_ms = reactor_of(subchannel)->now_ms;

    /* Calls that fail together are one failure. */
    if (subchannel->aside_until_ms > now_ms)
        return;
    if (subchannel->aside_ms > 0 && now_ms - subchannel->aside_until_ms < 4 * subchannel->aside_ms)
        for_ms = 2 * subchannel->aside_ms > for_ms ? 2 * subchannel->aside_ms : for_ms;
    if (for_ms > MAX_ASIDE_MS)
        for_ms = MAX_ASIDE_MS;
    subchannel->aside_ms = for_ms;
    subchannel->aside_until_ms = now_ms + for_ms;
}

void etcd__subchannel_took(struct etcd__subchannel *subchannel, int64_t ms)
{
    int64_t now_ms = reactor_of(subchannel)->now_ms;

    if (subchannel->took < 0 || now_ms - subchannel->took_ms >= ETCD__MEASURE_EVERY_MS)
        subchannel->took = 8 * ms; /* what was true so long ago says nothing */
    else
        subchannel->took += ms - subchannel->took / 8;
    subchannel->took_ms = subchannel->asked_ms = now_ms;
}

bool etcd__subchannel_aside(const struct etcd__subchannel *subchannel)
{
    return subchannel->aside_until_ms > reactor_of(subchannel)->now_ms ||
           etcd__subchannel_stalled(subchannel);
}

bool etcd__subchannel_stalled(const struct etcd__subchannel *subchannel)
{
    return subchannel->transport != NULL && subchannel->transport->health.stalled;
}

void etcd__subchannel_served(struct etcd__subchannel *subchannel)
{
    subchannel->aside_until_ms = 0;
}

const etcd_error *etcd__subchannel_error(const struct etcd__subchannel *subchannel)
{
    return &subchannel->error;
}

const char *etcd__subchannel_endpoint(const struct etcd__subchannel *subchannel)
{
    return subchannel->endpoint.text;
}

int64_t etcd__subchannel_silence_ms(const struct etcd__subchannel *subchannel)
{
    return reactor_of(subchannel)->now_ms - subchannel->received_ms;
}
